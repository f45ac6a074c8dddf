"""Tokens of a vocabulary, by id and by text."""

from typing import Any

from model_understanding.checks import is_whole
from model_understanding.errors import InputError

VocabularyItem = str | int


def vocabulary_id(tokenizer: Any, vocabulary: int, item: VocabularyItem) -> int:
    """Return the id of a token given by id or by text.

    Args:
        tokenizer: The tokenizer.
        vocabulary: Size of the vocabulary.
        item: An id, or the text of one token, with or without the space before it.

    Returns:
        The id.

    Raises:
        InputError: The id is outside the vocabulary, or the text is not one token.
    """
    if is_whole(item):
        if not 0 <= int(item) < vocabulary:
            raise InputError(
                f"There is no token {item}: the vocabulary has {vocabulary} tokens.",
                hint=f"Pass an id from 0 to {vocabulary - 1}.",
            )
        return int(item)
    if not isinstance(item, str):
        raise InputError(
            f"A token must be a text or an id. Got {item!r}.", hint="Pass for example ' Paris' or 3681."
        )
    exact = _ids_of(tokenizer, item)
    # The vocabulary may hold the word only after a space, or, where the tokenizer adds one itself, without.
    variant = item.removeprefix(" ") if item.startswith(" ") else f" {item}"
    for ids in (exact, _ids_of(tokenizer, variant) if item.strip() else []):
        if len(ids) == 1:
            if ids[0] == tokenizer.unk_token_id and item != tokenizer.unk_token:
                break
            if ids is not exact and item.startswith(" ") and not _piece(tokenizer, ids[0]).startswith("▁"):
                break
            return vocabulary_id(tokenizer, vocabulary, ids[0])
    if exact == [tokenizer.unk_token_id]:
        raise InputError(
            f"{item!r} is not in this tokenizer's vocabulary.",
            hint="Pass a text that is in the vocabulary, or an id.",
        )
    raise InputError(
        f"{item!r} is {len(exact)} tokens in this tokenizer, not one.",
        hint="Pass the text of one token, with its leading space, or an id; "
        "explain a longer text with target='continuation'.",
    )


def token_text(tokenizer: Any, token: int) -> str:
    """Return the text of one token, or its vocabulary entry if it is only a part of a character."""
    text = tokenizer.decode([token], clean_up_tokenization_spaces=False)
    piece = _piece(tokenizer, token)
    if not text or "\ufffd" in text:
        return piece
    # SentencePiece-like decoders drop the space at the start of a text.
    return f" {text}" if piece.startswith("▁") and not text.startswith(" ") else text


def _ids_of(tokenizer: Any, text: str) -> list[int]:
    return [int(i) for i in tokenizer(text, add_special_tokens=False)["input_ids"]] if text else []


def _piece(tokenizer: Any, token: int) -> str:
    return str(tokenizer.convert_ids_to_tokens(token))
