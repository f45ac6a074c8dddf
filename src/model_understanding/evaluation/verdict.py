"""The verdict: whether the scores of an attribution can be told from the same scores dealt out at random.

The one place where the rule stands. The tokens' *effects* are estimated from the variants that
comprehensiveness and sufficiency ran, of the map's own order and of random ones: falls of the deciding
quantity (logit margin, log-probability, value), each replacement's in units of its largest, averaged. The
*standing* of a map is its correlation with these effects, in standard deviations of shuffled maps:

- ``supported``: a standing of 2.1 or more, and above 0 under every replacement alone;
- ``weak``: a standing of 1 or more;
- ``not supported``: all else.

The threshold and the strength of the ridge were chosen on one part of ``benchmarks/verdict`` and measured
on models and texts of the other: there it supports 4 % of 348 random or shuffled maps and 83 % of 156 right
ones (``benchmarks/README.md`` has them by kind).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.results import Evaluation
from model_understanding.runner.ranked_text import FRACTIONS, KEPT_FRACTIONS, RankedText
from model_understanding.runner.token_effects import above_shuffled, token_effects

SUPPORTED, WEAK = 2.1, 1.0
DISAGREEMENT = 2.0  # standard deviations between the standings under two replacements


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    r"""How far a map stands above shuffled maps of the same text, and what to make of it.

    ``standing = r(scores, effects) · √(tokens − 1)``, where r is the correlation.

    Args:
        fractions: The parts of the tokens that are removed.
        kept: The parts of the tokens that are left.

    Reference:
        Metrics of DeYoung et al. (2020); effects by ridge regression, Hoerl & Kennard (1970); the
        permutation test of a correlation, Pitman (1937).

    >>> Verdict().name
    'verdict'
    """

    name: ClassVar[str] = "verdict"
    higher_is_better: ClassVar[bool] = True
    on_request: ClassVar[bool] = False
    cost: ClassVar[str] = "none beyond comprehensiveness and sufficiency"
    reference: ClassVar[str] = "DeYoung et al. 2020; Hoerl & Kennard 1970; Pitman 1937"

    fractions: tuple[float, ...] = FRACTIONS
    kept: tuple[float, ...] = KEPT_FRACTIONS

    def removals(self, text: RankedText) -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants that the metric asks for."""
        groups = [text.removed(self.fractions), text.removed(self.kept, keep=True)]
        return np.concatenate([group.reshape(-1, group.shape[-1]) for group in groups])

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        removed = [
            text.removed(self.fractions)[..., text.candidates],
            text.removed(self.kept, keep=True)[..., text.candidates],
        ]
        falls = [text.drops(self.fractions)[..., 0], text.drops(self.kept, keep=True)[..., 0]]
        largest = np.max([np.abs(group).max(axis=(1, 2)) for group in falls], axis=0)
        shares = [group / np.where(largest > 0, largest, 1)[:, None, None] for group in falls]
        standing, *shuffled = self._standings(text, removed, [group.mean(axis=0) for group in shares])
        alone = [
            self._standings(text, removed, [group[place] for group in shares])
            for place in range(len(largest))
        ]
        each = [own for own, *_ in alone]
        verdict, reasons = judged(standing, each, text.removals.replacements, len(text.candidates))
        quantity = text.removals.quantities[0]
        said = _said(falls[0], quantity) if largest.any() else "Nothing that was removed changes the answer."
        return (
            text.evaluation(
                self.name,
                standing,
                higher_is_better=True,
                control=np.array(shuffled),
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
                )
                for (one, *others), replacement in zip(alone, text.removals.replacements, strict=True)
            ),
        )

    def _standings(self, text: RankedText, removed: list[np.ndarray], falls: list[np.ndarray]) -> list[float]:
        """Return the standing of the map, and of its scores dealt out in each random order."""
        effects = token_effects(removed, falls)
        dealt = [text.support, *(text.support[order] for order in text.orders[1:])]
        return [above_shuffled(one, effects) for one in dealt]


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
    best, side = np.sqrt(tokens - 1), "above" if standing >= 0 else "below"
    reasons = [
        f"The scores go with what removals do {abs(standing):.2f} standard deviations {side} shuffled scores "
        f"(supported from {SUPPORTED:g}; {best:.1f} at best with {tokens} tokens)."
    ]
    if len(each) > 1 and (max(each) - min(each) > DISAGREEMENT or min(each) <= 0 < max(each)):
        said = ", ".join(f"{name} {one:+.1f}" for name, one in zip(replacements, each, strict=True))
        reasons.append(f"Replacements disagree: {said}.")
    if len(each) == 1:
        reasons.append(f"Only one replacement ({replacements[0]}) fits this model.")
    if standing >= SUPPORTED and min(each) > 0:
        return "supported", tuple(reasons)
    return "weak" if standing >= WEAK else "not supported", tuple(reasons)


def _said(falls: Float[np.ndarray, "replacements orders counts"], quantity: str) -> str:
    """Return in words how far the quantity falls without the first tokens, beside random ones."""
    own, random = falls[:, 0].mean(), falls[:, 1:].mean()
    return f"Without its first tokens the {quantity} falls by {own:.3g}, without random ones by {random:.3g}."
