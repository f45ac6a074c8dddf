"""Heads that look at the token before."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from model_understanding.head_scores.attention_rows import RowMeasure, weights_at
from model_understanding.head_scores.context import HeadQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousToken:
    r"""A head's mean weight on the token just before: ``mean over q ≥ 1 of weight[q, q − 1]``.

    Between 0 and 1. Such a head lets a later one know what each token came after. Part of one forward.

    Reference:
        Elhage et al. (2021), "A Mathematical Framework for Transformer Circuits"; Olsson et al. (2022),
        "In-context Learning and Induction Heads".

    >>> PreviousToken().name
    'previous_token'
    """

    name: ClassVar[str] = "previous_token"
    meaning: ClassVar[str] = "weight on the token before"
    signed: ClassVar[bool] = False
    most: ClassVar[float | None] = 1.0
    needs_target: ClassVar[bool] = False
    cost: ClassVar[str] = "1 forward, shared"
    reference: ClassVar[str] = "Olsson et al. 2022"

    def measure(self, question: HeadQuestion) -> RowMeasure:
        """Read each row's weight on the token before."""
        return RowMeasure(
            read=lambda block: weights_at(block, block.rows[:, None] - 1),
            counted=lambda block: block.rows >= 1,
        )

    def __call__(
        self, question: HeadQuestion, kept: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the score of every head."""
        assert kept is not None
        return kept[..., 0]
