"""What a summary says of all rows together: right and wrong answers, histograms, errors, and notes."""

import re
from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, floor, inf, isfinite, log10

import numpy as np

from model_understanding.dataset.summary.reading import StoredRow
from model_understanding.results.dataset_summary import Confusion, Distribution

_BINS = 20
MOST_CLASSES = 200  # of a confusion matrix
_MOST_ERRORS, _MOST_REASONS = 10, 1000
_MOST_IDS = 3
_DIFFERING = re.compile(r"""\d+(,\d{3})*|(?<!\w)'[^']*'(?!\w)|"[^"]*"|“[^”]*”|‘[^’]*’(?!\w)""")
_LONG_TAIL = 50  # times the shortest: bins are then of growing width


@dataclass(slots=True)
class Range:
    """The smallest and the largest of some values."""

    low: float = inf
    high: float = -inf

    def add(self, value: float) -> None:
        """Widen the range to a value."""
        self.low, self.high = min(self.low, value), max(self.high, value)


def edges_of_counts(low: float, high: float) -> tuple[float, ...]:
    """Return whole ends of bins for counts from ``low`` to ``high``; in a wide range their steps grow.

    >>> edges_of_counts(3, 6)
    (3.0, 4.0, 5.0, 6.0, 7.0)
    >>> edges_of_counts(1, 1000)[-4:]
    (362.0, 512.0, 724.0, 1024.0)
    """
    if high > _LONG_TAIL * max(low, 1):
        powers = range(2 * floor(_log2(max(low, 1))), 2 * ceil(_log2(high + 1)) + 2)
        edges = sorted({min(low, 1), *(round(2 ** (power / 2)) for power in powers)})
        last = next(index for index, edge in enumerate(edges) if edge > high)
        return tuple(map(float, edges[: last + 1]))
    step = max(1, ceil((high + 1 - low) / _BINS))
    count = ceil((high + 1 - low) / step)
    return tuple(float(low + step * index) for index in range(count + 1))


def _log2(value: float) -> float:
    return log10(value) / log10(2)


class Histogram:
    """Counts values in bins.

    Args:
        name: What is counted.
        edges: Ends of the bins; values beyond them count in the first or last.
    """

    def __init__(self, name: str, edges: Sequence[float]) -> None:
        self.name, self._edges = name, np.array(edges)
        self._counts = np.zeros(len(edges) - 1, dtype=np.int64)

    def add(self, value: float) -> None:
        """Count a value."""
        index = int(np.searchsorted(self._edges, value, side="right")) - 1
        self._counts[min(max(index, 0), len(self._counts) - 1)] += 1

    def distribution(self) -> Distribution | None:
        """Return the histogram without the empty bins at its ends; ``None`` if nothing was counted."""
        filled = np.flatnonzero(self._counts)
        if not filled.size:
            return None
        first, last = int(filled[0]), int(filled[-1])
        return Distribution(
            name=self.name,
            edges=tuple(self._edges[first : last + 2].tolist()),
            counts=tuple(self._counts[first : last + 1].tolist()),
        )


class Distributions:
    """Histograms of the rows, in two looks: the first finds the range of what can be of any size."""

    def __init__(self) -> None:
        self._ranges: dict[str, Range] = {}
        self._histograms: dict[str, Histogram] = {}

    def look(self, row: StoredRow, confidence: float | None) -> None:
        """Widen the ranges to a row's values."""
        for name, value in _values(row, confidence).items():
            self._ranges.setdefault(name, Range()).add(value)

    def add(self, row: StoredRow, confidence: float | None) -> None:
        """Count a row."""
        for name, value in _values(row, confidence).items():
            histogram = self._histograms.get(name)
            if histogram is None:
                histogram = self._histograms[name] = Histogram(name, _edges(name, self._ranges[name]))
            histogram.add(value)

    def all(self) -> tuple[Distribution, ...]:
        """Return the histograms."""
        found = (histogram.distribution() for histogram in self._histograms.values())
        return tuple(distribution for distribution in found if distribution is not None)


TOKENS, WORDS, CONFIDENCE, GAP, LARGEST = (
    *("tokens per row", "words per row", "probability of the answer", "completeness gap"),
    "largest score's share of all scores",
)


def _values(row: StoredRow, confidence: float | None) -> dict[str, float]:
    values: dict[str, float] = {TOKENS: row.tokens, WORDS: len(row.words)}
    if confidence is not None:
        values[CONFIDENCE] = confidence
    if row.gap is not None and isfinite(row.gap):
        values[GAP] = abs(row.gap)
    sizes = np.abs(row.word_scores)
    if sizes.sum() > 0:
        values[LARGEST] = float(sizes.max() / sizes.sum())
    return values


def _edges(name: str, of: Range) -> Sequence[float]:
    if name in (TOKENS, WORDS):
        return edges_of_counts(of.low, of.high)
    if name == GAP:  # of any size: by half powers of ten
        first = max(floor(2 * log10(max(of.low, 1e-9))), -18)
        last = max(ceil(2 * log10(max(of.high, 1e-9))), first) + 1
        return [0.0, *(10 ** (power / 2) for power in range(first + 1, last + 1))]
    return np.linspace(0, 1, _BINS + 1).tolist()


@dataclass(slots=True)
class RightAndWrong:
    """Right classes against answers, with confidence.

    Args:
        labels: The classes.
    """

    labels: Sequence[str]
    _counts: Tally[tuple[str, str]] = field(default_factory=Tally)
    _confidence: dict[tuple[str, str], float] = field(default_factory=dict)

    def add(self, row: StoredRow, confidence: float | None) -> None:
        """Count a row, if it has a right class and an answer."""
        if row.label is not None and row.prediction is not None:
            cell = (row.label, row.prediction)
            self._counts[cell] += 1
            self._confidence[cell] = self._confidence.get(cell, 0.0) + (confidence or 0.0)

    def labeled(self, label: str) -> int:
        """Return how many rows have this right class."""
        return sum(count for (right, _), count in self._counts.items() if right == label)

    @property
    def total(self) -> int:
        """Rows with a right class and an answer."""
        return self._counts.total()

    @property
    def accuracy(self) -> float:
        """Share of them whose answer is right."""
        return sum(count for (right, answer), count in self._counts.items() if right == answer) / self.total

    def confusion(self) -> Confusion | None:
        """Return the matrix; ``None`` without labels, or for more than 200 classes."""
        if not self.total or len(self.labels) > MOST_CLASSES:
            return None
        cells = [[(right, answer) for answer in self.labels] for right in self.labels]
        return Confusion(
            labels=tuple(self.labels),
            counts=tuple(tuple(self._counts[cell] for cell in row) for row in cells),
            confidence=tuple(
                tuple(
                    self._confidence[cell] / self._counts[cell] if self._counts[cell] else None
                    for cell in row
                )
                for row in cells
            ),
        )


class Reasons:
    """Errors or warnings of rows; those that differ by a number or by what they quote are one."""

    def __init__(self) -> None:
        self.rows = 0
        self._reasons: Tally[str] = Tally()
        self._first: dict[str, str] = {}
        self._ids: dict[str, list[str]] = {}

    def add(self, id_: str, *reasons: str) -> None:
        """Count a row that has some."""
        self.rows += 1
        for words in {_DIFFERING.sub("…", each): each for each in reversed(reasons)}.items():
            reason, example = words
            if reason in self._first or len(self._first) < _MOST_REASONS:
                self._first.setdefault(reason, example)
                self._reasons[reason] += 1
                if len(ids := self._ids.setdefault(reason, [])) < _MOST_IDS:
                    ids.append(id_)

    def most_frequent(self) -> dict[str, int]:
        """Return the most frequent reasons, each as its first row has it, with how many rows they have."""
        return {self._first[reason]: self._reasons[reason] for reason in self._ranked()}

    def first_ids(self) -> dict[str, tuple[str, ...]]:
        """Return the ids of the first rows of each of them."""
        return {self._first[reason]: tuple(self._ids[reason]) for reason in self._ranked()}

    def _ranked(self) -> list[str]:
        ranked = sorted(self._reasons, key=lambda reason: (-self._reasons[reason], reason))
        return ranked[:_MOST_ERRORS]
