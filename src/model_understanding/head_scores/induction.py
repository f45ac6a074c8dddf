"""Heads that continue what was said before: induction, on random tokens said twice."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from model_understanding.runner.head_question import HeadQuestion, head_means
from model_understanding.runner.head_rows import RowMeasure, weights_at
from model_understanding.runner.repeated_text import repeated_random_text


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
        runner = question.runner
        text, start, period = repeated_random_text(
            runner, question.encoding, period=self.period, count=self.sequences, seed=self.seed
        )
        second = range(start + period, start + 2 * period)
        followed = RowMeasure(
            read=lambda block: weights_at(block, block.rows[:, None] - period + 1),
            counted=lambda block: block.rows >= start + period,
        )
        (means,) = head_means(runner, text, [followed], second)
        return means[..., 0].mean(axis=0)
