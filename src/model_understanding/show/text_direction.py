"""Which way a paragraph runs, worked out before a browser has to at each of its words."""

import unicodedata
from collections.abc import Iterable
from itertools import takewhile
from typing import Any, Literal


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
