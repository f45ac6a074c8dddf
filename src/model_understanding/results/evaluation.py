"""How well an attribution says what the model does."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from model_understanding.results.serialization import JsonResult
from model_understanding.tokens import read_only


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
