"""How far away a head looks."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float

from model_understanding.attention.capture.layer import RowBlock
from model_understanding.head_scores.attention_rows import RowMeasure, on_tokens
from model_understanding.head_scores.context import HeadQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    r"""The mean distance, in tokens, between a token and what a head looks at.

    ``mean over q of Σ_k p_qk |q − k|``, where ``p_q`` are the row's weights as shares that sum to 1. Rows
    with one key to look at do not count. Part of one forward.

    Reference:
        Vig and Belinkov (2019), "Analyzing the Structure of Attention in a Transformer Language Model",
        section 4.3.

    >>> Distance().name
    'distance'
    """

    name: ClassVar[str] = "distance"
    meaning: ClassVar[str] = "how far it looks (tokens)"
    signed: ClassVar[bool] = False
    most: ClassVar[float | None] = None
    needs_target: ClassVar[bool] = False
    cost: ClassVar[str] = "1 forward, shared"
    reference: ClassVar[str] = "Vig and Belinkov 2019"

    def measure(self, question: HeadQuestion) -> RowMeasure:
        """Read how far each row looks."""
        return RowMeasure(read=_distances)

    def __call__(
        self, question: HeadQuestion, kept: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the score of every head."""
        assert kept is not None
        return kept[..., 0]


def _distances(block: RowBlock) -> Float[torch.Tensor, "batch heads rows 1"]:
    keys = torch.arange(block.first_key, block.end_key, device=block.weights.device)
    apart = (block.rows[:, None] - keys).abs()
    return (block.weights * apart).sum(dim=-1, keepdim=True) / on_tokens(block)
