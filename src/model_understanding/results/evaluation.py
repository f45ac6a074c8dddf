"""Values of metrics, and the assessment of one attribution."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from model_understanding.results.rendering import Displayed
from model_understanding.results.serialization import JsonResult
from model_understanding.tokens import read_only

if TYPE_CHECKING:
    import pandas

NOT_EVALUATED = "not evaluated"
VERDICTS = ("supported", "weak", "not supported", NOT_EVALUATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(JsonResult):
    """The range of a metric over all removal orders on this text and model, in the unit of the metric.

    Args:
        lower: Lowest value of any order.
        upper: Highest value of any order.
        exact: Whether every order was considered; else a beam search found the limits, and the true range may
            be wider.
    """

    lower: float
    upper: float
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Evaluation(Displayed):
    """One metric of one attribution, with its values under a random control on the same text.

    Args:
        metric: Name of the metric.
        value: Value of the metric; ``None`` if it has none, with the reason in ``reasons``.
        curve: Points of its curve, shape ``(P, 2)``.
        control: Values of the metric for random removal orders, or for permuted scores; shape ``(D,)``.
        higher_is_better: Whether a higher value is better.
        verdict: A verdict, for metrics that give one; ``not evaluated`` has no value.
        reasons: Reasons for the verdict, or for a missing value.
        method: The method whose scores are evaluated.
        target: Description of the target of the scores.
        quantity: The model output that was measured, for example ``logit margin`` or ``probability``.
        replacement: What replaced the removed tokens; several are joined by ``+``.
        advantage: z-score of the value against the control; above 0 is better than the control whatever
            ``higher_is_better`` says.
        shuffled: Whether the control is of permuted scores rather than of random removal orders.
        limits: For a normalized value, the range that was mapped to 0 to 1.
        summary: The verdict in a plain sentence or two, for metrics that give one.
    """

    metric: str
    value: float | None
    curve: Float[np.ndarray, "points 2"]
    control: Float[np.ndarray, " draws"]
    higher_is_better: bool
    verdict: str | None = None
    reasons: tuple[str, ...] = ()
    method: str = ""
    target: str = ""
    quantity: str = ""
    replacement: str = ""
    advantage: float | None = None
    shuffled: bool = False
    limits: Limits | None = None
    summary: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "curve", read_only(self.curve, np.float32, (None, 2), "curve"))
        object.__setattr__(self, "control", read_only(self.control, np.float32, (None,), "control"))
        object.__setattr__(self, "reasons", tuple(self.reasons))
        if self.verdict is not None and self.verdict not in VERDICTS:
            raise ValueError(f"Unknown verdict {self.verdict!r}. Allowed: {', '.join(VERDICTS)}")
        if self.verdict == NOT_EVALUATED:  # files of earlier versions have 0 here
            object.__setattr__(self, "value", None)

    @property
    def control_mean(self) -> float | None:
        """Mean of the control, ``None`` without one."""
        return float(self.control.mean()) if self.control.size else None

    @property
    def control_std(self) -> float | None:
        """Standard deviation of the control, ``None`` for fewer than two values."""
        return float(self.control.std(ddof=1)) if self.control.size > 1 else None

    @property
    def raw(self) -> float | None:
        """The value before normalization, for normalized values."""
        if self.value is None or self.limits is None:
            return None
        return self.limits.lower + self.value * (self.limits.upper - self.limits.lower)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Assessment(Displayed):
    """The evaluation of an attribution of one target, as ``evaluate`` returns it.

    Args:
        method: The method whose scores are evaluated.
        target: Description of the target of the scores.
        verdict: ``supported``, ``weak``, ``not supported`` or ``not evaluated``.
        reasons: Reasons for the verdict.
        evaluations: The metrics, that of the verdict first.
        variants: Number of variants of the text that were run.
        forwards: The cost in forward passes of the whole text. A causal model needs fewer than one per
            variant, because the part before the first removed token is reused.
        seconds: Duration, without that of the explanation itself.

    Raises:
        ValueError: There is no such verdict.
    """

    method: str
    target: str
    verdict: str
    reasons: tuple[str, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    variants: int = 0
    forwards: float = 0.0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"Unknown verdict {self.verdict!r}. Allowed: {', '.join(VERDICTS)}.")
        object.__setattr__(self, "reasons", tuple(self.reasons))
        object.__setattr__(self, "evaluations", tuple(self.evaluations))

    @property
    def advantage(self) -> float | None:
        """The z-score of the verdict, against permuted scores."""
        return next((metric.advantage for metric in self.evaluations if metric.verdict is not None), None)

    def named(self, metric: str) -> tuple[Evaluation, ...]:
        """Return the evaluations of one metric, one per quantity and replacement."""
        return tuple(evaluation for evaluation in self.evaluations if evaluation.metric == metric)

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with one row per evaluation."""
        import pandas

        return pandas.DataFrame(
            [
                {
                    "method": self.method,
                    "target": self.target,
                    "metric": evaluation.metric,
                    "quantity": evaluation.quantity,
                    "replacement": evaluation.replacement,
                    "value": evaluation.value,
                    "control_mean": evaluation.control_mean,
                    "control_std": evaluation.control_std,
                    "z_score": evaluation.advantage,
                    "verdict": evaluation.verdict,
                    "raw": evaluation.raw,
                    "lower_limit": evaluation.limits and evaluation.limits.lower,
                    "upper_limit": evaluation.limits and evaluation.limits.upper,
                    "exact_limits": evaluation.limits and evaluation.limits.exact,
                }
                for evaluation in self.evaluations
            ]
        )
