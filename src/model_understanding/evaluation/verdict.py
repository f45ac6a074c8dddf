"""The verdict: do the scores predict what removing tokens does?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.evaluation.ranked_text import FRACTIONS, KEPT_FRACTIONS, RankedText
from model_understanding.results import Evaluation

RIDGE = 0.1  # of the variants a token has: enough for tokens that are always gone together
_ROUNDING = 1e-12  # of the largest: numbers that differ by less are the same


def token_effects(
    removed: Sequence[Bool[np.ndarray, "orders counts candidates"]],
    falls: Sequence[Float[np.ndarray, "orders counts"]],
) -> Float[np.ndarray, " candidates"]:
    r"""Return how far the target falls without each token, by a ridge regression on all variants.

    ``w = argmin Σ_v (y_v − x_v · w)² + λ |w|²,  λ = 0.1 · variants / candidates``

    x is what a variant lacks and y its fall, both less the mean of the random orders' variants of the same
    group and count, so that how many tokens are gone explains nothing.

    Args:
        removed: Which candidates each variant of a group lacks; the first order is the map's own, the
            others are random.
        falls: How far the target falls on it.

    Returns:
        Effects, larger for tokens whose absence costs the target more.

    Reference:
        Hoerl & Kennard (1970), "Ridge Regression: Biased Estimation for Nonorthogonal Problems".

    >>> removed = np.eye(3, dtype=bool)[:, None]  # three orders that remove one token each
    >>> token_effects([removed], [np.array([[1.0], [0.0], [0.0]])]).round(2).tolist()
    [0.62, -0.31, -0.31]
    """
    masks = np.concatenate([_above_random(group.astype(np.float64)) for group in removed])
    wanted = np.concatenate([_above_random(group[..., None])[:, 0] for group in falls])
    variants, candidates = masks.shape
    # In the space of variants, which are fewer than the tokens of a long text.
    gram = masks @ masks.T + RIDGE * variants / candidates * np.eye(variants)
    return masks.T @ np.linalg.solve(gram, wanted)


def above_shuffled(
    support: Float[np.ndarray, " candidates"], effects: Float[np.ndarray, " candidates"]
) -> float:
    r"""Return how many standard deviations a map stands above shuffled ones in its correlation with effects.

    ``r(support, effects) · √(candidates − 1)``

    Over all ways to deal the scores out to the tokens, the correlation has mean 0 and variance
    ``1 / (candidates − 1)`` exactly, so nothing has to be drawn.

    Args:
        support: The scores.
        effects: What the tokens do.

    Returns:
        0 where the scores, or the effects, are all the same.

    Reference:
        Pitman (1937), "Significance Tests Which May be Applied to Samples From Any Populations. II. The
        Correlation Coefficient Test".

    >>> round(above_shuffled(np.array([3.0, 1, 2, 0, 0]), np.array([6.0, 2, 4, 0, 0])), 6)
    2.0
    """
    if any(np.ptp(one) <= _ROUNDING * np.abs(one).max() for one in (support, effects)):
        return 0.0
    first, second = support - support.mean(), effects - effects.mean()
    correlation = first @ second / np.sqrt((first @ first) * (second @ second))
    return float(correlation * np.sqrt(len(support) - 1))


def _above_random(values: Float[np.ndarray, "orders counts parts"]) -> Float[np.ndarray, "variants parts"]:
    return (values - values[1:].mean(axis=0)).reshape(-1, values.shape[-1])


SUPPORTED, WEAK = 2.3, 1.0
CERTAIN = 2.7  # a standing that is let stand without further variants
MOST_SINGLES = 64  # tokens that are removed one by one; of a longer text more random orders are run,
MORE_ORDERS = 3  # this many times as many
DISAGREEMENT = 2.0  # standard deviations between the standings under two replacements


Group = tuple[Bool[np.ndarray, "orders counts candidates"], Float[np.ndarray, "replacements orders counts"]]
"""What variants lack, the first order's of the map's choice, and how far the deciding quantity falls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    r"""How far a map stands above shuffled maps of the same text, and what to make of it.

    ``standing = r(scores, effects) · √(tokens − 1)``, where r is the correlation. Where it is above 0
    and below 2.7, the effects are estimated anew from further variants.

    Args:
        fractions: The parts of the tokens that are removed.
        kept: The parts of the tokens that are left.

    Reference:
        Metrics of DeYoung et al. (2020); effects by ridge regression, Hoerl & Kennard (1970); the
        permutation test of a correlation, Pitman (1937); the threshold by Fisher (1921).

    >>> Verdict().name
    'verdict'
    """

    name: ClassVar[str] = "verdict"
    higher_is_better: ClassVar[bool] = True
    on_request: ClassVar[bool] = False
    cost: ClassVar[str] = (
        "none beyond comprehensiveness and sufficiency; where these leave it open, a forward for each token "
        "and replacement, or 40 for each replacement of more than 64 tokens"
    )
    reference: ClassVar[str] = "DeYoung et al. 2020; Hoerl & Kennard 1970; Pitman 1937"

    fractions: tuple[float, ...] = FRACTIONS
    kept: tuple[float, ...] = KEPT_FRACTIONS

    def removals(self, text: RankedText) -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants that the metric asks for."""
        groups = [text.removed(self.fractions), text.removed(self.kept, keep=True)]
        return np.concatenate([group.reshape(-1, group.shape[-1]) for group in groups])

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        groups = self._groups(text)
        (standing, *shuffled), alone = _standings(text, groups)
        if standing > 0 and (standing < CERTAIN or min(own for own, *_ in alone) <= 0):
            groups = self._further(text, groups)
            (standing, *shuffled), alone = _standings(text, groups)
        each = [own for own, *_ in alone]
        verdict, reasons = judged(standing, each, text.removals.replacements, len(text.candidates))
        quantity = text.removals.quantities[0]
        changed = any(falls.any() for _, falls in groups)
        said = _said(groups[0][1], quantity) if changed else "Nothing that was removed changes the answer."
        return (
            text.evaluation(
                self.name,
                standing,
                higher_is_better=True,
                control=np.array(shuffled),
                shuffled=True,
                quantity=quantity,
                replacement="+".join(text.removals.replacements),
                advantage=standing,
                verdict=verdict,
                reasons=(reasons[0], said, *reasons[1:]),
            ),
            *(
                text.evaluation(
                    "standing",
                    one,
                    higher_is_better=True,
                    quantity=quantity,
                    replacement=replacement,
                    advantage=one,
                    control=np.array(others),
                    shuffled=True,
                )
                for (one, *others), replacement in zip(alone, text.removals.replacements, strict=True)
            ),
        )

    def _groups(self, text: RankedText) -> list[Group]:
        """Return the variants of comprehensiveness and of sufficiency."""
        return [
            (text.removed(part, keep=keep)[..., text.candidates], text.drops(part, keep=keep)[..., 0])
            for part, keep in ((self.fractions, False), (self.kept, True))
        ]

    def _further(self, text: RankedText, groups: list[Group]) -> list[Group]:
        """Return more variants: these and every token alone, or more random orders of a long text."""
        if len(text.candidates) > MOST_SINGLES:
            return self._groups(replace(text, draws=MORE_ORDERS * text.draws))
        singles = text.singles()
        first = text.orders[0, :1]  # the map's own choice comes before the others, as in every group
        removed = np.concatenate([singles[first], singles])[:, None]
        falls = text.full[:, :1] - text.removals.values(singles)[..., 0]
        falls = np.concatenate([falls[:, first], falls], axis=1)[..., None]
        return [*groups, (removed[..., text.candidates], falls)]


def judged(
    standing: float, each: list[float], replacements: tuple[str, ...], tokens: int
) -> tuple[str, tuple[str, ...]]:
    """Return the verdict and its reasons.

    Args:
        standing: Standard deviations above shuffled maps, over all replacements.
        each: The same under each replacement.
        replacements: Their names.
        tokens: How many tokens can be removed.

    >>> judged(3.0, [3.1, 2.8], ("mask", "attention"), 12)[0]
    'supported'
    """
    least, best = support_threshold(tokens), np.sqrt(tokens - 1)
    side = "above" if standing >= 0 else "below"
    reasons = [
        f"The scores go with what removals do {abs(standing):.2f} standard deviations {side} shuffled scores "
        f"(with {tokens} tokens: supported from {least:.2f}, {best:.2f} at best)."
    ]
    if len(each) > 1 and (max(each) - min(each) > DISAGREEMENT or min(each) <= 0 < max(each)):
        said = ", ".join(f"{name} {one:+.1f}" for name, one in zip(replacements, each, strict=True))
        reasons.append(f"Replacements disagree: {said}.")
    if len(each) == 1:
        reasons.append(f"Only one replacement ({replacements[0]}) fits this model.")
    if round(standing, 2) >= least and min(each) > 0:  # as both are said
        return "supported", tuple(reasons)
    return "weak" if standing >= WEAK else "not supported", tuple(reasons)


def support_threshold(tokens: int, deviations: float = SUPPORTED) -> float:
    r"""Return the standing from which a map is supported.

    ``√(tokens − 1) · tanh(2.3 / √(tokens − 3))``: a correlation that is 2.3 standard deviations above 0 by
    Fisher's transformation. It comes to 2.3 for long texts; of few tokens a correlation has less room, and
    2.3 of its own standard deviations would ask for a perfect one.

    Args:
        tokens: How many tokens can be removed, 4 or more.
        deviations: Another number than 2.3, which ``benchmarks/verdict`` chose.

    Reference:
        Fisher (1921), "On the 'Probable Error' of a Coefficient of Correlation Deduced from a Small Sample".

    >>> [support_threshold(tokens) for tokens in (6, 14, 100)]
    [1.94, 2.16, 2.28]
    """
    return round(float(np.sqrt(tokens - 1) * np.tanh(deviations / np.sqrt(tokens - 3))), 2)


def _standings(text: RankedText, groups: list[Group]) -> tuple[list[float], list[list[float]]]:
    """Return the standings of a map, over all replacements and under each.

    Each is a list: of the map, and of its scores dealt out in each random order.
    """
    largest = np.max([np.abs(falls).max(axis=(1, 2)) for _, falls in groups], axis=0)
    removed = [group for group, _ in groups]
    shares = [falls / np.where(largest > 0, largest, 1)[:, None, None] for _, falls in groups]
    dealt = [text.support, *(text.support[order] for order in text.orders[1:])]

    def above(falls: list[np.ndarray]) -> list[float]:
        effects = token_effects(removed, falls)
        return [above_shuffled(one, effects) for one in dealt]

    return above([falls.mean(axis=0) for falls in shares]), [
        above([falls[place] for falls in shares]) for place in range(len(largest))
    ]


def _said(falls: Float[np.ndarray, "replacements orders counts"], quantity: str) -> str:
    """Return in words how far the quantity falls without the first tokens, beside random ones."""
    own, random = falls[:, 0].mean(), falls[:, 1:].mean()
    return f"Without its first tokens the {quantity} falls by {own:.3g}, without random ones by {random:.3g}."
