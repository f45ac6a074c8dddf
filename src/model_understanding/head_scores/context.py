"""What is asked about the heads of a model, and the forward that serves all scores of attention."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from model_understanding.attention.capture.weights import capture_attention
from model_understanding.head_scores.attention_rows import RowMeans, RowMeasure
from model_understanding.model.attention_layout import layer_count
from model_understanding.passes.runner import CustomTarget, Runner
from model_understanding.results import Attribution, Target
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadQuestion:
    """A model, a text and, for scores that ask how a head matters to an answer, that answer.

    Args:
        runner: The runner.
        encoding: One text.
        targets: One target, or a function of the model's outputs; none for scores of attention alone.
        attribution: Scores of the tokens that heads are compared with.
    """

    runner: Runner
    encoding: Encoding
    targets: Sequence[Target] | CustomTarget | None = None
    attribution: Attribution | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """How many layers and heads the model has."""
        return layer_count(
            self.runner.model.config
        ), self.runner.model.config.get_text_config().num_attention_heads


def head_means(
    runner: Runner,
    encoding: Encoding,
    measures: Sequence[RowMeasure],
    queries: Sequence[int] | None = None,
) -> list[Float[np.ndarray, "batch layers heads size"]]:
    """Return the means of measures over rows, for every head: one forward for all of them.

    Args:
        runner: The runner.
        encoding: The texts, all of one length.
        measures: What is read from each row.
        queries: Positions of the rows; all where left out.

    Returns:
        For each measure ``(B, L, H, size)``.
    """
    layers, heads = HeadQuestion(runner=runner, encoding=encoding).shape
    reducer = RowMeans(measures=measures)
    found = capture_attention(runner.model, encoding, range(layers), range(heads), queries, reducer)
    ends = np.cumsum([measure.size for measure in measures])[:-1]
    return np.split(found.weights.double().cpu().numpy(), ends, axis=-1)
