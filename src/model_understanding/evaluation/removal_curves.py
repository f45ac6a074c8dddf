"""Comprehensiveness, sufficiency, deletion and insertion: the target's value as tokens are removed."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from model_understanding.evaluation.ranked_text import (
    FRACTIONS,
    KEPT_FRACTIONS,
    TENTHS,
    RankedText,
    area_evaluations,
)
from model_understanding.results import Evaluation


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
    cost: ClassVar[str] = "1 + 3 × 6 orders forward passes per replacement"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    r"""The mean of the target while more and more tokens are removed, the map's first ones first.

    ``1/B Σ_b f(x without its first k_b tokens)``, lower is better

    Args:
        fractions: The parts of the tokens that are removed.

    Reference:
        Petsiuk, Das, Saenko (2018), "RISE: Randomized Input Sampling for Explanation of Black-box
        Models", section 4; here of the target's own quantity, beside random orders.

    >>> len(Deletion().fractions)
    10
    """

    name: ClassVar[str] = "deletion"
    higher_is_better: ClassVar[bool] = False
    on_request: ClassVar[bool] = True
    cost: ClassVar[str] = "1 + 10 × 6 orders forward passes per replacement"
    reference: ClassVar[str] = "Petsiuk et al. 2018"

    fractions: tuple[float, ...] = TENTHS

    def removals(self, text: RankedText) -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants that the metric asks for."""
        removed = text.removed(self.fractions)
        return removed.reshape(-1, removed.shape[-1])

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        values = text.values(self.fractions)
        return area_evaluations(text, self.name, values, np.array(self.fractions), higher_is_better=False)


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
    cost: ClassVar[str] = "1 + 10 × 6 orders forward passes per replacement"
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
    cost: ClassVar[str] = "1 + 6 orders forward passes per replacement"
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
