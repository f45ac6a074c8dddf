"""Tiny language models whose answer at a position depends on how long the text is, and plain ones."""

import torch
import transformers
from torch import nn

SIZE = {
    "vocab_size": 400,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
}
SPARSE = {
    **{"head_dim": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "n_routed_experts": 4},
    **{"n_shared_experts": 1, "num_key_value_heads": 4, "v_head_dim": 8, "kv_lora_rank": 16, "n_group": 1},
    **{"q_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "topk_group": 1},
    **{"index_head_dim": 8, "index_n_heads": 4, "mlp_layer_types": ["dense", "sparse"]},
}


def model_of(name, **settings):
    torch.manual_seed(3)
    config = getattr(transformers, f"{name}Config")(**SIZE | settings)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.15)
    return model


def longrope(border, name="Phi3"):
    rope = {
        **{"rope_type": "longrope", "rope_theta": 10000.0, "factor": 6.4},
        **{"short_factor": [1.0] * 4, "long_factor": [4.0, 3.0, 2.0, 8.0]},
        "original_max_position_embeddings": border,
    }
    return model_of(name, original_max_position_embeddings=border, rope_parameters=rope)


def ntk(maximum):
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
    return model_of("Llama", max_position_embeddings=maximum, rope_parameters=rope)


class Capacity(nn.Module):
    """An expert that takes a third of the text's tokens, the first ones that ask for it; others skip it."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, states):
        wants = states[..., 0] > 0
        room = states.shape[1] // 3
        taken = wants & (wants.cumsum(-1) <= room)
        return self.inner(states) * taken[..., None]


def with_capacity():
    model = model_of("Llama")
    model.model.layers[0].mlp = Capacity(model.model.layers[0].mlp)
    return model
