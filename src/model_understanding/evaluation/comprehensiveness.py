"""Comprehensiveness: how far the target falls without the tokens that are said to matter."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from model_understanding.results import Evaluation
from model_understanding.runner.ranked_text import FRACTIONS, RankedText, area_evaluations


@dataclass(frozen=True, slots=True, kw_only=True)
class Comprehensiveness:
    r"""The mean, over fractions, of the fall of the target without the first tokens of the map.

    ``1/B Σ_b [ f(x) − f(x without its first k_b tokens) ]``

    Args:
        fractions: The parts of the tokens that are removed.

    Reference:
        DeYoung et al. (2020), "ERASER: A Benchmark to Evaluate Rationalized NLP Models", section 4.2;
        here tokens are replaced in place, and random orders of the same text stand beside the value.

    >>> Comprehensiveness().fractions
    (0.05, 0.2, 0.5)
    """

    name: ClassVar[str] = "comprehensiveness"
    higher_is_better: ClassVar[bool] = True
    on_request: ClassVar[bool] = False
    cost: ClassVar[str] = "1 + 3 × 6 orders forwards for each replacement"
    reference: ClassVar[str] = "DeYoung et al. 2020"

    fractions: tuple[float, ...] = FRACTIONS

    def removals(self, text: RankedText) -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants that the metric asks for."""
        removed = text.removed(self.fractions)
        return removed.reshape(-1, removed.shape[-1])

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        drops = text.drops(self.fractions)
        return area_evaluations(text, self.name, drops, np.array(self.fractions), higher_is_better=True)
