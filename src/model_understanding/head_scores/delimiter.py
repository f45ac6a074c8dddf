"""Heads that attend to delimiters."""

import unicodedata
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float

from model_understanding.attention.capture.layer import RowBlock
from model_understanding.head_scores.attention_rows import RowMeasure
from model_understanding.head_scores.context import HeadScoreContext
from model_understanding.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Delimiter:
    r"""A head's average weight on delimiters: special and template tokens, punctuation, line breaks.

    ``mean over q of Σ_{k is a delimiter} weight_qk``, between 0 and 1. Rows that may attend to one key only
    do not count; for a text without delimiters the score is 0. All scores of attention share one forward
    pass.

    Reference:
        Clark et al. (2019), "What Does BERT Look At?", section 3.2.

    >>> Delimiter().name
    'delimiter'
    """

    name: ClassVar[str] = "delimiter"
    meaning: ClassVar[str] = "average attention to special tokens and punctuation"
    signed: ClassVar[bool] = False
    maximum: ClassVar[float | None] = 1.0
    needs_target: ClassVar[bool] = False
    cost: ClassVar[str] = "1 forward, shared"
    reference: ClassVar[str] = "Clark et al. 2019"

    def measure(self, context: HeadScoreContext) -> RowMeasure:
        """Read each row's weight on delimiters."""
        delimiters = torch.from_numpy(delimiters_of(context.attended.keys))

        def read(block: RowBlock) -> Float[torch.Tensor, "batch heads rows 1"]:
            keys = delimiters[block.first_key : block.end_key].to(block.weights)
            return (block.weights @ keys)[..., None]

        return RowMeasure(read=read)

    def __call__(
        self, context: HeadScoreContext, means: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the score of every head."""
        assert means is not None
        return means[..., 0]


def delimiters_of(tokens: Tokens) -> Bool[np.ndarray, " tokens"]:
    """Return which tokens are special, or consist only of punctuation and blanks with a mark or line break.

    >>> delimiters_of(Tokens.from_pieces(["so", ",", "(b)", "...", "€"])).tolist()
    [False, True, False, True, False]
    """
    return np.array(
        [
            bool(special) or _is_delimiter(surface)
            for special, surface in zip(tokens.special, tokens.surfaces(), strict=True)
        ],
        dtype=bool,
    )


def _is_delimiter(surface: str) -> bool:
    marks = surface.strip()
    if not marks:
        return "\n" in surface or "\r" in surface
    return all(unicodedata.category(character).startswith("P") for character in marks)
