"""Completeness and agreement: what can be checked without removing tokens."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model_understanding.evaluation.protocol import RemovesNothing
from model_understanding.evaluation.ranked_text import RankedText
from model_understanding.results import Evaluation
from model_understanding.statistics import rank_correlation, top_count, top_overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement(RemovesNothing):
    r"""Spearman's rank correlation with each other attribution, and the share of largest tokens in common.

    The sizes of scores are compared where one of both methods has no signs. Methods that agree may all be
    wrong: the verdict asks the model.

    Reference:
        Krishna, Han, Gu et al. (2022), "The Disagreement Problem in Explainable Machine Learning".

    >>> Agreement().cost
    'none'
    """

    name: ClassVar[str] = "agreement"
    higher_is_better: ClassVar[bool] = True
    on_request: ClassVar[bool] = False
    cost: ClassVar[str] = "none"
    reference: ClassVar[str] = "Krishna et al. 2022"

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution; nothing where it is the only one."""
        own, found = text.attribution, []
        count = top_count(len(text.candidates))
        for other in text.others:
            sides = [one.scores[0, text.candidates].astype(np.float64) for one in (own, other)]
            if not (own.signed and other.signed):
                sides = [np.abs(side) for side in sides]
            values = {
                f"rank correlation with {other.method}": rank_correlation(*sides),
                f"top-{count} overlap with {other.method}": top_overlap(*sides, count),
            }
            found += [
                text.evaluation(self.name, value, higher_is_better=True, quantity=quantity)
                for quantity, value in values.items()
                if value is not None
            ]
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness(RemovesNothing):
    r"""The gap of the scores' sum, as a part of the change of the output that they share out.

    ``|Σ scores − (f(x) − f(x'))| / |f(x) − f(x')|``

    Only methods that promise completeness have one; the method itself knows it, and nothing is run. A
    small gap says that the path was followed closely, not that its baseline is a good one.

    Reference:
        Sundararajan, Taly, Yan (2017), "Axiomatic Attribution for Deep Networks", proposition 1.

    >>> Completeness().name
    'completeness'
    """

    name: ClassVar[str] = "completeness"
    higher_is_better: ClassVar[bool] = False
    on_request: ClassVar[bool] = False
    cost: ClassVar[str] = "none"
    reference: ClassVar[str] = "Sundararajan et al. 2017"

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        attribution = text.attribution
        if attribution.gaps is None or attribution.baseline_outputs is None:
            return ()
        change = abs(float(attribution.outputs[0] - attribution.baseline_outputs[0]))
        gap = abs(float(attribution.gaps[0]))
        if change == 0:
            return ()
        return (text.evaluation(self.name, gap / change, higher_is_better=False),)
