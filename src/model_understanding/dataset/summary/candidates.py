"""Which words may be shortcuts, by their scores and by the answers of the rows that have them.

This is correlation: what a word does is tested in ``shortcuts.py``, on other rows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from math import log, sqrt
from typing import NamedTuple
from zlib import crc32

from model_understanding.dataset.summary.counts import Total
from model_understanding.dataset.summary.insertion import Span
from model_understanding.dataset.summary.reading import StoredRow
from model_understanding.dataset.summary.words import is_punctuation, without_punctuation, word_key
from model_understanding.statistics import wilson_interval

_FEWEST_ROWS = 4  # with a word, for anything to be said about it
_LEVEL, _PHRASE_LEVEL = 0.95, 0.999  # of the interval of a word's share of rows with an answer
_MOST_KEPT = 400_000  # words or phrases that are counted at once; beyond, the rarest are dropped

MembersOf = Callable[[StoredRow], Sequence[int]]
"""Returns the classes that the model answers for a row."""


class Part(NamedTuple):
    """A word or phrase where it is in a row.

    Args:
        key: What it is counted as; the words of a phrase with a space between them.
        segment: The text that it is part of.
        outer: Start and end in it, without spaces around it.
        span: Start and end in it, without punctuation around it either.
        score: The sum of its words' scores.
    """

    key: str
    segment: int
    outer: Span
    span: Span
    score: float


class Candidate(NamedTuple):
    """A word that may decide the answer.

    Args:
        key: The word or phrase.
        answer: The class that it may decide for.
        controls: Words of about the same frequency, the nearest first.
    """

    key: str
    answer: int
    controls: tuple[str, ...]


def placed_words(row: StoredRow) -> list[Part]:
    """Return the words of a row, and where each is.

    Args:
        row: A row with words.
    """
    parts: list[Part] = []
    texts = (row.text, row.pair or "")
    segments, scores = row.word_segments.tolist(), row.word_scores.tolist()
    for (start, end), segment, score in zip(row.word_offsets.tolist(), segments, scores, strict=True):
        text = texts[segment]
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        key = word_key(text[start:end])
        if key:
            span = without_punctuation(text, (start, end))
            parts.append(Part(key, segment, (start, end), span, score))
    return parts


def placed_phrases(row: StoredRow, words: Sequence[Part]) -> Iterator[Part]:
    """Yield the phrases of two words with nothing but spaces between them.

    Args:
        row: A row with words.
        words: Its words.
    """
    texts = (row.text, row.pair or "")
    for one, other in pairwise(words):
        if one.segment != other.segment or is_punctuation(one.key) or is_punctuation(other.key):
            continue
        between = texts[one.segment][one.span[1] : other.span[0]]
        if not between.strip():
            outer, span = (one.outer[0], other.outer[1]), (one.span[0], other.span[1])
            yield Part(f"{one.key} {other.key}", one.segment, outer, span, one.score + other.score)


@dataclass(slots=True)
class Counts:
    """Words or phrases and the answers of their rows.

    Args:
        rows: Rows with each.
        cells: Rows and scores of each, by answer.
    """

    rows: dict[str, int] = field(default_factory=dict)
    cells: dict[tuple[str, int], Total] = field(default_factory=dict)

    def add(self, parts: Iterable[Part], members: Sequence[int], explained: int | None, scale: float) -> None:
        """Count a row.

        Args:
            parts: Its words or phrases.
            members: The classes that the model answers.
            explained: That of the scores; ``None`` if they explain another.
            scale: Its mean absolute score.
        """
        seen: set[str] = set()
        for part in parts:
            if part.key not in seen:
                seen.add(part.key)
                self.rows[part.key] = self.rows.get(part.key, 0) + 1
                for member in members:
                    self.cells.setdefault((part.key, member), Total()).rows += 1
            if explained is not None and scale > 0:
                cell = self.cells.setdefault((part.key, explained), Total())
                cell.count += 1
                cell.sum += part.score / scale
                cell.squares += (part.score / scale) ** 2
        if len(self.rows) > _MOST_KEPT:
            self._drop_the_rarest()

    def _drop_the_rarest(self) -> None:
        fewest = 1
        while len(self.rows) > _MOST_KEPT // 2:
            self.rows = {key: rows for key, rows in self.rows.items() if rows > fewest}
            fewest *= 2
        self.cells = {cell: found for cell, found in self.cells.items() if cell[0] in self.rows}


class Chosen(NamedTuple):
    """The candidates, and how often words are.

    Args:
        candidates: The words to test.
        frequencies: Rows with each word, of those that the choice was made from.
    """

    candidates: tuple[Candidate, ...]
    frequencies: Mapping[str, int]


def choose_candidates(
    rows: Iterable[StoredRow], members_of: MembersOf, labels: Sequence[str], most: int, controls: int
) -> Chosen:
    """Return the words and phrases that may be shortcuts, with control words for each.

    A candidate has more rows with its answer than chance would give, and supports that answer wherever it
    is: it is ranked by its mean score, divided by one plus the coefficient of variation of its scores, times
    how far its share of rows with the answer is above that of all rows. The answers take turns, so that none
    has all the candidates. A phrase is one only if it predicts the answer better than both of its words and
    neither of these is a candidate.

    Args:
        rows: The rows to choose from.
        members_of: Returns the classes that the model answers for a row.
        labels: Names of the classes.
        most: Most candidates.
        controls: Most control words of each.
    """
    words, phrases = Counts(), Counts()
    answers, total = [0] * len(labels), 0
    for row in rows:
        members = members_of(row)
        parts = placed_words(row)
        scale = sum(abs(part.score) for part in parts) / max(len(parts), 1)
        explained = labels.index(row.explained) if row.explained in labels else None
        explained = explained if explained in members else None
        words.add(parts, members, explained, scale)
        phrases.add(placed_phrases(row, parts), members, explained, scale)
        total += 1
        for member in members:
            answers[member] += 1
    base = [count / max(total, 1) for count in answers]
    ranked = _ranked(words, base)
    chosen = _in_turns(ranked, most)
    taken = {key for key, _ in chosen}
    better = [
        (score, key, answer)
        for score, key, answer in _ranked(phrases, base)
        if _says_more(key, answer, words, phrases, taken)
    ]
    both = sorted([*((score, *of) for of, score in chosen.items()), *better], key=_by_score)
    keys = _in_turns(both, most)
    candidates = {key for key, _ in keys}
    return Chosen(
        tuple(
            Candidate(key, answer, _controls(key, answer, base, words, phrases, candidates, controls))
            for key, answer in keys
        ),
        words.rows | phrases.rows,
    )


def _ranked(counts: Counts, base: Sequence[float]) -> list[tuple[float, str, int]]:
    ranked: list[tuple[float, str, int]] = []
    for (key, answer), cell in counts.cells.items():
        rows = counts.rows.get(key, 0)
        if rows < _FEWEST_ROWS or base[answer] >= 1:
            continue
        least, _ = wilson_interval(cell.rows, rows, _LEVEL)
        score = _evenness(cell) * (least - base[answer]) / (1 - base[answer])
        if score > 0:
            ranked.append((score, key, answer))
    return sorted(ranked, key=_by_score)


def _evenness(scores: Total) -> float:
    """Return a mean score, the smaller the more the scores depend on the words around; 0 if not above 0."""
    if not scores.count or scores.sum <= 0:
        return 0.0
    mean = scores.sum / scores.count
    spread = sqrt(max(scores.squares / scores.count - mean**2, 0))
    return mean / (1 + spread / mean)


def _by_score(ranked: tuple[float, str, int]) -> tuple[float, str, int]:
    score, key, answer = ranked
    return -score, key, answer


def _in_turns(ranked: Iterable[tuple[float, str, int]], most: int) -> dict[tuple[str, int], float]:
    """Return the first of each answer, then the second of each, up to so many."""
    turns: dict[int, int] = {}
    placed: list[tuple[int, int, tuple[str, int], float]] = []
    for order, (score, key, answer) in enumerate(ranked):
        turns[answer] = turns.get(answer, 0) + 1
        placed.append((turns[answer], order, (key, answer), score))
    return {of: score for _, _, of, score in islice(sorted(placed), most)}


def _says_more(key: str, answer: int, words: Counts, phrases: Counts, taken: set[str]) -> bool:
    """Return whether a phrase predicts an answer better than each of its words."""
    least, _ = wilson_interval(phrases.cells[key, answer].rows, phrases.rows[key], _PHRASE_LEVEL)
    for word in key.split(" "):
        cell = words.cells.get((word, answer))
        if word in taken or cell is None or least <= cell.rows / words.rows[word]:
            return False
    return True


def _controls(
    key: str,
    answer: int,
    base: Sequence[float],
    words: Counts,
    phrases: Counts,
    candidates: set[str],
    most: int,
) -> tuple[str, ...]:
    """Return the words of the nearest frequency: no candidates, and none that goes with the answer.

    Those of equal frequency are in the order of a hash: in that of their letters they would be alike.
    """
    counts = phrases if " " in key else words
    frequency = log(counts.rows[key])

    def is_neutral(other: str) -> bool:
        cell = counts.cells.get((other, answer))
        low, high = wilson_interval(0 if cell is None else cell.rows, counts.rows[other])
        return low <= base[answer] <= high

    nearest = sorted(
        (abs(log(rows) - frequency), crc32(other.encode("utf-8", "surrogatepass")), other)
        for other, rows in counts.rows.items()
        if rows >= _FEWEST_ROWS and other not in candidates and is_punctuation(other) == is_punctuation(key)
    )
    return tuple(islice((other for *_, other in nearest if is_neutral(other)), most))
