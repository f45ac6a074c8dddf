"""What head scores read from rows of attention weights, a block at a time, all in one forward pass."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model_understanding.attention.capture.layer import RowBlock
from model_understanding.attention.capture.reducers import Reduced


def has_choice(block: RowBlock) -> Bool[Tensor, " rows"]:
    """Return which rows may attend to more than one key."""
    return (block.allowed.sum(dim=-1) > 1).all(dim=0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowMeasure:
    """A few values read from each row, averaged over the rows that count.

    Args:
        read: Reads them from a block of rows, ``(batch, heads, rows, size)``; or several such tensors, to be
            concatenated. The axes of texts and heads may have length 1 where all are the same.
        size: How many values there are.
        counted: Which rows of a block count; those with a choice of keys where left out.
    """

    read: Callable[[RowBlock], Tensor | Sequence[Tensor]]
    size: int = 1
    counted: Callable[[RowBlock], Bool[Tensor, " rows"]] = has_choice


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowMeans:
    """A reducer: the means of several measures, one after another; 0 where no row counts.

    Args:
        measures: The measures.
    """

    measures: Sequence[RowMeasure]

    def __call__(self, blocks: Iterable[RowBlock], shape: tuple[int, int, int, int]) -> Reduced:
        """Reduce a layer to ``Σ size`` values per head."""
        sums: list[Any] = [0] * len(self.measures)
        counts = [0] * len(self.measures)
        for block in blocks:
            for index, measure in enumerate(self.measures):
                counted = measure.counted(block)
                sums[index] = sums[index] + _summed(measure.read(block), counted, shape[:2])
                counts[index] += int(counted.sum())
        means = [total / max(count, 1) for total, count in zip(sums, counts, strict=True)]
        weights = torch.cat(means, dim=-1)
        return Reduced(weights, weights.new_ones((shape[0], weights.shape[-1]), dtype=torch.bool))


def _summed(
    read: Tensor | Sequence[Tensor], counted: Bool[Tensor, " rows"], shape: tuple[int, int]
) -> Float[Tensor, "batch heads size"]:
    parts = [read] if isinstance(read, Tensor) else read
    sums = [(counted.to(part)[None] @ part)[..., 0, :].expand(*shape, -1) for part in parts]
    return torch.cat(sums, dim=-1)


def row_sums(block: RowBlock) -> Float[Tensor, "batch heads rows 1"]:
    """Return what each row's weights sum to: 1, or less where a learned sink takes a share."""
    return block.weights.sum(dim=-1, keepdim=True).clamp(min=1e-12)


def weights_at(block: RowBlock, keys: Int[Tensor, "rows count"]) -> Float[Tensor, "batch heads rows 1"]:
    """Return the sum of each row's weights on some keys.

    Args:
        block: The rows.
        keys: Positions of the keys of each row; −1 for none.
    """
    columns = keys - block.first_key
    is_inside = (keys >= 0) & (columns >= 0) & (columns < block.weights.shape[-1])
    index = columns.where(is_inside, 0).expand(*block.weights.shape[:2], -1, -1)
    return (block.weights.gather(-1, index) * is_inside).sum(dim=-1, keepdim=True)


def whole_rows(block: RowBlock, values: Tensor, tokens: int) -> Tensor:
    """Return values of a block's keys, padded with 0 for the keys at either end that it omits."""
    missing = (block.first_key, tokens - block.first_key - values.shape[-1])
    return torch.nn.functional.pad(values, missing)
