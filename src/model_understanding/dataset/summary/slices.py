"""Groups of errors that have one reason: words of confident errors that right rows do not have.

A word is searched for in two ways (``slice_search.py``): where it matters, which is where its score is at
least the mean of the row's words, and where it is. The errors of a right class and an answer are compared
with the right rows of both: a word that is more frequent than in both is neither usual in texts of the right
class nor a usual reason for the answer. A slice begins with the most significant word and grows, as long as
another word makes it more significant; then the rest of the errors is searched.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from model_understanding.dataset.summary.reading import StoredRow
from model_understanding.dataset.summary.repeats import Repeats
from model_understanding.dataset.summary.sampling import Largest, Reservoir
from model_understanding.dataset.summary.slice_search import (
    LEAST,
    LEVEL,
    FoundBy,
    Pair,
    RowWords,
    common_words,
)
from model_understanding.dataset.summary.words import words_of
from model_understanding.results.dataset_summary import ErrorSlice
from model_understanding.statistics import log_stratified_overlap_probability

LISTED = 20  # rows of a slice
_KEPT = 10_000  # errors, and right rows
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
    right rows of either class (Fisher's exact test; the larger of the two p-values counts). So scores with
    and without a sign do, and a word that is usual in texts of the right class, or a usual reason for the
    answer, makes no slice. The same test compares how many of these rows have the word, whatever its score,
    since scores may not see what a model reads. Both are corrected together (Bonferroni, for all words, both
    ways and all pairs of classes), and the more significant one counts.

    A slice is the rows in which at least some number of its words matter, or are, which is as many as make it
    the most significant. The words must also be in the texts of more errors than right rows: that they only
    matter more may be because nothing else does in errors. Of a slice by the words that are there, at least
    half of the texts of the right class must be errors.

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
    repeats = Repeats(by_label=True)
    for row in rows if rules else ():
        _count(row, rules, repeats)
    reasons = [rule for rule in rules if rule.is_reason(log(LEVEL / len(rules)))]
    slices = [rule.slice() for rule in reasons if not any(map(rule.is_told_better_by, reasons))]
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


class _Texts(NamedTuple):
    """A row that is searched.

    Args:
        text: Tells equal texts, which count once.
        words: Its words.
    """

    text: int
    words: RowWords


class _Sample:
    """Random samples of confident errors and of right rows, with their words."""

    def __init__(self, labels: Sequence[str], seed: int, confidence: float, kept: int) -> None:
        self._labels, self._confidence = labels, confidence
        self._errors = Reservoir[tuple[Pair, _Texts]](kept, seed)
        self._right = {
            label: Reservoir[_Texts](max(kept // len(labels), LEAST), f"{seed} {label}") for label in labels
        }
        self._numbers: dict[str, int] = {}
        self.labeled = self.wrong = 0

    @property
    def vocabulary(self) -> Sequence[str]:
        """The words, by their numbers."""
        return list(self._numbers)

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
                kept.put(place, self._texts(row))
            return
        self.wrong += 1
        probability = row.probability(self._labels)
        if (probability is None or probability >= self._confidence) and (
            place := self._errors.place()
        ) is not None:
            self._errors.put(place, ((row.label, row.prediction), self._texts(row)))

    def _texts(self, row: StoredRow) -> _Texts:
        words = RowWords(self._ids({word.key for word in words_of(row)}), self._ids(mattering(row)))
        return _Texts(hash((row.text, row.pair)), words)

    def _ids(self, words: Iterable[str]) -> Int[np.ndarray, " words"]:
        numbers = self._numbers
        return np.array([numbers.setdefault(word, len(numbers)) for word in words], dtype=np.int32)

    def errors(self) -> dict[Pair, list[RowWords]]:
        """Return the errors of each right class and answer; equal texts count once."""
        texts: dict[Pair, dict[int, RowWords]] = {}
        for pair, (text, words) in self._errors:
            texts.setdefault(pair, {})[text] = words
        return {pair: list(each.values()) for pair, each in sorted(texts.items())}

    def right(self) -> dict[str, list[RowWords]]:
        """Return the right rows of each class; equal texts count once."""
        return {label: list(dict(each).values()) for label, each in self._right.items()}

    def rarities(self) -> Float[np.ndarray, " words"]:
        """Return how rare each word is: the logarithm of one over its share of the rows."""
        rows = [each.words.present for of_class in self._right.values() for each in of_class]
        rows += [each.words.present for _, each in self._errors]
        if not rows:  # every answer is wrong, and none of them is confident
            return np.zeros(0)
        counts = np.bincount(np.concatenate(rows), minlength=len(self._numbers))
        return np.log((1 + len(rows)) / np.maximum(counts, 1))

    def notes(self, has_slices: bool) -> Iterator[str]:
        """Yield what was not searched, and what was searched in vain."""
        if self._errors.seen < LEAST <= self.wrong:
            yield (
                f"Of {self.wrong:,} wrong answers, {self._errors.seen:,} have a probability of "
                f"{100 * self._confidence:.3g} % or more: too few to search for groups of errors."
            )
        elif self._errors.seen >= LEAST and not has_slices:
            yield (
                f"No common reason was found for the {self._errors.seen:,} confident errors "
                f"({100 * self._confidence:.3g} % or more): no word is typical of them, neither by its "
                "scores nor by the texts that have it."
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
        pair: The right class and the answer of the errors; ``None`` for any.
        found_by: Whether its words must matter in a row, or be there.
        words: Its words.
        least: How many of them a row must have.
        log_p: Logarithm of the p-value of its words.
        others: More words that name it.
        rarities: How rare each of its words is.
        size: Rows that have so many of them.
        errors: Errors among these.
        rows: Different texts of each right class and answer: the errors', and right rows of these classes.
        in_text: Those of them that have so many of the words, whether these matter or not.
        forms: How its words are written in the errors.
        typical: The errors that are in the fewest slices; of these, those that have most of the words; then
            those in which they matter most, by their shares of all scores or by the rarity of words that are
            there.
    """

    pair: Pair | None
    found_by: FoundBy
    words: tuple[str, ...]
    least: int
    log_p: float
    others: tuple[str, ...] = ()
    rarities: Mapping[str, float] = field(default_factory=dict)
    size: int = 0
    errors: int = 0
    rows: Counter[Pair] = field(default_factory=Counter)
    in_text: Counter[Pair] = field(default_factory=Counter)
    forms: dict[str, Counter[str]] = field(default_factory=dict)
    typical: Largest[None] = field(default_factory=lambda: Largest[None](LISTED))

    def is_reason(self, level: float) -> bool:
        """Return whether the words tell these errors from right rows.

        More errors than right rows of their right classes, and of their answers, must have them. Words that
        matter in errors only, where right rows have them too, are no reason: nothing else may matter there.
        Of words that are there, most texts of the right class, or of all classes, must be wrong in this way;
        else they go with errors and do not make them.

        Args:
            level: Logarithm of the p-value that this needs.
        """
        errors = [pair for pair in self.rows if pair[0] != pair[1]]
        classes = {label for label, _ in errors}
        wrong = sum(self.in_text[pair] for pair in errors)
        if self.found_by == "presence" and wrong < sum(self.in_text[label, label] for label in classes):
            return False
        return all(self._log_p(kind, errors) <= level for kind in (0, 1))

    def shares_words(self, other: "_Rule") -> bool:
        """Return whether another rule is named by a word of this one."""
        return not {*self.words, *self.others}.isdisjoint((*other.words, *other.others))

    def is_told_better_by(self, other: "_Rule") -> bool:
        """Return whether a rule of all classes, or of one right class and answer, has these words, too."""
        if (self.pair is None) == (other.pair is None) or not self.shares_words(other):
            return False
        return other.log_p < self.log_p or (other.log_p == self.log_p and other.pair is not None)

    def _log_p(self, kind: int, errors: Sequence[Pair]) -> float:
        """Return the log p-value of the words in errors and right rows of the same right class, or answer."""
        strata: list[tuple[int, int, int, int]] = []
        for label in {pair[kind] for pair in errors}:
            of_label = [pair for pair in errors if pair[kind] == label]
            having, count = (sum(each[pair] for pair in of_label) for each in (self.in_text, self.rows))
            right = (label, label)
            strata.append((having, count, having + self.in_text[right], count + self.rows[right]))
        return log_stratified_overlap_probability(strata)

    def weights(self, words: Mapping[str, str], shares: Mapping[str, float]) -> Mapping[str, float]:
        """Return what counts in a row: the shares of words that matter, or the rarity of those there.

        Args:
            words: The row's words.
            shares: Those that matter, with their shares.
        """
        if self.found_by == "scores":
            return shares
        return {word: rarity for word, rarity in self.rarities.items() if word in words}

    def slice(self) -> ErrorSlice:
        """Return what was counted."""
        label, prediction = self.pair or (None, None)
        return ErrorSlice(
            words=tuple(self.forms[word].most_common(1)[0][0] for word in (*self.words, *self.others)),
            label=label,
            prediction=prediction,
            errors=self.errors,
            size=self.size,
            precision=self.errors / self.size,
            rows=self.typical.rows(),
            found_by=self.found_by,
        )


def _count(row: StoredRow, rules: Sequence[_Rule], repeats: Repeats) -> None:
    """Count a row for the rules that it fulfills; one that repeats a text is no more evidence for them."""
    if not _counts(row):
        return
    is_new = repeats.is_new(row)
    assert row.label is not None
    assert row.prediction is not None
    answer = (row.label, row.prediction)
    words = {word.key: word.form for word in words_of(row)}
    shares = mattering(row)
    reasons: list[tuple[_Rule, int, float]] = []
    for rule in rules:
        if rule.pair not in (None, answer) and (row.label != row.prediction or row.label not in rule.pair):
            continue
        rule.rows[answer] += is_new
        rule.in_text[answer] += is_new and sum(word in words for word in rule.words) >= rule.least
        weights = rule.weights(words, shares)
        having = [word for word in rule.words if word in weights]
        if len(having) >= rule.least:
            rule.size += 1
            counted = having if rule.found_by == "scores" else weights
            reasons.append((rule, len(having), sum(weights[word] for word in counted)))
    for rule, count, weight in reasons if row.label != row.prediction else ():
        rule.errors += 1
        for word in (*rule.words, *rule.others):
            if word in words:
                rule.forms.setdefault(word, Counter())[words[word]] += 1
        others = sum(not rule.shares_words(other) for other, *_ in reasons)
        rule.typical.add((-others, count, weight), row.row, None)


def _rules(sample: _Sample) -> Iterator[_Rule]:
    """Yield a rule for all words that errors have in common."""
    vocabulary, rarities = sample.vocabulary, sample.rarities()
    for found in common_words(sample.errors(), sample.right(), vocabulary):
        words, others = (tuple(vocabulary[word] for word in each) for each in (found.words, found.others))
        rare = {vocabulary[word]: float(rarities[word]) for word in (*found.words, *found.others)}
        yield _Rule(found.pair, found.found_by, words, found.least, found.log_p, others, rare)
