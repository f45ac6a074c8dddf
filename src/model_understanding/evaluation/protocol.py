"""The interface of a metric."""

from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from jaxtyping import Bool

from model_understanding.results import Evaluation

if TYPE_CHECKING:
    from model_understanding.evaluation.ranked_text import RankedText


class Metric(Protocol):
    """Measures how well an attribution describes what the model does."""

    name: ClassVar[str]
    higher_is_better: ClassVar[bool]
    on_request: ClassVar[bool]
    """Whether it runs only if it is requested."""
    cost: ClassVar[str]
    """Forward passes for one text and one target."""
    reference: ClassVar[str]

    def removals(self, text: "RankedText") -> Bool[np.ndarray, "variants tokens"]:
        """Return the tokens to remove in each variant it needs, so that all metrics share one batch.

        Variants that depend on the model's output for these are run later, by ``text.removals``.
        """
        ...

    def __call__(self, text: "RankedText") -> tuple[Evaluation, ...]:
        """Evaluate one attribution of one target; empty where the metric does not apply to the method."""
        ...


class RemovesNothing:
    """The part of a metric that needs no variants of the text."""

    __slots__ = ()

    def removals(self, text: "RankedText") -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants that the metric needs: none."""
        return np.zeros((0, len(text.removals.tokens)), dtype=bool)
