"""How well an attribution says what the model does."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from model_understanding.results.serialization import JsonResult
from model_understanding.tokens import read_only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation(JsonResult):
    """One metric of one attribution, beside the same metric on random orders of the same text.

    Args:
        metric: Name of the metric.
        value: Its value.
        curve: Points of its curve, shape ``(P, 2)``.
        control: The metric on random orders, shape ``(D,)``.
        higher_is_better: Whether a higher value speaks for the attribution.
        verdict: A verdict, where the metric gives one.
        reasons: Why.
        method: The method whose scores are evaluated.
        target: What the scores explain, in words.
        quantity: What was read from the model, as ``logit margin`` or ``probability``.
        replacement: What stood in for removed tokens; several are joined by ``+``.
        advantage: How many spreads of the random orders it is better than their mean; above 0 speaks for
            the attribution whatever ``higher_is_better`` says.
    """

    metric: str
    value: float
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "curve", read_only(self.curve, np.float32, (None, 2), "curve"))
        object.__setattr__(self, "control", read_only(self.control, np.float32, (None,), "control"))
        object.__setattr__(self, "reasons", tuple(self.reasons))

    @property
    def spread(self) -> float | None:
        """Standard deviation of the metric over the random orders."""
        return float(self.control.std(ddof=1)) if self.control.size > 1 else None
