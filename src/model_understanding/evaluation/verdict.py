"""The verdict: whether the scores of an attribution can be told from a random map of the same text.

The one place where the rule stands. Two kinds of evidence count, both of the deciding quantity (logit
margin, log-probability, value) and joined over replacements:

- the *advantage*: comprehensiveness minus sufficiency, in spreads of the random orders above their mean;
- the *chance*: on the variants that the random orders ran, how often scores dealt out to the tokens at
  random predict the fall of the target as well as the map does (a permutation test, which runs nothing).

``supported``: advantage ≥ 1.25 and chance ≤ 5 %, and under every replacement the advantage is above 0.
``weak``: advantage > 0 and chance ≤ 20 %. ``not supported``: all else.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.results import Evaluation
from model_understanding.runner.ranked_text import FRACTIONS, RankedText, advantage_of

SUPPORTED_ADVANTAGE, SUPPORTED_CHANCE = 1.25, 0.05
WEAK_ADVANTAGE, WEAK_CHANCE = 0.0, 0.20
DISAGREEMENT = 2.0  # spreads between the advantages under two replacements
PERMUTATIONS = 1999


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    r"""How far a map beats random maps of the same text, and what to make of it.

    ``advantage = (S(map) − mean S(random)) / spread S(random)``, where S sums, over replacements, the
    comprehensiveness minus the sufficiency in units of their random spread.

    Args:
        fractions: The parts of the tokens that are removed or left.

    Reference:
        Metrics of DeYoung et al. (2020); for the permutation test Phipson & Smyth (2010), "Permutation
        P-values Should Never Be Zero", equation 2.

    >>> Verdict().name
    'verdict'
    """

    name: ClassVar[str] = "verdict"
    higher_is_better: ClassVar[bool] = True
    on_request: ClassVar[bool] = False
    cost: ClassVar[str] = "none beyond comprehensiveness and sufficiency"
    reference: ClassVar[str] = "DeYoung et al. 2020; Phipson & Smyth 2010"

    fractions: tuple[float, ...] = FRACTIONS

    def removals(self, text: RankedText) -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants that the metric asks for."""
        removed = np.concatenate([text.removed(self.fractions), text.removed(self.fractions, keep=True)])
        return removed.reshape(-1, removed.shape[-1])

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        totals, changes = _totals(text, self.fractions)
        each = [advantage_of(one, change) for one, change in zip(totals, changes, strict=True)]
        joined = _joined(totals, changes)
        advantage = advantage_of(joined, 1.0)
        chance = chance_of(text, self.fractions)
        verdict, reasons = judged(advantage, chance, each, text.removals.replacements)
        return (
            text.evaluation(
                self.name,
                advantage,
                higher_is_better=True,
                control=[advantage_of(np.concatenate([[one], joined[1:]]), 1.0) for one in joined[1:]],
                quantity=text.removals.quantities[0],
                replacement="+".join(text.removals.replacements),
                advantage=advantage,
                verdict=verdict,
                reasons=reasons,
            ),
        )


def judged(
    advantage: float, chance: float, each: list[float], replacements: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """Return the verdict and its reasons.

    Args:
        advantage: Spreads of random orders above their mean, over all replacements.
        chance: How often scores dealt out at random do as well.
        each: The advantage under each replacement.
        replacements: Their names.

    >>> judged(3.0, 0.001, [3.1, 2.8], ("mask", "attention"))[0]
    'supported'
    """
    side = "above" if advantage >= 0 else "below"
    reasons = [
        f"Removing and keeping its first tokens scores {abs(advantage):.1f} spreads {side} random orders.",
        f"Scores dealt out at random predict removals as well in {_percent(chance)} of draws.",
    ]
    disagree = len(each) > 1 and (max(each) - min(each) > DISAGREEMENT or min(each) <= 0 < max(each))
    if disagree:
        said = ", ".join(f"{name} {one:+.1f}" for name, one in zip(replacements, each, strict=True))
        reasons.append(f"Replacements disagree: {said}.")
    if len(each) == 1:
        reasons.append(f"Only one replacement ({replacements[0]}) fits this model.")
    if advantage >= SUPPORTED_ADVANTAGE and chance <= SUPPORTED_CHANCE and min(each) > 0:
        return "supported", tuple(reasons)
    if advantage > WEAK_ADVANTAGE and chance <= WEAK_CHANCE:
        return "weak", tuple(reasons)
    return "not supported", tuple(reasons)


def chance_of(text: RankedText, fractions: tuple[float, ...] = FRACTIONS) -> float:
    """Return how often scores dealt out to the candidates at random predict the falls as well as the map.

    The falls are those of the variants that the random orders ran, less the mean of their group (as many
    tokens removed); the prediction of a variant is the sum of what its removed tokens support.

    Args:
        text: The text.
        fractions: The parts of the tokens that were removed or left.

    Returns:
        ``(1 + draws at least as good) / (1 + draws)``.
    """
    masks, falls = [], []
    for keep in (False, True):
        removed = text.removed(fractions, keep=keep)[1:, :, text.candidates].astype(float)
        drops = text.drops(fractions, keep=keep)[:, 1:, :, 0]
        masks.append(removed - removed.mean(axis=0))
        falls.append(drops - drops.mean(axis=1, keepdims=True))
    mask = np.concatenate([part.reshape(-1, part.shape[-1]) for part in masks])
    fall = np.concatenate([part.reshape(len(part), -1) for part in falls], axis=1)
    scale = fall.std(axis=1, keepdims=True)
    wanted = (fall / np.where(scale > 0, scale, 1)).mean(axis=0)
    generator = np.random.default_rng(text.seed + 2)
    dealt = np.stack([generator.permutation(text.support) for _ in range(PERMUTATIONS)])
    own, others = _agreement(text.support[None], mask, wanted)[0], _agreement(dealt, mask, wanted)
    return float((1 + (others >= own - 1e-9).sum()) / (1 + PERMUTATIONS))


def _agreement(
    support: Float[np.ndarray, "maps candidates"],
    mask: Float[np.ndarray, "variants candidates"],
    wanted: Float[np.ndarray, " variants"],
) -> Float[np.ndarray, " maps"]:
    """Return the correlation of what each map predicts of the variants with what happened; 0 for none."""
    predicted = support @ mask.T
    sizes = np.sqrt((predicted**2).sum(axis=1) * (wanted**2).sum())
    return np.where(sizes > 0, predicted @ wanted / np.where(sizes > 0, sizes, 1), 0.0)


def _totals(
    text: RankedText, fractions: tuple[float, ...]
) -> tuple[Float[np.ndarray, "replacements orders"], Float[np.ndarray, " replacements"]]:
    """Return comprehensiveness − sufficiency of each order, and the largest change of the quantity."""
    gone = text.drops(fractions)[..., 0]
    left = text.drops(fractions, keep=True)[..., 0]
    largest = np.maximum(np.abs(gone).max(axis=(1, 2)), np.abs(left).max(axis=(1, 2)))
    return gone.mean(axis=-1) - left.mean(axis=-1), largest


def _joined(
    totals: Float[np.ndarray, "replacements orders"], largest: Float[np.ndarray, " replacements"]
) -> Float[np.ndarray, " orders"]:
    """Return the mean over replacements, each in units of the largest change under it."""
    return (totals / np.where(largest > 0, largest, 1)[:, None]).mean(axis=0)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 else "under 0.1 %"
