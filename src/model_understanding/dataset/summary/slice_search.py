"""What errors have in common: words, in one of two ways.

A word may matter in the errors, by its score, and not in right rows; or it may be there, whatever its score:
a method need not see what a model reads. Errors of one right class and answer are searched in both ways, and
all errors together by the words that are there, since such a group may be wrong whatever its class. There is
one test for all: errors against the right rows of their right class, and against those of their answer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.statistics import log_overlap_probability, log_stratified_overlap_probability

Pair: TypeAlias = tuple[str, str]
"""A right class and an answer."""

FoundBy = Literal["scores", "presence"]
LEAST = 5
"""Errors of a slice."""
LEVEL = 0.05
"""The chance of any slice where errors have nothing in common."""
_TIMES = 2  # as frequent in the errors as in the right rows of the same classes, at least
_MOST_WORDS = 8  # of a slice
_MOST_NAMED = 5  # of a slice, where fewer decide which rows belong to it
_MOST_TRIED = 500  # words that a slice may be made of

Ids: TypeAlias = Int[np.ndarray, " words"]
Counts: TypeAlias = Int[np.ndarray, "classes words"]


class RowWords(NamedTuple):
    """The words of a row, as numbers of a vocabulary.

    Args:
        present: All of them.
        mattering: Those whose scores matter.
    """

    present: Ids
    mattering: Ids


class CommonWords(NamedTuple):
    """Words that errors have in common.

    Args:
        pair: The right class and the answer of the errors; ``None`` for several.
        found_by: Whether the words matter in the errors, or are there.
        words: The words.
        least: How many of them a row must have.
        others: More words that are typical of these errors.
        log_p: Logarithm of their p-value.
    """

    pair: Pair | None
    found_by: FoundBy
    words: tuple[int, ...]
    least: int
    others: tuple[int, ...]
    log_p: float


def common_words(
    errors: Mapping[Pair, Sequence[RowWords]],
    right: Mapping[str, Sequence[RowWords]],
    vocabulary: Sequence[str],
) -> Iterator[CommonWords]:
    """Yield what errors have in common, corrected for all words that could have been it (Bonferroni).

    First what all have, then what those of each right class and answer have; one group may be in both.

    Args:
        errors: The errors of each right class and answer.
        right: The right rows of each class.
        vocabulary: The words, by their numbers.
    """
    pairs: list[Pair | None] = [pair for pair, rows in errors.items() if len(rows) >= LEAST]
    together: list[Pair | None] = [None] if len(errors) > 1 else []
    searches = [_Search(pair, errors, right, vocabulary) for pair in (*together, *pairs)]
    tests = sum(search.tests for search in searches)
    for search in searches:
        yield from search.found(log(LEVEL / max(tests, 1)))


class _Search:
    """Looks for words that errors have in common.

    Args:
        pair: The right class and the answer of the errors to search; ``None`` for all.
        errors: The errors of each right class and answer.
        right: The right rows of each class.
        vocabulary: The words, by their numbers.
    """

    def __init__(
        self,
        pair: Pair | None,
        errors: Mapping[Pair, Sequence[RowWords]],
        right: Mapping[str, Sequence[RowWords]],
        vocabulary: Sequence[str],
    ) -> None:
        searched = errors if pair is None else {pair: errors[pair]}
        classes = sorted({label for each in searched for label in each})
        of_errors = [
            [classes.index(label) for label in each] for each, rows in searched.items() for _ in rows
        ]
        of_right = [(number, row) for number, label in enumerate(classes) for row in right.get(label, ())]
        rows = _Rows(
            [row for _, row in of_right],
            np.array(of_errors, dtype=np.int64).reshape(-1, 2),
            np.array([number for number, _ in of_right], dtype=np.int64),
            len(classes),
        )
        every = [row for rows in searched.values() for row in rows]
        ways: tuple[FoundBy, ...] = ("presence",) if pair is None else ("scores", "presence")
        self._pair = pair
        self._tables = [_Table.of(way, every, rows, vocabulary) for way in ways]

    @property
    def tests(self) -> int:
        """How many words could have been what errors have in common, in all ways."""
        return sum(table.tests for table in self._tables)

    def found(self, level: float) -> Iterator[CommonWords]:
        """Yield what errors have in common, the most significant first, then what the rest of them has.

        Args:
            level: Logarithm of the p-value that is needed.
        """
        used: set[int] = set()  # what is found in one way is not found again in the other
        while True:
            grown = [table.grown(level, used) for table in self._tables]
            table, best = min(
                zip(self._tables, grown, strict=True), key=lambda of: 1.0 if of[1] is None else of[1].log_p
            )
            if best is None:
                return
            named = (best.words, table.others(best, level))
            words, others = (tuple(table.words[index] for index in each) for each in named)
            yield CommonWords(self._pair, table.found_by, words, best.least, others, best.log_p)
            used.update(words)
            for each in self._tables:
                each.drop(best.members)


class _Rows(NamedTuple):
    """What errors are compared with.

    Args:
        right: Right rows.
        of_errors: Right class and answer of each error.
        of_right: Class of each right row.
        classes: How many classes there are.
    """

    right: Sequence[RowWords]
    of_errors: Int[np.ndarray, "errors 2"]
    of_right: Int[np.ndarray, " rows"]
    classes: int


class _Grown(NamedTuple):
    """Words that errors have in common, as columns of a table.

    Args:
        words: The columns.
        least: How many of them a row must have.
        members: Which errors have so many.
        log_p: Logarithm of the p-value.
    """

    words: list[int]
    least: int
    members: Bool[np.ndarray, " errors"]
    log_p: float


@dataclass(slots=True)
class _Table:
    """Which rows have which words, in one of the two ways.

    Args:
        found_by: The way.
        words: The words that may be in common, the most significant first.
        errors: Which of them each error has.
        right: Which of them each right row has.
        rows: The classes of the rows.
        tests: Words that are frequent enough to be in common.
    """

    found_by: FoundBy
    words: Sequence[int]
    errors: Bool[np.ndarray, "errors words"]
    right: Bool[np.ndarray, "rows words"]
    rows: _Rows
    tests: int

    @classmethod
    def of(
        cls, found_by: FoundBy, errors: Sequence[RowWords], rows: _Rows, vocabulary: Sequence[str]
    ) -> "_Table":
        of_errors, of_right = (
            [row.mattering if found_by == "scores" else row.present for row in group]
            for group in (errors, rows.right)
        )
        count, size = _counted(of_errors, len(vocabulary)), len(vocabulary)
        everywhere = count + _counted(of_right, size)
        frequent = np.flatnonzero(count >= LEAST)
        by_class = [
            _counted_by_class(group, of, rows.classes, frequent, size)
            for group, of in (
                (of_errors, rows.of_errors[:, 0]),
                (of_errors, rows.of_errors[:, 1]),
                (of_right, rows.of_right),
            )
        ]
        p_values = _log_p(by_class[:2], by_class[2], rows)
        order = sorted(range(len(frequent)), key=lambda index: (p_values[index], vocabulary[frequent[index]]))
        words = [int(frequent[index]) for index in order[:_MOST_TRIED]]
        columns = np.full(size, -1)
        columns[words] = range(len(words))
        in_errors, in_right = (_matrix(group, columns, len(words)) for group in (of_errors, of_right))
        tests = int(((count > 0) & (everywhere >= LEAST)).sum())
        return cls(found_by, words, in_errors, in_right, rows, tests)

    def drop(self, members: Bool[np.ndarray, " errors"]) -> None:
        """Leave some errors out of what follows."""
        self.errors = self.errors[~members]
        self.rows = self.rows._replace(of_errors=self.rows.of_errors[~members])

    def others(self, grown: _Grown, level: float) -> list[int]:
        """Return the words besides those of a slice that more of its errors have than right rows."""
        of_members = self.rows._replace(of_errors=self.rows.of_errors[grown.members])
        p_values = _log_p_of(self.errors[grown.members], self.right, of_members)
        p_values[grown.words] = 0.0
        others = np.argsort(p_values, kind="stable")[: max(_MOST_NAMED - len(grown.words), 0)]
        return [int(index) for index in others if p_values[index] <= level]

    def grown(self, level: float, used: set[int]) -> _Grown | None:
        """Return the most significant slice of the remaining errors; ``None`` if none is significant.

        Args:
            level: Logarithm of the p-value that is needed.
            used: Words that are not to be part of it.
        """
        if not self.words:
            return None
        counts = [np.zeros(len(group), dtype=np.int64) for group in (self.errors, self.right)]
        excluded = [column for column, word in enumerate(self.words) if word in used]
        words: list[int] = []
        least, best = 1, level
        margin = log(len(self.words))  # another word is one of as many
        while len(words) < _MOST_WORDS:
            with_word = [
                count[:, None] + group for count, group in zip(counts, (self.errors, self.right), strict=True)
            ]
            options = [(least, self._log_p_of(with_word, least))]
            if words:
                options.append((least + 1, self._log_p_of(with_word, least + 1)))
                apart = ~self._go_along(counts[0] >= least)
                options[0][1][apart] = 0.0
            for _, p_values in options:
                p_values[[*words, *excluded]] = 0.0
            new_least, p_values = min(options, key=lambda option: option[1].min())
            if p_values.min() > best - (margin if words else 0.0):
                break
            word = int(p_values.argmin())
            best, least = float(p_values[word]), new_least
            words.append(word)
            counts = [each[:, word] for each in with_word]
        return _Grown(words, least, counts[0] >= least, best) if words else None

    def _log_p_of(
        self, counts: Sequence[Int[np.ndarray, "rows words"]], least: int
    ) -> Float[np.ndarray, " words"]:
        return _log_p_of(counts[0] >= least, counts[1] >= least, self.rows)

    def _go_along(self, members: Bool[np.ndarray, " errors"]) -> Bool[np.ndarray, " words"]:
        """Return which words more errors of a slice have than other errors."""
        inside, everywhere = self.errors[members].sum(axis=0), self.errors.sum(axis=0)
        p_values = [
            log_overlap_probability(int(count), int(members.sum()), int(total), len(self.errors))
            for count, total in zip(inside, everywhere, strict=True)
        ]
        return np.array(p_values) <= log(LEVEL / len(self.words))


def _log_p_of(
    errors: Bool[np.ndarray, "errors words"], right: Bool[np.ndarray, "rows words"], rows: _Rows
) -> Float[np.ndarray, " words"]:
    """Return the log p-values of words, from which rows have each.

    Args:
        errors: Which errors have it.
        right: Which right rows have it.
        rows: The classes of the rows.
    """
    of_label, of_answer = (_by_class(errors, rows.of_errors[:, kind], rows.classes) for kind in (0, 1))
    return _log_p([of_label, of_answer], _by_class(right, rows.of_right, rows.classes), rows)


def _log_p(errors: Sequence[Counts], right: Counts, rows: _Rows) -> Float[np.ndarray, " words"]:
    """Return the larger of two log p-values; 0 for too few errors, or too frequent in right rows.

    Args:
        errors: Errors with each word, by right class and by answer.
        right: Right rows with it, by class.
        rows: The classes of the rows.
    """
    result = np.full(right.shape[1], -np.inf)
    result[errors[0].sum(axis=0) < LEAST] = 0.0
    of_class = np.bincount(rows.of_right, minlength=rows.classes)
    for kind, having in enumerate(errors):
        sizes = np.bincount(rows.of_errors[:, kind], minlength=rows.classes)
        with np.errstate(invalid="ignore", divide="ignore"):
            as_right = np.where(of_class[:, None] > 0, sizes[:, None] * right / of_class[:, None], having)
        result[_TIMES * as_right.sum(axis=0) > having.sum(axis=0) + 1e-9] = 0.0
        searched, both = np.flatnonzero(sizes), sizes + of_class
        for word in np.flatnonzero(result):
            some = having[searched, word]
            strata = np.stack([some, sizes[searched], some + right[searched, word], both[searched]], axis=1)
            result[word] = max(result[word], log_stratified_overlap_probability(strata.tolist()))
    return result


def _by_class(having: Bool[np.ndarray, "rows words"], of: Int[np.ndarray, " rows"], classes: int) -> Counts:
    return np.stack([having[of == number].sum(axis=0) for number in range(classes)])


def _counted(rows: Sequence[Ids], words: int) -> Ids:
    """Return in how many rows each word is."""
    return np.bincount(np.concatenate([np.zeros(0, np.int32), *rows]), minlength=words)


def _counted_by_class(
    rows: Sequence[Ids], of: Int[np.ndarray, " rows"], classes: int, chosen: Ids, words: int
) -> Counts:
    """Return in how many rows of each class each of some words is."""
    groups = [[rows[index] for index in np.flatnonzero(of == number).tolist()] for number in range(classes)]
    return np.stack([_counted(group, words)[chosen] for group in groups])


def _matrix(rows: Sequence[Ids], columns: Ids, count: int) -> Bool[np.ndarray, "rows words"]:
    """Return which rows have which words.

    Args:
        rows: The words of each row.
        columns: The column of each word; -1 for none.
        count: How many columns there are.
    """
    matrix = np.zeros((len(rows), count), dtype=bool)
    for index, row in enumerate(rows):
        having = columns[row]
        matrix[index, having[having >= 0]] = True
    return matrix
