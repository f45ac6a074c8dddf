"""Heads that attend to attention sinks."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float

from model_understanding.attention.capture.layer import RowBlock
from model_understanding.head_scores.attention_rows import RowMeasure, has_choice, whole_rows
from model_understanding.head_scores.context import HeadScoreContext
from model_understanding.results.attention_sinks import sinks_from_shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    r"""A head's average weight on the text's attention sinks: tokens that attract attention from all queries.

    ``mean over q of Σ_{k is a sink} weight_qk``, between 0 and 1. A token is an attention sink where some
    layer's mean over its heads gives it at least 30 % of the attention that could reach it and at least 2.5
    times its share of even attention, at any position. Rows that may attend to one key only do not count;
    for a text without an attention sink the score is 0. All scores of attention share one forward pass.

    Reference:
        Xiao et al. (2024), "Efficient Streaming Language Models with Attention Sinks"; the thresholds are
        this package's.

    >>> Sink().name
    'sink'
    """

    name: ClassVar[str] = "sink"
    meaning: ClassVar[str] = "average attention to attention sinks"
    signed: ClassVar[bool] = False
    maximum: ClassVar[float | None] = 1.0
    needs_target: ClassVar[bool] = False
    cost: ClassVar[str] = "1 forward, shared"
    reference: ClassVar[str] = "Xiao et al. 2024"

    def measure(self, context: HeadScoreContext) -> RowMeasure:
        """Read each row's weights, where it may attend, even attention over that, and whether it counts."""
        keys = len(context.attended.keys)

        def read(block: RowBlock) -> list[torch.Tensor]:
            counts = has_choice(block).to(block.weights)[:, None]
            allowed = block.allowed.to(block.weights)[:, None] * counts
            even = allowed / allowed.sum(dim=-1, keepdim=True).clamp(min=1)
            parts = (block.weights * counts, allowed, even)
            return [*(whole_rows(block, part, keys) for part in parts), counts[None, None]]

        return RowMeasure(read=read, size=3 * keys + 1, counted=lambda block: block.rows >= 0)

    def __call__(
        self, context: HeadScoreContext, means: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the score of every head."""
        assert means is not None
        queries = len(context.attended.queries)
        weights, allowed, even = np.split(means[..., :-1], 3, axis=-1)
        sinks: set[int] = set()
        for layer in range(len(weights)):
            reach = np.maximum(
                allowed[layer, 0], 1 / queries
            )  # share of the rows that may attend to each key
            rows = np.rint(queries * allowed[layer, 0])
            shares, uniform = weights[layer].mean(axis=0) / reach, even[layer, 0] / reach
            sinks.update(sinks_from_shares(shares, uniform, rows))
        return weights[..., sorted(sinks)].sum(axis=-1) / np.maximum(means[..., -1], 1 / queries)
