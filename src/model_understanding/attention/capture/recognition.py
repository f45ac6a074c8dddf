"""What the operations of attention look like: a fused kernel, or a softmax over the scores of all tokens."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

SOFTMAX = frozenset({torch.nn.functional.softmax, torch.softmax, Tensor.softmax})
FUSED = torch.nn.functional.scaled_dot_product_attention
_FUSED_ARGUMENTS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")

Plane = tuple[int, int]
"""Numbers of queries and of keys."""


def fused_arguments(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a fused kernel by name."""
    return dict(zip(_FUSED_ARGUMENTS, arguments, strict=False)) | keywords


def fused_heads(query: Tensor, key: Tensor, planes: Collection[Plane]) -> tuple[int, Plane] | None:
    """Return the number of heads of a fused kernel that attends from all tokens to all, and its plane.

    Args:
        query: Its queries.
        key: Its keys.
        planes: The numbers of queries and keys that attention over all tokens may have.
    """
    if query.ndim != 4 or key.ndim != 4:
        return None
    plane = (query.shape[2], key.shape[2])
    if plane in planes:
        return query.shape[1], plane
    if plane[1] == 1 and (1, 1) in planes:
        # transformers packs the heads of a group on the query axis when there is one query
        return query.shape[1] * plane[0], (1, 1)
    return None


class SameAttention:
    """Notices a fused kernel that gives other values to the weights of the one before (DiffLlama)."""

    def __init__(self) -> None:
        self._last: tuple[Any, ...] = ()

    def is_again(self, given: dict[str, Any]) -> bool:
        """Return whether queries, keys and mask are those of the kernel before.

        Args:
            given: The kernel's arguments.
        """
        last, self._last = self._last, tuple(given.get(name) for name in ("query", "key", "attn_mask"))
        return bool(last) and all(one is other for one, other in zip(last, self._last, strict=True))


def axis_of_softmax(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> int | None:
    """Return the axis of a softmax."""
    return keywords.get("dim", arguments[1] if len(arguments) > 1 else None)


def attention_softmax(
    scores: Tensor, axis: int | None, planes: Collection[Plane], batch: int | None = None
) -> tuple[int, Plane] | None:
    """Return the number of heads of a softmax that is attention from all tokens to all, and its plane.

    Args:
        scores: What it is given.
        axis: Its axis.
        planes: The numbers of queries and keys that attention over all tokens may have.
        batch: How many texts run, where the heads of all of them may share one axis (FSMT, XGLM).
    """
    if axis not in (-1, scores.ndim - 1) or scores.ndim not in (3, 4):
        return None
    queries, keys = scores.shape[-2:]
    # One more key than tokens: a learned sink competes in the softmax (GPT-OSS).
    plane = next((plane for plane in ((queries, keys), (queries, keys - 1)) if plane in planes), None)
    if plane is None:
        return None
    if scores.ndim == 4:
        return scores.shape[1], plane
    heads = 0 if batch is None else scores.shape[0] // batch
    return (heads, plane) if heads > 1 and heads * (batch or 0) == scores.shape[0] else None


def by_heads(values: Tensor, heads: int) -> Tensor:
    """Return values whose texts and heads may share an axis with an axis for each."""
    return values if values.ndim == 4 else values.unflatten(0, (-1, heads))
