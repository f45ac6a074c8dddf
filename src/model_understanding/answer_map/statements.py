"""The statements of an answer: its clauses, and the words in each that say something of their own."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from model_understanding.answer_map.function_words import says_nothing, spoken_in
from model_understanding.line_breaks.wrapped import unwrapped
from model_understanding.sentences import begins_sentence, is_abbreviated, is_item, sentence_ends
from model_understanding.tokens import Tokens

# Where a clause ends within a sentence.
_CLAUSE_END = re.compile(
    r"(?<=[;；])\s*|\s+[–—]\s+|(?<=[,，])\s+(?=(?:and|but|or|so|while|whereas|although|though|because|since|"
    r"which|who|whose|where|when)\b)",
    re.IGNORECASE,
)
# A word with what joins its parts: 1,931 · 3.14 · 12:30 · don't · well-known · U.S.
_WORD = re.compile(r"[^\W_]+(?:(?:[.,:/’'‐-]|\u2011)[^\W_]+)*")
_FEWEST_WORDS = 2


class Value(NamedTuple):
    """Words that a statement is judged on.

    Args:
        text: The words.
        first: Their first token, counted in the answer.
        last: The token after their last one.
    """

    text: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Clause:
    """A statement before it is measured.

    Args:
        text: Its text.
        first: Its first token, counted in the answer.
        last: The token after its last one.
        values: The words that it is judged on.
    """

    text: str
    first: int
    last: int
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    start: int
    end: int
    begins_sentence: bool


def clauses_of(answer: Tokens, known: str) -> tuple[Clause, ...]:
    """Return the statements of an answer.

    Clauses end with sentences, lines and semicolons, and at a comma before a conjunction. What the rest of
    the prompt says already, outside of the sources, is no value of a statement.

    Args:
        answer: The tokens of the answer, of one text.
        known: The text of the prompt outside of the sources: the question and the instructions.
    """
    segment = int(answer.segments.max(initial=-1))
    if segment < 0:
        return ()
    text, said = unwrapped(answer.texts[segment]), {word.casefold() for word in _WORD.findall(known)}
    clauses, empty = [], spoken_in(_WORD.findall(text))
    for start, end in _spans(text):
        positions = _tokens_in(answer, segment, start, end, by_start=True)
        if positions:
            values = tuple(
                (text[first:last], min(inside), max(inside) + 1)
                for first, last in _values(text, start, end, said, empty)
                if (inside := _tokens_in(answer, segment, first, last, by_start=False))
            )
            first, last = positions[0], positions[-1] + 1
            kept = [Value(words, max(a, first), min(b, last)) for words, a, b in values]
            clauses.append(
                Clause(text[start:end].strip(), first, last, tuple(v for v in kept if v.first < v.last))
            )
    return tuple(clauses)


def occurrences_of(value: str, answer: Tokens, before: int) -> list[int]:
    """Return the tokens of an answer that are part of a value's words, before one of its tokens.

    Args:
        value: The words.
        answer: The tokens of the answer, of one text.
        before: The token before which they are looked for.
    """
    segment = int(answer.segments.max(initial=-1))
    words = {word.casefold() for word in _WORD.findall(value)}
    return [
        position
        for match in _WORD.finditer(answer.texts[segment])
        if match.group().casefold() in words
        for position in _tokens_in(answer, segment, *match.span(), by_start=False)
        if position < before
    ]


def _tokens_in(answer: Tokens, segment: int, start: int, end: int, *, by_start: bool) -> list[int]:
    """Return the tokens of a span: those whose first visible character is in it, or that overlap it."""
    found = []
    text = answer.texts[segment]
    for position, (first, last) in enumerate(answer.offsets.tolist()):
        if answer.segments[position] != segment:
            continue
        own = text[first:last]
        visible = first + len(own) - len(own.lstrip()) if own.strip() else first
        if (start <= visible < end) if by_start else (first < end and last > start):
            found.append(position)
    return found


def _spans(text: str) -> list[tuple[int, int]]:
    """Return the spans of the clauses; what is too short for one belongs to its neighbor."""
    borders = [0, *sentence_ends(text), len(text)]
    sentences = [span for span in pairwise(borders) if text[slice(*span)].strip()]
    clauses: list[tuple[int, int]] = []
    for sentence in sentences:
        parts: list[tuple[int, int]] = []
        for start, end in _pieces(text, *sentence):
            is_short = len(_WORD.findall(text[start:end])) < _FEWEST_WORDS
            if parts and (is_short or len(_WORD.findall(text[slice(*parts[-1])])) < _FEWEST_WORDS):
                parts[-1] = (parts[-1][0], end)
            else:
                parts.append((start, end))
        clauses += parts
    return [span for span in clauses if _WORD.search(text[slice(*span)])]


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    begun = start
    for match in _CLAUSE_END.finditer(text, start, end):
        if match.end() > begun and text[begun : match.end()].strip():
            yield begun, match.end()
            begun = match.end()
    if text[begun:end].strip():
        yield begun, end


def _values(text: str, start: int, end: int, said: set[str], empty: Collection[str]) -> list[tuple[int, int]]:
    """Return the spans of a clause's values: numbers and names, else words with content, else any new word.

    Args:
        text: The answer.
        start: Where the clause begins.
        end: Where it ends.
        said: Words that the prompt says outside of the sources.
        empty: The function words of the answer's language, where it is known.
    """
    words = [
        _Word(match.group(), *match.span(), _begins_sentence(text, match.start()))
        for match in _WORD.finditer(text, start, end)
        if not _numbers_item(text, *match.span())
    ]
    new = [word for word in words if word.text.casefold() not in said]
    named = [
        word for word in new if _is_number(word.text) or (_is_name(word.text) and not word.begins_sentence)
    ]
    if named:
        # A name may begin a sentence, where any word is in upper case: “Anna Weber opened …”.
        first = new[0]
        if first.begins_sentence and _is_name(first.text) and _adjoins(text, first, named[0]):
            named = [first, *(word for word in named if word is not first)]
        return _joined(text, named)
    full = [word for word in new if not says_nothing(word.text, empty)]
    return [(word.start, word.end) for word in full or new]


def _joined(text: str, words: Sequence[_Word]) -> list[tuple[int, int]]:
    """Return the spans of neighboring words as one: “12 March 1931”, “Anna Weber”."""
    spans: list[tuple[int, int]] = []
    before: _Word | None = None
    for word in words:
        if before is not None and _adjoins(text, before, word):
            spans[-1] = (spans[-1][0], word.end)
        else:
            spans.append((word.start, word.end))
        before = word
    return spans


def _adjoins(text: str, first: _Word, second: _Word) -> bool:
    return first.end <= second.start and not text[first.end : second.start].strip(" .°\n\t")


def _is_number(word: str) -> bool:
    return any(character.isdigit() for character in word)


def _is_name(word: str) -> bool:
    return word[0].isupper()


def _begins_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip(" \t\"'“”‘’([*_-")
    if is_abbreviated(before, text[start:]):
        return False
    return begins_sentence(before) or is_item(before.rsplit("\n", 1)[-1])


def _numbers_item(text: str, start: int, end: int) -> bool:
    """Return whether a word is the number of an item in a list."""
    line = text[: end + 1].rsplit("\n", 1)[-1]
    return is_item(line) and not text[start - 1 : start].isalnum()
