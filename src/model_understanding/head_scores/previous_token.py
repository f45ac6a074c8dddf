"""Heads that attend to the previous token."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from model_understanding.head_scores.attention_rows import RowMeasure, weights_at
from model_understanding.head_scores.context import HeadScoreContext


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousToken:
    r"""A head's average weight on the previous token: ``mean over q ≥ 1 of weight[q, q − 1]``.

    Between 0 and 1. Such a head tells later ones what each token follows. All scores of attention share one
    forward pass.

    Reference:
        Elhage et al. (2021), "A Mathematical Framework for Transformer Circuits"; Olsson et al. (2022),
        "In-context Learning and Induction Heads".

    >>> PreviousToken().name
    'previous_token'
    """

    name: ClassVar[str] = "previous_token"
    meaning: ClassVar[str] = "average attention to the previous token"
    signed: ClassVar[bool] = False
    maximum: ClassVar[float | None] = 1.0
    needs_target: ClassVar[bool] = False
    compares_positions: ClassVar[bool] = True
    cost: ClassVar[str] = "1 forward, shared"
    reference: ClassVar[str] = "Olsson et al. 2022"

    def measure(self, context: HeadScoreContext) -> RowMeasure:
        """Read each row's weight on the previous token."""
        return RowMeasure(
            read=lambda block: weights_at(block, block.rows[:, None] - 1),
            counted=lambda block: block.rows >= 1,
        )

    def __call__(
        self, context: HeadScoreContext, means: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the score of every head."""
        assert means is not None
        return means[..., 0]
