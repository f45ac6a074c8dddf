"""Summaries of assessments over many texts: shares of verdicts, and means with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from model_understanding.results.evaluation import VERDICTS, Assessment, Evaluation
from model_understanding.results.rendering import Displayed
from model_understanding.results.serialization import JsonResult

RESAMPLES = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricMean(JsonResult):
    """The mean of one metric over texts, with its 95 % bootstrap interval.

    Args:
        metric: The metric's name.
        quantity: The model output that was measured.
        replacement: What replaced the removed tokens.
        texts: Number of texts.
        mean: The mean value.
        low: Lower end of the interval; ``None`` for one text, which says nothing of others.
        high: Upper end of the interval.
        advantage: Mean z-score against random removal orders or permuted scores, for metrics that have one.
        advantage_low: Lower end of its interval.
        advantage_high: Upper end of its interval.
    """

    metric: str
    quantity: str
    replacement: str
    texts: int
    mean: float
    low: float | None
    high: float | None
    advantage: float | None = None
    advantage_low: float | None = None
    advantage_high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AssessmentSummary(Displayed):
    """Summary of the assessments of one method over many texts.

    Args:
        method: The method.
        texts: Number of assessments.
        verdicts: Number of assessments with each verdict, in the order of ``VERDICTS``.
        means: Means of the metrics, that of the verdict first.
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
        """Mean z-score of the verdicts, against permuted scores."""
        return next((mean.advantage for mean in self.means if mean.metric == "verdict"), None)


def summarize(assessments: Sequence[Assessment]) -> tuple[AssessmentSummary, ...]:
    """Return a summary for each method, in the order in which the methods appear.

    Args:
        assessments: Assessments of any number of texts and methods.

    >>> assessment = Assessment(method="saliency", target="", verdict="weak")
    >>> summarize([assessment, assessment])[0].share("weak")
    1.0
    """
    summaries = []
    for method in dict.fromkeys(assessment.method for assessment in assessments):
        of_method = [assessment for assessment in assessments if assessment.method == method]
        verdicts = [assessment.verdict for assessment in of_method]
        summaries.append(
            AssessmentSummary(
                method=method,
                texts=len(of_method),
                verdicts=tuple(verdicts.count(verdict) for verdict in VERDICTS),
                means=_means(of_method),
            )
        )
    return tuple(summaries)


def mean_interval(values: Float[np.ndarray, " texts"]) -> tuple[float, float, float]:
    """Return a mean and its 95 % percentile bootstrap interval; the resampling is seeded.

    Args:
        values: One value per text.

    Reference:
        Efron (1979), "Bootstrap Methods: Another Look at the Jackknife".

    >>> mean_interval(np.array([2.0, 2.0, 2.0]))
    (2.0, 2.0, 2.0)
    """
    resamples = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(values[resamples].mean(axis=1), [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def _means(assessments: Sequence[Assessment]) -> tuple[MetricMean, ...]:
    evaluations = [
        evaluation
        for assessment in assessments
        for evaluation in assessment.evaluations
        if evaluation.value is not None
    ]
    means = []
    for condition in dict.fromkeys(map(_condition, evaluations)):
        alike = [evaluation for evaluation in evaluations if _condition(evaluation) == condition]
        metric, quantity, replacement = condition
        mean, low, high = _mean_and_interval([evaluation.value for evaluation in alike])
        z_scores = [evaluation.advantage for evaluation in alike if evaluation.advantage is not None]
        z_score, z_low, z_high = _mean_and_interval(z_scores) if z_scores else (None, None, None)
        means.append(
            MetricMean(
                metric=metric,
                quantity=quantity,
                replacement=replacement,
                texts=len(alike),
                mean=mean,
                low=low,
                high=high,
                advantage=z_score,
                advantage_low=z_low,
                advantage_high=z_high,
            )
        )
    return tuple(means)


def _mean_and_interval(values: Sequence[float | None]) -> tuple[float, float | None, float | None]:
    """Return the mean of values and its interval, which one value does not have."""
    mean, low, high = mean_interval(np.array(values, dtype=float))
    return (mean, low, high) if len(values) > 1 else (mean, None, None)


def _condition(evaluation: Evaluation) -> tuple[str, str, str]:
    return evaluation.metric, evaluation.quantity, evaluation.replacement
