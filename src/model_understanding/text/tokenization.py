"""Text to token ids and their positions in the text, which is never rewritten."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from transformers import BatchEncoding

from model_understanding.errors import InputError
from model_understanding.pieces import is_blank
from model_understanding.text.detokenization import pieces_of
from model_understanding.text.piece_places import places_without_offsets
from model_understanding.text.words import Words
from model_understanding.tokens import Tokens

_TEXTS_AT_ONCE = 256  # whose outputs wait in memory


def tokenize(
    tokenizer: Any,
    text: str | Words,
    pair: str | Words | None = None,
    *,
    special_tokens: bool = True,
    allowed: str = "a string",
    output: Any = None,
) -> tuple[Tokens, dict[str, list[int]]]:
    """Tokenize a text or a pair and locate each token in it.

    Args:
        tokenizer: A transformers tokenizer.
        text: The text, or its words.
        pair: The second text of a pair.
        special_tokens: Whether the tokenizer adds its special tokens.
        allowed: What the caller can pass instead of something that is no text.
        output: What the tokenizer returned for the text, if it has read it (``outputs_of_texts``).

    Returns:
        The tokens, and the tokenizer's output (``input_ids`` and the like).

    Raises:
        InputError: A text is empty, is no string, or consists of special tokens only.
    """
    given = (text,) if pair is None else (text, pair)
    for part in given:
        check_text(part, allowed)
    texts = tuple(part.text if isinstance(part, Words) else part for part in given)
    encoded = _encoded(tokenizer, given, special_tokens) if output is None else output
    inputs = {
        name: list(encoded[name])
        for name in dict.fromkeys(["input_ids", *tokenizer.model_input_names])
        if name in encoded
    }
    ids = inputs["input_ids"]
    places = _reported_places(tokenizer, encoded, given, texts)
    if places is None:
        segments, offsets = places_without_offsets(tokenizer, ids, given, texts)
        words = None
    else:
        segments, offsets, words = places
    offsets = np.where(segments[:, None] >= 0, offsets, 0)
    offsets = _with_trimmed_whitespace(texts, segments, offsets)
    pieces = pieces_of(tokenizer, ids)
    offsets = without_added_blanks(texts, pieces, segments, offsets)
    special = (segments < 0) | _spelled_special(tokenizer, ids, texts, segments, offsets)
    for segment, part in enumerate(texts):
        if special[segments == segment].all():
            raise InputError(
                f"The text {part[:40]!r} has no tokens other than special ones.",
                hint="Pass a text with at least one word.",
            )
    tokens = Tokens.from_spans(
        texts=texts,
        pieces=pieces,
        ids=ids,
        segments=segments,
        offsets=offsets,
        special=special,
        unknown=(np.asarray(ids) == tokenizer.unk_token_id) & ~special,
        words=_given_words(given, segments, offsets, special, words),
    )
    return tokens, inputs


def added_ids(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the ids that a tokenizer adds before and after a text."""
    empty, word = (list(tokenizer(text, verbose=False)["input_ids"]) for text in ("", "a"))
    same = [a == b for a, b in zip(empty, word, strict=False)]
    count = same.index(False) if False in same else len(same)
    return empty[:count], empty[count:]


def ids_between(tokenizer: Any) -> list[int]:
    """Return the ids that a tokenizer adds between the texts of a pair."""
    before, after = added_ids(tokenizer)
    word, pair = (list(tokenizer(*texts, verbose=False)["input_ids"]) for texts in (("a",), ("a", "a")))
    alone = word[len(before) : len(word) - len(after)]
    rest = pair[len(before) + len(alone) :]
    starts = [start for start in range(len(rest)) if rest[start : start + len(alone)] == alone]
    return rest[: starts[-1]] if starts else []


def _encoded(tokenizer: Any, given: Sequence[str | Words], special_tokens: bool) -> Any:
    """Call the tokenizer, with offsets where it reports them."""
    is_split = isinstance(given[0], Words)
    if any(isinstance(part, Words) != is_split for part in given):
        raise InputError("A pair is two texts or two lists of words.", hint="Pass both as Words, or none.")
    parts: list[Any] = [list(part) if isinstance(part, Words) else part for part in given]
    return tokenizer(
        *parts,
        add_special_tokens=special_tokens,
        truncation=False,
        padding=False,
        verbose=False,
        **({"return_offsets_mapping": True} if tokenizer.is_fast else {}),
        **({"is_split_into_words": True} if is_split else {}),
    )


def outputs_of_texts(tokenizer: Any, texts: Sequence[Any]) -> Iterator[Any]:
    """Yield what a tokenizer returns for each text, having read many at once.

    ``None`` for what is to be read by itself: pairs, words, texts that the tokenizer refuses, and all texts
    of a tokenizer that is not one of transformers' fast ones.

    Args:
        tokenizer: A transformers tokenizer.
        texts: The texts, as ``tokenize`` takes them.
    """
    kind = type(tokenizer)
    is_usual = tokenizer.is_fast and all(
        getattr(kind, name).__module__.startswith("transformers.") for name in ("__call__", "_encode_plus")
    )
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        chunk = texts[start : start + _TEXTS_AT_ONCE]
        plain = [place for place, text in enumerate(chunk) if is_usual and isinstance(text, str) and text]
        outputs: list[Any] = [None] * len(chunk)
        if plain:
            with suppress(Exception):  # of one of them: each raises its own
                several: Any = [chunk[place] for place in plain]
                read = _encoded(tokenizer, [several], True)
                for place, row in zip(plain, _rows(read), strict=True):
                    outputs[place] = row
        yield from outputs


def _rows(read: BatchEncoding) -> Iterator[BatchEncoding]:
    """Yield what a tokenizer returned for each of several texts."""
    for row, encoding in enumerate(read.encodings or ()):
        yield BatchEncoding({name: values[row] for name, values in read.items()}, encoding)


def _reported_places(
    tokenizer: Any, encoded: Any, given: Sequence[str | Words], texts: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return the text, the span and the word of each token, as a fast tokenizer reports them.

    ``None`` if it reports none, or spans outside its text.
    """
    if not tokenizer.is_fast:
        return None
    segments = np.array([-1 if part is None else part for part in encoded.sequence_ids(0)], dtype=int)
    offsets = np.array(encoded["offset_mapping"], dtype=int).reshape(-1, 2)
    words = np.array([-1 if word is None else word for word in encoded.word_ids(0)], dtype=int)
    for segment, part in enumerate(given):
        if isinstance(part, Words):  # spans count from the start of each word
            own = (segments == segment) & (words >= 0)
            offsets[own] += np.array(part.starts())[words[own]][:, None]
    lengths = np.array([len(text) for text in texts])[segments]
    inside = (offsets[:, 0] >= 0) & (offsets[:, 0] <= offsets[:, 1]) & (offsets[:, 1] <= lengths)
    return (segments, offsets, words) if inside[segments >= 0].all() else None


def _given_words(
    given: Sequence[str | Words],
    segments: np.ndarray,
    offsets: np.ndarray,
    special: np.ndarray,
    words: np.ndarray | None,
) -> np.ndarray | None:
    """Return the word of each token of texts that were given as words; ``None`` for other texts."""
    if not isinstance(given[0], Words):
        return None
    numbers, first = np.full(len(segments), -1), 0
    for segment, part in enumerate(given):
        assert isinstance(part, Words)
        own = (segments == segment) & ~special
        if words is None:
            numbers[own] = first + np.searchsorted(part.starts(), offsets[own, 0], "right") - 1
        else:
            numbers[own] = first + words[own]
        first += len(part)
    return numbers


def check_text(text: object, allowed: str = "a string") -> None:
    """Raise InputError unless a text is a non-empty string that encodes as UTF-8.

    Args:
        text: The text, or its words.
        allowed: What the caller can pass instead of something that is no text.

    Raises:
        InputError: It is none.
    """
    if isinstance(text, Words):
        if not text or not all(isinstance(word, str) and word for word in text):
            raise InputError(
                f"Words must be strings of at least one character. Got {text!r:.60}.",
                hint="Pass for example Words(['A', 'dull', 'film']).",
            )
        text = text.text
    if not isinstance(text, str):
        raise InputError(
            f"A text must be a string. Got {type(text).__name__}.",
            hint=f"Pass {allowed}.",
        )
    if not text:
        raise InputError("The text is empty.", hint="Pass at least one character.")
    require_encodable(text, "The text")


def require_encodable(text: str, what: str) -> None:
    """Refuse a text with half of a character.

    Args:
        text: The text.
        what: What it is called in the message.

    Raises:
        InputError: It contains an unpaired surrogate.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{what} contains an unpaired surrogate at position {error.start}: {text[error.start]!r}.",
            hint="Pass text that encodes as UTF-8.",
        ) from error


def _with_trimmed_whitespace(
    texts: Sequence[str], segments: np.ndarray, offsets: np.ndarray
) -> Int[np.ndarray, "tokens 2"]:
    """Restore the span of whitespace-only tokens, which RoBERTa's tokenizer trims to nothing."""
    restored = offsets.copy()
    previous_end, current = 0, -1
    of_texts: list[int] = segments.tolist()
    for position, (segment, (start, end)) in enumerate(zip(of_texts, offsets.tolist(), strict=True)):
        if segment < 0:
            continue
        if segment != current:
            previous_end, current = 0, segment
        if start == end and texts[segment][previous_end:start].isspace():
            restored[position, 0] = previous_end
        previous_end = max(previous_end, end)
    return restored


def _spelled_special(
    tokenizer: Any, ids: Sequence[int], texts: Sequence[str], segments: np.ndarray, offsets: np.ndarray
) -> Bool[np.ndarray, " tokens"]:
    """Return which tokens are special tokens that the text itself spells.

    The unknown token represents ordinary text, unless the text spells it.
    """
    special_ids, unknown = set(tokenizer.all_special_ids), tokenizer.unk_token_id
    special = np.array([token in special_ids for token in ids], dtype=bool)
    for position in np.flatnonzero(special & (np.asarray(ids) == unknown)):
        segment, (start, end) = int(segments[position]), offsets[position]
        special[position] = segment >= 0 and texts[segment][start:end].strip() == tokenizer.unk_token
    return special


def without_added_blanks(
    texts: Sequence[str], pieces: Sequence[str], segments: np.ndarray, offsets: np.ndarray
) -> Int[np.ndarray, "tokens 2"]:
    """Empty the span of a blank that the tokenizer itself puts before a text.

    Tokenizers report it at the text's first character, which is another token's.

    Args:
        texts: The texts.
        pieces: The tokens.
        segments: The text of each token.
        offsets: The span of each token.

    Returns:
        The spans.
    """
    placed = offsets.copy()
    of_texts: list[int] = np.asarray(segments).tolist()
    given = zip(pieces, of_texts, np.asarray(offsets).tolist(), strict=True)
    for position, (piece, segment, (start, end)) in enumerate(given):
        if segment >= 0 and is_blank(piece) and texts[segment][start:end].strip():
            placed[position, 1] = start
    return placed
