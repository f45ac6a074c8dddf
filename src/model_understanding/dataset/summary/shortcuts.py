"""Words that decide the answer by themselves: chosen by their scores, tested by putting them into texts.

Two thirds of the rows (by a hash of their text) choose the candidates. Texts of the other third, with other
answers, are what candidates and control words are put into.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import islice
from math import exp, log
from typing import Any

import numpy as np

from model_understanding.dataset.summary.bootstrap import intervals, resampled_means
from model_understanding.dataset.summary.candidates import (
    Candidate,
    Chosen,
    MembersOf,
    Part,
    choose_candidates,
    placed_phrases,
    placed_words,
)
from model_understanding.dataset.summary.causal_test import (
    FEWEST_TEXTS,
    Input,
    Outcome,
    Place,
    Trial,
    corrected,
    effect_of,
    outcomes_of,
    readable_trials,
)
from model_understanding.dataset.summary.counts import Total
from model_understanding.dataset.summary.reading import StoredRow
from model_understanding.dataset.summary.sampling import Largest, of_smallest_keys
from model_understanding.dataset.summary.words import is_punctuation
from model_understanding.errors import InputError
from model_understanding.results.dataset_summary import (
    AnswerSummary,
    CausalEffect,
    ChangedRow,
    Shortcut,
    WordEffect,
)
from model_understanding.targets.classification import labels_of, problem_of
from model_understanding.targets.names import SEQUENCE_CLASSIFICATION

CANDIDATES, TEXTS, CONTROLS = 16, 60, 3
"""Most candidates, texts that each is put into, and control words in each text."""
SIGNIFICANT = 0.05
"""The false discovery rate at which a shortcut is confirmed."""
MATTERS = 0.1
"""The least difference of flip rates that matters: one text in ten, above the control words."""
_POOL = 10  # control words of a candidate, of which each text gets some
_ROWS_KEPT = 2000  # with a candidate, for the interval of its effect
_EXAMPLES = 5


def most_forward_passes(candidates: int = CANDIDATES, texts: int = TEXTS, controls: int = CONTROLS) -> int:
    """Return the most texts that the model reads in ``find_shortcuts``: each with each word, in both ways.

    Args:
        candidates: Most candidates.
        texts: Most texts that each is put into.
        controls: Control words in each text.

    >>> most_forward_passes()
    7680
    """
    return candidates * texts * (1 + controls) * 2


def find_shortcuts(
    explainer: Any,
    rows: Iterable[StoredRow],
    answers: Sequence[AnswerSummary] = (),
    *,
    seed: int = 0,
    candidates: int = CANDIDATES,
    texts: int = TEXTS,
    controls: int = CONTROLS,
    progress: Callable[[int, int], Any] | None = None,
) -> tuple[Shortcut, ...]:
    """Return words that may decide a classifier's answer by themselves, each tested causally.

    Candidates are words whose rows have one answer more often than other rows, and which support it whatever
    the words around them. Each is then put into texts that had no part in this choice and have another
    answer: at a random place, and in place of the word whose frequency is nearest. Control words of about the
    same frequency, which do not go with the answer, take the same places of the same texts. What counts is
    how many texts then get the candidate's class.

    A shortcut is confirmed if more texts get it than with control words (an exact test by text, and
    Benjamini-Hochberg over the candidates at 5 %), by at least a tenth of the texts, and if the 95 % interval
    of this difference is above 0. So a confirmed word decides the answer in texts of another class; whether
    it should, as ``wonderful`` may, is for the reader to say.

    The rows are read twice, and memory does not grow with their number.

    Args:
        explainer: The visualizer of the classifier that gave the rows their answers.
        rows: The rows of a run, which can be read again.
        answers: The words that the summary lists: a candidate among them is described as there.
        seed: Of which rows choose the candidates, which texts are changed, and where.
        candidates: Most candidates.
        texts: Most texts that each is put into.
        controls: Control words in each text.
        progress: Called with the texts read so far, and the most that may be.

    Returns:
        The candidates that could be tested, the confirmed ones first, then by how many answers they change.

    Raises:
        InputError: The model gives no classes, the rows have only one answer, or no candidate can be tested.
    """
    _check(explainer)
    config = explainer.runner.model.config
    labels, members_of = labels_of(config), _members_of(problem_of(config) == "multi_label")
    chosen = choose_candidates(
        (row for row, key in _usable(rows, seed) if not _is_held_out(key)),
        members_of,
        labels,
        candidates,
        _POOL,
    )
    read = _Read(chosen, labels, members_of, texts, signed=getattr(rows, "signed", True))
    for row, key in _usable(rows, seed):
        read.add(row, key)
    if not chosen.candidates and len(read.answers) < 2:
        raise InputError(
            "Shortcuts are tested on rows of other classes. "
            f"The explained rows have {len(read.answers) or 'no'} class as their answer.",
            hint="Add rows that the model answers differently.",
        )
    tests = [_Test(candidate, read, seed, controls) for candidate in chosen.candidates if candidate.controls]
    done, most = 0, sum(len(test.inputs) for test in tests)
    for answer in sorted({test.candidate.answer for test in tests}):
        of_answer = [test for test in tests if test.candidate.answer == answer]
        inputs = [each for test in of_answer for each in test.inputs]
        outcomes = outcomes_of(
            explainer, inputs, answer, lambda read, done=done: progress and progress(done + read, most)
        )
        for test in of_answer:
            test.measure(outcomes, labels[answer], seed)
        done += len(inputs)
    tested = [test for test in tests if test.inserted is not None]
    if chosen.candidates and not tested:
        raise _untestable(chosen.candidates, labels)
    inserted = corrected([test.inserted for test in tested])
    swapped = corrected([test.swapped for test in tested])
    listed = {
        (word.word.lower(), word.label): word for each in answers for word in (*each.words, *each.phrases)
    }
    shortcuts: list[Shortcut] = []
    for test, effect, other in zip(tested, inserted, swapped, strict=True):
        assert effect is not None
        word = read.effect(test.candidate, seed)
        shortcuts.append(
            Shortcut(
                word=listed.get((word.word.lower(), word.label), word),
                inserted=effect,
                swapped=other,
                controls=tuple(map(read.written, test.candidate.controls)),
                confirmed=_is_confirmed(effect),
                changes=test.changes,
                misled=read.misled(test.candidate),
            )
        )
    return tuple(sorted(shortcuts, key=_by_effect))


@dataclass(slots=True)
class _Tally:
    """A candidate in the rows of its answer, and the answers and right classes of all rows with it."""

    total: Total = field(default_factory=Total)
    everywhere: int = 0
    labeled: int = 0
    right: int = 0
    misled: int = 0
    sums: dict[int, tuple[float, int]] = field(default_factory=dict)
    examples: Largest[None] = field(default_factory=lambda: Largest[None](_EXAMPLES))

    def add(self, row: StoredRow, key: int, label: str, is_answer: bool, scores: Sequence[float]) -> None:
        self.everywhere += 1
        self.labeled += row.label is not None
        self.right += row.label == label
        self.misled += is_answer and row.label not in (None, label)
        if not is_answer:
            return
        if row.explained != label:
            self.total.rows += 1
            return
        self.total.add(len(scores), sum(scores), sum(score * score for score in scores))
        self.sums[key] = sum(scores), len(scores)
        if len(self.sums) > 2 * _ROWS_KEPT:
            self.sums = of_smallest_keys(self.sums, _ROWS_KEPT)
        self.examples.add(sum(scores), row.row, None)

    def interval(self, seed: int) -> tuple[float, float]:
        """Return the 95 % interval of the mean score, from a bootstrap over rows."""
        rows = np.array(list(of_smallest_keys(self.sums, _ROWS_KEPT).values()))
        draws = resampled_means(rows[:, :1], rows[:, 1:], [seed])
        ((low, high),) = intervals(draws, np.array([len(rows)]))
        return float(low), float(high)


class _Read:
    """What the second reading keeps: how words are written, scores of candidates, texts to change."""

    def __init__(
        self, chosen: Chosen, labels: Sequence[str], members_of: MembersOf, texts: int, *, signed: bool
    ) -> None:
        self.chosen, self.texts, self._signed = chosen, texts, signed
        self._labels, self._members_of = labels, members_of
        keys = {key for each in chosen.candidates for key in (each.key, *each.controls)}
        self._written: dict[str, Counter[str]] = {key: Counter() for key in keys}
        self._tallies = {candidate[:2]: _Tally() for candidate in chosen.candidates}
        self._answers_of: dict[str, list[int]] = {}
        for key, answer in self._tallies:
            self._answers_of.setdefault(key, []).append(answer)
        self._places: dict[int, dict[int, Place]] = {answer: {} for _, answer in self._tallies}
        self.answers = Counter[int]()

    def add(self, row: StoredRow, key: int) -> None:
        """Read a row.

        Args:
            row: The row.
            key: Its key.
        """
        words, members = placed_words(row), self._members_of(row)
        self.answers.update(members)
        scores: dict[str, list[float]] = {}
        for part in (*words, *placed_phrases(row, words)):
            if part.key in self._written:
                text = row.text if part.segment == 0 else row.pair or ""
                self._written[part.key][text[slice(*part.span)]] += 1
                words_in_part = 1 if self._signed else part.key.count(" ") + 1  # importances are averaged
                scores.setdefault(part.key, []).append(part.score / words_in_part)
        for word, values in scores.items():
            for answer in self._answers_of.get(word, ()):
                tally = self._tallies[word, answer]
                tally.add(row, key, self._labels[answer], answer in members, values)
        if _is_held_out(key):
            for answer, places in self._places.items():
                if answer not in members and row.label != self._labels[answer]:
                    places[key] = Place(key, replace(row, words=()))
                    if len(places) > 8 * self.texts:
                        self._places[answer] = of_smallest_keys(places, 4 * self.texts)

    def written(self, key: str) -> str:
        """Return how a word is written most often."""
        return min(self._written[key].items(), key=lambda item: (-item[1], item[0]))[0]

    def places(self, candidate: Candidate) -> list[Place]:
        """Return the texts for a candidate: held out, of another class, and without it."""
        ordered = sorted(self._places[candidate.answer].values(), key=lambda place: place.key)
        return list(islice((place for place in ordered if not _has(place, candidate.key)), self.texts))

    def effect(self, candidate: Candidate, seed: int) -> WordEffect:
        """Return what the scores say of a candidate, over all rows."""
        tally, label = self._tallies[candidate[:2]], self._labels[candidate.answer]
        return WordEffect(
            word=self.written(candidate.key),
            label=label,
            effect=tally.total.mean,
            interval=tally.interval(seed),
            spread=tally.total.spread,
            count=tally.total.count,
            rows=tally.total.rows,
            share=tally.total.rows / max(self.answers[candidate.answer], 1),
            answer_share=tally.total.rows / tally.everywhere,
            label_precision=tally.right / tally.labeled if tally.labeled else None,
            examples=tally.examples.rows(),
        )

    def misled(self, candidate: Candidate) -> tuple[int, int] | None:
        """Return the rows with a candidate but another right class, and those that the model misjudges."""
        tally = self._tallies[candidate[:2]]
        return (tally.labeled - tally.right, tally.misled) if tally.labeled else None


class _Test:
    """A candidate in texts of other classes, beside control words."""

    def __init__(self, candidate: Candidate, read: _Read, seed: int, controls: int) -> None:
        self.candidate = candidate
        self.inserted: CausalEffect | None = None
        self.swapped: CausalEffect | None = None
        self.changes: tuple[ChangedRow, ...] = ()
        self._insertions: list[Trial] = []
        self._swaps: list[Trial] = []
        count = min(controls, len(candidate.controls))
        for place in read.places(candidate):
            generator = np.random.default_rng([seed, place.key])  # one place for all candidates
            drawn = [candidate.controls[index] for index in generator.permutation(len(candidate.controls))]
            words = [read.written(key) for key in (candidate.key, *drawn[:count])]
            boundary = place.boundary(generator)
            variants, span = place.inserted(words, boundary), place.span(words[0], boundary)
            self._insertions.append(Trial(place.row.row, variants, boundary.segment, span))
            replaced = _replaced(place, candidate, read.chosen)
            others = [key for key in drawn if replaced is None or key != replaced.key][:count]
            if replaced is not None and len(others) == count:
                words = [read.written(key) for key in (candidate.key, *others)]
                self._swaps.append(Trial(place.row.row, place.swapped(words, replaced)))

    @property
    def inputs(self) -> list[Input]:
        """The texts with each word."""
        return [variant for trial in (*self._insertions, *self._swaps) for variant in trial.variants]

    def measure(self, outcomes: Mapping[Input, Outcome], label: str, seed: int) -> None:
        """Set what the candidate does.

        Args:
            outcomes: What the model answers for each text.
            label: The name of the candidate's class.
            seed: Of the bootstrap.
        """
        self.inserted = effect_of(self._insertions, outcomes, seed)
        self.swapped = effect_of(self._swaps, outcomes, seed)
        complete = readable_trials(self._insertions, outcomes)
        flipped = (trial for trial in complete if outcomes[trial.variants[0]].is_answer)
        self.changes = tuple(
            _changed(trial, outcomes[trial.variants[0]], label) for trial in islice(flipped, _EXAMPLES)
        )


def _changed(trial: Trial, outcome: Outcome, label: str) -> ChangedRow:
    changed = trial.variants[0]
    text, pair = (changed, None) if isinstance(changed, str) else changed
    start, end = trial.span
    return ChangedRow(
        row=trial.row,
        text=text,
        pair=pair,
        segment=trial.segment,
        start=start,
        end=end,
        answer=label,
        probability=exp(outcome.log_probability),
    )


def _is_confirmed(effect: CausalEffect) -> bool:
    """Return whether a difference is significant, certainly above 0, and large enough to matter."""
    return effect.adjusted <= SIGNIFICANT and effect.interval[0] > 0 and effect.difference >= MATTERS


def _has(place: Place, key: str) -> bool:
    words = place.words
    return any(part.key == key for part in (*words, *placed_phrases(place.row, words)))


def _replaced(place: Place, candidate: Candidate, chosen: Chosen) -> Part | None:
    """Return the word of a text with the nearest frequency; ``None`` if it is the only one."""
    frequency = log(chosen.frequencies[candidate.key])

    def distance(part: Part) -> float:
        return abs(log(chosen.frequencies.get(part.key, 0.5)) - frequency)

    words = [part for part in place.words if not is_punctuation(part.key)]
    return min(words, key=distance) if len(words) > 1 else None


def _check(explainer: Any) -> None:
    """Refuse a model that gives no classes."""
    model = explainer.runner.model
    if model.task != SEQUENCE_CLASSIFICATION or problem_of(model.config) == "regression":
        kind = "a regression" if model.task == SEQUENCE_CLASSIFICATION else model.task
        raise InputError(
            f"Shortcuts are words that decide between classes. The model is {kind}.",
            hint="Use a classifier.",
        )


def _untestable(candidates: Sequence[Candidate], labels: Sequence[str]) -> InputError:
    """Return why none of the candidates could be tested."""
    shown = ", ".join(f"“{each.key}” ({labels[each.answer]})" for each in candidates[:_EXAMPLES])
    if any(each.controls for each in candidates):
        reason = f"fewer than {FEWEST_TEXTS} held-out texts have another answer and another right class"
        hint = "Add rows that the model answers differently."
    else:
        reason = "no other word that is in enough rows is without an answer of its own, to compare them with"
        hint = "Add rows: with more of them, more words are in enough rows to be control words."
    return InputError(f"Words that go with one answer ({shown}) have no test: {reason}.", hint=hint)


def _members_of(is_multi_label: bool) -> MembersOf:
    """Return a function for the classes that the model answers: the likeliest, or all at 50 % and above."""

    def of(row: StoredRow) -> Sequence[int]:
        assert row.probabilities is not None
        if is_multi_label:
            return np.flatnonzero(row.probabilities >= 0.5).tolist()
        return (int(row.probabilities.argmax()),)

    return of


def _usable(rows: Iterable[StoredRow], seed: int) -> Iterator[tuple[StoredRow, int]]:
    """Yield the explained rows, each with a number that depends on its text and the seed."""
    for row in rows:
        if row.error is None and row.probabilities is not None and len(row.words):
            texts = f"{seed}\0{row.text}\0{'' if row.pair is None else row.pair}"
            digest = blake2b(texts.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            yield row, int.from_bytes(digest)


def _is_held_out(key: int) -> bool:
    return key % 3 == 0


def _by_effect(shortcut: Shortcut) -> tuple[bool, float, float]:
    return not shortcut.confirmed, -shortcut.inserted.difference, -shortcut.inserted.shift
