"""What counts as one word: in lower case, without punctuation around it; and phrases of neighboring words."""

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from model_understanding.dataset.summary.reading import StoredRow

LONGEST_PHRASE = 3  # words
_APART, _FAR = 3, 1 << 30  # characters between neighbors at most: more is what a chat template writes


class Occurrence(NamedTuple):
    """A word or phrase at one place of a row.

    Args:
        key: What it is counted as; the words of a phrase with spaces between them.
        form: How it is written there.
        score: Its score; of a phrase, the sum of its words' scores, or their mean for importances.
        words: How many words it is.
    """

    key: str
    form: str
    score: float
    words: int


@lru_cache(maxsize=1 << 16)
def word_key(word: str) -> str:
    """Return what a word is counted as; empty for a blank.

    Punctuation by itself is a word, so that the summary shows a model that relies on it.

    >>> word_key(" Film"), word_key("“Don't”"), word_key("!"), word_key("電"), word_key("🙂"), word_key(" ")
    ('film', "don't", '!', '電', '🙂', '')
    """
    return word_form(word).lower()


def word_form(word: str) -> str:
    """Return a word as it is written, without blanks and punctuation around it."""
    bare = "".join(word.split())  # a word has no blanks inside, which would look like those of a phrase
    if not bare.isascii():
        bare = unicodedata.normalize("NFC", bare)
    return bare[slice(*without_punctuation(bare, (0, len(bare))))]


def without_punctuation(text: str, span: tuple[int, int]) -> tuple[int, int]:
    """Return where a word is in a text without blanks and punctuation around it; all of it if it has no more.

    Args:
        text: The text.
        span: Start and end of the word.

    >>> without_punctuation("a (fine) film", (2, 8)), without_punctuation("so ...", (3, 6))
    ((3, 7), (3, 6))
    """
    start, end = span
    while start < end and _is_around_words(text[start]):
        start += 1
    while start < end and _is_around_words(text[end - 1]):
        end -= 1
    return (start, end) if start < end else span


def _is_around_words(character: str) -> bool:
    return character.isspace() or is_punctuation(character)


def is_punctuation(key: str) -> bool:
    """Return whether a word or a phrase has punctuation and nothing else.

    >>> is_punctuation("…"), is_punctuation("3"), is_punctuation("$")
    (True, False, False)
    """
    return all(unicodedata.category(character)[0] == "P" for character in key)


def words_in(key: str) -> int:
    """Return how many words a phrase has."""
    return key.count(" ") + 1


def words_of(row: StoredRow) -> Iterator[Occurrence]:
    """Yield the words of a row, in order.

    Args:
        row: The row.
    """
    for word, score in zip(row.words, row.word_scores.tolist(), strict=True):
        if key := word_key(word):
            yield Occurrence(key, word_form(word), score, 1)


def phrases_of(row: StoredRow, signed: bool) -> Iterator[Occurrence]:
    """Yield the phrases of two and three neighboring words of a row, which no punctuation separates.

    Args:
        row: The row.
        signed: Whether scores are effects, which add up; importances are averaged.
    """
    run: list[_Word] = []  # the words before
    words = zip(row.words, row.word_scores.tolist(), row.word_offsets, row.word_segments, strict=True)
    for text, score, (start, end), segment in words:
        key = word_key(text)
        if not key:
            continue
        if is_punctuation(key):
            run = []
            continue
        gap = int(start) - run[-1].end if run and run[-1].segment == segment else _FAR
        if gap > _APART:
            run = []
        blank = " " if gap > 0 or text[:1].isspace() else ""  # Chinese has none
        word = _Word(key, word_form(text), score, int(end), int(segment), blank)
        phrase = word
        for before in reversed(run):
            phrase = _Word(
                f"{before.key} {phrase.key}",
                f"{before.form}{phrase.blank}{phrase.form}",
                before.score + phrase.score,
                phrase.end,
                phrase.segment,
                before.blank,
            )
            count = words_in(phrase.key)
            yield Occurrence(phrase.key, phrase.form, phrase.score / (1 if signed else count), count)
        run = [*run, word][1 - LONGEST_PHRASE :]


class _Word(NamedTuple):
    """A word, or the phrase that ends with it.

    Args:
        key: What it is counted as.
        form: How it is written.
        score: Its score.
        end: Where it ends in its text.
        segment: Which text it is part of.
        blank: The blank before it.
    """

    key: str
    form: str
    score: float
    end: int
    segment: int
    blank: str
