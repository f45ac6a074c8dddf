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
    """

    metric: str
    value: float
    curve: Float[np.ndarray, "points 2"]
    control: Float[np.ndarray, " draws"]
    higher_is_better: bool
    verdict: str | None = None
    reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "curve", read_only(self.curve, np.float32, (None, 2), "curve"))
        object.__setattr__(self, "control", read_only(self.control, np.float32, (None,), "control"))
        object.__setattr__(self, "reasons", tuple(self.reasons))
