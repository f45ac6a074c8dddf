"""Two attention maps over aligned tokens: which matrices differ, by how much, and where most."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from model_understanding.comparison import AttentionComparison, Comparison
from model_understanding.show.shared.words import (
    attention_name,
    attention_title,
    format_number,
    format_percent,
)
from model_understanding.show.views.compared_words import NEUTRAL, Change, points, unit_labels, with_sign

LISTED = 5
"""Cells of a matrix that are listed."""
_REACH = 0.1  # part of the largest weight that differences have the full color from, if none is larger


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One difference: the layer and head (positions on their axes; ``None`` for the mean), row and key."""

    layer: int | None
    head: int | None
    row: int
    key: int


def shown_maps(comparison: Comparison) -> tuple[AttentionComparison, ...]:
    """Return the compared maps, without means over heads that another map contains."""
    parts = comparison.attention
    return tuple(
        part for part in parts if not any(_contains(other, part) for other in parts if other is not part)
    )


def _contains(whole: AttentionComparison, part: AttentionComparison) -> bool:
    ours, theirs = whole.first, part.first
    if (ours.map, ours.keep) != (theirs.map, theirs.keep) or (ours.steps is None) != (theirs.steps is None):
        return False
    if theirs.heads != "mean" or isinstance(ours.heads, str) or len(ours.heads) < 2:
        return False
    if isinstance(ours.layers, str) or isinstance(theirs.layers, str):
        return False
    return {*theirs.layers} <= {*ours.layers} and theirs.mask.shape == ours.mask.shape


def difference_title(part: AttentionComparison) -> str:
    """Return the title of the differences of a map, averaged over its layers and heads."""
    return f"Difference in {attention_title(part.first).lower()}"


def map_name(part: AttentionComparison) -> str:
    """Return the name of the map, as in ``Attention (rollout)``."""
    return attention_name(part.first)


def full_color(differences: np.ndarray, reach: float) -> float:
    """Return the difference with the full color: the largest, at least a tenth of the largest weight.

    Args:
        differences: The differences that are drawn.
        reach: The largest weight of the two matrices.
    """
    return max(float(np.abs(differences).max(initial=0)), _REACH * reach) or 1.0


def reaches(part: AttentionComparison) -> Float[np.ndarray, "layers heads"]:
    """Return the largest weight of both maps in each matrix.

    Returns:
        An entry for each layer and head; the last row and column are those of the means.
    """
    with_means = []
    for side in (part.first, part.second):
        weights = side.weights.astype(np.float64)
        weights = np.concatenate([weights, weights.mean(axis=1, keepdims=True)], axis=1)
        weights = np.concatenate([weights, weights.mean(axis=0, keepdims=True)], axis=0)
        with_means.append(np.abs(weights).max(axis=(2, 3), initial=0))
    return np.maximum(*with_means)


def compared_axes(part: AttentionComparison) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and the keys that are compared in any cell."""
    return np.flatnonzero(part.compared.any(axis=1)), np.flatnonzero(part.compared.any(axis=0))


def cell_words(part: AttentionComparison, cell: Cell, *, quoted: bool = False) -> str:
    """Return what a cell belongs to, as in ``plot to film, layer 3, head 1``; in a sentence with quotes."""
    row, key = unit_labels(part.rows)[cell.row], unit_labels(part.keys)[cell.key]
    words = f"“{row}” to “{key}”" if quoted else f"{row} to {key}"
    return f"{words}, {plane_words(part, cell.layer, cell.head)}" if cell.layer is not None else words


def plane_words(part: AttentionComparison, layer: int | None, head: int | None) -> str:
    """Return the layer and head of a matrix by their indices in the model."""
    names = []
    for name, indices, position in (("layer", part.first.layers, layer), ("head", part.first.heads, head)):
        if isinstance(indices, str):
            names.append(f"{indices} over all {name}s")
        else:
            names.append(f"mean over {name}s" if position is None else f"{name} {indices[position]}")
    return ", ".join(names)


def largest_cell(part: AttentionComparison) -> Cell:
    """Return where the largest difference of all layers and heads is."""
    layer, head, row, key = part.largest_cell()
    return Cell(layer=layer, head=head, row=row, key=key)


def cell_change(part: AttentionComparison, cell: Cell) -> Change:
    """Return the change of a cell, in percent if its weights are shares of a row."""
    if cell.layer is None or cell.head is None:
        weights = mean_weights(part)
    else:
        weights = [part.weights(side, cell.layer, cell.head) for side in (0, 1)]
    first, second = (float(side[cell.row, cell.key]) for side in weights)
    return Change(
        label=cell_words(part, cell),
        first=weight_text(part, first),
        second=weight_text(part, second),
        difference=weight_difference(part, second - first),
        size=second - first,
    )


def weight_text(part: AttentionComparison, weight: float) -> str:
    """Return a weight: in percent if it is a share of its row, else a number."""
    return format_percent(weight) if part.has_shares else format_number(weight)


def weight_difference(part: AttentionComparison, difference: float) -> str:
    """Return a difference of weights with its sign: in percentage points, or as a number."""
    if part.has_shares:
        return points(difference)
    return with_sign(format_number(difference), difference)


def mean_weights(part: AttentionComparison) -> list[Float[np.ndarray, "rows keys"]]:
    """Return the mean over layers and heads of both maps, over the units."""
    return [
        part.rows.to_units(part.keys.to_units(attention.matrix(), side), side, axis=-2)
        for side, attention in enumerate((part.first, part.second))
    ]


def largest_changes(part: AttentionComparison) -> list[Change]:
    """Return the largest differences of the mean over layers and heads, then that of a single head.

    Differences that are tiny against the weights are not listed.

    Args:
        part: The comparison of two maps.
    """
    cells = largest_of_mean(part)
    if part.largest.size > 1 and part.change >= NEUTRAL * _REACH * reaches(part)[:-1, :-1].max():
        cells.append(largest_cell(part))
    return [cell_change(part, cell) for cell in cells]


def largest_of_mean(part: AttentionComparison, count: int = LISTED) -> list[Cell]:
    """Return the largest differences of the mean over layers and heads that are not tiny.

    Args:
        part: The comparison of two maps.
        count: Maximum number of cells.
    """
    differences = part.mean_differences()
    least = NEUTRAL * full_color(differences, float(reaches(part)[-1, -1]))
    largest = _largest(differences, count, least)
    return [Cell(layer=None, head=None, row=row, key=key) for row, key in largest]


def _largest(differences: np.ndarray, count: int, least: float) -> list[tuple[int, int]]:
    """Return the rows and keys of the largest differences of at least a size.

    >>> _largest(np.array([[0.0, -3.0], [2.0, 0.1]]), 3, 0.2)
    [(0, 1), (1, 0)]
    """
    sizes = np.abs(differences).ravel()
    kept = min(count, sizes.size)  # the matrix of a long text is only partially sorted
    bound = np.partition(sizes, sizes.size - kept)[sizes.size - kept :].min(initial=np.inf)
    cells = np.flatnonzero((sizes >= bound) & (sizes >= least) & (sizes > 0))
    largest = cells[np.argsort(-sizes[cells], kind="stable")][:count]
    return [divmod(int(cell), differences.shape[1]) for cell in largest]
