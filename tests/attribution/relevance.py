"""Relevance propagated rule by rule through a tiny Llama, GPT-2 and BERT, without autograd.

Everything here is in the form of the papers: a rule turns the relevance of an operation's output into that
of its inputs. In terms of gradients relevance is value × gradient, so ``R / z`` is the gradient at ``z``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tiny_models
import torch
from torch import Tensor

from model_understanding import Target

Back = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Settings:
    """Which rules: AttnLRP as it is, and what CP-LRP and GIM do otherwise."""

    slope: bool = True
    constant_weights: bool = False
    temperature: float = 1.0


ATTN_LRP = Settings()
CP_LRP = Settings(constant_weights=True)
GIM = Settings(slope=False, temperature=2.0)


def ratio(relevance: Tensor, value: Tensor) -> Tensor:
    """Return relevance / value, 0 where the value is 0 and carries none."""
    return torch.where(value == 0, torch.zeros_like(value), relevance / torch.where(value == 0, 1, value))


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Back]:
    """0-rule: R_j = x_j Σ_i w_ij R_i / z_i; ``weight`` is (in, out)."""
    z = x @ weight + (0 if bias is None else bias)
    return z, lambda relevance: x * (ratio(relevance, z) @ weight.T)


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Back]:
    """Identity rule: the root mean square is a constant, so all relevance passes."""
    return x / (x.pow(2).mean(-1, keepdim=True) + epsilon).sqrt() * weight, lambda relevance: relevance


def layer_norm(x: Tensor, norm: Any) -> tuple[Tensor, Back]:
    """Constant standard deviation: 0-rule of centering, then scaling, then the bias."""
    width = x.shape[-1]
    centering = torch.eye(width, dtype=x.dtype) - 1 / width
    deviation = (x.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt()
    centered = x @ centering
    y = centered / deviation * norm.weight + norm.bias
    return y, lambda relevance: x * ((ratio(relevance, y) * norm.weight / deviation) @ centering)


def activation(x: Tensor, function: Any, settings: Settings) -> tuple[Tensor, Back]:
    """Identity rule, or the derivative where activations keep it."""
    y = function(x)
    if settings.slope:
        return y, lambda relevance: relevance
    at = x.clone().requires_grad_()
    with torch.enable_grad():
        (derivative,) = torch.autograd.grad(function(at).sum(), at)
    return y, lambda relevance: x * derivative * ratio(relevance, y)


def attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor, settings: Settings
) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]]:
    """Uniform rule for both products (half each); softmax by its derivative, at a temperature."""
    scale = q.shape[-1] ** -0.5
    scores = q @ k.transpose(-1, -2) * scale
    weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
    softer = (scores / settings.temperature).masked_fill(~mask, -torch.inf).softmax(-1)
    out = weights @ v

    def back(relevance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        arriving = ratio(relevance, out)
        of_values = v * (weights.transpose(-1, -2) @ arriving)
        if settings.constant_weights:
            return torch.zeros_like(q), torch.zeros_like(k), of_values
        of_weights = weights * (arriving @ v.transpose(-1, -2)) / 2
        gradient = ratio(of_weights, weights)
        of_scores = scores * softer * (gradient - (softer * gradient).sum(-1, keepdim=True))
        shared = ratio(of_scores, scores) * scale / 2
        return q * (shared @ k), k * (shared.transpose(-1, -2) @ q), of_values / 2

    return out, back


def heads(x: Tensor, count: int) -> Tensor:
    """(tokens, width) → (count, tokens, width / count)."""
    return x.view(x.shape[0], count, -1).transpose(0, 1)


def joined(x: Tensor) -> Tensor:
    """Undo ``heads``."""
    return x.transpose(0, 1).reshape(x.shape[1], -1)


def split(relevance: Tensor, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Relevance of a sum goes to its parts in proportion."""
    each = ratio(relevance, one + other)
    return one * each, other * each


def rotated(x: Tensor, theta: float) -> tuple[Tensor, Back]:
    """Rotary positions: a linear map of each head's vector, 0-rule."""
    tokens, width = x.shape[-2:]
    frequencies = theta ** (-torch.arange(0, width, 2, dtype=x.dtype) / width)
    angles = torch.arange(tokens, dtype=x.dtype)[:, None] * frequencies
    cos, sin = torch.diag_embed(angles.cos()), torch.diag_embed(angles.sin())
    maps = torch.cat([torch.cat([cos, -sin], -1), torch.cat([sin, cos], -1)], -2)  # (tokens, width, width)
    y = (maps @ x[..., None])[..., 0]
    return y, lambda relevance: x * (maps.transpose(-1, -2) @ ratio(relevance, y)[..., None])[..., 0]


@torch.no_grad()
def llama(model: Any, ids: Tensor, read: tuple[int, int], settings: Settings) -> tuple[Tensor, Tensor]:
    """Return the target logit and the relevance of each token's embedding, summed."""
    config, tokens = model.config, ids.shape[-1]
    mask = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    groups = config.num_attention_heads // config.num_key_value_heads
    theta = config.rope_parameters["rope_theta"]
    x, backs = model.model.embed_tokens.weight[ids[0]], []
    for layer in model.model.layers:
        x, back = _llama_layer(layer, x, config, groups, theta, mask, settings)
        backs.append(back)
    normed, of_norm = rms_norm(x, model.model.norm.weight, config.rms_norm_eps)
    logits, of_head = linear(normed, model.lm_head.weight.T)
    start = torch.zeros_like(logits)
    start[read] = logits[read]
    relevance = of_norm(of_head(start))
    for back in reversed(backs):
        relevance = back(relevance)
    return logits[read], relevance.sum(-1)


def _llama_layer(layer: Any, x: Tensor, config: Any, groups: int, theta: float, mask: Tensor, settings: Any):
    inner, mlp, epsilon = layer.self_attn, layer.mlp, config.rms_norm_eps
    normed, of_norm = rms_norm(x, layer.input_layernorm.weight, epsilon)
    q, of_q = linear(normed, inner.q_proj.weight.T)
    k, of_k = linear(normed, inner.k_proj.weight.T)
    v, of_v = linear(normed, inner.v_proj.weight.T)
    q_heads, of_q_rotation = rotated(heads(q, config.num_attention_heads), theta)
    k_heads, of_k_rotation = rotated(heads(k, config.num_key_value_heads), theta)
    v_heads = heads(v, config.num_key_value_heads)
    repeat = [part.repeat_interleave(groups, 0) for part in (k_heads, v_heads)]
    mixed, of_attention = attention(q_heads, *repeat, mask, settings)
    attended, of_output = linear(joined(mixed), inner.o_proj.weight.T)
    middle = x + attended
    normed_middle, of_norm_middle = rms_norm(middle, layer.post_attention_layernorm.weight, epsilon)
    gate, of_gate = linear(normed_middle, mlp.gate_proj.weight.T)
    opened, of_opened = activation(gate, torch.nn.functional.silu, settings)
    up, of_up = linear(normed_middle, mlp.up_proj.weight.T)
    down, of_down = linear(opened * up, mlp.down_proj.weight.T)

    def back(relevance: Tensor) -> Tensor:
        passed, of_mlp = split(relevance, middle, down)
        of_product = of_down(of_mlp)
        if settings.constant_weights:  # CP-LRP: the gate is constant
            of_input = of_up(of_product)
        else:
            of_input = of_gate(of_opened(of_product / 2)) + of_up(of_product / 2)
        passed, of_attended = split(passed + of_norm_middle(of_input), x, attended)
        of_queries, of_keys, of_values = of_attention(
            heads(of_output(of_attended), config.num_attention_heads)
        )
        summed = [part.view(-1, groups, *part.shape[1:]).sum(1) for part in (of_keys, of_values)]
        of_normed = of_q(joined(of_q_rotation(of_queries)))
        of_normed = of_normed + of_k(joined(of_k_rotation(summed[0]))) + of_v(joined(summed[1]))
        return passed + of_norm(of_normed)

    return x + attended + down, back


@torch.no_grad()
def gpt2(model: Any, ids: Tensor, read: tuple[int, int], settings: Settings) -> tuple[Tensor, Tensor]:
    """Return the target logit and the relevance of each token's embedding, summed."""
    tokens = ids.shape[-1]
    mask = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    embedded, positions = model.transformer.wte.weight[ids[0]], model.transformer.wpe.weight[:tokens]
    x, backs = embedded + positions, []
    for block in model.transformer.h:
        x, back = _gpt2_block(block, x, model.config.n_head, mask, settings)
        backs.append(back)
    normed, of_norm = layer_norm(x, model.transformer.ln_f)
    logits, of_head = linear(normed, model.lm_head.weight.T)
    start = torch.zeros_like(logits)
    start[read] = logits[read]
    relevance = of_norm(of_head(start))
    for back in reversed(backs):
        relevance = back(relevance)
    return logits[read], split(relevance, embedded, positions)[0].sum(-1)


def _new_gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))


def _gpt2_block(block: Any, x: Tensor, count: int, mask: Tensor, settings: Settings):
    normed, of_norm = layer_norm(x, block.ln_1)
    packed, of_packed = linear(normed, block.attn.c_attn.weight, block.attn.c_attn.bias)
    mixed, of_attention = attention(*(heads(part, count) for part in packed.chunk(3, -1)), mask, settings)
    attended, of_output = linear(joined(mixed), block.attn.c_proj.weight, block.attn.c_proj.bias)
    middle = x + attended
    normed_middle, of_norm_middle = layer_norm(middle, block.ln_2)
    inside, of_inside = linear(normed_middle, block.mlp.c_fc.weight, block.mlp.c_fc.bias)
    active, of_active = activation(inside, _new_gelu, settings)
    down, of_down = linear(active, block.mlp.c_proj.weight, block.mlp.c_proj.bias)

    def back(relevance: Tensor) -> Tensor:
        passed, of_mlp = split(relevance, middle, down)
        passed = passed + of_norm_middle(of_inside(of_active(of_down(of_mlp))))
        passed, of_attended = split(passed, x, attended)
        parts = of_attention(heads(of_output(of_attended), count))
        return passed + of_norm(of_packed(torch.cat([joined(part) for part in parts], -1)))

    return middle + down, back


@torch.no_grad()
def bert(model: Any, ids: Tensor, read: tuple[int, int], settings: Settings) -> tuple[Tensor, Tensor]:
    """Return the class's logit and the relevance of each token's embedding, summed."""
    tables, tokens = model.bert.embeddings, ids.shape[-1]
    embedded = tables.word_embeddings.weight[ids[0]]
    others = tables.position_embeddings.weight[:tokens] + tables.token_type_embeddings.weight[0]
    x, of_first_norm = layer_norm(embedded + others, tables.LayerNorm)
    backs = []
    for layer in model.bert.encoder.layer:
        x, back = _bert_layer(layer, x, model.config.num_attention_heads, settings)
        backs.append(back)
    dense = model.bert.pooler.dense
    pooled, of_pooled = linear(x[:1], dense.weight.T, dense.bias)
    active, of_active = activation(pooled, torch.tanh, settings)
    logits, of_head = linear(active, model.classifier.weight.T, model.classifier.bias)
    start = torch.zeros_like(logits)
    start[read] = logits[read]
    relevance = torch.zeros_like(x)
    relevance[:1] = of_pooled(of_active(of_head(start)))
    for back in reversed(backs):
        relevance = back(relevance)
    return logits[read], split(of_first_norm(relevance), embedded, others)[0].sum(-1)


def _bert_layer(layer: Any, x: Tensor, count: int, settings: Settings):
    inner, output = layer.attention.self, layer.attention.output
    mask = torch.ones(x.shape[0], x.shape[0], dtype=torch.bool)
    projected = [linear(x, part.weight.T, part.bias) for part in (inner.query, inner.key, inner.value)]
    mixed, of_attention = attention(*(heads(part, count) for part, _ in projected), mask, settings)
    attended, of_output = linear(joined(mixed), output.dense.weight.T, output.dense.bias)
    middle, of_norm_middle = layer_norm(attended + x, output.LayerNorm)
    inside, of_inside = linear(middle, layer.intermediate.dense.weight.T, layer.intermediate.dense.bias)
    active, of_active = activation(inside, torch.nn.functional.gelu, settings)
    down, of_down = linear(active, layer.output.dense.weight.T, layer.output.dense.bias)
    result, of_norm = layer_norm(down + middle, layer.output.LayerNorm)

    def back(relevance: Tensor) -> Tensor:
        of_mlp, passed = split(of_norm(relevance), down, middle)
        passed = passed + of_inside(of_active(of_down(of_mlp)))
        of_attended, passed = split(of_norm_middle(passed), attended, x)
        parts = of_attention(heads(of_output(of_attended), count))
        for part, (_, of_projection) in zip(parts, projected, strict=True):
            passed = passed + of_projection(joined(part))
        return passed

    return result, back


REFERENCES = {"llama": llama, "gpt2": gpt2, "bert": bert}


def read_of(name: str, encoding: Any) -> tuple[tuple[int, int], Target]:
    """Return a row and column of the logits, and the target that reads them."""
    if name in tiny_models.CLASSIFIERS:
        return (0, 2), Target(task=tiny_models.CLASSIFIER, indices=(2,), labels=("2",))
    last = encoding.ids.shape[1] - 1
    target = Target(task=tiny_models.LANGUAGE_MODEL, positions=(last,), indices=(9,), labels=("9",))
    return (last, 9), target
