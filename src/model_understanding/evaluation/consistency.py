"""Completeness and agreement: consistency checks that remove no tokens."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model_understanding.evaluation.protocol import RemovesNothing
from model_understanding.evaluation.ranked_text import RankedText
from model_understanding.results import Evaluation
from model_understanding.statistics import rank_correlation, top_count, top_overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness(RemovesNothing):
    r"""The completeness gap, relative to the change of the output that the scores should sum to.

    ``|Σ scores − (f(x) − f(x'))| / |f(x) − f(x')|``

    Only methods that promise completeness have one; they report the gap, and nothing is run. A small gap
    shows that the path was integrated accurately, not that its baseline is a good one.

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
        if change == 0:
            return ()
        gap = abs(float(attribution.gaps[0]))
        return (text.evaluation(self.name, gap / change, higher_is_better=False),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement(RemovesNothing):
    r"""Spearman's rank correlation with each other attribution, and the overlap of their top tokens.

    Sizes of scores are compared where one of the two methods has no signs. Methods that agree may all be
    wrong; the verdict tests the scores on the model.

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
        evaluations = []
        count = top_count(len(text.candidates))
        for other in text.others:
            scores, other_scores = (
                attribution.scores[0, text.candidates].astype(np.float64)
                for attribution in (text.attribution, other)
            )
            if not (text.attribution.signed and other.signed):
                scores, other_scores = np.abs(scores), np.abs(other_scores)
            overlap = top_overlap(scores, other_scores, count)
            values = {
                f"rank correlation with {other.method}": rank_correlation(scores, other_scores),
                f"top-{count} overlap with {other.method}": overlap,
            }
            evaluations += [
                text.evaluation(self.name, value, higher_is_better=True, quantity=quantity)
                for quantity, value in values.items()
                if value is not None
            ]
        return tuple(evaluations)
