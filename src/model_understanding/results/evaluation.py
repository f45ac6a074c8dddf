"""Values of metrics, and the assessment of one attribution."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from model_understanding.results.serialization import JsonResult
from model_understanding.tokens import read_only

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(JsonResult):
    """Between what a metric can lie on this text and model, whatever the attribution; in its own units.

    Args:
        lower: The least of any order of the tokens.
        upper: The greatest.
        exact: Whether every order was considered; else a search found them, and the true ones may lie
            further apart.
    """

    lower: float
    upper: float
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation(JsonResult):
    """One metric of one attribution, beside what chance gives on the same text.

    Args:
        metric: Name of the metric.
        value: Its value; ``None`` where there is none to give, and ``reasons`` says why.
        curve: Points of its curve, shape ``(P, 2)``.
        control: The metric on random orders, or on the same scores dealt out at random; shape ``(D,)``.
        higher_is_better: Whether a higher value speaks for the attribution.
        verdict: A verdict, where the metric gives one.
        reasons: Why.
        method: The method whose scores are evaluated.
        target: What the scores explain, in words.
        quantity: What was read from the model, as ``logit margin`` or ``probability``.
        replacement: What stood in for removed tokens; several are joined by ``+``.
        advantage: How many spreads of the control it is better than its mean; above 0 speaks for the
            attribution whatever ``higher_is_better`` says.
        shuffled: Whether the control is of the same scores dealt out at random, and not of random orders.
        limits: Where the value is normalized, between what it lay before: 0 stands for the lower one, 1
            for the upper.
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "curve", read_only(self.curve, np.float32, (None, 2), "curve"))
        object.__setattr__(self, "control", read_only(self.control, np.float32, (None,), "control"))
        object.__setattr__(self, "reasons", tuple(self.reasons))

    @property
    def spread(self) -> float | None:
        """Standard deviation of the control."""
        return float(self.control.std(ddof=1)) if self.control.size > 1 else None

    @property
    def raw(self) -> float | None:
        """The value before it was normalized, where it was."""
        if self.value is None or self.limits is None:
            return None
        return self.limits.lower + self.value * (self.limits.upper - self.limits.lower)


VERDICTS = ("supported", "weak", "not supported", "not evaluated")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assessment(JsonResult):
    """What ``evaluate`` found about the scores of one target.

    Args:
        method: The method whose scores are evaluated.
        target: What they explain, in words.
        verdict: ``supported``, ``weak``, ``not supported`` or ``not evaluated``.
        reasons: Why.
        evaluations: The metrics, the verdict's own first.
        variants: Variants of the text that were run.
        forwards: What that cost, in forwards of the whole text: of a causal model fewer than the variants,
            because the part before the first removed token is kept.
        seconds: How long it took, the explanation itself left out.

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
            raise ValueError(f"Verdict {self.verdict!r} is none of {', '.join(VERDICTS)}.")
        object.__setattr__(self, "reasons", tuple(self.reasons))
        object.__setattr__(self, "evaluations", tuple(self.evaluations))

    @property
    def advantage(self) -> float | None:
        """The verdict's own figure: standard deviations above shuffled scores."""
        return next((one.advantage for one in self.evaluations if one.verdict is not None), None)

    def named(self, metric: str) -> tuple[Evaluation, ...]:
        """Return the evaluations of one metric, one for each quantity and replacement."""
        return tuple(one for one in self.evaluations if one.metric == metric)

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with one row for each evaluation."""
        import pandas

        return pandas.DataFrame(
            [
                {
                    "method": self.method,
                    "target": self.target,
                    "metric": one.metric,
                    "quantity": one.quantity,
                    "replacement": one.replacement,
                    "value": one.value,
                    "random": float(one.control.mean()) if one.control.size else None,
                    "spread": one.spread,
                    "advantage": one.advantage,
                    "verdict": one.verdict,
                    "raw": one.raw,
                    "lower_limit": one.limits and one.limits.lower,
                    "upper_limit": one.limits and one.limits.upper,
                    "exact_limits": one.limits and one.limits.exact,
                }
                for one in self.evaluations
            ]
        )
