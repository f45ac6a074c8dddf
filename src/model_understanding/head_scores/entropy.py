"""How widely a head spreads its attention."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float

from model_understanding.attention.capture.layer import RowBlock
from model_understanding.head_scores.attention_rows import RowMeasure, on_tokens
from model_understanding.head_scores.context import HeadQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Entropy:
    r"""The entropy of a head's rows, in nats: 0 where it looks at one token, ``ln n`` where at n alike.

    ``mean over q of −Σ_k p_qk ln p_qk``, where ``p_q`` are the row's weights as shares that sum to 1 (a
    learned sink's share is left out). Rows with one key to look at do not count. Part of one forward.

    Reference:
        Clark et al. (2019), "What Does BERT Look At?", section 3.3.

    >>> Entropy().name
    'entropy'
    """

    name: ClassVar[str] = "entropy"
    meaning: ClassVar[str] = "how widely it looks (entropy of a row, nats)"
    signed: ClassVar[bool] = False
    most: ClassVar[float | None] = None
    needs_target: ClassVar[bool] = False
    cost: ClassVar[str] = "1 forward, shared"
    reference: ClassVar[str] = "Clark et al. 2019"

    def measure(self, question: HeadQuestion) -> RowMeasure:
        """Read each row's entropy."""
        return RowMeasure(read=_entropies)

    def __call__(
        self, question: HeadQuestion, kept: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the score of every head."""
        assert kept is not None
        return kept[..., 0]


def _entropies(block: RowBlock) -> Float[torch.Tensor, "batch heads rows 1"]:
    total = on_tokens(block)
    return torch.special.entr(block.weights).sum(dim=-1, keepdim=True) / total + total.log()
