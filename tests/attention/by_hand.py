"""The parts of attention layers read from a truly eager model's own modules, and the maps by loops."""

from dataclasses import dataclass
from typing import Any

import tiny_models
import torch
from torch import Tensor


@dataclass(frozen=True)
class Parts:
    """One layer: what enters its block, weights, values, projection, and the sum they make."""

    x: Tensor  # (tokens, model)
    weights: Tensor  # (heads, tokens, tokens)
    values: Tensor  # (heads, tokens, width)
    projection: Tensor  # (heads, width, model)
    gain: Tensor  # what attention's part of the sum is multiplied by, (tokens or 1, model or 1)
    total: Tensor  # (tokens, model)


BLOCKS = {
    "bert": lambda model: model.bert.encoder.layer,
    "gpt2": lambda model: model.transformer.h,
    "llama": lambda model: model.model.layers,
    "gemma2": lambda model: model.model.layers,
    "gpt-neox": lambda model: model.gpt_neox.layers,
    "falcon": lambda model: model.transformer.h,
}


def value_of(name: str, block: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the values (heads or groups, tokens, width), the projection's weight and its bias."""
    tokens = x.shape[1]
    if name == "bert":
        dense = block.attention.output.dense
        values = block.attention.self.value(x)[0].view(tokens, 4, -1)
        return values.transpose(0, 1), dense.weight, dense.bias
    if name == "gpt2":
        values = block.attn.c_attn(block.ln_1(x))[0, :, 64:].view(tokens, 4, -1)
        return values.transpose(0, 1), block.attn.c_proj.weight.T, block.attn.c_proj.bias
    if name == "gpt-neox":
        values = block.attention.query_key_value(block.input_layernorm(x))[0].view(tokens, 4, 24)[..., 16:]
        return values.transpose(0, 1), block.attention.dense.weight, block.attention.dense.bias
    if name == "falcon":
        values = block.self_attention.query_key_value(block.input_layernorm(x))[0, :, -8:]
        return values[None], block.self_attention.dense.weight, block.self_attention.dense.bias
    values = block.self_attn.v_proj(block.input_layernorm(x))[0].view(tokens, 2, 8)
    return values.transpose(0, 1), block.self_attn.o_proj.weight, None


@torch.no_grad()
def parts_of(name: str, inputs: dict[str, Tensor], model: Any = None) -> list[Parts]:
    """Return the parts of every layer."""
    model = model or tiny_models.build(name, "eager")
    outputs = model(**inputs, output_attentions=True, output_hidden_states=True)
    found = []
    for number, block in enumerate(BLOCKS[name](model)):
        x, weights = outputs.hidden_states[number], outputs.attentions[number][0]
        values, matrix, bias = value_of(name, block, x)
        values = values.repeat_interleave(4 // len(values), dim=0)
        projection = torch.stack([matrix[:, h * 8 : (h + 1) * 8].T for h in range(4)])
        output = sum(weights[h] @ values[h] @ projection[h] for h in range(4))
        output = output if bias is None else output + bias
        gain = torch.ones(1, 1)
        if name == "gemma2":
            norm = block.post_attention_layernorm
            gain = (1 + norm.weight) / (output.pow(2).mean(-1, keepdim=True) + norm.eps).sqrt()
        found.append(
            Parts(x[0], weights.double(), values, projection, gain, x[0].double() + (gain * output).double())
        )
    return found


def value_weighted(parts: Parts) -> Tensor:
    """‖A_qk f(x_k)‖, one head, query and key at a time."""
    heads, tokens = parts.weights.shape[:2]
    found = torch.zeros(heads, tokens, tokens)
    for head in range(heads):
        for query in range(tokens):
            for key in range(tokens):
                written = parts.values[head, key] @ parts.projection[head]
                found[head, query, key] = (parts.weights[head, query, key] * written).norm()
    return found


def information_flow(parts: Parts) -> Tensor:
    """Shares of max(0, ‖y‖₁ − ‖y − z‖₁), one head, query and key at a time."""
    heads, tokens = parts.weights.shape[:2]
    found = torch.zeros(tokens, tokens, dtype=torch.float64)
    gain = parts.gain.expand(tokens, parts.x.shape[1])
    for query in range(tokens):
        y = parts.total[query]

        def proximity(z: Tensor, y: Tensor = y) -> float:
            return max(0.0, float(y.abs().sum() - (y - z).abs().sum()))

        for key in range(tokens):
            for head in range(heads):
                written = (parts.values[head, key] @ parts.projection[head]).double()
                found[query, key] += proximity(parts.weights[head, query, key] * written * gain[query])
        found[query, query] += proximity(parts.x[query].double())
    return found / found.sum(-1, keepdim=True)


@torch.no_grad()
def value_zeroing(name: str, inputs: dict[str, Tensor]) -> list[Tensor]:
    """Shares of 1 − cos of each block's output with one token's values zeroed, by whole forwards."""
    model = tiny_models.build(name, "eager")
    blocks = BLOCKS[name](model)
    outputs: dict[int, Tensor] = {}
    handles = [
        block.register_forward_hook(
            lambda module, given, output, number=number: outputs.__setitem__(
                number, (output if isinstance(output, Tensor) else output[0])[0].double()
            )
        )
        for number, block in enumerate(blocks)
    ]
    try:
        model(**inputs)
        plain = dict(outputs)
        tokens = len(plain[0])
        found = []
        for number, block in enumerate(blocks):
            distances = torch.zeros(tokens, tokens, dtype=torch.float64)
            for token in range(tokens):
                with zeroed(name, block, token):
                    model(**inputs)
                distances[:, token] = 1 - torch.cosine_similarity(plain[number], outputs[number], dim=-1)
            found.append(distances / distances.sum(-1, keepdim=True))
        return found
    finally:
        for handle in handles:
            handle.remove()


class zeroed:  # noqa: N801 - reads as a statement
    """Zero one token's values in a block, at the module that computes them."""

    def __init__(self, name: str, block: Any, token: int) -> None:
        module, start = {
            "bert": lambda: (block.attention.self.value, 0),
            "gpt2": lambda: (block.attn.c_attn, 64),
            "llama": lambda: (block.self_attn.v_proj, 0),
        }[name]()

        def zero(module: Any, given: Any, output: Tensor) -> Tensor:
            output = output.clone()
            output[:, token, start:] = 0
            return output

        self.handle = module.register_forward_hook(zero)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.handle.remove()
