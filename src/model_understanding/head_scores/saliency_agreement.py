"""Heads that attend to what a saliency map marks as important."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float

from model_understanding.attention.capture.layer import RowBlock
from model_understanding.attention.sides import AttendedTokens
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
    read); of a classifier, and of an encoder, all of them. Between −1 and 1, 0 where a head attends to all
    tokens equally. All scores of attention share one forward pass; the saliency map has its own cost where
    none is given.

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
        attribution, attended = _attribution_of(context), context.attended
        queries, keys = len(attended.queries), len(attended.keys)
        positions = {position for target in attribution.targets for position in target.positions}
        rows = sorted(positions - {*range(attended.first_query)}) if context.stack != "encoder" else []
        answering = torch.zeros(queries, dtype=torch.bool)
        answering[[row - attended.first_query for row in rows] or range(queries)] = True
        compared = int(_compared(attribution)[_of_keys(attended)].sum())
        if compared < _LEAST_TOKENS:
            raise InputError(
                f"saliency_agreement needs {_LEAST_TOKENS} tokens or more that are not special. The text has "
                f"{compared}.",
                hint="Pass a longer text, or use another score.",
            )

        def read(block: RowBlock) -> Float[torch.Tensor, "batch heads rows size"]:
            return whole_rows(block, block.weights, keys)

        return RowMeasure(
            read=read, size=keys, counted=lambda block: answering.to(block.rows.device)[block.rows]
        )

    def __call__(
        self, context: HeadScoreContext, means: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the score of every head."""
        assert means is not None
        attribution, of_keys = _attribution_of(context), _of_keys(context.attended)
        compared = _compared(attribution)[of_keys]
        important = np.abs(attribution.normalized().scores).sum(axis=0)[of_keys][compared]
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
    if context.stack == "decoder" and context.encoding.source_length is None:
        raise InputError(
            "The decoder of a classifier reads the text moved by one token, which is not what a saliency map "
            "scores.",
            hint="Use stack='encoder' or stack='cross'.",
        )
    ids = context.encoding.tokens[0].ids
    if len(attribution.tokens) != len(ids) or (attribution.tokens.ids != ids).any():
        raise InputError(
            f"The saliency map is of another text: it has {len(attribution.tokens)} tokens, the text "
            f"{len(ids)}.",
            hint="Pass the saliency map of this text.",
        )
    return attribution


def _of_keys(attended: AttendedTokens) -> slice:
    """Return which tokens of the text are the keys."""
    return slice(attended.first_key, attended.first_key + len(attended.keys))


def _compared(attribution: Attribution) -> np.ndarray:
    return attribution.valid.any(axis=0) & ~attribution.tokens.special
