"""What a metric must offer."""

from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from jaxtyping import Bool

from model_understanding.results import Evaluation

if TYPE_CHECKING:
    from model_understanding.evaluation.ranked_text import RankedText


class Metric(Protocol):
    """Measures how well an attribution says what the model does."""

    name: ClassVar[str]
    higher_is_better: ClassVar[bool]
    on_request: ClassVar[bool]
    """Whether it is left out unless it is asked for."""
    cost: ClassVar[str]
    """Forwards for one text and one target."""
    reference: ClassVar[str]

    def removals(self, text: "RankedText") -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants of the text that it will ask for, so that metrics share one batch.

        Those that depend on what the model says of these are asked for later, by ``text.removals``.
        """
        ...

    def __call__(self, text: "RankedText") -> tuple[Evaluation, ...]:
        """Evaluate one attribution of one target; nothing where it has no meaning for the method."""
        ...


class RemovesNothing:
    """The part of a metric that asks for no variants of the text."""

    __slots__ = ()

    def removals(self, text: "RankedText") -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants that the metric asks for: none."""
        return np.zeros((0, len(text.removals.tokens)), dtype=bool)
