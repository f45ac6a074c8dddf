"""Attention under a modified backward pass: fused kernels stay fused, eager softmax stays as it is."""

from typing import Any

import torch
from torch import Tensor

from model_understanding.backward_rules.rules import BackwardRules, with_scaled_gradient

_fused = torch.nn.functional.scaled_dot_product_attention


def fused_attention(
    rules: BackwardRules,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **options: Any,
) -> Tensor:
    """Return what the fused kernel returns, with the rules' gradients.

    The output is a product of weights and values (half each), the scores one of queries and keys (half of
    that half each). A temperature T of the backward pass needs a second call of the kernel, at that
    temperature and with constant values: with bars for what is constant,
    ``y = sdpa(q̄, k̄, v)``, ``s = sdpa(q, k, v̄, scale / T, mask / T)``, ``out = y + T (s − s̄)``. The factor T
    undoes the inner derivative, as GIM's authors do.

    Args:
        rules: The method's rules.
        query: Queries.
        key: Keys.
        value: Values.
        attn_mask: Mask, boolean or added to the scores.
        dropout_p: As the kernel takes it.
        is_causal: As the kernel takes it.
        scale: As the kernel takes it.
        options: The rest of the kernel's options.

    Returns:
        The kernel's values, to the bit.
    """
    kept = {"dropout_p": dropout_p, "is_causal": is_causal, **options}
    if rules.weights == "constant":
        return _fused(query.detach(), key.detach(), value, attn_mask=attn_mask, scale=scale, **kept)
    query, key = with_scaled_gradient(query, 0.25), with_scaled_gradient(key, 0.25)
    values = with_scaled_gradient(value, 0.5)
    if rules.temperature == 1:
        return _fused(query, key, values, attn_mask=attn_mask, scale=scale, **kept)
    result = _fused(query.detach(), key.detach(), values, attn_mask=attn_mask, scale=scale, **kept)
    softer_scale = (query.shape[-1] ** -0.5 if scale is None else scale) / rules.temperature
    is_added = attn_mask is not None and attn_mask.dtype != torch.bool
    mask = attn_mask / rules.temperature if is_added and attn_mask is not None else attn_mask
    softer = _fused(query, key, value.detach(), attn_mask=mask, scale=softer_scale, **kept)
    return result + rules.temperature * (softer - softer.detach())


def softmax(rules: BackwardRules, scores: Tensor, probabilities: Tensor) -> Tensor:
    """Return the softmax of eager attention with the rules' gradient.

    Args:
        rules: The method's rules.
        scores: What it was taken of, along the last axis.
        probabilities: What it gave.

    Returns:
        The same probabilities, to the bit.
    """
    if rules.weights == "constant":
        return probabilities.detach()
    if rules.temperature == 1:
        return probabilities
    softer = torch.softmax(scores / rules.temperature, dim=-1, dtype=probabilities.dtype)
    return probabilities.detach() + rules.temperature * (softer - softer.detach())
