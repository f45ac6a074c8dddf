"""The color scale of an attention matrix: which weight has the strongest color, and whether weights differ.

The page computes it from the weights that it holds, by the same rules (``frontend/src/data/scale.ts``).
"""

from dataclasses import dataclass

import numpy as np

from model_understanding.show.views.attention import AttentionView

_UNIFORM = 1.5  # weights are nearly uniform if each is within this factor of its share under equal attention
_FLOOR = 2.0  # multiple of equal attention that the scale spans at least, so that rounding is no pattern
_BEYOND, _APART, _FEW = (
    0.01,
    2.5,
    25,
)  # weights beyond the scale: at most a share, that much larger, of so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The color scale of a matrix.

    Args:
        reach: The weight with the strongest color.
        largest: The largest weight; a few weights may lie beyond the scale.
        is_uniform: Whether every weight is close to its share under equal attention.
    """

    reach: float
    largest: float
    is_uniform: bool

    def note(self, view: AttentionView) -> str:
        """Return what a reader of the colors must know; empty if there is nothing."""
        if self.is_uniform:
            sizes = {size for key, size in enumerate(view.key_sizes) if key not in view.excluded}
            if len(sizes) > 1:
                return f"{uniform_words(view)}; darker columns stand for more tokens."
            return f"{uniform_words(view)}, so the colors hardly differ."
        if self.largest > self.reach:
            return (
                f"Strongest color: {view.format_weight(self.reach)} and above, up to "
                f"{view.format_weight(self.largest)}."
            )
        return ""


def uniform_words(view: AttentionView) -> str:
    """Return that a matrix has no pattern to see, as the beginning of a sentence.

    Args:
        view: A matrix whose scale is uniform.
    """
    if not view.excluded:
        return "Nearly uniform: every token attends almost equally to all it can attend to"
    sinks = f"{view.sink_name}{'' if len(view.excluded) == 1 else 's'}"
    return f"Nearly uniform apart from the {sinks}: every token attends almost equally to the others"


def scale_of(view: AttentionView) -> Scale:
    """Return the color scale of a matrix.

    The strongest color is that of the largest weight, unless a few weights are 2.5 times as large as all
    others: then it is that of the others' largest, since a single weight would make the rest blank. Rows of
    attention are shares, so an equal row is known: the scale never spans less than twice that. Excluded
    columns, and rows that can attend to one key only, do not count.

    Args:
        view: The matrix.
    """
    weights = np.abs(view.weights)
    tokens = np.asarray(view.key_sizes, dtype=np.float64)
    has_choice = (view.mask * tokens).sum(axis=1) > 1
    shown = view.mask.copy()
    shown[:, list(view.excluded)] = False
    rest, room = np.where(shown, weights, 0).sum(axis=1), (shown * tokens).sum(axis=1)
    counted = has_choice & (room > 0)
    largest, reach = _span(weights[shown & has_choice[:, None]])
    if not view.are_shares or view.is_partial or not counted.any():
        return Scale(reach=reach, largest=largest, is_uniform=False)
    even = np.divide(rest, room, out=np.zeros_like(rest), where=room > 0)
    expected = even[:, None] * tokens
    cells = shown & counted[:, None] & (expected > 0)
    ratios = weights[cells] / expected[cells]
    is_uniform = ratios.size > 0 and 1 / _UNIFORM < ratios.min() <= ratios.max() < _UNIFORM
    floor = min(_FLOOR * float(tokens.mean()) * float(even[counted].mean()), 1.0)  # no share is above 1
    return Scale(reach=max(reach, floor), largest=largest, is_uniform=bool(is_uniform))


def _span(sizes: np.ndarray) -> tuple[float, float]:
    """Return the largest of some magnitudes, and the largest that is not far beyond all others."""
    largest = float(sizes.max(initial=0))
    if len(sizes) < _FEW:
        return largest, largest
    is_far = sizes * _APART >= largest
    if is_far.sum() > max(1, int(_BEYOND * len(sizes))):
        return largest, largest
    return largest, float(sizes[~is_far].max(initial=0)) or largest
