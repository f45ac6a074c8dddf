"""Guided ablation: one pass says where to look, a few dozen removals say how much it matters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from model_understanding.attention.gradient_weighted import GradientWeightedReader
from model_understanding.attention.relevance import relevance_of
from model_understanding.attribution.protocol import Scores
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.passes.gradients import norms_of
from model_understanding.passes.runner import Runner, Targets
from model_understanding.perturbation.black_box import BlackBox
from model_understanding.perturbation.token_removal import (
    AblatedText,
    Replacement,
    ablations_of,
    check_replacement,
    left_out,
    stacked,
)
from model_understanding.perturbation.units import Units, membership, units_of
from model_understanding.results import Target
from model_understanding.results.target import sum_of_steps
from model_understanding.text.encoding import Encoding

Falls = dict[tuple[int, ...], Float[np.ndarray, " targets"]]
_BY_NORM = "Where to look was told by the gradient's norm: this model's attention cannot be read."
_BY_NOTHING = "Where to look was not told: this model has neither attention nor gradients to go by."


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedAblation:
    r"""The target's fall without a token, or its share of the fall without a group of less likely tokens.

    ``score_t = w_t / Σ_{u ∈ G} w_u · (f(x) − f(x without G))``, G the group that holds t

    ``w`` is gradient-weighted attention. A text of at most ``removals`` tokens needs no groups: there every
    token is removed alone, which is leave-one-out, and ``w`` is not computed. In a longer text the half of
    the removals goes to the tokens with the largest ``w``, one by one, a quarter to stretches of what lies
    between, and the last quarter to parts of the stretch whose removal changed the targets most: what
    ``w`` overlooked is found there. Several targets share the removals. Each has its own ``w``, but the
    steps of a continuation have the one of their sum: one backward serves them all, and where every step
    comes after a stretch their rows add up to what the whole continuation gets.

    Args:
        removals: Variants of the text that are run, whatever its length.
        replacement: What stands in for removed tokens (see ``LeaveOneOut``).

    Raises:
        InputError: There are fewer than 2 removals, or the replacement is unknown or does not fit.

    Reference:
        The removal is leave-one-out (Li, Monroe, Jurafsky 2016), where to look Chefer, Gur, Wolf (2021),
        equations 5 and 6. The combination is ours. Where a model's attention cannot be read, the gradient's
        norm takes its place, and a caution in the result says so.

    >>> GuidedAblation(removals=16).replacement
    'default'
    """

    name: ClassVar[str] = "guided_ablation"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = "1 + min(tokens, removals) forwards; above it 1 forward, 1 backward more"
    reference: ClassVar[str] = "Li et al. 2016; Chefer et al. 2021; the combination is ours"

    removals: int = 32
    replacement: Replacement = "default"

    def __post_init__(self) -> None:
        check_replacement(self.replacement)
        if self.removals < 2:
            raise InputError(f"removals must be at least 2. Got {self.removals}.", hint="Use removals=32.")

    def __call__(self, runner: Runner | BlackBox, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        scores, outputs, cautions = [], [], []
        for row, text in enumerate(ablations_of(runner, encoding, targets, self.replacement)):
            within = text.removable & (np.arange(text.removable.size) < text.reach.max())
            if within.sum() <= self.removals:
                found, values = left_out(text, units_of(text.tokens, "token"))
                caution: tuple[str, ...] = ()
            else:
                weights, caution = _guides(runner, encoding.row(row), text)
                found, values = _searched(text, within, weights, self.removals)
            scores.append(found)
            outputs.append(values)
            cautions.append(caution)
        return Scores(scores=stacked(scores), outputs=np.stack(outputs), cautions=tuple(cautions))


def _guides(
    runner: Runner | BlackBox, encoding: Encoding, text: AblatedText
) -> tuple[Float[np.ndarray, "targets tokens"], tuple[str, ...]]:
    """Return how likely each token matters to each target, and what a reader must know of it."""
    asked = text.targets if callable(text.targets) else [_guided(text.targets)]
    shape = (len(text.reach), text.removable.size)

    def for_each(weights: Tensor) -> Float[np.ndarray, "targets tokens"]:
        return np.broadcast_to(weights.double().cpu().numpy(), shape)

    if not isinstance(runner, BlackBox):
        try:
            found = relevance_of(runner, encoding, asked, GradientWeightedReader).scores[0]
            return for_each(found), ()
        except UnsupportedModelError:
            pass
        try:
            norms = norms_of(runner.gradients(encoding, asked).gradients, "l2")[0]
            return for_each(norms), (_BY_NORM,)
        except UnsupportedModelError:
            pass
    return np.ones(shape), (_BY_NOTHING,)


def _guided(targets: Sequence[Target]) -> Sequence[Target]:
    """Return what says where to look: the whole that steps of a continuation make, else every target."""
    if len(targets) == 1 or len({target.positions for target in targets}) == 1:
        return targets
    whole = sum_of_steps(targets)
    # Probabilities of steps do not add up to anything; their logarithms do.
    return [replace(whole, quantity="log_prob") if whole.quantity == "prob" else whole]


def _searched(
    text: AblatedText,
    within: Bool[np.ndarray, " tokens"],
    weights: Float[np.ndarray, "targets tokens"],
    removals: int,
) -> tuple[Float[np.ndarray, "targets tokens"], Float[np.ndarray, " targets"]]:
    """Remove likely tokens and stretches of others, then parts of the stretches that mattered most."""
    units = _units(weights, within, removals)
    adds_up = not callable(text.targets) and len(_guided(text.targets)) == 1
    tokens = text.removable.size
    values = text.values(np.concatenate([np.zeros((1, tokens), dtype=bool), membership(units, tokens)]))
    outputs, falls = values[0], dict(zip(units, values[0] - values[1:], strict=True))
    left = removals - len(units)
    while left > 1 and (whole := _most_changing(falls, adds_up=adds_up)) is not None:
        parts = tuple(tuple(part.tolist()) for part in np.array_split(whole, min(left, len(whole))))
        del falls[whole]
        falls.update(zip(parts, outputs - text.values(membership(parts, tokens)), strict=True))
        left -= len(parts)
    return _shared_falls(text, falls, weights), outputs


def _units(
    weights: Float[np.ndarray, "targets tokens"], within: Bool[np.ndarray, " tokens"], removals: int
) -> Units:
    """Return the likeliest tokens alone, and the others in stretches of about one length."""
    places = np.flatnonzero(within)
    likely = weights[:, places] / np.maximum(weights[:, places].sum(1, keepdims=True), 1e-300)
    ranked = places[np.argsort(-likely.max(0), kind="stable")]
    alone = ranked[: removals // 2]
    others = np.sort(ranked[removals // 2 :])
    rest = removals - len(alone)
    later = rest // 2 if rest > 3 else 0  # one part alone would be the stretch again
    stretches = np.array_split(others, min(rest - later, len(others)))
    units = [(int(place),) for place in alone] + [tuple(part.tolist()) for part in stretches]
    return tuple(sorted(units))


def _most_changing(falls: Falls, *, adds_up: bool) -> tuple[int, ...] | None:
    """Return the unit of several tokens without which the targets change most, if there is one."""

    def change(unit: tuple[int, ...]) -> float:
        return float(abs(falls[unit].sum()) if adds_up else np.abs(falls[unit]).sum())

    return max((unit for unit in falls if len(unit) > 1), key=change, default=None)


def _shared_falls(
    text: AblatedText,
    falls: Falls,
    weights: Float[np.ndarray, "targets tokens"],
) -> Float[np.ndarray, "targets tokens"]:
    """Share each target's fall without a unit among the unit's tokens by the weights."""
    tokens = text.removable.size
    member = membership(tuple(falls), tokens)
    seen = np.arange(tokens) < text.reach[:, None]
    # What no weight tells apart is shared evenly.
    level = np.maximum(weights, 0) + 1e-9 * np.maximum(weights.max(1, keepdims=True), 1e-30)
    share = member[None] * (level * seen)[:, None]
    share = share / np.maximum(share.sum(2, keepdims=True), 1e-300)
    return np.einsum("un,nut->nt", np.stack(list(falls.values())), share)
