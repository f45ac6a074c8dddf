"""The place of each token in the text, for tokenizers that report none (those written in Python)."""

import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from model_understanding.pieces import piece_text
from model_understanding.text.detokenization import pieces_of, spans_in_decoded
from model_understanding.text.words import Words

_UNKNOWN = "\ue000"  # a private-use character, which matches no text
_UNITS = (re.compile(r"\S+"), re.compile(r"\w+|[^\w\s]"), re.compile(r"\S"))
_MOST_PLACES = 4096  # characters up to which unknown tokens are fitted exactly


def places_without_offsets(
    tokenizer: Any, ids: Sequence[int], given: Sequence[str | Words], texts: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the text that each token belongs to, and its span there; an empty span where that is unknown.

    Where decoding longer and longer prefixes gives the text back, each token stands where it is decoded.
    Otherwise the pieces are aligned to the text in order, whatever case, accents and blanks the tokenizer
    changes.

    Args:
        tokenizer: A tokenizer without offsets.
        ids: The ids of a text or a pair, with special tokens.
        given: The texts, or their words, as the tokenizer got them.
        texts: The texts.

    Returns:
        Segments, −1 for added special tokens, and offsets.
    """
    segments, offsets = np.full(len(ids), -1), np.zeros((len(ids), 2), dtype=int)
    for segment, own in enumerate(_own_positions(tokenizer, ids, given)):
        segments[own] = segment
        if len(own):
            offsets[own] = _spans(tokenizer, [int(ids[position]) for position in own], texts[segment])
    return segments, offsets


def _own_positions(tokenizer: Any, ids: Sequence[int], given: Sequence[str | Words]) -> list[np.ndarray]:
    """Return the positions of each text's own tokens among all tokens."""
    positions, start = [], 0
    for part in given:
        split = {"is_split_into_words": True} if isinstance(part, Words) else {}
        part = list(part) if isinstance(part, Words) else part
        own = list(tokenizer(part, add_special_tokens=False, verbose=False, **split)["input_ids"])
        found = next((i for i in range(start, len(ids) - len(own) + 1) if ids[i : i + len(own)] == own), None)
        if found is None:
            return _between_special(tokenizer, ids, len(given))
        positions.append(np.arange(found, found + len(own)))
        start = found + len(own)
    return positions


def _between_special(tokenizer: Any, ids: Sequence[int], count: int) -> list[np.ndarray]:
    """Return the runs of ordinary tokens, for a tokenizer that splits a text differently inside a pair."""
    special = np.isin(ids, [i for i in tokenizer.all_special_ids if i != tokenizer.unk_token_id])
    ordinary = np.flatnonzero(~special)
    runs = np.split(ordinary, np.flatnonzero(np.diff(ordinary) > 1) + 1)
    return [*runs[: count - 1], np.concatenate([np.zeros(0, dtype=int), *runs[count - 1 :]]).astype(int)]


def _spans(tokenizer: Any, ids: Sequence[int], text: str) -> list[tuple[int, int]]:
    decoded, spans = spans_in_decoded(tokenizer, ids)
    if decoded == text:
        return spans
    unknown = [token == tokenizer.unk_token_id for token in ids]
    return spans_of_pieces(text, pieces_of(tokenizer, ids), unknown)


def spans_of_pieces(text: str, pieces: Sequence[str], unknown: Sequence[bool]) -> list[tuple[int, int]]:
    """Align pieces to a text in order.

    Args:
        text: The text.
        pieces: The raw tokens of the text.
        unknown: Which of them stand for text that the tokenizer does not know.

    Returns:
        A span for each piece; empty, at the end of the piece before, where it does not occur in order.

    >>> spans_of_pieces("Été, bien", ["et", "##e", ",", "bien"], [False] * 4)
    [(0, 2), (2, 3), (3, 4), (5, 9)]
    """
    characters, origins = _folded(text)
    parts = [
        _UNKNOWN if is_unknown else _folded(piece_text(piece))[0]
        for piece, is_unknown in zip(pieces, unknown, strict=True)
    ]
    places = _fitted(characters, parts)
    if places is None:
        places = _with_unknown(_matched(characters, parts), parts, len(characters))
    spans, end = [], 0
    for place in _divided(places, parts, text, origins):
        if place is None or place[0] == place[1]:
            spans.append((end, end))
            continue
        start, end = origins[place[0]], _end(text, origins[place[1] - 1])
        spans.append((start, end))
    return spans


def _folded(text: str) -> tuple[str, list[int]]:
    """Return a text without case, accents and blanks, and the position that each character comes from."""
    characters, origins = [], []
    for position, character in enumerate(text):
        folded = unicodedata.normalize("NFKD", character).casefold()
        kept = [c for c in folded if unicodedata.category(c) not in ("Mn", "Cc", "Cf") and not c.isspace()]
        characters += kept
        origins += [position] * len(kept)
    return "".join(characters), origins


def _end(text: str, last: int) -> int:
    """Return the end of the character at a position, with the accents that follow it."""
    end = last + 1
    while end < len(text) and unicodedata.category(text[end]) == "Mn":
        end += 1
    return end


def _fitted(characters: str, parts: Sequence[str]) -> list[tuple[int, int] | None] | None:
    """Return places where all pieces follow each other without a gap and cover the text, if there are such.

    An unknown token takes one character or more, the last of several as few as it can.
    """
    if len(characters) > _MOST_PLACES:
        return None
    reached = [[0]]  # where a piece can start, given those before it
    for part in parts:
        if part == _UNKNOWN:
            reached.append(list(range(reached[-1][0] + 1, len(characters) + 1)) if reached[-1] else [])
        else:
            reached.append([i + len(part) for i in reached[-1] if characters.startswith(part, i)])
    if len(characters) not in reached[-1]:
        return None
    places: list[tuple[int, int] | None] = []
    end = len(characters)
    for part, starts in zip(reversed(parts), reversed(reached[:-1]), strict=True):
        start = max(i for i in starts if i < end) if part == _UNKNOWN else end - len(part)
        places.append((start, end))
        end = start
    return places[::-1]


def _matched(characters: str, parts: Sequence[str]) -> list[tuple[int, int] | None]:
    """Return the places of the pieces that occur whole, in order; ``None`` for the others."""
    places: list[tuple[int, int] | None] = [None] * len(parts)
    written = "".join(parts)
    at = np.full(len(written), -1)
    for block in SequenceMatcher(None, written, characters, autojunk=False).get_matching_blocks():
        at[block.a : block.a + block.size] = np.arange(block.b, block.b + block.size)
    start = 0
    for index, part in enumerate(parts):
        own = at[start : start + len(part)]
        if len(part) and (own >= 0).all() and (np.diff(own) == 1).all():
            places[index] = (int(own[0]), int(own[-1]) + 1)
        start += len(part)
    return places


def _with_unknown(
    places: Sequence[tuple[int, int] | None], parts: Sequence[str], length: int
) -> list[tuple[int, int] | None]:
    """Give unknown tokens without a place the text between their neighbors, which several share."""
    filled, index = list(places), 0
    while index < len(parts):
        end = index
        while end < len(parts) and filled[end] is None and parts[end] == _UNKNOWN:
            end += 1
        before = 0 if index == 0 else (filled[index - 1] or (0, -1))[1]
        after = length if end == len(parts) else (filled[end] or (-1, 0))[0]
        if end > index and 0 <= before < after:
            filled[index:end] = [(before, after)] * (end - index)
        index = max(end, index + 1)
    return filled


def _divided(
    places: Sequence[tuple[int, int] | None], parts: Sequence[str], text: str, origins: Sequence[int]
) -> list[tuple[int, int] | None]:
    """Divide the text of neighboring unknown tokens among them: by its words, or by its words and signs."""
    divided, index = list(places), 0
    while index < len(parts):
        end = index
        while end < len(parts) and parts[end] == _UNKNOWN and places[end] is not None:
            end += 1
        if end > index + 1:
            start, stop = (places[index] or (0, 0))[0], (places[end - 1] or (0, 0))[1]
            for pattern in _UNITS:
                begins = _unit_starts(pattern, text, origins, start, stop)
                if len(begins) == end - index:
                    divided[index:end] = list(zip(begins, [*begins[1:], stop], strict=True))
                    break
        index = max(end, index + 1)
    return divided


def _unit_starts(
    pattern: re.Pattern[str], text: str, origins: Sequence[int], start: int, stop: int
) -> list[int]:
    """Return the first folded character of each unit of a part of the text."""
    positions = {match.start() for match in pattern.finditer(text, origins[start], origins[stop - 1] + 1)}
    return [
        i
        for i in range(start, stop)
        if origins[i] in positions and (i == start or origins[i - 1] != origins[i])
    ]
