"""What is kept of one layer's weights: all requested rows, or something much smaller.

A reducer consumes the blocks of a layer one after another, so that nothing larger than a block and its own
result is ever held.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model_understanding.attention.capture.layer import RowBlock
from model_understanding.checks import whole_number

Axis = Sequence[int] | str
"""Indices of layers or heads, or ``mean`` or ``max`` over all of them."""


class Reduced(NamedTuple):
    """What is kept of a layer.

    Args:
        weights: The reduced weights.
        mask: Which of them some head could fill; the same axes without heads.
        keys: Positions of the keys, where each row kept others; −1 where a row has no more weight.
    """

    weights: Float[Tensor, "batch heads *kept"]
    mask: Bool[Tensor, "batch *kept"]
    keys: Int[Tensor, "batch heads *kept"] | None = None


class Reducer(Protocol):
    """Reduces the rows of one layer's weights as they come."""

    def __call__(self, blocks: Iterable[RowBlock], shape: tuple[int, int, int, int]) -> Reduced:
        """Reduce a layer.

        Args:
            blocks: Its rows, heads already chosen or reduced.
            shape: Texts, heads, rows and tokens.

        Returns:
            What is kept.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Keep the rows as they are: ``(queries, tokens)``."""

    def __call__(self, blocks: Iterable[RowBlock], shape: tuple[int, int, int, int]) -> Reduced:
        """Reduce a layer."""
        weights = mask = None
        for block in blocks:
            if weights is None or mask is None:
                weights = block.weights.new_zeros(shape)
                mask = block.allowed.new_zeros((shape[0], *shape[2:]))
            rows, keys = _slices(block)
            weights[:, :, rows, keys] = block.weights
            mask[:, rows, keys] = block.allowed
        assert weights is not None
        assert mask is not None
        return Reduced(weights, mask)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMass:
    r"""Keep each key's share of the attention: ``(1/Q) Σ_q weight_qk``, shape ``(tokens,)``.

    >>> ColumnMass()
    ColumnMass()
    """

    def __call__(self, blocks: Iterable[RowBlock], shape: tuple[int, int, int, int]) -> Reduced:
        """Reduce a layer."""
        batch, heads, queries, tokens = shape
        mass = mask = None
        for block in blocks:
            if mass is None or mask is None:
                mass = block.weights.new_zeros((batch, heads, tokens))
                mask = block.allowed.new_zeros((batch, tokens))
            keys = _slices(block)[1]
            mass[..., keys] += block.weights.sum(dim=2)
            mask[:, keys] |= block.allowed.any(dim=1)
        assert mass is not None
        assert mask is not None
        return Reduced(mass / queries, mask)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopKeys:
    """Keep each row's largest weights and where they are: ``(queries, count)``, largest first.

    Args:
        count: How many; rows shorter than that are kept whole.

    Raises:
        InputError: The count is not a whole number of at least 1.
    """

    count: int = 16

    def __post_init__(self) -> None:
        whole_number(self.count, "count")

    def __call__(self, blocks: Iterable[RowBlock], shape: tuple[int, int, int, int]) -> Reduced:
        """Reduce a layer."""
        count = min(self.count, shape[-1])
        weights, keys, masks = [], [], []
        for block in blocks:
            largest = block.weights.topk(min(count, block.weights.shape[-1]), dim=-1)
            missing = (0, count - largest.values.shape[-1])
            positions = (largest.indices + block.first_key).where(largest.values > 0, -1)
            weights.append(torch.nn.functional.pad(largest.values, missing))
            keys.append(torch.nn.functional.pad(positions, missing, value=-1))
            masks.append((weights[-1] > 0).any(dim=1))
        return Reduced(torch.cat(weights, dim=2), torch.cat(masks, dim=1), torch.cat(keys, dim=2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """Keep an overview: queries averaged and keys summed in groups of neighbors.

    A row of the overview says how a group of queries divides its attention among groups of keys, and sums
    to what the rows of its queries sum to on average.

    Args:
        size: Neighbors in a group, among the requested rows and among the keys.

    Raises:
        InputError: The size is not a whole number of at least 1.
    """

    size: int = 64

    def __post_init__(self) -> None:
        whole_number(self.size, "size")

    def __call__(self, blocks: Iterable[RowBlock], shape: tuple[int, int, int, int]) -> Reduced:
        """Reduce a layer."""
        batch, heads, queries, tokens = shape
        size = self.size
        query_groups, key_groups = -(-queries // size), -(-tokens // size)
        total = mask = None
        for block in blocks:
            if total is None or mask is None:
                total = block.weights.new_zeros((batch, heads, query_groups, key_groups))
                mask = block.allowed.new_zeros((batch, query_groups, key_groups))
            # The block's keys, padded to whole groups at both ends.
            start, count = block.first_key // size, block.weights.shape[-1]
            before = block.first_key - start * size
            width = -(-(before + count) // size)
            pad = (before, width * size - before - count)
            summed = torch.nn.functional.pad(block.weights, pad).unflatten(-1, (width, size)).sum(-1)
            allowed = torch.nn.functional.pad(block.allowed, pad).unflatten(-1, (width, size)).any(-1)
            members = (block.start + torch.arange(len(block.rows), device=summed.device)) // size
            total[..., start : start + width].index_add_(2, members, summed)
            for group in members.unique().tolist():
                mask[:, group, start : start + width] |= allowed[:, members == group].any(dim=1)
        assert total is not None
        assert mask is not None
        sizes = torch.full((query_groups, 1), size, device=total.device)
        sizes[-1] = queries - (query_groups - 1) * size
        return Reduced(total / sizes, mask)


def choose_heads(weights: Float[Tensor, "batch heads rows keys"], heads: Axis) -> Tensor:
    """Return the chosen heads, or the mean or maximum over all as one."""
    if heads == "mean":
        return weights.mean(dim=1, keepdim=True)
    if heads == "max":
        return weights.amax(dim=1, keepdim=True)
    return weights[:, list(heads)]  # pyright: ignore[reportArgumentType]


def _slices(block: RowBlock) -> tuple[slice, slice]:
    return slice(block.start, block.start + len(block.rows)), slice(block.first_key, block.end_key)
