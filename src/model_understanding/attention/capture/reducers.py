"""What is kept of one layer's weights: all of the rows asked for, or something much smaller.

A reducer consumes the blocks of a layer one after another, so that nothing larger than a block and its own
result is ever held.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model_understanding.attention.capture.layer import Block
from model_understanding.errors import InputError

Axis = Sequence[int] | str  # chosen indices, or "mean" or "max" over all


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

    def __call__(self, blocks: Iterable[Block], shape: tuple[int, int, int, int]) -> Reduced:
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

    def __call__(self, blocks: Iterable[Block], shape: tuple[int, int, int, int]) -> Reduced:
        """Reduce a layer."""
        weights = mask = None
        for block in blocks:
            if weights is None or mask is None:
                weights = block.weights.new_zeros(shape)
                mask = block.allowed.new_zeros((shape[0], *shape[2:]))
            rows, keys = _place(block)
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

    def __call__(self, blocks: Iterable[Block], shape: tuple[int, int, int, int]) -> Reduced:
        """Reduce a layer."""
        batch, heads, queries, tokens = shape
        mass = mask = None
        for block in blocks:
            if mass is None or mask is None:
                mass = block.weights.new_zeros((batch, heads, tokens))
                mask = block.allowed.new_zeros((batch, tokens))
            keys = _place(block)[1]
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
        InputError: The count is below 1.
    """

    count: int = 16

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(
                f"A row keeps one weight or more. Got count={self.count!r}.", hint="Use for example 16."
            )

    def __call__(self, blocks: Iterable[Block], shape: tuple[int, int, int, int]) -> Reduced:
        """Reduce a layer."""
        count = min(self.count, shape[-1])
        weights, keys, masks = [], [], []
        for block in blocks:
            found = block.weights.topk(min(count, block.weights.shape[-1]), dim=-1)
            missing = (0, count - found.values.shape[-1])
            positions = (found.indices + block.first).where(found.values > 0, -1)
            weights.append(torch.nn.functional.pad(found.values, missing))
            keys.append(torch.nn.functional.pad(positions, missing, value=-1))
            masks.append((weights[-1] > 0).any(dim=1))
        return Reduced(torch.cat(weights, dim=2), torch.cat(masks, dim=1), torch.cat(keys, dim=2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """Keep an overview: queries averaged and keys summed in groups of neighbors.

    A row of the overview says how the attention of a stretch of queries is shared among stretches of
    keys, and sums to what its rows sum to.

    Args:
        size: Neighbors in a group, among the rows asked for and among the keys.

    Raises:
        InputError: The size is below 1.
    """

    size: int = 64

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InputError(
                f"A group holds one token or more. Got size={self.size!r}.", hint="Use for example 64."
            )

    def __call__(self, blocks: Iterable[Block], shape: tuple[int, int, int, int]) -> Reduced:
        """Reduce a layer."""
        batch, heads, queries, tokens = shape
        size = self.size
        groups, stretches = -(-queries // size), -(-tokens // size)
        total = seen = None
        for block in blocks:
            if total is None or seen is None:
                total = block.weights.new_zeros((batch, heads, groups, stretches))
                seen = block.allowed.new_zeros((batch, groups, stretches))
            # The block's keys with what is missing to whole stretches at both ends.
            start, count = block.first // size, block.weights.shape[-1]
            before = block.first - start * size
            width = -(-(before + count) // size)
            pad = (before, width * size - before - count)
            summed = torch.nn.functional.pad(block.weights, pad).unflatten(-1, (width, size)).sum(-1)
            allowed = torch.nn.functional.pad(block.allowed, pad).unflatten(-1, (width, size)).any(-1)
            members = (block.place + torch.arange(len(block.rows), device=summed.device)) // size
            total[..., start : start + width].index_add_(2, members, summed)
            for group in members.unique().tolist():
                seen[:, group, start : start + width] |= allowed[:, members == group].any(dim=1)
        assert total is not None
        assert seen is not None
        sizes = torch.full((groups, 1), size, device=total.device)
        sizes[-1] = queries - (groups - 1) * size
        return Reduced(total / sizes, seen)


def choose_heads(weights: Float[Tensor, "batch heads rows keys"], heads: Axis) -> Tensor:
    """Return the heads asked for, or their mean or largest as one."""
    if heads == "mean":
        return weights.mean(dim=1, keepdim=True)
    if heads == "max":
        return weights.amax(dim=1, keepdim=True)
    return weights[:, list(heads)]  # pyright: ignore[reportArgumentType]


def _place(block: Block) -> tuple[slice, slice]:
    rows = slice(block.place, block.place + len(block.rows))
    return rows, slice(block.first, block.first + block.weights.shape[-1])
