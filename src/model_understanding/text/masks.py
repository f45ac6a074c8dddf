"""Masks in a text: how they are spelled, where they are, and which tokens a word has in their place."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import regex

from model_understanding.errors import InputError
from model_understanding.text.cautions import listed
from model_understanding.text.continuation import middle_ids
from model_understanding.text.tokenization import check_text, tokenize
from model_understanding.text.words import Words
from model_understanding.tokens import Tokens

_SPELLINGS = regex.compile(r"\[mask\]|<\|?mask\|?>", regex.IGNORECASE)  # of BERT, of RoBERTa, and others
_MARKS = ("##", "Ġ", "▁")  # with which a tokenizer's raw token may start, and hardly any text


def mask_token_of(tokenizer: Any) -> str:
    """Return the text of a tokenizer's mask token.

    Raises:
        InputError: It has none.
    """
    if getattr(tokenizer, "mask_token", None) is None or tokenizer.mask_token_id is None:
        raise InputError(
            f"{type(tokenizer).__name__} has no mask token.",
            hint="Set the token that the model was trained to fill in: tokenizer.mask_token = '[MASK]'.",
        )
    return str(tokenizer.mask_token)


def with_own_masks(tokenizer: Any, text: Any) -> tuple[Any, tuple[str, ...]]:
    """Return a text with its masks spelled as the tokenizer's own, and a warning if they were not.

    A text that has the tokenizer's own mask is left as it is.

    Args:
        tokenizer: A tokenizer with a mask token.
        text: A text, its words, or a pair of these; anything else is returned as it is.

    Raises:
        InputError: The tokenizer has no mask token.
    """
    own = mask_token_of(tokenizer)
    is_pair = isinstance(text, tuple) and not isinstance(text, Words)
    parts = list(text) if is_pair else [text]
    spelled = [word for part in parts for word in (part if isinstance(part, Words) else [part])]
    spelled = [word for word in spelled if isinstance(word, str)]
    if any(own in word for word in spelled):
        return text, ()
    others = [match for word in spelled for match in _SPELLINGS.findall(word)]
    if not others:
        return text, ()

    def replaced(part: Any) -> Any:
        if isinstance(part, Words):
            return Words(map(replaced, part))
        return _SPELLINGS.sub(lambda _: own, part) if isinstance(part, str) else part

    result = [replaced(part) for part in parts]
    caution = f"{listed(others)} was read as this tokenizer's mask token, '{own}'."
    return (tuple(result) if is_pair else result[0]), (caution,)


def mask_positions(tokenizer: Any, tokens: Tokens) -> tuple[int, ...]:
    """Return the positions of the mask tokens of a text.

    Args:
        tokenizer: A tokenizer with a mask token.
        tokens: The tokens of the text.

    Raises:
        InputError: There are none.
    """
    own = mask_token_of(tokenizer)
    positions = np.flatnonzero(tokens.ids == tokenizer.mask_token_id)
    if not len(positions):
        text = " ▸ ".join(tokens.texts)
        raise InputError(
            f"The text {text[:60]!r} has no mask token.",
            hint=f"Write {own} in the place of a word, or mask a word of the text: "
            "visualizer.mask(text, word) returns such a text (--mask).",
        )
    return tuple(positions.tolist())


def masked_text(tokenizer: Any, text: str, word: str) -> str:
    """Return a text with one of its words masked: by as many mask tokens as the word has tokens there.

    Args:
        tokenizer: A tokenizer with a mask token.
        text: The text.
        word: A word or several of them, exactly as in the text, where they must occur once.

    Raises:
        InputError: The text has no such word, or more than one of them.
    """
    own = mask_token_of(tokenizer)
    check_text(text)
    check_text(word)
    bounded = regex.compile(rf"\b{regex.escape(word)}\b", flags=regex.V1 | regex.WORD)
    starts = [match.start() for match in bounded.finditer(text)]
    # Where no boundary is known, as between ideographs, or where a part of a word is named.
    starts = starts or [match.start() for match in regex.finditer(regex.escape(word), text)]
    if len(starts) != 1:
        occurs = f"occurs {len(starts)} times in" if starts else "does not occur in"
        raise InputError(
            f"{word[:60]!r} {occurs} {text[:60]!r}.",
            hint=f"Write {own} in its place, or pass a word that occurs once, spelled as in the text.",
        )
    end = starts[0] + len(word)
    count = len(_overlapping(tokenize(tokenizer, text)[0], 0, starts[0], end))
    return text[: starts[0]] + own * max(count, 1) + text[end:]


def neighboring_runs(positions: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return positions in groups without a gap.

    >>> neighboring_runs((1, 2, 5))
    ((1, 2), (5,))
    """
    runs: list[list[int]] = []
    for position in positions:
        if runs and position == runs[-1][-1] + 1:
            runs[-1].append(position)
        else:
            runs.append([position])
    return tuple(map(tuple, runs))


def ids_in_place(tokenizer: Any, tokens: Tokens, masks: Sequence[int], word: str) -> list[int]:
    """Return the ids that a word has where it stands in the place of masks.

    The text with the word is tokenized, so that the word has the spelling of its place: after a blank, at the
    start of a text, within a word.

    Args:
        tokenizer: A tokenizer with a mask token.
        tokens: The tokens of a text with masks.
        masks: Positions of neighboring masks.
        word: The word; or a tokenizer's raw token, such as ``##ing`` or ``ĠParis``.

    Returns:
        The ids; more or fewer of them than masks if the word does not fit.
    """
    if word.startswith(_MARKS) and (raw := _raw_id(tokenizer, word)) is not None:
        return [raw]
    segment = int(tokens.segments[masks[0]])
    if segment < 0:  # ids that were never a text
        return middle_ids(tokenizer, word)
    text = tokens.texts[segment]
    start, end = int(tokens.offsets[masks[0], 0]), int(tokens.offsets[masks[-1], 1])
    start += len(text[start:end]) - len(text[start:end].lstrip())  # some masks take the blank before them
    end -= len(text[start:end]) - len(text[start:end].rstrip())
    if start and text[start - 1].isspace() and word.strip():
        word = word.lstrip()
    filled, _ = tokenize(tokenizer, text[:start] + word + text[end:], special_tokens=False)
    own = np.flatnonzero(tokens.segments == segment)
    before, after = (tokens.ids[own[side]].tolist() for side in (own < masks[0], own > masks[-1]))
    ids = filled.ids.tolist()
    end_of_word = len(ids) - len(after)
    if end_of_word > len(before) and ids[: len(before)] == before and ids[end_of_word:] == after:
        return ids[len(before) : end_of_word]
    ids = filled.ids[_overlapping(filled, 0, start, start + len(word))].tolist()
    if filled.ids[: len(before)].tolist() == before and len(ids) == len(masks):
        return ids
    # The word joins with what is before it: here the masks stand for what follows that.
    within = middle_ids(tokenizer, word)
    if len(within) == len(masks):
        return within
    if len(ids) == len(masks):
        return ids
    raw = _raw_id(tokenizer, word) if len(masks) == 1 else None
    return ids if raw is None else [raw]


def _overlapping(tokens: Tokens, segment: int, start: int, end: int) -> list[int]:
    """Return the positions of the tokens that have a part of a span of a text."""
    starts, ends = tokens.offsets.T
    inside = (tokens.segments == segment) & (starts < end) & (ends > start)
    return np.flatnonzero(inside).tolist()


def _raw_id(tokenizer: Any, piece: str) -> int | None:
    """Return the id of a tokenizer's raw token, if it has one of this spelling."""
    token = tokenizer.convert_tokens_to_ids(piece)
    is_known = isinstance(token, int) and (token != tokenizer.unk_token_id or piece == tokenizer.unk_token)
    return token if is_known else None
