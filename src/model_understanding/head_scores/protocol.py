"""What a score of attention heads must offer."""

from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from model_understanding.head_scores.attention_rows import RowMeasure
    from model_understanding.head_scores.context import HeadScoreContext


class HeadScoreMethod(Protocol):
    """Scores each attention head of a model on a text.

    A score that compares the positions of queries and keys says so in ``compares_positions``, a class
    variable: it has no meaning for attention from one text to another.
    """

    name: ClassVar[str]
    meaning: ClassVar[str]
    """What the score measures, in a few words."""
    signed: ClassVar[bool]
    """Whether the sign has a meaning; such a score ranks by its magnitude."""
    maximum: ClassVar[float | None]
    """The largest possible score, where there is one: bars are drawn on that scale."""
    needs_target: ClassVar[bool]
    """Whether it measures how a head matters to an answer."""
    cost: ClassVar[str]
    reference: ClassVar[str]

    def measure(self, context: "HeadScoreContext") -> "RowMeasure | None":
        """Return what to read of the text's attention; all scores that read it share one forward pass."""
        ...

    def __call__(
        self, context: "HeadScoreContext", means: "Float[np.ndarray, 'layers heads size'] | None"
    ) -> Float[np.ndarray, "layers heads"]:
        """Score every head.

        Args:
            context: The model, the text and the target.
            means: What ``measure`` asked for, averaged over the rows that count; ``None`` if nothing.
        """
        ...
