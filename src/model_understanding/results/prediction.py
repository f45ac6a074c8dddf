"""The prediction of a classifier."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from model_understanding.results.rendering import Displayed
from model_understanding.tokens import SHARE, Tokens, read_only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Prediction(Displayed):
    """The prediction of a classifier for one text or pair.

    Args:
        tokens: The input tokens.
        labels: Names of the C classes, in the order of the model.
        logits: Raw outputs, shape ``(C,)``; for a regression, the predicted values.
        probabilities: Softmax (single label) or sigmoid (multi-label) of the logits, shape ``(C,)``; ``None``
            for a regression.
        problem: ``single_label``, ``multi_label`` or ``regression``.
    """

    tokens: Tokens
    labels: tuple[str, ...]
    logits: Float[np.ndarray, " classes"]
    probabilities: Float[np.ndarray, " classes"] | None
    problem: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        shape = (len(self.labels),)
        object.__setattr__(self, "logits", read_only(self.logits, np.float32, shape, "logits"))
        if self.probabilities is not None:
            frozen = read_only(self.probabilities, np.float32, shape, "probabilities", SHARE)
            object.__setattr__(self, "probabilities", frozen)

    def __float__(self) -> float:
        """Return the only value that a regression predicts, such as the cosine of two texts."""
        if self.problem != "regression" or len(self.logits) != 1:
            raise TypeError("Only a regression with one output is a number.")
        return float(self.logits[0])

    @property
    def index(self) -> int:
        """Index of the class with the highest logit."""
        return int(self.logits.argmax())

    @property
    def label(self) -> str:
        """Name of the class with the highest logit."""
        return self.labels[self.index]

    @property
    def probability(self) -> float | None:
        """Probability of that class, or ``None`` for a regression."""
        return None if self.probabilities is None else float(self.probabilities[self.index])
