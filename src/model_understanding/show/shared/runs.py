"""Text cut into colored runs, and its reading direction."""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from model_understanding.tokens import Tokens, visible_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A stretch of the source text, with controls made visible; line breaks stay, marked by ``↵``.

    Args:
        text: What to show.
        unit: The token that it belongs to, ``None`` between tokens.
        is_pill: Whether to set it apart from the text: a special token, or one that stands in no text.
        source: Index of the source text, −1 where it stands in none.
    """

    text: str
    unit: int | None
    is_pill: bool
    source: int


def highlighted_runs(tokens: Tokens) -> list[Run]:
    """Cut the source texts into runs, in reading order, that leave out nothing.

    Args:
        tokens: The tokens, folded so that no two split one character.

    Returns:
        The runs.
    """
    runs: list[Run] = []
    labels = tokens.labels()
    current, reached = -1, 0
    for unit, (segment, (start, end)) in enumerate(zip(tokens.segments, tokens.offsets, strict=True)):
        if segment < 0 or start == end:
            runs.append(Run(text=labels[unit], unit=unit, is_pill=True, source=-1))
            continue
        if segment != current:
            runs += _between(tokens, current, reached, None)
            current, reached = int(segment), 0
        runs += _between(tokens, current, reached, int(start))
        text = tokens.texts[segment][max(int(start), reached) : int(end)]
        reached = max(int(end), reached)
        runs += _cut(text, unit, bool(tokens.special[unit]), current)
    runs += _between(tokens, current, reached, None)
    return runs


def _between(tokens: Tokens, source: int, start: int, end: int | None) -> Iterator[Run]:
    text = tokens.texts[source][start:end] if source >= 0 else ""
    if text:
        yield Run(text=_shown(text), unit=None, is_pill=False, source=source)


def _cut(text: str, unit: int, is_pill: bool, source: int) -> Iterator[Run]:
    """Cut the blanks off a token's ends; a token of blanks alone shows them."""
    core = text.strip(" ")
    if not core:
        yield Run(text=visible_text(text) or "∅", unit=unit, is_pill=is_pill, source=source)
        return
    lead = len(text) - len(text.lstrip(" "))
    if lead:
        yield Run(text=text[:lead], unit=None, is_pill=False, source=source)
    yield Run(text=_shown(core), unit=unit, is_pill=is_pill, source=source)
    if len(core) + lead < len(text):
        yield Run(text=text[lead + len(core) :], unit=None, is_pill=False, source=source)


def _shown(text: str) -> str:
    if not text.strip(" "):
        return text
    return visible_text(text).replace("↵", "↵\n")


def direction_of(texts: Iterable[str]) -> Literal["ltr", "rtl"]:
    """Return the direction of the first letter that has one, as ``dir="auto"`` does; left to right without.

    A browser works that out anew whenever an element with ``dir="auto"`` takes one more child, which for
    thousands of words is most of the time that a page takes to open.

    Args:
        texts: A paragraph in parts.

    >>> direction_of(["1. ", "שלום", " world"]), direction_of(["…"])
    ('rtl', 'ltr')
    """
    for text in texts:
        for character in text:
            strength = unicodedata.bidirectional(character)
            if strength in ("R", "AL"):
                return "rtl"
            if strength == "L":
                return "ltr"
    return "ltr"


def paragraph_direction(words: list[Any], start: int = 0) -> str:
    """Return the direction of the paragraph that begins at one of some words; pills stand apart."""
    rest = takewhile(lambda word: not word.opens, words[start + 1 :])
    return direction_of(word.text for word in (*words[start : start + 1], *rest) if word.css != "mu-pill")
