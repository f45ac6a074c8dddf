"""How far a head attends."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float

from model_understanding.attention.capture.layer import RowBlock
from model_understanding.head_scores.attention_rows import RowMeasure, row_sums
from model_understanding.head_scores.context import HeadScoreContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    r"""The average distance, in tokens, between a query and the keys that a head attends to.

    ``mean over q of Σ_k p_qk |q − k|``, where ``p_q`` are the row's weights as shares that sum to 1. Rows
    that may attend to one key only do not count. All scores of attention share one forward pass.

    Reference:
        Vig and Belinkov (2019), "Analyzing the Structure of Attention in a Transformer Language Model",
        section 4.3.

    >>> Distance().name
    'distance'
    """

    name: ClassVar[str] = "distance"
    meaning: ClassVar[str] = "average attention distance (tokens)"
    signed: ClassVar[bool] = False
    maximum: ClassVar[float | None] = None
    needs_target: ClassVar[bool] = False
    compares_positions: ClassVar[bool] = True
    cost: ClassVar[str] = "1 forward, shared"
    reference: ClassVar[str] = "Vig and Belinkov 2019"

    def measure(self, context: HeadScoreContext) -> RowMeasure:
        """Read each row's average distance."""
        return RowMeasure(read=_distances)

    def __call__(
        self, context: HeadScoreContext, means: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the score of every head."""
        assert means is not None
        return means[..., 0]


def _distances(block: RowBlock) -> Float[torch.Tensor, "batch heads rows 1"]:
    keys = torch.arange(block.first_key, block.end_key, device=block.weights.device)
    distances = (block.rows[:, None] - keys).abs()
    return (block.weights * distances).sum(dim=-1, keepdim=True) / row_sums(block)
