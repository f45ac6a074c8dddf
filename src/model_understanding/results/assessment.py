"""How far one attribution may be believed: a verdict, and the metrics it rests on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from model_understanding.results.evaluation import Evaluation
from model_understanding.results.serialization import JsonResult

if TYPE_CHECKING:
    import pandas

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
