"""Heads that attend to what a saliency map marks as important."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float

from model_understanding.attention.capture.layer import RowBlock
from model_understanding.errors import InputError
from model_understanding.head_scores.attention_rows import RowMeasure, whole_rows
from model_understanding.head_scores.context import HeadScoreContext
from model_understanding.results import Attribution
from model_understanding.statistics import rank_correlation

_LEAST_TOKENS = 3
_EQUAL = 1e-6  # of the largest weight


@dataclass(frozen=True, slots=True, kw_only=True)
class SaliencyAgreement:
    r"""Spearman's correlation between a head's attention to tokens and their scores in a saliency map.

    ``ρ( mean over q of weight_qk , |score_k| )`` over the tokens k that can contribute and are not special.
    The rows q are those whose answer is explained (of a language model the positions where its target is
    read); of a classifier all of them. Between −1 and 1, 0 where a head attends to all tokens equally. All
    scores of attention share one forward pass; the saliency map has its own cost where none is given.

    Raises:
        InputError: Fewer than three tokens can be compared, or the saliency map is of another text.

    Reference:
        Jain and Wallace (2019), "Attention is not Explanation", section 4.1, which takes Kendall's τ.

    >>> SaliencyAgreement().name
    'saliency_agreement'
    """

    name: ClassVar[str] = "saliency_agreement"
    meaning: ClassVar[str] = "rank correlation between attention and saliency"
    signed: ClassVar[bool] = False
    maximum: ClassVar[float | None] = 1.0
    needs_target: ClassVar[bool] = True
    cost: ClassVar[str] = "1 forward, shared, and the saliency map"
    reference: ClassVar[str] = "Jain and Wallace 2019"

    def measure(self, context: HeadScoreContext) -> RowMeasure:
        """Read the rows whose answer is explained."""
        tokens = context.encoding.ids.shape[1]
        attribution = _attribution_of(context)
        rows = sorted({position for target in attribution.targets for position in target.positions})
        answering = torch.zeros(tokens, dtype=torch.bool)
        answering[rows or range(tokens)] = True
        if int(_compared(attribution).sum()) < _LEAST_TOKENS:
            raise InputError(
                f"saliency_agreement needs {_LEAST_TOKENS} tokens or more that are not special. The text has "
                f"{int(_compared(attribution).sum())}.",
                hint="Pass a longer text, or use another score.",
            )

        def read(block: RowBlock) -> Float[torch.Tensor, "batch heads rows size"]:
            return whole_rows(block, block.weights, tokens)

        return RowMeasure(
            read=read, size=tokens, counted=lambda block: answering.to(block.rows.device)[block.rows]
        )

    def __call__(
        self, context: HeadScoreContext, means: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the score of every head."""
        assert means is not None
        attribution = _attribution_of(context)
        compared = _compared(attribution)
        important = np.abs(attribution.normalized().scores).sum(axis=0)[compared]
        attention = means[..., compared]
        # What differs by rounding alone shares a rank.
        steps = np.maximum(attention.max(axis=-1, keepdims=True), 1e-12) * _EQUAL
        ranked = np.rint(attention / steps)
        return np.array([[rank_correlation(head, important) or 0.0 for head in layer] for layer in ranked])


def _attribution_of(context: HeadScoreContext) -> Attribution:
    attribution = context.attribution
    if attribution is None:
        raise InputError(
            "saliency_agreement compares heads with a saliency map, and none was given.",
            hint="Pass attribution=visualizer.compute_saliency(text).",
        )
    ids = context.encoding.tokens[0].ids
    if len(attribution.tokens) != len(ids) or (attribution.tokens.ids != ids).any():
        raise InputError(
            f"The saliency map is of another text: it has {len(attribution.tokens)} tokens, the text "
            f"{len(ids)}.",
            hint="Pass the saliency map of this text.",
        )
    return attribution


def _compared(attribution: Attribution) -> np.ndarray:
    return attribution.valid.any(axis=0) & ~attribution.tokens.special
