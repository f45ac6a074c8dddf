"""Comparison of two attention maps over aligned tokens."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.comparison.alignment import Alignment, match_tokens
from model_understanding.results.attention_map import AttentionMap
from model_understanding.results.serialization import JsonResult
from model_understanding.tokens import read_only

_WHOLE = 1.001  # 1, and what rounding adds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionComparison(JsonResult):
    """The differences between two attention maps, for the layers and heads that both have.

    ``difference = weight in the second − weight in the first``. If several tokens correspond to one token of
    the other text, the weights of keys are summed and those of queries averaged.

    Args:
        first: The first map, with the tokens of the alignments and the L layers and H heads of both maps.
        second: The second map, likewise.
        rows: Alignment of the queries, or of the generated tokens.
        keys: Alignment of the keys.
        reason: Why means are compared; empty if layers and heads are compared one by one.
        largest: The largest absolute difference of each head, shape ``(L, H)``.
        change: The largest of all.

    Raises:
        ValueError: The shapes do not match.
    """

    first: AttentionMap
    second: AttentionMap
    rows: Alignment
    keys: Alignment
    reason: str
    largest: Float[np.ndarray, "layers heads"]
    change: float

    def __post_init__(self) -> None:
        planes = self.first.weights.shape[:2]
        if self.second.weights.shape[:2] != planes:
            raise ValueError("Both maps must have the same layers and heads.")
        object.__setattr__(self, "largest", read_only(self.largest, np.float32, planes, "largest"))
        for side, attention in enumerate((self.first, self.second)):
            rows, keys = ((part.first, part.second)[side] for part in (self.rows, self.keys))
            if attention.weights.shape[2:] != (len(rows), len(keys)):
                raise ValueError("The maps must have the tokens of their alignments.")

    @property
    def compared(self) -> Bool[np.ndarray, "rows keys"]:
        """The cells that both maps have: of paired tokens, and masked in neither map."""
        pairs = self.rows.paired[:, None] & self.keys.paired[None, :]
        return pairs & self.mask(0) & self.mask(1)

    @property
    def has_shares(self) -> bool:
        """Whether the weights of a row are parts of a whole; those of value-weighted attention are not."""
        return self.first.is_attention or all(
            float(one.weights.min(initial=0)) >= 0 and float(one.weights.sum(axis=-1).max(initial=0)) < _WHOLE
            for one in (self.first, self.second)
        )

    def largest_cell(self) -> tuple[int, int, int, int]:
        """Return the layer and head (positions on their axes), row and key of the largest difference."""
        layer, head = np.unravel_index(int(self.largest.argmax()), self.largest.shape)
        differences = np.abs(self.differences(int(layer), int(head)))
        row, key = np.unravel_index(int(differences.argmax()), differences.shape)
        return int(layer), int(head), int(row), int(key)

    def mask(self, side: int) -> Bool[np.ndarray, "rows keys"]:
        """Return the mask of one side, over the units."""
        mask = (self.first, self.second)[side].mask
        return self.rows.to_units(self.keys.to_units(mask, side, False), side, False, axis=-2)

    def weights(self, side: int, layer: int, head: int) -> Float[np.ndarray, "rows keys"]:
        """Return the weights of one side over the units, 0 for units without a token.

        Args:
            side: 0 for the first, 1 for the second.
            layer: Position on the layer axis.
            head: Position on the head axis.
        """
        return self._to_units((self.first, self.second)[side].weights[layer, head], side)

    def differences(self, layer: int, head: int) -> Float[np.ndarray, "rows keys"]:
        """Return the differences of one layer and head over the units, 0 where not compared."""
        change = self.weights(1, layer, head) - self.weights(0, layer, head)
        return np.where(self.compared, change, 0)

    def mean_differences(self) -> Float[np.ndarray, "rows keys"]:
        """Return the differences of the means over layers and heads."""
        first, second = (self._to_units(m.matrix(), side) for side, m in enumerate((self.first, self.second)))
        return np.where(self.compared, second - first, 0)

    def _to_units(self, matrix: np.ndarray, side: int) -> np.ndarray:
        return self.rows.to_units(self.keys.to_units(matrix, side), side, axis=-2)


def compare_attention(first: AttentionMap, second: AttentionMap) -> AttentionComparison | str:
    """Compare two attention maps.

    Args:
        first: One map.
        second: Another.

    Returns:
        The comparison, or the reason why they cannot be compared.
    """
    if first.places is not None or second.places is not None or first.keep != second.keep:
        return "only part of the weights is stored"
    reason = ""
    architectures = first.provenance.architecture, second.provenance.architecture
    if "unknown" not in architectures and architectures[0] != architectures[1]:
        reason = (
            f"Different architectures ({', '.join(architectures)}): means over layers and heads are compared"
        )
        first, second = _mean(first), _mean(second)
    shared = _shared(first, second)
    if shared is None:
        return "no common layers or heads"
    first, second = shared
    if (first.steps is None) != (second.steps is None):
        return "only one of them has a row per generation step"
    row_match, key_match = match_tokens(first.rows, second.rows), match_tokens(first.keys, second.keys)
    rows = row_match.alignment(first.rows, second.rows)
    keys = key_match.alignment(first.keys, second.keys)
    if not rows.paired.any() or not keys.paired.any():
        return "no common tokens"
    comparison = AttentionComparison(
        first=first.joined(row_match.groups(0), key_match.groups(0)),
        second=second.joined(row_match.groups(1), key_match.groups(1)),
        rows=rows,
        keys=keys,
        reason=reason,
        largest=np.zeros(first.weights.shape[:2]),
        change=0.0,
    )
    largest = np.array(
        [
            [
                np.abs(comparison.differences(layer, head)).max(initial=0)
                for head in range(first.weights.shape[1])
            ]
            for layer in range(first.weights.shape[0])
        ]
    )
    return replace(comparison, largest=largest, change=float(largest.max()))


def _mean(attention: AttentionMap) -> AttentionMap:
    if attention.weights.shape[:2] == (1, 1):
        return replace(attention, layers="mean", heads="mean")
    weights = attention.matrix()[None, None]
    return replace(attention, weights=weights, layers="mean", heads="mean")


def _shared(first: AttentionMap, second: AttentionMap) -> tuple[AttentionMap, AttentionMap] | None:
    """Return both maps with only the layers and heads that both have."""
    axes: list[tuple[tuple[int, ...] | str, list[int], list[int]]] = []
    for ours, theirs in ((first.layers, second.layers), (first.heads, second.heads)):
        if isinstance(ours, str) or isinstance(theirs, str):
            if ours != theirs:
                return None
            axes.append((ours, [0], [0]))
            continue
        both = tuple(index for index in ours if index in theirs)
        if not both:
            return None
        axes.append((both, [ours.index(index) for index in both], [theirs.index(index) for index in both]))
    (layers, our_layers, their_layers), (heads, our_heads, their_heads) = axes
    return (
        replace(first, weights=first.weights[our_layers][:, our_heads], layers=layers, heads=heads),
        replace(second, weights=second.weights[their_layers][:, their_heads], layers=layers, heads=heads),
    )
