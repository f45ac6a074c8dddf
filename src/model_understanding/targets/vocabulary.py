"""Tokens of a vocabulary by id and by text."""

from typing import Any

import numpy as np

from model_understanding.errors import InputError

VocabularyItem = str | int


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
