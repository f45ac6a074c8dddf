"""Induction heads: on repeated random tokens, and in the text itself."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.head_scores.attention_rows import RowMeasure, weights_at
from model_understanding.head_scores.context import HeadScoreContext, head_means
from model_understanding.head_scores.repeated_text import added_ids, repeated_random_text
from model_understanding.model.model import Model
from model_understanding.model.unchanged import measured_while_unchanged
from model_understanding.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Induction:
    r"""A head's average attention to the token after an earlier copy of the query, on repeated random tokens.

    ``mean over the second half of weight[q, q − period + 1]``, between 0 and 1. The texts are generated and
    do not depend on the text to explain: ``sequences`` of ``period`` random ordinary tokens, each repeated
    once in the same order, with the special tokens that the tokenizer adds. A model with fewer positions
    gets a shorter period. One forward pass of its own over ``sequences · (2 · period + added)`` token
    positions, once for all texts. ``induction_in_text`` measures the same on the text itself.

    Args:
        period: How many random tokens are repeated.
        sequences: Over how many such texts the score is averaged.
        seed: Seed of the random tokens.

    Raises:
        InputError: The period is below 2, or there is no sequence.
        UnsupportedModelError: The model has too few positions for repeated tokens.

    Reference:
        Olsson et al. (2022), "In-context Learning and Induction Heads": the prefix-matching score, there
        with 25 random tokens that occur four times.

    >>> Induction().period
    25
    """

    name: ClassVar[str] = "induction"
    meaning: ClassVar[str] = "attention to the token after an earlier copy (repeated random tokens)"
    signed: ClassVar[bool] = False
    maximum: ClassVar[float | None] = 1.0
    needs_target: ClassVar[bool] = False
    compares_positions: ClassVar[bool] = True
    cost: ClassVar[str] = "1 forward over random tokens"
    reference: ClassVar[str] = "Olsson et al. 2022"

    period: int = 25
    sequences: int = 4
    seed: int = 0

    def measure(self, context: HeadScoreContext) -> None:
        """Read nothing of the text's own attention."""

    def __call__(
        self, context: HeadScoreContext, means: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the score of every head."""
        if context.stack is not None:
            raise UnsupportedModelError(
                "The score 'induction' is measured on texts that repeat random tokens, and "
                f"{context.model.name} reads a text and writes another.",
                hint="Use the score 'induction_in_text' with stack='encoder' or stack='decoder'.",
            )
        added = added_ids(context.model, context.encoding)
        return _prefix_matching(context.model, added, self.period, self.sequences, self.seed)


@measured_while_unchanged
def _prefix_matching(
    model: Model, added: tuple[tuple[int, ...], tuple[int, ...]], period: int, sequences: int, seed: int
) -> Float[np.ndarray, "layers heads"]:
    """Return the average attention to the token after an earlier copy: the same for every text."""
    text, start, period = repeated_random_text(model, added, period=period, count=sequences, seed=seed)
    second = range(start + period, start + 2 * period)
    measure = RowMeasure(
        read=lambda block: weights_at(block, block.rows[:, None] - period + 1),
        counted=lambda block: block.rows >= start + period,
    )
    (means,) = head_means(model, text, [measure], second)
    return means[..., 0].mean(axis=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class InductionInText:
    r"""A head's average attention to the token after an earlier copy of the query, in the text itself.

    ``mean over q of Σ_k weight_qk``, q the tokens that occur in the text before, k the tokens after each
    earlier occurrence and before q; between 0 and 1. Special and template tokens are excluded. All scores of
    attention share one forward pass. Natural text has repetitions of many kinds: ``induction`` measures the
    same on random tokens, where only copying helps.

    Raises:
        InputError: No token occurs twice in the text with another one between.

    Reference:
        Olsson et al. (2022), "In-context Learning and Induction Heads": the prefix-matching score.

    >>> InductionInText().name
    'induction_in_text'
    """

    name: ClassVar[str] = "induction_in_text"
    meaning: ClassVar[str] = "attention to the token after an earlier copy (in this text)"
    signed: ClassVar[bool] = False
    maximum: ClassVar[float | None] = 1.0
    needs_target: ClassVar[bool] = False
    compares_positions: ClassVar[bool] = True
    cost: ClassVar[str] = "1 forward, shared"
    reference: ClassVar[str] = "Olsson et al. 2022"

    def measure(self, context: HeadScoreContext) -> RowMeasure:
        """Read each row's weight on the tokens after earlier copies of its token."""
        following = _after_copies(context.attended.queries)
        width = max(map(len, following), default=0)
        if not width:
            raise InputError(
                "Induction in text needs a token that occurs twice in the text with another one between.",
                hint="Use the score 'induction', which is measured on repeated random tokens.",
            )
        keys = torch.tensor([[*row, *[-1] * (width - len(row))] for row in following])
        return RowMeasure(
            read=lambda block: weights_at(block, keys.to(block.rows.device)[block.rows]),
            counted=lambda block: (keys.to(block.rows.device)[block.rows] >= 0).any(dim=-1),
        )

    def __call__(
        self, context: HeadScoreContext, means: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the score of every head."""
        assert means is not None
        return means[..., 0]


def _after_copies(tokens: Tokens) -> list[list[int]]:
    """Return for each token the positions just after its earlier occurrences."""
    occurrences: dict[int, list[int]] = {}
    following: list[list[int]] = []
    for position, (token, special) in enumerate(zip(tokens.ids.tolist(), tokens.special, strict=True)):
        earlier = [] if special else occurrences.setdefault(token, [])
        following.append([copy + 1 for copy in earlier if copy + 1 < position])
        if not special:
            earlier.append(position)
    return following
