"""The weights of one attention layer, as rows computed a few at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model_understanding.model.precision import precise as precise

CELLS_AT_ONCE = 2**21  # batch × heads × rows × keys of one block: 8 MiB of 32-bit floats
_LEAST_ROWS = 16  # a block of fewer rows reads every key for little work


class RowBlock(NamedTuple):
    """Some rows of a layer's weights, without the keys at either end that none of them may attend to.

    Args:
        start: Index of the block's first row among the requested rows.
        rows: Positions of the queries.
        first_key: Position of the first key.
        weights: Weights, 0 where masked.
        allowed: Which cells some head may attend to.
    """

    start: int
    rows: Int[Tensor, " rows"]
    first_key: int
    weights: Float[Tensor, "batch heads rows keys"]
    allowed: Bool[Tensor, "#batch rows keys"]

    @property
    def end_key(self) -> int:
        """The position after the last key."""
        return self.first_key + self.weights.shape[-1]


class LayerWeights(Protocol):
    """One layer's attention weights, however the model computed them."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Texts, heads, queries and keys."""
        ...

    @property
    def in_memory(self) -> bool:
        """Whether all weights exist already, so that keeping the layer keeps tokens² floats per head."""
        ...

    @property
    def attends_ahead(self) -> bool:
        """Whether some query may attend to a later key."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it was computed; layers may lie on several devices."""
        ...

    def block(self, start: int, queries: Sequence[int]) -> RowBlock:
        """Return the weights of a few rows.

        Args:
            start: Index of the first of them among the requested rows.
            queries: Their positions.
        """
        ...


def row_blocks(layer: LayerWeights, queries: Sequence[int]) -> Iterator[RowBlock]:
    """Yield the requested rows in blocks of about 8 MiB.

    Args:
        layer: The layer.
        queries: Positions of the rows.

    Yields:
        Blocks, in the order of the rows; none is kept here.
    """
    batch, heads, _, keys = layer.shape
    size = max(_LEAST_ROWS, CELLS_AT_ONCE // (batch * heads * keys))
    for start in range(0, len(queries), size):
        yield layer.block(start, queries[start : start + size])


@dataclass(frozen=True, slots=True, eq=False)
class FusedWeights:
    """Weights of a fused kernel, recomputed from its own queries, keys and mask.

    Args:
        query: Queries.
        key: Keys; several heads may share one.
        mask: Mask, boolean or added to the scores.
        is_causal: Whether no query attends ahead, besides the mask.
        scale: Factor of the scores.
    """

    query: Float[Tensor, "batch heads queries width"]
    key: Float[Tensor, "batch groups keys width"]
    mask: Tensor | None
    is_causal: bool
    scale: float
    in_memory = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Texts, heads, queries and keys."""
        return self.query.shape[0], self.query.shape[1], self.query.shape[2], self.key.shape[2]

    @property
    def attends_ahead(self) -> bool:
        """Whether some query may attend to a later key."""
        if self.is_causal or self.shape[2] == 1:
            return False
        return self.mask is None or self.mask.shape[-2] == 1 or bool(may_attend(self.mask).triu(1).any())

    @property
    def device(self) -> torch.device:
        """Where it was computed."""
        return self.query.device

    def block(self, start: int, queries: Sequence[int]) -> RowBlock:
        """Return the weights of a few rows, computed now in 32-bit precision or better."""
        rows, selection = _selection(queries, self.device)
        mask = self.mask
        if mask is not None and mask.shape[-2] > 1:
            mask = mask[..., selection, :]
        first, end = self._key_range(rows, mask)
        query, key = precise(self.query[:, :, selection]), precise(self.key[:, :, first:end])
        batch, heads, count, width = query.shape
        grouped = (query * self.scale).reshape(batch, key.shape[1], -1, width)
        scores = (grouped @ key.transpose(-1, -2)).view(batch, heads, count, end - first)
        keys = torch.arange(first, end, device=rows.device)
        allowed = torch.ones((1, 1, count, end - first), dtype=torch.bool, device=rows.device)
        if self.is_causal:
            allowed = keys[None, None, None] <= rows[:, None]
        if mask is not None:
            mask = mask[..., first:end]
            allowed = allowed & may_attend(mask)
            if mask.dtype != torch.bool:
                scores += mask
        if self.is_causal or (mask is not None and mask.dtype == torch.bool):
            scores.masked_fill_(~allowed, -torch.inf)
        weights = torch.softmax(scores, dim=-1)
        if mask is not None:  # a row that may attend to nothing (padding) has no weights: zeros, not NaN
            weights.masked_fill_(~allowed.any(-1, keepdim=True), 0)
        return RowBlock(start, rows, first, weights, allowed.any(dim=1))

    def _key_range(self, rows: Tensor, mask: Tensor | None) -> tuple[int, int]:
        """Return the first key that any of the rows may attend to, and the one after the last."""
        end = int(rows.max()) + 1 if self.is_causal else self.key.shape[2]
        if mask is None:
            return 0, end
        keys = may_attend(mask[..., :end]).flatten(0, -2).any(dim=0).nonzero()
        return (int(keys[0]), int(keys[-1]) + 1) if len(keys) else (0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class EagerWeights:
    """Weights of eager code: the result of its softmax.

    Args:
        weights: The softmax's result.
        allowed: Which cells some head may attend to.
    """

    weights: Float[Tensor, "batch heads queries keys"]
    allowed: Bool[Tensor, "batch queries keys"]
    in_memory = True

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Texts, heads, queries and keys."""
        return tuple(self.weights.shape)  # pyright: ignore[reportReturnType]

    @property
    def attends_ahead(self) -> bool:
        """Whether some query may attend to a later key."""
        return bool(self.allowed.triu(1).any())

    @property
    def device(self) -> torch.device:
        """Where it was computed."""
        return self.weights.device

    def block(self, start: int, queries: Sequence[int]) -> RowBlock:
        """Return a few rows."""
        rows, selection = _selection(queries, self.device)
        return RowBlock(start, rows, 0, precise(self.weights[:, :, selection]), self.allowed[:, selection])


def may_attend(mask: Tensor) -> Bool[Tensor, "*shape"]:
    """Return the cells that a mask allows, be it boolean or added to the scores."""
    return mask if mask.dtype == torch.bool else mask > masked_below(mask.dtype)


def masked_below(dtype: torch.dtype) -> float:
    """Return the score under which a cell counts as masked: half of what masks of this type add."""
    return max(torch.finfo(dtype).min / 2, -1e29) if dtype.is_floating_point else -1e29


def _selection(queries: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor | slice]:
    """Return rows as positions, and as a slice where they follow each other: that copies nothing."""
    rows = torch.as_tensor(list(queries), device=device)
    start, count = int(queries[0]), len(queries)
    in_order = list(queries) == list(range(start, start + count))
    return rows, slice(start, start + count) if in_order else rows
