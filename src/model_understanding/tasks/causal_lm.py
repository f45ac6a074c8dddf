"""Causal language models: the prompt's loss, the next token, and a continuation.

The logits at position p say what the model expects at p + 1.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_understanding.errors import InputError
from model_understanding.results import Target
from model_understanding.results.target import QUANTITIES, Quantity
from model_understanding.tasks import CAUSAL_LM

VocabularyItem = str | int


def loss_target(ids: Sequence[int]) -> Target:
    """Return the language-model loss of a prompt: the mean negative log-probability of its own tokens.

    ``−1/(T−1) Σ_{t≥1} log p(id_t | id_<t)``, what transformers returns for ``labels=input_ids``.

    Args:
        ids: The prompt's T ids.

    Returns:
        The target.

    Raises:
        InputError: The prompt has one token, which nothing predicts.
    """
    if len(ids) < 2:
        raise InputError(
            "A prompt of one token has no loss: nothing comes before it to predict it.",
            hint="Pass a longer prompt, or target='next'.",
        )
    return Target(
        task=CAUSAL_LM,
        positions=tuple(range(len(ids) - 1)),
        indices=tuple(int(i) for i in ids[1:]),
        reduce="mean",
        quantity="loss",
        name="loss",
    )


def next_target(
    tokenizer: Any,
    vocabulary: int,
    position: int,
    token: int,
    against: VocabularyItem | None,
    quantity: Quantity,
) -> Target:
    """Return the token after a position as target.

    Args:
        tokenizer: The tokenizer, for names.
        vocabulary: Size of the vocabulary.
        position: Position of the logits that predict it.
        token: Its id.
        against: Another token as contrast, or ``None``.
        quantity: ``logit``, ``log_prob`` or ``prob``.

    Returns:
        The target.

    Raises:
        InputError: The contrast or the quantity is unknown.
    """
    check_quantity(quantity)
    contrast = () if against is None else (vocabulary_id(tokenizer, vocabulary, against),)
    if contrast == (token,):
        raise InputError(
            f"The target and its contrast are both {token_text(tokenizer, token)!r}.",
            hint="Pass another token as against.",
        )
    return Target(
        task=CAUSAL_LM,
        positions=(position,),
        indices=(token,),
        labels=(token_text(tokenizer, token),),
        against=contrast,
        against_labels=tuple(token_text(tokenizer, other) for other in contrast),
        quantity=quantity,
    )


def continuation_targets(
    ids: Sequence[int], prompt_length: int, labels: Sequence[str], *, per_token: bool, quantity: Quantity
) -> tuple[Target, ...]:
    """Return a continuation as one target, or each of its tokens as one.

    Args:
        ids: Ids of the prompt and the continuation.
        prompt_length: How many are the prompt.
        labels: Text of each token of the continuation.
        per_token: Whether each token is a target of its own.
        quantity: ``log_prob`` (their sum is the continuation's), ``logit`` or ``prob``.

    Returns:
        One target, or one for each token of the continuation.
    """
    check_quantity(quantity)
    positions = range(prompt_length - 1, len(ids) - 1)
    if per_token:
        return tuple(
            Target(
                task=CAUSAL_LM,
                positions=(position,),
                indices=(int(ids[position + 1]),),
                labels=(label,),
                quantity=quantity,
            )
            for position, label in zip(positions, labels, strict=True)
        )
    return (
        Target(
            task=CAUSAL_LM,
            positions=tuple(positions),
            indices=tuple(int(ids[position + 1]) for position in positions),
            labels=tuple(labels),
            quantity=quantity,
            name="continuation",
        ),
    )


def check_quantity(quantity: str) -> None:
    """Raise InputError unless the quantity is one that can be read from logits."""
    if quantity not in QUANTITIES:
        raise InputError(
            f"Quantity {quantity!r} is unknown. Allowed: {', '.join(QUANTITIES)}.",
            hint="Use quantity='log_prob' unless you need another.",
        )


def vocabulary_id(tokenizer: Any, vocabulary: int, item: VocabularyItem) -> int:
    """Return the id of a token given by id or by text.

    Args:
        tokenizer: The tokenizer.
        vocabulary: Size of the vocabulary.
        item: An id, or a text that is one token; a text that is one token only after a blank is taken so.

    Returns:
        The id.

    Raises:
        InputError: The id is outside the vocabulary, or the text is not one token.
    """
    if isinstance(item, bool) or not isinstance(item, str | int | np.integer):
        raise InputError(f"A token is a text or an id. Got {item!r}.", hint="Pass ' Paris' or 3681.")
    if not isinstance(item, str):
        if not 0 <= item < vocabulary:
            raise InputError(
                f"There is no token {item}: the vocabulary has {vocabulary}.",
                hint=f"Pass an id from 0 to {vocabulary - 1}.",
            )
        return int(item)
    given = _ids_of(tokenizer, item)
    # A word as the tokenizer knows it: after a blank, or, where it puts one itself, without.
    other = item.removeprefix(" ") if item.startswith(" ") else f" {item}"
    for ids in (given, _ids_of(tokenizer, other) if item.strip() else []):
        if len(ids) == 1:
            if ids[0] == tokenizer.unk_token_id and item != tokenizer.unk_token:
                break
            if ids is not given and item.startswith(" ") and not _piece(tokenizer, ids[0]).startswith("▁"):
                break
            return vocabulary_id(tokenizer, vocabulary, ids[0])
    if given == [tokenizer.unk_token_id]:
        raise InputError(
            f"{item!r} is not in this tokenizer's vocabulary.", hint="Pass a text it knows, or an id."
        )
    raise InputError(
        f"{item!r} is {len(given)} tokens for this tokenizer, not one.",
        hint="Pass the text of one token (its blank counts), an id, or explain it as a continuation.",
    )


def token_text(tokenizer: Any, token: int) -> str:
    """Return the text of one token; the piece where it spells no character of its own."""
    text = tokenizer.decode([token], clean_up_tokenization_spaces=False)
    piece = _piece(tokenizer, token)
    if not text or "\ufffd" in text:
        return piece
    # A decoder of SentencePiece's kind drops the blank at the start of a text.
    return f" {text}" if piece.startswith("▁") and not text.startswith(" ") else text


def _ids_of(tokenizer: Any, text: str) -> list[int]:
    return [int(i) for i in tokenizer(text, add_special_tokens=False)["input_ids"]] if text else []


def _piece(tokenizer: Any, token: int) -> str:
    return str(tokenizer.convert_ids_to_tokens(token))
