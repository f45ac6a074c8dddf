"""Insertion curve: the target as the tokens come back one part after another, those that matter first."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from model_understanding.results import Evaluation
from model_understanding.runner.ranked_text import TENTHS, RankedText, area_evaluations


@dataclass(frozen=True, slots=True, kw_only=True)
class Insertion:
    r"""The mean of the target while more and more tokens come back, the map's first ones first.

    ``1/B Σ_b f(only the first k_b tokens of x)``, higher is better

    Args:
        fractions: The parts of the tokens that are there.

    Reference:
        Petsiuk, Das, Saenko (2018), "RISE: Randomized Input Sampling for Explanation of Black-box
        Models", section 4; here of the target's own quantity, beside random orders.

    >>> Insertion().higher_is_better
    True
    """

    name: ClassVar[str] = "insertion"
    higher_is_better: ClassVar[bool] = True
    on_request: ClassVar[bool] = True
    cost: ClassVar[str] = "1 + 10 × 6 orders forwards for each replacement"
    reference: ClassVar[str] = "Petsiuk et al. 2018"

    fractions: tuple[float, ...] = TENTHS

    def removals(self, text: RankedText) -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants that the metric asks for."""
        removed = text.removed(self.fractions, keep=True)
        return removed.reshape(-1, removed.shape[-1])

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        values = text.values(self.fractions, keep=True)
        return area_evaluations(text, self.name, values, np.array(self.fractions), higher_is_better=True)
