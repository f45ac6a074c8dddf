"""What head scores are computed from, and the forward pass that all scores of attention share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from model_understanding.attention.capture.weights import capture_attention
from model_understanding.attention.sides import AttendedTokens, attended_tokens
from model_understanding.head_scores.attention_rows import RowMeans, RowMeasure
from model_understanding.model.attention_layout import Stack, attention_layout
from model_understanding.model.model import Model
from model_understanding.passes.target_values import CustomTarget
from model_understanding.results import Attribution, Target
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadScoreContext:
    """A model, a text and, for scores that measure how a head matters to an answer, that answer.

    Args:
        model: The model.
        encoding: One text.
        targets: One target, or a function of the model's outputs; none for scores of attention alone.
        attribution: Scores of the tokens to compare heads with.
        stack: Which stack of an encoder–decoder is scored.
    """

    model: Model
    encoding: Encoding
    targets: Sequence[Target] | CustomTarget | None = None
    attribution: Attribution | None = None
    stack: Stack | None = None

    @property
    def attended(self) -> AttendedTokens:
        """The tokens that the heads attend from, and to."""
        return attended_tokens(self.model, self.encoding, self.stack)


def head_means(
    model: Model,
    encoding: Encoding,
    measures: Sequence[RowMeasure],
    queries: Sequence[int] | None = None,
    stack: Stack | None = None,
) -> list[Float[np.ndarray, "batch layers heads size"]]:
    """Return the means of measures over rows, for every head: one forward pass for all of them.

    Args:
        model: The model.
        encoding: The texts, all of one length.
        measures: What is read from each row.
        queries: Positions of the rows; all where left out.
        stack: Which stack of an encoder–decoder.

    Returns:
        For each measure ``(B, L, H, size)``.
    """
    layout = attention_layout(model, stack)
    reducer = RowMeans(measures=measures)
    heads = range(layout.common_heads())
    captured = capture_attention(model, encoding, layout.layers, heads, queries, reducer, stack)
    ends = np.cumsum([measure.size for measure in measures])[:-1]
    return np.split(captured.weights.double().cpu().numpy(), ends, axis=-1)
