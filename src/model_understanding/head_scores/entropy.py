"""How widely a head spreads its attention."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float

from model_understanding.attention.capture.layer import RowBlock
from model_understanding.head_scores.attention_rows import RowMeasure, row_sums
from model_understanding.head_scores.context import HeadScoreContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Entropy:
    r"""The average entropy of a head's rows, in nats: 0 for attention to one token, ``ln n`` to n equally.

    ``mean over q of −Σ_k p_qk ln p_qk``, where ``p_q`` are the row's weights as shares that sum to 1, without
    a learned sink's. Rows that may attend to one key only do not count. All scores of attention share one
    forward pass.

    Reference:
        Clark et al. (2019), "What Does BERT Look At?", section 3.3.

    >>> Entropy().name
    'entropy'
    """

    name: ClassVar[str] = "entropy"
    meaning: ClassVar[str] = "average attention entropy (nats)"
    signed: ClassVar[bool] = False
    maximum: ClassVar[float | None] = None
    needs_target: ClassVar[bool] = False
    cost: ClassVar[str] = "1 forward, shared"
    reference: ClassVar[str] = "Clark et al. 2019"

    def measure(self, context: HeadScoreContext) -> RowMeasure:
        """Read each row's entropy."""
        return RowMeasure(read=_entropies)

    def __call__(
        self, context: HeadScoreContext, means: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the score of every head."""
        assert means is not None
        return means[..., 0]


def _entropies(block: RowBlock) -> Float[torch.Tensor, "batch heads rows 1"]:
    total = row_sums(block)
    return torch.special.entr(block.weights).sum(dim=-1, keepdim=True) / total + total.log()
