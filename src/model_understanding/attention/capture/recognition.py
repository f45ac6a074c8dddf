"""What the operations of attention look like: a fused kernel, or a softmax over the scores of all tokens."""

from typing import Any

import torch
from torch import Tensor

SOFTMAX = frozenset({torch.nn.functional.softmax, torch.softmax, Tensor.softmax})
FUSED = torch.nn.functional.scaled_dot_product_attention
_FUSED_ARGUMENTS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")


def fused_arguments(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a fused kernel by name."""
    return dict(zip(_FUSED_ARGUMENTS, arguments, strict=False)) | keywords


def fused_heads(query: Tensor, key: Tensor, tokens: int) -> int:
    """Return the number of heads of a fused kernel that attends from all tokens to all; else 0."""
    if query.ndim != 4 or key.ndim != 4:
        return 0
    if tokens == 1 and key.shape[2] == 1:
        # transformers packs the heads of a group on the query axis when there is one query
        return query.shape[1] * query.shape[2]
    return query.shape[1] if query.shape[2] == tokens == key.shape[2] else 0


def axis_of_softmax(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> int | None:
    """Return the axis of a softmax."""
    return keywords.get("dim", arguments[1] if len(arguments) > 1 else None)


def is_attention(scores: Tensor, axis: int | None, tokens: int) -> bool:
    """Return whether a softmax is attention from all tokens to all."""
    # One more key than tokens: a learned sink competes in the softmax (GPT-OSS).
    return (
        scores.ndim == 4
        and axis in (-1, 3)
        and scores.shape[-2] == tokens
        and scores.shape[-1] in (tokens, tokens + 1)
    )
