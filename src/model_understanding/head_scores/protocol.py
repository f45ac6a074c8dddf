"""What a score of attention heads must offer."""

from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from model_understanding.head_scores.attention_rows import RowMeasure
    from model_understanding.head_scores.context import HeadQuestion


class HeadScoreMethod(Protocol):
    """Scores each attention head of a model on a text."""

    name: ClassVar[str]
    meaning: ClassVar[str]
    """What a high score says, in a few words."""
    signed: ClassVar[bool]
    """Whether the sign says a direction; such a score ranks by its size."""
    most: ClassVar[float | None]
    """The most there can be, where there is a most: bars are drawn against it."""
    needs_target: ClassVar[bool]
    """Whether it asks how a head matters to an answer."""
    cost: ClassVar[str]
    reference: ClassVar[str]

    def measure(self, question: "HeadQuestion") -> "RowMeasure | None":
        """Return what is to be read of the text's attention; all scores that read it share one forward."""
        ...

    def __call__(
        self, question: "HeadQuestion", kept: "Float[np.ndarray, 'layers heads size'] | None"
    ) -> Float[np.ndarray, "layers heads"]:
        """Score every head, from what was read of its rows on average."""
        ...
