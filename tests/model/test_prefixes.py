"""Rows of models whose answer at a position depends on the text's length are those of each prefix."""

import copy

import pytest
import tiny_tokenizers
import torch
import transformers
from torch import nn

from model_understanding import GenerativeModelVisualizer
from model_understanding.model.prefixes import prefixes_agree

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
PROMPT, CONTINUATION = "The king was in the land far away, once. " * 2, "The film was wonderful."
TOKENIZER = tiny_tokenizers.gpt2_like()


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


MODELS = {
    "longrope, crossed": lambda start, end: longrope((start + end) // 2),
    "longrope of another model, crossed": lambda start, end: longrope((start + end) // 2, "Llama"),
    "longrope, all short": lambda start, end: longrope(100),
    "longrope, all long": lambda start, end: longrope(start - 2),
    "sparse attention": lambda start, end: model_of("DeepseekV32", index_topk=6, **SPARSE),
    "sparse attention with room": lambda start, end: model_of("DeepseekV32", index_topk=100, **SPARSE),
    "experts of limited capacity": lambda start, end: with_capacity(),
    "plain": lambda start, end: model_of("Llama"),
}
AGREE = {"longrope, all short", "longrope, all long", "sparse attention with room", "plain"}


def rows_by_hand(model, prompt, continuation):
    """Plain torch: each continuation token's log-probability and gradient norms, from its own prefix."""
    values, rows = [], []
    ids = torch.tensor([prompt + continuation])
    for end in range(len(prompt), ids.shape[1]):
        kept = []

        def leaf(module, arguments, output, kept=kept):
            kept.append(output.detach().requires_grad_())
            return kept[-1] * 1.0

        handle = model.get_input_embeddings().register_forward_hook(leaf)
        logits = model(input_ids=ids[:, :end], use_cache=False).logits
        handle.remove()
        value = logits[0, -1].log_softmax(-1)[ids[0, end]]
        (gradient,) = torch.autograd.grad(value, kept[0])
        values.append(value.item())
        rows.append(gradient[0].norm(dim=-1))
    return values, rows


@pytest.mark.parametrize("name", MODELS)
def test_each_token_is_explained_from_its_own_prefix(name):
    start, rest = (TOKENIZER(text)["input_ids"] for text in (PROMPT, CONTINUATION))
    model = MODELS[name](len(start), len(start) + len(rest))
    values, rows = rows_by_hand(copy.deepcopy(model), start, rest)
    visualizer = GenerativeModelVisualizer(model=model, tokenizer=TOKENIZER)
    encoding = visualizer._encode(PROMPT, CONTINUATION)
    agree = prefixes_agree(visualizer.runner.model, encoding, len(start), len(start) + len(rest) - 1)
    assert agree == (name in AGREE)

    options = {"continuation": CONTINUATION, "method": "saliency", "target": "continuation"}
    found = visualizer.compute_saliency(PROMPT, per_token=True, **options)
    assert torch.tensor(found.outputs) == pytest.approx(torch.tensor(values), abs=1e-4)
    for row, expected in zip(found.scores, rows, strict=True):
        assert row[: len(expected)] == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-5)
        assert not row[len(expected) :].any()
    together = visualizer.compute_saliency(PROMPT, **options)
    assert together.outputs[0] == pytest.approx(sum(values), abs=1e-3)
    record = visualizer.generate(PROMPT, continuation=CONTINUATION)
    assert record.probabilities == pytest.approx(torch.tensor(values).exp().numpy(), rel=1e-3, abs=1e-7)
