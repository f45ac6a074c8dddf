"""A word put into a text: between two of its words, or in the place of one."""

from collections.abc import Sequence

import regex

Span = tuple[int, int]

_JOINED = regex.compile(  # writing without spaces between words, and its punctuation
    r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}"
    r"\p{Script=Myanmar}\p{Script=Tibetan}\p{Block=CJK_Symbols_And_Punctuation}"
    r"\p{Block=Halfwidth_And_Fullwidth_Forms}]"
)


def boundaries_of(text: str, spans: Sequence[Span]) -> list[int]:
    """Return where another word can stand in a text: before each word, and at the end.

    Where words have spaces between them, a boundary is at a space: none is inside ``well-known``.

    Args:
        text: The text.
        spans: Start and end of each of its words, without the spaces around it.

    >>> boundaries_of("A well-known film.", [(0, 1), (2, 6), (6, 7), (7, 12), (13, 17), (17, 18)])
    [0, 2, 13, 18]
    """
    starts = {start for start, end in spans if end > start}
    return [*sorted(start for start in starts if _divides(text, start)), len(text.rstrip())]


def with_inserted(text: str, place: int, word: str) -> str:
    """Return a text with a word put in, and the spaces that it needs.

    Args:
        text: The text.
        place: Where: one of ``boundaries_of``.
        word: The word or phrase.

    >>> with_inserted("A film.", 2, "dull"), with_inserted("这部电影", 2, "好")
    ('A dull film.', '这部好电影')
    """
    before, after = text[:place], text[place:]
    left = " " * (inserted_span(text, place, word)[0] - place)
    right = " " if after and _needs_space(word[-1], after[0]) else ""
    return f"{before}{left}{word}{right}{after}"


def inserted_span(text: str, place: int, word: str) -> Span:
    """Return where the word is in what ``with_inserted`` returns.

    Args:
        text: The text, without the word.
        place: Where the word goes: one of ``boundaries_of``.
        word: The word or phrase.

    >>> inserted_span("A film.", 2, "dull"), inserted_span("A film", 6, "noir")
    ((2, 6), (7, 11))
    """
    start = place + (place > 0 and _needs_space(text[place - 1], word[0]))
    return start, start + len(word)


def with_replaced(text: str, span: Span, word: str) -> str:
    """Return a text with a word in the place of another.

    Args:
        text: The text.
        span: Start and end of the word that goes.
        word: The word or phrase that comes.

    >>> with_replaced("A dull film.", (2, 6), "fine")
    'A fine film.'
    """
    return text[: span[0]] + word + text[span[1] :]


def _divides(text: str, place: int) -> bool:
    if place == 0 or text[place - 1].isspace():
        return True
    return any(map(_JOINED.match, text[place - 1 : place + 1]))


def _needs_space(first: str, second: str) -> bool:
    if first.isspace() or second.isspace():
        return False
    return not (_JOINED.match(first) and _JOINED.match(second))
