"""Two attention maps over the tokens that both have."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.comparison.alignment import Alignment, match_tokens
from model_understanding.results.attention_map import AttentionMap
from model_understanding.results.serialization import JsonResult
from model_understanding.tokens import read_only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionComparison(JsonResult):
    """The layers and heads that two attention maps both hold, on aligned rows and keys.

    ``difference = weight in the second − weight in the first``. Where several tokens stand for one of
    the other text, the weights of keys are summed and those of queries averaged.

    Args:
        first: The first map, its tokens joined to the alignments', of the L layers and H heads shared.
        second: The second, likewise.
        rows: Alignment of the queries, or of the tokens that the steps produced.
        keys: Alignment of the keys.
        reason: Why means are compared; empty where layers and heads are compared one by one.
        largest: The largest absolute difference of each head, shape ``(L, H)``.
        change: The largest of all.

    Raises:
        ValueError: The shapes disagree.
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
            raise ValueError("Both maps need the same layers and heads.")
        object.__setattr__(self, "largest", read_only(self.largest, np.float32, planes, "largest"))
        for side, attention in enumerate((self.first, self.second)):
            held = [(part.first, part.second)[side] for part in (self.rows, self.keys)]
            if attention.weights.shape[2:] != (len(held[0]), len(held[1])):
                raise ValueError("The maps are of other tokens than their alignments.")

    @property
    def compared(self) -> Bool[np.ndarray, "rows keys"]:
        """The cells that both have: tokens paired, and open to attention in both."""
        pairs = self.rows.paired[:, None] & self.keys.paired[None, :]
        return pairs & self.mask(0) & self.mask(1)

    def mask(self, side: int) -> Bool[np.ndarray, "rows keys"]:
        """Return the cells that one side has, over the units."""
        held = (self.first, self.second)[side].mask
        return self.rows.spread(self.keys.spread(held, side, False), side, False, axis=-2)

    def weights(self, side: int, layer: int, head: int) -> Float[np.ndarray, "rows keys"]:
        """Return one side's weights over the units, 0 where it has none.

        Args:
            side: 0 for the first, 1 for the second.
            layer: Place among the layers held.
            head: Place among the heads held.
        """
        return self._spread((self.first, self.second)[side].weights[layer, head], side)

    def differences(self, layer: int, head: int) -> Float[np.ndarray, "rows keys"]:
        """Return the difference of one layer and head over the units, 0 where not compared."""
        change = self.weights(1, layer, head) - self.weights(0, layer, head)
        return np.where(self.compared, change, 0)

    def mean_differences(self) -> Float[np.ndarray, "rows keys"]:
        """Return the difference of the means over the layers and heads held."""
        sides = [self._spread(side.matrix(), place) for place, side in enumerate((self.first, self.second))]
        return np.where(self.compared, sides[1] - sides[0], 0)

    def _spread(self, matrix: np.ndarray, side: int) -> np.ndarray:
        return self.rows.spread(self.keys.spread(matrix, side), side, axis=-2)


def compare_attention(first: AttentionMap, second: AttentionMap) -> AttentionComparison | str:
    """Compare two attention maps.

    Args:
        first: One map.
        second: Another.

    Returns:
        The comparison; or why they cannot be compared.
    """
    if first.places is not None or second.places is not None or first.keep != second.keep:
        return "one of them keeps only a part of its weights"
    reason = ""
    architectures = first.provenance.architecture, second.provenance.architecture
    if "unknown" not in architectures and architectures[0] != architectures[1]:
        reason = f"the architectures differ: {', '.join(architectures)}; means over all held are compared"
        first, second = _mean(first), _mean(second)
    shared = _shared(first, second)
    if shared is None:
        return "they hold different layers or heads"
    first, second = shared
    if (first.steps is None) != (second.steps is None):
        return "only one of them has the steps of a generation as its rows"
    row_match, key_match = match_tokens(first.rows, second.rows), match_tokens(first.keys, second.keys)
    rows = row_match.alignment(first.rows, second.rows)
    keys = key_match.alignment(first.keys, second.keys)
    if not rows.paired.any() or not keys.paired.any():
        return "their tokens have nothing in common"
    found = AttentionComparison(
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
            [np.abs(found.differences(layer, head)).max(initial=0) for head in range(first.weights.shape[1])]
            for layer in range(first.weights.shape[0])
        ]
    )
    return replace(found, largest=largest, change=float(largest.max()))


def _mean(attention: AttentionMap) -> AttentionMap:
    if attention.weights.shape[:2] == (1, 1):
        return replace(attention, layers="mean", heads="mean")
    weights = attention.matrix()[None, None]
    return replace(attention, weights=weights, layers="mean", heads="mean")


def _shared(first: AttentionMap, second: AttentionMap) -> tuple[AttentionMap, AttentionMap] | None:
    """Return both maps with only the layers and heads that both hold."""
    axes: list[tuple[tuple[int, ...] | str, list[int], list[int]]] = []
    for ours, theirs in ((first.layers, second.layers), (first.heads, second.heads)):
        if isinstance(ours, str) or isinstance(theirs, str):
            if ours != theirs:
                return None
            axes.append((ours, [0], [0]))
            continue
        both = tuple(place for place in ours if place in theirs)
        if not both:
            return None
        axes.append((both, [ours.index(place) for place in both], [theirs.index(place) for place in both]))
    (layers, our_layers, their_layers), (heads, our_heads, their_heads) = axes
    return (
        replace(first, weights=first.weights[our_layers][:, our_heads], layers=layers, heads=heads),
        replace(second, weights=second.weights[their_layers][:, their_heads], layers=layers, heads=heads),
    )
