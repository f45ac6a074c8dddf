"""Sufficiency: how far the target falls where only the tokens that are said to matter are left."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from model_understanding.results import Evaluation
from model_understanding.runner.ranked_text import KEPT_FRACTIONS, RankedText, area_evaluations


@dataclass(frozen=True, slots=True, kw_only=True)
class Sufficiency:
    r"""The mean, over fractions, of the fall of the target with only the first tokens of the map left.

    ``1/B Σ_b [ f(x) − f(only the first k_b tokens of x) ]``

    Args:
        fractions: The parts of the tokens that are left.

    Reference:
        DeYoung et al. (2020), "ERASER: A Benchmark to Evaluate Rationalized NLP Models", section 4.2;
        here tokens are replaced in place, and random orders of the same text stand beside the value.

    >>> Sufficiency().higher_is_better
    False
    """

    name: ClassVar[str] = "sufficiency"
    higher_is_better: ClassVar[bool] = False
    on_request: ClassVar[bool] = False
    cost: ClassVar[str] = "1 + 6 orders forwards for each replacement"
    reference: ClassVar[str] = "DeYoung et al. 2020"

    fractions: tuple[float, ...] = KEPT_FRACTIONS

    def removals(self, text: RankedText) -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants that the metric asks for."""
        removed = text.removed(self.fractions, keep=True)
        return removed.reshape(-1, removed.shape[-1])

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        drops = text.drops(self.fractions, keep=True)
        return area_evaluations(text, self.name, drops, np.array(self.fractions), higher_is_better=False)
