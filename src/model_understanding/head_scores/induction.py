"""Induction heads: on repeated random tokens, and in the text itself."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float

from model_understanding.errors import InputError
from model_understanding.head_scores.attention_rows import RowMeasure, weights_at
from model_understanding.head_scores.context import HeadQuestion, head_means
from model_understanding.head_scores.repeated_text import repeated_random_text
from model_understanding.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Induction:
    r"""How much a head looks at what followed the same token before, on random tokens said twice.

    ``mean over the second half of weight[q, q − period + 1]``, between 0 and 1. The texts are made here and
    are the same for every text asked about: ``sequences`` of ``period`` random ordinary tokens, each said
    twice in the same order between what the tokenizer adds. A model with fewer positions gets a shorter
    period. One forward of its own over ``sequences · (2 · period + added)`` token positions.
    ``induction_in_text`` asks the same of the user's own text.

    Args:
        period: How many random tokens are repeated.
        sequences: Over how many such texts the score is averaged.
        seed: Seed of the random tokens.

    Raises:
        InputError: The period is below 2, or there is no sequence.
        UnsupportedModelError: The model has no room for tokens said twice.

    Reference:
        Olsson et al. (2022), "In-context Learning and Induction Heads": the prefix-matching score, there
        of 25 random tokens said four times.

    >>> Induction().period
    25
    """

    name: ClassVar[str] = "induction"
    meaning: ClassVar[str] = "weight on what followed the same token before (random tokens said twice)"
    signed: ClassVar[bool] = False
    most: ClassVar[float | None] = 1.0
    needs_target: ClassVar[bool] = False
    cost: ClassVar[str] = "1 forward over random tokens"
    reference: ClassVar[str] = "Olsson et al. 2022"

    period: int = 25
    sequences: int = 4
    seed: int = 0

    def measure(self, question: HeadQuestion) -> None:
        """Read nothing of the text's own attention."""

    def __call__(
        self, question: HeadQuestion, kept: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the score of every head."""
        text, start, period = repeated_random_text(
            question.runner.model, question.encoding, period=self.period, count=self.sequences, seed=self.seed
        )
        second = range(start + period, start + 2 * period)
        followed = RowMeasure(
            read=lambda block: weights_at(block, block.rows[:, None] - period + 1),
            counted=lambda block: block.rows >= start + period,
        )
        (means,) = head_means(question.runner, text, [followed], second)
        return means[..., 0].mean(axis=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class InductionInText:
    r"""How much a head looks at what followed the same token before, where the text repeats itself.

    ``mean over q of Σ_k weight_qk``, q the tokens that stood in the text before, k what followed each earlier
    one and stands before q; between 0 and 1. Special and template tokens are left aside. Part of one
    forward. Text that repeats itself does so in many ways at once: ``induction`` asks the same of random
    tokens, where only copying helps.

    Raises:
        InputError: No token of the text stands in it twice with another between.

    Reference:
        Olsson et al. (2022), "In-context Learning and Induction Heads": the prefix-matching score.

    >>> InductionInText().name
    'induction_in_text'
    """

    name: ClassVar[str] = "induction_in_text"
    meaning: ClassVar[str] = "weight on what followed the same token before (in this text)"
    signed: ClassVar[bool] = False
    most: ClassVar[float | None] = 1.0
    needs_target: ClassVar[bool] = False
    cost: ClassVar[str] = "1 forward, shared"
    reference: ClassVar[str] = "Olsson et al. 2022"

    def measure(self, question: HeadQuestion) -> RowMeasure:
        """Read each row's weight on what followed its token before."""
        followed = _followed(question.encoding.tokens[0])
        width = max(map(len, followed), default=0)
        if not width:
            raise InputError(
                "The text does not repeat itself: no token stands in it twice with another between.",
                hint="Use the score induction, which is measured on random tokens said twice.",
            )
        keys = torch.tensor([[*row, *[-1] * (width - len(row))] for row in followed])

        return RowMeasure(
            read=lambda block: weights_at(block, keys.to(block.rows.device)[block.rows]),
            counted=lambda block: (keys.to(block.rows.device)[block.rows] >= 0).any(dim=-1),
        )

    def __call__(
        self, question: HeadQuestion, kept: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the score of every head."""
        assert kept is not None
        return kept[..., 0]


def _followed(tokens: Tokens) -> list[list[int]]:
    """Return for each token the positions that followed the same token before it."""
    before: dict[int, list[int]] = {}
    found: list[list[int]] = []
    for position, (token, special) in enumerate(zip(tokens.ids.tolist(), tokens.special, strict=True)):
        earlier = [] if special else before.setdefault(token, [])
        found.append([place + 1 for place in earlier if place + 1 < position])
        if not special:
            earlier.append(position)
    return found
