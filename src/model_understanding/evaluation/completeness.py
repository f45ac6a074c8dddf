"""Completeness: whether the scores of a method that promises it add up to the change of the output."""

from dataclasses import dataclass
from typing import ClassVar

from model_understanding.protocols import RemovesNothing
from model_understanding.results import Evaluation
from model_understanding.runner.ranked_text import RankedText


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
