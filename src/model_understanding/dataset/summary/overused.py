"""Words with which the model gives an answer more often than it is right: a correlation, not a cause.

Of the rows with a word, some are wrongly given the answer, and some are wrongly given another one. If the
word made no difference, one would be as frequent as the other (McNemar's exact test). A model that is sure
where labels are not gives every answer too often with the words of its class; so the answer must also be
wrong more often with the word than without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp

import numpy as np

from model_understanding.dataset.summary.counts import Counter
from model_understanding.dataset.summary.reading import StoredRow
from model_understanding.dataset.summary.repeats import Repeats
from model_understanding.dataset.summary.sampling import Largest
from model_understanding.dataset.summary.words import words_of
from model_understanding.results.dataset_summary import OverusedWord
from model_understanding.statistics import (
    benjamini_hochberg,
    log_overlap_probability,
    matched_shares_interval,
    mcnemar_p_value,
)

SIGNIFICANT = 0.05
"""The false discovery rate at which a word is listed."""
_LEAST = 5  # wrong rows with a word, of both kinds: fewer cannot be significant
_LISTED, _EXAMPLES = 20, 5


@dataclass(slots=True)
class _Counts:
    """How often an answer is given, is right, is wrongly given, and is wrongly not given."""

    rows: int = 0
    answered: int = 0
    labeled: int = 0
    wrong: int = 0
    missed: int = 0

    def add(self, row: StoredRow, answer: str) -> None:
        """Count a row."""
        is_answered, is_labeled = row.prediction == answer, row.label == answer
        self.rows += 1
        self.answered += is_answered
        self.labeled += is_labeled
        self.wrong += is_answered and not is_labeled
        self.missed += is_labeled and not is_answered


@dataclass(slots=True)
class _Tally:
    """The rows with a word, for an answer.

    Args:
        rows: Counts of all of them.
        texts: Counts of those that repeat no text: a text that is there twice is no second observation.
        forms: How the word is written.
        examples: Rows that are wrongly given the answer.
    """

    rows: _Counts = field(default_factory=_Counts)
    texts: _Counts = field(default_factory=_Counts)
    forms: dict[str, int] = field(default_factory=dict)
    examples: Largest[None] = field(default_factory=lambda: Largest[None](_EXAMPLES))


class OverusedWords:
    """Finds words with which an answer is given more often than it is right, in two looks at the rows.

    The first look counts the words of wrong rows, in bounded memory; the second all rows with the words that
    may be over-used.
    """

    def __init__(self) -> None:
        self._wrongly, self._missing = Counter(), Counter()
        self._tallies: dict[str, dict[str, _Tally]] | None = None
        self._tests = 0
        self._answered: dict[str, tuple[int, int]] = {}  # different texts, and wrong ones among them
        self._wrong_texts, self._texts = Repeats(by_label=True), Repeats(by_label=True)

    def look(self, row: StoredRow) -> None:
        """Count the words of a wrong row."""
        if row.label is None or row.prediction is None or row.label == row.prediction:
            return
        if not self._wrong_texts.is_new(row):
            return
        words = list(words_of(row))
        self._wrongly.add(row.prediction, words)
        self._missing.add(row.label, words)

    def add(self, row: StoredRow, confidence: float | None) -> None:
        """Count a row again, once all have been looked at."""
        if row.label is None or row.prediction is None:
            return
        is_wrong, is_new = row.label != row.prediction, self._texts.is_new(row)
        texts, wrong = self._answered.get(row.prediction, (0, 0))
        self._answered[row.prediction] = texts + is_new, wrong + (is_new and is_wrong)
        candidates = self._candidates()
        for key, form in {word.key: word.form for word in words_of(row) if word.key in candidates}.items():
            for answer, tally in candidates[key].items():
                tally.rows.add(row, answer)
                if is_new:
                    tally.texts.add(row, answer)
                tally.forms[form] = tally.forms.get(form, 0) + 1
                if is_wrong and row.prediction == answer:
                    tally.examples.add(confidence or 0.0, row.row, None)

    def listed(self) -> tuple[OverusedWord, ...]:
        """Return the words that are over-used, those of the largest certain difference first."""
        tested = [
            (key, answer, tally, self._p_value(answer, tally))
            for key, tallies in self._candidates().items()
            for answer, tally in tallies.items()
            if tally.texts.rows
        ]
        p_values = np.ones(max(self._tests, len(tested)))  # those of the others are above the level
        p_values[: len(tested)] = [p_value for *_, p_value in tested]
        adjusted = benjamini_hochberg(p_values)[: len(tested)].tolist()
        words = [
            _word(answer, tally, p_value, corrected)
            for (_, answer, tally, p_value), corrected in zip(tested, adjusted, strict=True)
            if corrected <= SIGNIFICANT
        ]
        words.sort(key=lambda word: (-word.interval[0], word.word))
        return tuple(words[:_LISTED])

    def _candidates(self) -> Mapping[str, Mapping[str, _Tally]]:
        if self._tallies is None:
            self._tallies = {}
            for answer, totals in self._wrongly.answers.items():
                missing = self._missing.totals(answer)
                for key, total in totals.items():
                    missed = missing[key].rows if key in missing else 0
                    if answer is None or total.rows + missed < _LEAST:
                        continue
                    self._tests += 1
                    if mcnemar_p_value(total.rows, missed) <= SIGNIFICANT:
                        self._tallies.setdefault(key, {})[answer] = _Tally()
        return self._tallies

    def _p_value(self, answer: str, tally: _Tally) -> float:
        """Return the larger p-value of both tests."""
        answered, wrong = self._answered[answer]
        texts = tally.texts
        more_wrong = log_overlap_probability(texts.wrong, texts.answered, wrong, answered)
        return max(mcnemar_p_value(texts.wrong, texts.missed), exp(more_wrong))


def _word(answer: str, tally: _Tally, p_value: float, adjusted: float) -> OverusedWord:
    rows, texts = tally.rows, tally.texts
    return OverusedWord(
        word=min(tally.forms, key=lambda form: (-tally.forms[form], form)),
        label=answer,
        rows=rows.rows,
        answered=rows.answered,
        labeled=rows.labeled,
        wrong=rows.wrong,
        missed=rows.missed,
        interval=matched_shares_interval(texts.wrong, texts.missed, texts.rows),
        p_value=p_value,
        adjusted=adjusted,
        examples=tally.examples.rows(),
    )
