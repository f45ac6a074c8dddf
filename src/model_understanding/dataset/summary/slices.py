"""Groups of errors that have one reason: words that matter in confident errors and not in right rows.

A word matters in a row if its score is at least the mean of the row's words. The errors of a right class and
an answer are compared with the right rows of both: a word that is more frequent than in both is neither usual
in texts of the right class nor a usual reason for the answer. A slice begins with the most significant word
and grows, as long as another word makes it more significant; then the rest of the errors is searched.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import log
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.dataset.summary.reading import StoredRow
from model_understanding.dataset.summary.sampling import Reservoir
from model_understanding.dataset.summary.words import words_of
from model_understanding.results.dataset_summary import ErrorSlice
from model_understanding.statistics import log_overlap_probability

LISTED = 20  # rows of a slice
_KEPT = 10_000  # errors, and right rows
_LEAST = 5  # errors of a slice
_TIMES = 2  # as frequent in the errors as in the right rows of each class, at least
_LEVEL = 0.05  # chance of any slice where errors have nothing in common
_MOST_WORDS = 8  # of a slice
_MOST_NAMED = 5  # of a slice, where fewer decide which rows belong to it
_MOST_TRIED = 500  # words of a pair of classes that a slice may be made of
_MATTERING = 32  # words of a row


class SliceSearch(NamedTuple):
    """What a search for slices found.

    Args:
        slices: The slices, the largest first; ``None`` if the data has no right classes.
        notes: What was not searched, and why.
    """

    slices: tuple[ErrorSlice, ...] | None
    notes: tuple[str, ...] = ()


def find_slices(
    rows: Iterable[StoredRow],
    labels: Sequence[str],
    *,
    seed: int = 0,
    confidence: float | None = None,
    kept: int = _KEPT,
) -> SliceSearch:
    """Find groups of errors that look as if they had one reason.

    A word matters in a row if the magnitude of its score is at least the mean of the row's words. The test of
    a word compares in how many of the confident errors of a right class and an answer it matters with the
    right rows of either class (Fisher's exact test; the larger of the two p-values counts, corrected by
    Bonferroni for all words and pairs of classes). So scores with and without a sign do, and a word that is
    usual in texts of the right class, or a usual reason for the answer, makes no slice. A slice is the rows
    in which at least some number of its words matter, which is as many as make it the most significant. The
    words must also be in the texts of more errors than right rows: that they only matter more may be because
    nothing else does in errors.

    Args:
        rows: The rows, which are read twice.
        labels: The model's classes.
        seed: Seeds the sample.
        confidence: Probability of an answer from which an error counts as confident; by default half way
            between that of a guess and 1.
        kept: How many errors are searched, and how many right rows they are compared with: random samples,
            so that memory does not grow with the data. Counts are of all rows.

    Returns:
        The slices and notes.
    """
    if not labels:
        return SliceSearch(None)
    sample = _Sample(labels, seed, (1 + 1 / len(labels)) / 2 if confidence is None else confidence, kept)
    for row in rows:
        sample.add(row)
    if not sample.labeled:
        return SliceSearch(None)
    rules = list(_rules(sample))
    for row in rows if rules else ():
        _count(row, rules)
    slices = [rule.slice() for rule in rules if rule.is_in_texts(log(_LEVEL / len(rules)))]
    slices.sort(key=lambda found: (-found.errors, -found.precision))
    return SliceSearch(tuple(slices), tuple(sample.notes(bool(slices))))


def mattering(row: StoredRow) -> dict[str, float]:
    """Return the words that matter in a row, the strongest first, each with its share of all magnitudes.

    Args:
        row: The row.
    """
    magnitudes: dict[str, float] = {}
    for word in words_of(row):
        magnitudes[word.key] = magnitudes.get(word.key, 0.0) + abs(word.score)
    total = sum(magnitudes.values())
    if not 0 < total < float("inf"):
        return {}
    strongest = heapq.nlargest(_MATTERING, magnitudes, key=magnitudes.__getitem__)
    least = total / len(magnitudes)
    return {key: magnitudes[key] / total for key in strongest if magnitudes[key] >= least}


_Pair: TypeAlias = tuple[str, str]  # a right class and an answer


class _Sample:
    """Random samples of confident errors and of right rows, as sets of the words that matter in them."""

    def __init__(self, labels: Sequence[str], seed: int, confidence: float, kept: int) -> None:
        self._labels, self._confidence = labels, confidence
        self._errors = Reservoir[tuple[_Pair, int, frozenset[str]]](kept, seed)
        self._right = {
            label: Reservoir[tuple[int, frozenset[str]]](max(kept // len(labels), _LEAST), f"{seed} {label}")
            for label in labels
        }
        self.labeled = self.wrong = 0

    def add(self, row: StoredRow) -> None:
        """Add a row; one without a right class, or whose scores explain another class, does not count."""
        if not _counts(row):
            return
        assert row.label is not None
        assert row.prediction is not None
        self.labeled += 1
        if row.label == row.prediction:
            kept = self._right[row.label]
            if (place := kept.place()) is not None:
                kept.put(place, (hash((row.text, row.pair)), frozenset(mattering(row))))
            return
        self.wrong += 1
        probability = row.probability(self._labels)
        if (probability is None or probability >= self._confidence) and (
            place := self._errors.place()
        ) is not None:
            pair = (row.label, row.prediction)
            self._errors.put(place, (pair, hash((row.text, row.pair)), frozenset(mattering(row))))

    def errors(self) -> dict[_Pair, list[frozenset[str]]]:
        """Return the errors of each right class and answer; equal texts count once."""
        texts: dict[_Pair, dict[int, frozenset[str]]] = {}
        for pair, text, words in self._errors:
            texts.setdefault(pair, {})[text] = words
        return {pair: list(each.values()) for pair, each in sorted(texts.items())}

    def right(self, label: str) -> list[frozenset[str]]:
        """Return the right rows of a class; equal texts count once."""
        return list(dict(self._right[label]).values())

    def notes(self, has_slices: bool) -> Iterator[str]:
        """Yield what was not searched, and what was searched in vain."""
        if self._errors.seen < _LEAST <= self.wrong:
            yield (
                f"Of {self.wrong:,} wrong answers, {self._errors.seen:,} have a probability of "
                f"{100 * self._confidence:.3g} % or more: too few to search for groups of errors."
            )
        elif self._errors.seen >= _LEAST and not has_slices:
            yield (
                f"No common reason was found for the {self._errors.seen:,} confident errors "
                f"({100 * self._confidence:.3g} % or more): no word that the scores call important is "
                "typical of them."
            )
        if self._errors.seen > len(self._errors):
            yield (
                f"Groups of errors were searched for in a random sample of {len(self._errors):,} of "
                f"{self._errors.seen:,} confident errors; their counts are of all rows."
            )


def _counts(row: StoredRow) -> bool:
    return row.error is None and None not in (row.label, row.prediction) and row.explained == row.prediction


@dataclass(slots=True)
class _Rule:
    """Which rows belong to a slice, and those that do.

    Args:
        pair: The right class and the answer.
        words: Its words.
        least: How many of them must matter in a row.
        others: More words that name it.
        size: Rows in which so many of them matter.
        errors: Errors among these.
        rows: The rows of the errors' right class and answer, and right rows of both classes.
        in_text: Those of them that have so many of the words, whether these matter or not.
        forms: How its words are written in the errors.
        typical: The errors in which the words matter most, with their shares of all scores.
    """

    pair: _Pair
    words: tuple[str, ...]
    least: int
    others: tuple[str, ...] = ()
    size: int = 0
    errors: int = 0
    rows: Counter[_Pair] = field(default_factory=Counter)
    in_text: Counter[_Pair] = field(default_factory=Counter)
    forms: dict[str, Counter[str]] = field(default_factory=dict)
    typical: list[tuple[float, int]] = field(default_factory=list)

    def is_in_texts(self, level: float) -> bool:
        """Return whether more errors than right rows of either class have the words.

        Args:
            level: Logarithm of the p-value that this needs.
        """
        errors, total = self.in_text[self.pair], self.rows[self.pair]
        return all(
            log_overlap_probability(
                errors, total, errors + self.in_text[label, label], total + self.rows[label, label]
            )
            <= level
            for label in self.pair
        )

    def slice(self) -> ErrorSlice:
        """Return what was counted."""
        label, prediction = self.pair
        return ErrorSlice(
            words=tuple(self.forms[word].most_common(1)[0][0] for word in (*self.words, *self.others)),
            label=label,
            prediction=prediction,
            errors=self.errors,
            size=self.size,
            precision=self.errors / self.size,
            rows=tuple(-row for _, row in sorted(self.typical, reverse=True)),
        )


def _count(row: StoredRow, rules: Sequence[_Rule]) -> None:
    """Count a row for the rules that it fulfills."""
    if not _counts(row):
        return
    assert row.label is not None
    assert row.prediction is not None
    answer = (row.label, row.prediction)
    words = {word.key: word.form for word in words_of(row)}
    shares = mattering(row)
    for rule in rules:
        if answer != rule.pair and (row.label != row.prediction or row.label not in rule.pair):
            continue
        rule.rows[answer] += 1
        rule.in_text[answer] += sum(word in words for word in rule.words) >= rule.least
        matter = [word for word in rule.words if word in shares]
        if len(matter) < rule.least:
            continue
        rule.size += 1
        if answer != rule.pair:
            continue
        rule.errors += 1
        for word in (*rule.words, *rule.others):
            if word in words:
                rule.forms.setdefault(word, Counter())[words[word]] += 1
        typical = (sum(shares[word] for word in matter), -row.row)  # of equal ones the first
        (heapq.heappush if len(rule.typical) < LISTED else heapq.heappushpop)(rule.typical, typical)


def _rules(sample: _Sample) -> Iterator[_Rule]:
    """Yield the rules of all pairs of classes, corrected for all words that could have made one."""
    searches = [
        _Search(pair, errors, sample.right(pair[1]), sample.right(pair[0]))
        for pair, errors in sample.errors().items()
        if len(errors) >= _LEAST
    ]
    tests = sum(search.tests for search in searches)
    for search in searches:
        yield from search.rules(log(_LEVEL / max(tests, 1)))


class _Search:
    """Looks for slices among the errors of one right class and answer.

    Args:
        pair: The right class and the answer.
        errors: The words that matter in each error.
        answered: The same in the right rows with this answer.
        labeled: The same in the right rows of this class.
    """

    def __init__(
        self,
        pair: _Pair,
        errors: Sequence[frozenset[str]],
        answered: Sequence[frozenset[str]],
        labeled: Sequence[frozenset[str]],
    ) -> None:
        self._pair = pair
        groups = (errors, answered, labeled)
        counts = [Counter(chain.from_iterable(group)) for group in groups]
        self.tests = sum(count + counts[1][word] >= _LEAST for word, count in counts[0].items())
        frequent = [word for word, count in counts[0].items() if count >= _LEAST]
        tables = [np.array([each[word] for word in frequent]) for each in counts]
        p_values = self._log_p(*tables, sizes=[len(group) for group in groups])
        order = sorted(range(len(frequent)), key=lambda index: (p_values[index], frequent[index]))
        self._words = [frequent[index] for index in order[:_MOST_TRIED]]
        self._groups = [_matrix(group, self._words) for group in groups]

    def rules(self, level: float) -> Iterator[_Rule]:
        """Yield rules, the most significant first.

        Args:
            level: Logarithm of the p-value that a rule needs.
        """
        while self._words and (found := self._grown(level)) is not None:
            words, least, members = found
            named, others = (
                tuple(self._words[index] for index in each)
                for each in (words, self._others(words, members, level))
            )
            yield _Rule(self._pair, named, least, others)
            self._groups[0] = self._groups[0][~members]

    def _others(self, words: Sequence[int], members: Bool[np.ndarray, " errors"], level: float) -> list[int]:
        """Return the words besides those of a rule that matter more in its errors than in right rows."""
        inside = (self._groups[0][members], *self._groups[1:])
        p_values = self._log_p(
            *(group.sum(axis=0) for group in inside), sizes=[len(group) for group in inside]
        )
        p_values[words] = 0.0
        others = np.argsort(p_values, kind="stable")[: max(_MOST_NAMED - len(words), 0)]
        return [int(index) for index in others if p_values[index] <= level]

    def _grown(self, level: float) -> tuple[list[int], int, Bool[np.ndarray, " errors"]] | None:
        """Return the most significant slice of the remaining errors; ``None`` if none is significant."""
        counts = [np.zeros(len(group), dtype=np.int64) for group in self._groups]
        words: list[int] = []
        least, best = 1, level
        margin = log(len(self._words))  # another word is one of as many
        while len(words) < _MOST_WORDS:
            with_word = [count[:, None] + group for count, group in zip(counts, self._groups, strict=True)]
            options = [(least, self._log_p_of(with_word, least))]
            if words:
                options.append((least + 1, self._log_p_of(with_word, least + 1)))
                apart = ~self._go_along(counts[0] >= least)
                options[0][1][apart] = 0.0
            for _, p_values in options:
                p_values[words] = 0.0
            new_least, p_values = min(options, key=lambda option: option[1].min())
            if p_values.min() > best - (margin if words else 0.0):
                break
            word = int(p_values.argmin())
            best, least = float(p_values[word]), new_least
            words.append(word)
            counts = [each[:, word] for each in with_word]
        return (words, least, counts[0] >= least) if words else None

    def _log_p_of(
        self, counts: Sequence[Int[np.ndarray, "rows words"]], least: int
    ) -> Float[np.ndarray, " words"]:
        members = [(count >= least).sum(axis=0) for count in counts]
        return self._log_p(*members, sizes=[len(count) for count in counts])

    @staticmethod
    def _log_p(
        errors: Int[np.ndarray, " words"],
        answered: Int[np.ndarray, " words"],
        labeled: Int[np.ndarray, " words"],
        sizes: Sequence[int],
    ) -> Float[np.ndarray, " words"]:
        """Return the larger of the two log p-values; 0 for too few errors, or too frequent in right rows."""
        result = np.zeros(len(errors))
        for index, count in enumerate(errors.tolist()):
            if count < _LEAST:
                continue
            result[index] = -np.inf
            for others, size in ((int(answered[index]), sizes[1]), (int(labeled[index]), sizes[2])):
                is_rare = others * sizes[0] * _TIMES <= count * size
                p_value = log_overlap_probability(count, sizes[0], count + others, sizes[0] + size)
                result[index] = max(result[index], p_value if is_rare else 0.0)
        return result

    def _go_along(self, members: Bool[np.ndarray, " errors"]) -> Bool[np.ndarray, " words"]:
        """Return which words matter more often in errors of a slice than in other errors."""
        errors = self._groups[0]
        inside, everywhere = errors[members].sum(axis=0), errors.sum(axis=0)
        p_values = [
            log_overlap_probability(int(count), int(members.sum()), int(total), len(errors))
            for count, total in zip(inside, everywhere, strict=True)
        ]
        return np.array(p_values) <= log(_LEVEL / len(self._words))


def _matrix(rows: Sequence[frozenset[str]], words: Sequence[str]) -> Bool[np.ndarray, "rows words"]:
    places = {word: index for index, word in enumerate(words)}
    matrix = np.zeros((len(rows), len(words)), dtype=bool)
    for index, row in enumerate(rows):
        matrix[index, [places[word] for word in row if word in places]] = True
    return matrix
