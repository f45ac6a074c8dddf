"""Tokens of a vocabulary, given by id or by text."""

from typing import Any

from model_understanding.checks import is_whole
from model_understanding.errors import InputError
from model_understanding.text.continuation import continuation_of
from model_understanding.text.detokenization import pieces_of
from model_understanding.text.source_and_output import following_in_output, split_of
from model_understanding.tokens import Tokens

VocabularyItem = str | int


def vocabulary_id(
    tokenizer: Any, vocabulary: int, item: VocabularyItem, before: Tokens, *, is_contrast: bool = False
) -> int:
    """Return the id of a token given by id or by text.

    Args:
        tokenizer: The tokenizer.
        vocabulary: Size of the vocabulary.
        item: An id, or the text of one token, with or without the space before it.
        before: The tokens that it follows; a text is tokenized together with theirs.
        is_contrast: Whether it is compared with one explained token.

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
    exact = following_ids(tokenizer, before, item)
    # The vocabulary may hold the word only after a space.
    variant = item.removeprefix(" ") if item.startswith(" ") else f" {item}"
    for ids in (exact, following_ids(tokenizer, before, variant) if item.strip() else []):
        if len(ids) == 1:
            if ids[0] == tokenizer.unk_token_id and item != tokenizer.unk_token:
                break
            if ids is not exact and item.startswith(" ") and not pieces_of(tokenizer, ids)[0].startswith("▁"):
                break
            return vocabulary_id(tokenizer, vocabulary, ids[0], before)
    if exact == [tokenizer.unk_token_id]:
        raise InputError(
            f"{item!r} is not in this tokenizer's vocabulary.",
            hint="Pass a text that is in the vocabulary, or an id.",
        )
    longer = "" if is_contrast else "; explain a longer text with target='continuation'"
    raise InputError(
        f"{item!r} is {len(exact)} tokens in this tokenizer, not one.",
        hint=f"Pass the text of one token, with its leading space, or an id{longer}.",
    )


def following_ids(tokenizer: Any, before: Tokens, text: str) -> list[int]:
    """Return the ids of a text that follows others; none for an empty text."""
    if not text:
        return []
    split = split_of(before)
    try:
        if split is not None:
            return following_in_output(tokenizer, before, split[1], text)
        return continuation_of(tokenizer, before, text).tokens.ids.tolist()
    except InputError:  # special tokens only, or blanks that the tokenizer drops
        return [int(i) for i in tokenizer(text, add_special_tokens=False)["input_ids"]]
