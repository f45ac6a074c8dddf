"""The first look at rows: how often each word and phrase occurs, and its scores, in bounded memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import inf, sqrt

from model_understanding.dataset.summary.words import Occurrence
from model_understanding.statistics import t_quantile

MOST_COUNTED = 200_000  # different words, and phrases, at a time


@dataclass(slots=True)
class Total:
    """What is known of a word or phrase in the rows of one answer.

    Args:
        rows: Rows with it.
        count: Occurrences.
        sum: Sum of its scores.
        squares: Sum of their squares.
    """

    rows: int = 0
    count: int = 0
    sum: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """Mean score of an occurrence."""
        return self.sum / max(self.count, 1)

    @property
    def spread(self) -> float:
        """Standard deviation of the scores."""
        centered = max(self.squares - self.sum * self.mean, 0.0)
        return sqrt(centered / (self.count - 1)) if self.count > 1 else 0.0

    @property
    def margin(self) -> float:
        """About half the width of the mean's 95 % interval, as if there were one occurrence in a row."""
        return _quantile(self.rows - 1) * self.spread / sqrt(self.rows) if self.rows > 1 else inf

    def strength(self, average: float) -> float:
        """Return about how far the mean is from that of an average word at least."""
        return max(abs(self.mean - average) - self.margin, 0.0)

    def add(self, count: int, total: float, squares: float) -> None:
        """Add a row's occurrences."""
        self.rows += 1
        self.count += count
        self.sum += total
        self.squares += squares


@dataclass(slots=True)
class Counter:
    """Totals of the words, or phrases, of each answer.

    Beyond ``limit`` different ones, those of the fewest rows are dropped, as in lossy counting: which ones
    depends on the rows alone. A word that is in more than ``missed`` rows is never lost.

    Args:
        limit: How many different ones are kept at most.
        answers: Their totals, by answer.
        missed: In how many rows a word that is dropped may be.

    Reference:
        Manku & Motwani (2002), "Approximate Frequency Counts over Data Streams".
    """

    limit: int = MOST_COUNTED
    answers: dict[str | None, dict[str, Total]] = field(default_factory=dict)
    missed: int = 0
    _size: int = 0

    def add(self, answer: str | None, occurrences: Iterable[Occurrence]) -> None:
        """Count the occurrences of a row.

        Args:
            answer: The row's answer.
            occurrences: Its words or phrases.
        """
        totals = self.answers.setdefault(answer, {})
        for key, (count, total, squares) in sums_of(occurrences).items():
            known = totals.get(key)
            if known is None:
                known = totals[key] = Total()
                self._size += 1
            known.add(count, total, squares)
        if self._size > self.limit:
            self._drop()

    def _drop(self) -> None:
        least = 0
        while 2 * self._size > self.limit:
            least += 1
            for answer, totals in self.answers.items():
                self.answers[answer] = {key: total for key, total in totals.items() if total.rows > least}
            self._size = sum(map(len, self.answers.values()))
        self.missed += least

    def totals(self, answer: str | None) -> Mapping[str, Total]:
        """Return the totals of an answer's words."""
        return self.answers.get(answer, {})


def sums_of(occurrences: Iterable[Occurrence]) -> dict[str, tuple[int, float, float]]:
    """Return for each word of a row how often it occurs, and the sums of its scores and their squares."""
    sums: dict[str, tuple[int, float, float]] = {}
    for key, _, score, _ in occurrences:
        count, total, squares = sums.get(key, (0, 0.0, 0.0))
        sums[key] = (count + 1, total + score, squares + score * score)
    return sums


@cache
def _quantile(degrees: int) -> float:
    return t_quantile(0.95, degrees)
