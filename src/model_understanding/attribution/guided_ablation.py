"""Guided ablation: removals of the tokens that an attention-based score considers most likely to matter."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from model_understanding.attention.gradient_weighted import GradientWeightedReader
from model_understanding.attention.relevance import relevance_of
from model_understanding.attribution.protocol import Scores
from model_understanding.checks import one_of, whole_number
from model_understanding.errors import UnsupportedModelError
from model_understanding.passes.gradients import gradient_norms
from model_understanding.passes.runner import Runner, Targets
from model_understanding.perturbation.black_box import BlackBox
from model_understanding.perturbation.token_removal import (
    REPLACEMENTS,
    Replacement,
    TokenRemoval,
    leave_one_out_scores,
    padded_scores,
    token_removals,
)
from model_understanding.perturbation.units import Units, membership, units_of
from model_understanding.results import Target
from model_understanding.results.target import sum_of_steps
from model_understanding.text.encoding import Encoding

Drops = dict[tuple[int, ...], Float[np.ndarray, " targets"]]
_BY_NORM = "Removals were guided by gradient norms instead of gradient-weighted attention. {reason}"
_UNGUIDED = "Removals were not guided, because neither attention nor gradients are available for this model."


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedAblation:
    r"""The drop of the target's value when tokens are removed, guided by gradient-weighted attention.

    ``score_t = w_t / Σ_{u ∈ G} w_u · (f(x) − f(x without G))``, where G is the group that contains t

    ``w`` is gradient-weighted attention. In a text of at most ``removals`` tokens every token is removed by
    itself, which is leave-one-out, and ``w`` is not computed. In a longer text, half of the removals are of
    single tokens, those with the largest ``w``; a quarter are of groups of the tokens between them; and the
    last quarter are of parts of the groups with the largest effect, which contain what ``w`` missed.
    Several targets share the removals. Each target has its own ``w``, except that the steps of a
    continuation share the ``w`` of their sum, which needs a single backward pass. Their scores then add up
    to those of the whole continuation, except for groups that some steps precede.

    Args:
        removals: Number of variants of the text, for any length.
        replacement: What replaces removed tokens (see ``LeaveOneOut``).

    Raises:
        InputError: There are fewer than 2 removals, or the replacement is unknown or not available for the
            model.

    Reference:
        Li, Monroe, Jurafsky (2016) for the removals (leave-one-out); Chefer, Gur, Wolf (2021), equations 5
        and 6, for the guidance. The combination is not published elsewhere. Where gradient-weighted
        attention does not apply (encoder–decoders, models without attention), the gradient's norm replaces
        it, and a warning says why.

    >>> GuidedAblation(removals=16).replacement
    'default'
    """

    name: ClassVar[str] = "guided_ablation"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = (
        "min(tokens, removals) + 1 forward passes; "
        "for more tokens than removals, 1 more forward pass and 1 backward pass"
    )
    reference: ClassVar[str] = "Li et al. 2016; Chefer et al. 2021; combined in this package"

    removals: int = 32
    replacement: Replacement = "default"

    def __post_init__(self) -> None:
        whole_number(self.removals, "removals", least=2, example=32)
        one_of(self.replacement, "replacement", REPLACEMENTS)

    def __call__(self, runner: Runner | BlackBox, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        scores, outputs, cautions = [], [], []
        for row, removal in enumerate(token_removals(runner, encoding, targets, self.replacement)):
            is_candidate = removal.removable & (
                np.arange(removal.removable.size) < removal.visible_length.max()
            )
            if is_candidate.sum() <= self.removals:
                text_scores, values = leave_one_out_scores(removal, units_of(removal.tokens, "token"))
                caution: tuple[str, ...] = ()
            else:
                weights, caution = _guiding_weights(runner, encoding.row(row), removal)
                text_scores, values = _search(removal, is_candidate, weights, self.removals)
            scores.append(text_scores)
            outputs.append(values)
            cautions.append(caution)
        return Scores(scores=padded_scores(scores), outputs=np.stack(outputs), cautions=tuple(cautions))


def _guiding_weights(
    runner: Runner | BlackBox, encoding: Encoding, removal: TokenRemoval
) -> tuple[Float[np.ndarray, "targets tokens"], tuple[str, ...]]:
    """Return how likely each token is to matter to each target, and warnings."""
    targets = removal.targets if callable(removal.targets) else [_guiding_targets(removal.targets)]
    shape = (len(removal.visible_length), removal.removable.size)

    def for_each_target(weights: Tensor) -> Float[np.ndarray, "targets tokens"]:
        return np.broadcast_to(weights.double().cpu().numpy(), shape)

    if not isinstance(runner, BlackBox):
        try:
            relevance = relevance_of(runner, encoding, targets, GradientWeightedReader).scores[0]
            return for_each_target(relevance), ()
        except UnsupportedModelError as error:
            reason = error.message
        try:
            norms = gradient_norms(runner.gradients(encoding, targets).gradients, "l2")[0]
            return for_each_target(norms), (_BY_NORM.format(reason=reason),)
        except UnsupportedModelError:
            pass
    return np.ones(shape), (_UNGUIDED,)


def _guiding_targets(targets: Sequence[Target]) -> Sequence[Target]:
    """Return the targets that guide the removals: the sum of a continuation's steps, else every target."""
    if len(targets) == 1 or len({target.positions for target in targets}) == 1:
        return targets
    total = sum_of_steps(targets)
    # Probabilities of steps do not add up to a probability; log-probabilities do.
    return [replace(total, quantity="log_prob") if total.quantity == "prob" else total]


def _search(
    removal: TokenRemoval,
    is_candidate: Bool[np.ndarray, " tokens"],
    weights: Float[np.ndarray, "targets tokens"],
    removals: int,
) -> tuple[Float[np.ndarray, "targets tokens"], Float[np.ndarray, " targets"]]:
    """Remove likely tokens and groups of the others, then parts of the groups with the largest effect."""
    units = _units(weights, is_candidate, removals)
    adds_up = not callable(removal.targets) and len(_guiding_targets(removal.targets)) == 1
    tokens = removal.removable.size
    values = removal.values(np.concatenate([np.zeros((1, tokens), dtype=bool), membership(units, tokens)]))
    outputs, drops = values[0], dict(zip(units, values[0] - values[1:], strict=True))
    remaining = removals - len(units)
    while remaining > 1 and (group := _most_effective_group(drops, adds_up=adds_up)) is not None:
        parts = tuple(tuple(part.tolist()) for part in np.array_split(group, min(remaining, len(group))))
        del drops[group]
        drops.update(zip(parts, outputs - removal.values(membership(parts, tokens)), strict=True))
        remaining -= len(parts)
    return _scores_of_drops(removal, drops, weights), outputs


def _units(
    weights: Float[np.ndarray, "targets tokens"], is_candidate: Bool[np.ndarray, " tokens"], removals: int
) -> Units:
    """Return the likeliest tokens as single units, and the others in groups of about the same length."""
    positions = np.flatnonzero(is_candidate)
    likelihood = weights[:, positions] / np.maximum(weights[:, positions].sum(1, keepdims=True), 1e-300)
    ranked = positions[np.argsort(-likelihood.max(0), kind="stable")]
    single = ranked[: removals // 2]
    others = np.sort(ranked[removals // 2 :])
    remaining = removals - len(single)
    later = remaining // 2 if remaining > 3 else 0  # a single later removal would repeat the group
    groups = np.array_split(others, min(remaining - later, len(others)))
    units = [(int(position),) for position in single] + [tuple(group.tolist()) for group in groups]
    return tuple(sorted(units))


def _most_effective_group(drops: Drops, *, adds_up: bool) -> tuple[int, ...] | None:
    """Return the unit of several tokens whose removal changes the targets most, if there is one."""

    def change(unit: tuple[int, ...]) -> float:
        return float(abs(drops[unit].sum()) if adds_up else np.abs(drops[unit]).sum())

    return max((unit for unit in drops if len(unit) > 1), key=change, default=None)


def _scores_of_drops(
    removal: TokenRemoval,
    drops: Drops,
    weights: Float[np.ndarray, "targets tokens"],
) -> Float[np.ndarray, "targets tokens"]:
    """Divide each target's drop without a unit among the unit's tokens in proportion to the weights."""
    tokens = removal.removable.size
    is_member = membership(tuple(drops), tokens)
    is_visible = np.arange(tokens) < removal.visible_length[:, None]
    # Tokens whose weights are all 0 get equal shares.
    positive = np.maximum(weights, 0) + 1e-9 * np.maximum(weights.max(1, keepdims=True), 1e-30)
    share = is_member[None] * (positive * is_visible)[:, None]
    share = share / np.maximum(share.sum(2, keepdims=True), 1e-300)
    return np.einsum("un,nut->nt", np.stack(list(drops.values())), share)
