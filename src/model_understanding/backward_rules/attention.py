"""Attention in a modified backward pass: fused kernels stay fused, eager code stays eager."""

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
    """Run the fused attention kernel with the gradients of the rules.

    The output is a product of weights and values, which get half of the gradient each; the attention
    scores are a product of queries and keys, which get half of the weights' half each. With a temperature T
    the kernel runs a second time, at that temperature and with constant values. With bars for constants,
    ``y = sdpa(q̄, k̄, v)``, ``s = sdpa(q, k, v̄, scale / T, mask / T)``, ``out = y + T (s − s̄)``. The factor T
    cancels the inner derivative, as in GIM.

    Args:
        rules: The method's rules.
        query: Queries.
        key: Keys.
        value: Values.
        attn_mask: Boolean mask, or a mask that is added to the scores.
        dropout_p: See ``scaled_dot_product_attention``.
        is_causal: See ``scaled_dot_product_attention``.
        scale: See ``scaled_dot_product_attention``.
        options: Further options of the kernel.

    Returns:
        The kernel's output, with unchanged values.
    """
    kernel_options = {"dropout_p": dropout_p, "is_causal": is_causal, **options}
    if rules.weights == "constant":
        return _fused(query.detach(), key.detach(), value, attn_mask=attn_mask, scale=scale, **kernel_options)
    query, key = with_scaled_gradient(query, 0.25), with_scaled_gradient(key, 0.25)
    values = with_scaled_gradient(value, 0.5)
    if rules.temperature == 1:
        return _fused(query, key, values, attn_mask=attn_mask, scale=scale, **kernel_options)
    result = _fused(query.detach(), key.detach(), values, attn_mask=attn_mask, scale=scale, **kernel_options)
    softer_scale = (query.shape[-1] ** -0.5 if scale is None else scale) / rules.temperature
    is_added = attn_mask is not None and attn_mask.dtype != torch.bool
    mask = attn_mask / rules.temperature if is_added and attn_mask is not None else attn_mask
    softer = _fused(query, key, value.detach(), attn_mask=mask, scale=softer_scale, **kernel_options)
    return result + rules.temperature * (softer - softer.detach())


def softmax(rules: BackwardRules, scores: Tensor, probabilities: Tensor) -> Tensor:
    """Return the softmax of eager attention with the gradient of the rules.

    Args:
        rules: The method's rules.
        scores: The input of the softmax, which is over the last axis.
        probabilities: The output of the softmax.

    Returns:
        The same probabilities, bit for bit.
    """
    if rules.weights == "constant":
        return probabilities.detach()
    if rules.temperature == 1:
        return probabilities
    softer = torch.softmax(scores / rules.temperature, dim=-1, dtype=probabilities.dtype)
    return probabilities.detach() + rules.temperature * (softer - softer.detach())
