"""Repeated random tokens: a text on which only copying from its first half helps."""

import numpy as np

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.loading.wrappers import input_embeddings
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding
from model_understanding.text.tokenization import tokenize
from model_understanding.tokens import Tokens


def repeated_random_text(
    model: Model, added: tuple[tuple[int, ...], tuple[int, ...]], *, period: int, count: int, seed: int
) -> tuple[Encoding, int, int]:
    """Return texts of random tokens, each text's tokens repeated once in the same order.

    No token occurs twice in a half, and none is special. The tokens that the tokenizer adds before and after
    a text are added here too.

    Args:
        model: The model.
        added: The ids that the tokenizer adds before and after a text.
        period: How many tokens are repeated; fewer where the model or the vocabulary has no room.
        count: How many texts.
        seed: Seed of the random tokens.

    Returns:
        The texts as a batch, the position of their first random token, and the period.

    Raises:
        InputError: The period or the count is too small.
        UnsupportedModelError: The model has too few positions or tokens to repeat two of them.
    """
    if period < 2 or count < 1:
        raise InputError(
            f"Induction needs period=2 or more and sequences=1 or more. Got period={period!r}, "
            f"sequences={count!r}.",
            hint="Use for example period=25, sequences=4.",
        )
    before, after = added
    vocabulary = np.array(_ordinary_ids(model))
    limit = model.longest_input
    room = period if limit is None else (limit - len(before) - len(after)) // 2
    period = min(period, room, len(vocabulary))
    if period < 2:
        raise UnsupportedModelError(
            f"{model.name} has too few positions or tokens to repeat random ones: "
            f"{limit} positions, {len(vocabulary)} ordinary tokens.",
            hint="Use the score 'induction_in_text' on a text with repetitions.",
        )
    random = np.random.default_rng(seed)
    texts = []
    for _ in range(count):
        half = random.choice(vocabulary, period, replace=False).tolist()
        ids = [*before, *half, *half, *after]
        tokens = Tokens.from_pieces([str(token) for token in ids])
        texts.append(model.encode(tokens, {"input_ids": ids}))
    return model.batch(texts), len(before), period


def added_ids(model: Model, like: Encoding) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the ids that the tokenizer adds before and after a text.

    Args:
        model: The model.
        like: A text of the user's.
    """
    text = like.tokens[0].texts[0]
    if not text:  # a prompt of ids that stand for no text
        return (), ()
    tokens, _ = tokenize(model.tokenizer, text)
    own = np.flatnonzero(tokens.segments >= 0)
    return tuple(tokens.ids[: own[0]].tolist()), tuple(tokens.ids[own[-1] + 1 :].tolist())


def _ordinary_ids(model: Model) -> list[int]:
    """Return the ids of tokens that stand for text and that both the tokenizer and the model know."""
    rows = getattr(input_embeddings(model.module), "num_embeddings", None)
    special = {*model.tokenizer.all_special_ids, *getattr(model.tokenizer, "added_tokens_decoder", {})}
    known = sorted({*model.tokenizer.get_vocab().values()} - special)  # a vocabulary may have gaps
    return [token for token in known if rows is None or token < rows]
