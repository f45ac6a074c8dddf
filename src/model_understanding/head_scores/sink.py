"""Heads that rest on a sink."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float

from model_understanding.attention.capture.layer import RowBlock
from model_understanding.head_scores.attention_rows import RowMeasure, has_choice, whole_rows
from model_understanding.head_scores.context import HeadQuestion
from model_understanding.results.attention_sinks import sinks_from_shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    r"""A head's mean weight on the text's sinks: tokens that soak up attention whoever asks.

    ``mean over q of Σ_{k is a sink} weight_qk``, between 0 and 1. A token is a sink where some layer's
    mean over its heads gives it at least 30 % of the attention it could get and at least 2.5 times an even
    share, at any position. Rows with one key to look at do not count; of a text without a sink the score
    is 0. Part of one forward.

    Reference:
        Xiao et al. (2024), "Efficient Streaming Language Models with Attention Sinks"; the thresholds are
        this package's.

    >>> Sink().name
    'sink'
    """

    name: ClassVar[str] = "sink"
    meaning: ClassVar[str] = "weight on sinks"
    signed: ClassVar[bool] = False
    most: ClassVar[float | None] = 1.0
    needs_target: ClassVar[bool] = False
    cost: ClassVar[str] = "1 forward, shared"
    reference: ClassVar[str] = "Xiao et al. 2024"

    def measure(self, question: HeadQuestion) -> RowMeasure:
        """Read each row's weights, where it may look, what even attention would give, and that it counts."""
        tokens = question.encoding.ids.shape[1]

        def read(block: RowBlock) -> list[torch.Tensor]:
            counts = has_choice(block).to(block.weights)[:, None]
            allowed = block.allowed.to(block.weights)[:, None] * counts
            even = allowed / allowed.sum(dim=-1, keepdim=True).clamp(min=1)
            parts = (block.weights * counts, allowed, even)
            return [*(whole_rows(block, part, tokens) for part in parts), counts[None, None]]

        return RowMeasure(read=read, size=3 * tokens + 1, counted=lambda block: block.rows >= 0)

    def __call__(
        self, question: HeadQuestion, kept: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the score of every head."""
        assert kept is not None
        tokens = question.encoding.ids.shape[1]
        weights, allowed, even = np.split(kept[..., :-1], 3, axis=-1)
        sinks: set[int] = set()
        for layer in range(len(weights)):
            looked = np.maximum(allowed[layer, 0], 1 / tokens)  # share of the rows that may look at each key
            rows = np.rint(tokens * allowed[layer, 0])
            shares, uniform = weights[layer].mean(axis=0) / looked, even[layer, 0] / looked
            sinks.update(sinks_from_shares(shares, uniform, rows))
        return weights[..., sorted(sinks)].sum(axis=-1) / np.maximum(kept[..., -1], 1 / tokens)
