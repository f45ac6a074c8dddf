"""The verdict: whether the scores of an attribution can be told from the same scores dealt out at random.

The one place where the rule stands. The tokens' *effects* are estimated from the variants that
comprehensiveness and sufficiency ran, of the map's own order and of random ones: falls of the deciding
quantity (logit margin, log-probability, value), each replacement's in units of its largest, averaged. The
*standing* of a map is its correlation with these effects, in standard deviations of shuffled maps. Where
that leaves the verdict open, further variants are run: without each token alone, or of more random orders
where the text is long. Then:

- ``supported``: a standing that ``support_threshold`` asks for, and above 0 under every replacement alone;
- ``weak``: a standing of 1 or more;
- ``not supported``: all else.

The threshold and the strength of the ridge were chosen on one part of ``benchmarks/verdict`` and measured
on models and texts of the other: there it supports 3.7 % of 1,404 random or shuffled maps and 97 % of 642
right ones (``benchmarks/README.md`` has them by kind).
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.results import Evaluation
from model_understanding.runner.ranked_text import FRACTIONS, KEPT_FRACTIONS, RankedText
from model_understanding.runner.token_effects import above_shuffled, token_effects

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
