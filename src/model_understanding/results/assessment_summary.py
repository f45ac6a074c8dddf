"""What assessments of many texts come to: shares of verdicts, and means with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from model_understanding.results.evaluation import VERDICTS, Assessment
from model_understanding.results.serialization import JsonResult

RESAMPLINGS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricMean(JsonResult):
    """The mean of one metric over texts, with the 95 % interval of its bootstrap.

    Args:
        metric: The metric's name.
        quantity: What was read from the model.
        replacement: What stood in for removed tokens.
        texts: Over how many texts.
        mean: The mean value.
        low: Lower end of its interval.
        high: Upper end.
        advantage: The mean advantage over random orders or shuffled scores, where the metric has one.
        advantage_low: Lower end of its interval.
        advantage_high: Upper end.
    """

    metric: str
    quantity: str
    replacement: str
    texts: int
    mean: float
    low: float
    high: float
    advantage: float | None = None
    advantage_low: float | None = None
    advantage_high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentSummary(JsonResult):
    """What the assessments of one method on many texts come to.

    Args:
        method: The method.
        texts: How many assessments there are.
        verdicts: How many have each verdict of ``VERDICTS``, in its order.
        means: The metrics, the verdict's own first.
    """

    method: str
    texts: int
    verdicts: tuple[int, ...]
    means: tuple[MetricMean, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "verdicts", tuple(self.verdicts))
        object.__setattr__(self, "means", tuple(self.means))

    def share(self, verdict: str) -> float:
        """Return the share of texts with a verdict."""
        return self.verdicts[VERDICTS.index(verdict)] / self.texts

    @property
    def advantage(self) -> float | None:
        """The mean of the verdicts' own figure: standard deviations above shuffled scores."""
        return next((one.advantage for one in self.means if one.metric == "verdict"), None)


def summarized(assessments: Sequence[Assessment]) -> tuple[AssessmentSummary, ...]:
    """Return a summary of each method's assessments, in the order in which the methods come.

    Args:
        assessments: Of any number of texts and methods.

    >>> one = Assessment(method="saliency", target="", verdict="weak")
    >>> summarized([one, one])[0].share("weak")
    1.0
    """
    found = []
    for method in dict.fromkeys(one.method for one in assessments):
        own = [one for one in assessments if one.method == method]
        verdicts = [one.verdict for one in own]
        found.append(
            AssessmentSummary(
                method=method,
                texts=len(own),
                verdicts=tuple(verdicts.count(name) for name in VERDICTS),
                means=_means(own),
            )
        )
    return tuple(found)


def mean_interval(values: Float[np.ndarray, " texts"]) -> tuple[float, float, float]:
    """Return a mean and the 95 % percentile interval of its bootstrap over texts; always the same one.

    Args:
        values: One for each text.

    Reference:
        Efron (1979), "Bootstrap Methods: Another Look at the Jackknife".

    >>> mean_interval(np.array([2.0, 2.0, 2.0]))
    (2.0, 2.0, 2.0)
    """
    drawn = np.random.default_rng(0).integers(0, len(values), (RESAMPLINGS, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def _means(assessments: Sequence[Assessment]) -> tuple[MetricMean, ...]:
    evaluations = [
        one for assessment in assessments for one in assessment.evaluations if one.value is not None
    ]
    found = []
    for key in dict.fromkeys((one.metric, one.quantity, one.replacement) for one in evaluations):
        own = [one for one in evaluations if (one.metric, one.quantity, one.replacement) == key]
        metric, quantity, replacement = key
        mean, low, high = mean_interval(np.array([one.value for one in own]))
        advantages = [one.advantage for one in own if one.advantage is not None]
        above = mean_interval(np.array(advantages)) if advantages else (None, None, None)
        found.append(
            MetricMean(
                metric=metric,
                quantity=quantity,
                replacement=replacement,
                texts=len(own),
                mean=mean,
                low=low,
                high=high,
                advantage=above[0],
                advantage_low=above[1],
                advantage_high=above[2],
            )
        )
    return tuple(found)
