"""Say what a run over a data set says about the model: the function for it."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from types import MappingProxyType
from typing import Any

import numpy as np

from model_understanding.dataset.model_identity import model_of_run
from model_understanding.dataset.parts import how_to_complete
from model_understanding.dataset.summary.effects import FirstLook, SecondLook
from model_understanding.dataset.summary.overused import OverusedWords
from model_understanding.dataset.summary.reading import StoredRow, StoredRows
from model_understanding.dataset.summary.sampling import EVALUATED, Largest
from model_understanding.dataset.summary.shortcuts import find_shortcuts
from model_understanding.dataset.summary.slices import find_slices
from model_understanding.dataset.summary.totals import (
    MOST_CLASSES,
    Distributions,
    Reasons,
    RightAndWrong,
)
from model_understanding.dataset.summary.trust import measure_trust
from model_understanding.errors import InputError
from model_understanding.results.dataset_summary import AnswerSummary, DatasetSummary
from model_understanding.targets.names import SEQUENCE_CLASSIFICATION

_MOST_WRONG = 20  # wrong answers that are listed
_COLUMNS = 12  # of the data that are named
_STEP = 1000  # rows between two calls of a progress function

Progress = Callable[[str, int, int | None], Any]
"""Called with what is being done, how many rows or texts are done, and of how many."""


def summarize_dataset(
    folder: str | os.PathLike[str],
    model: Any = None,
    *,
    causal: bool | None = None,
    sample: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> DatasetSummary:
    """Say what the model relies on in a run over a data set, and where it is wrong.

    For each answer, the words and phrases that matter most: the mean of their scores over all occurrences in
    rows with this answer, with a 95 % interval from a bootstrap over rows. They are ranked by the end of the
    interval that is nearer to 0, so that neither a frequent word of little effect nor a rare one is on top; a
    word must be in at least five rows, or in a fiftieth of an answer's rows where that is fewer, but in two;
    those in fewer than five, or a twentieth, come last.
    Special and chat-template tokens do not count. Scores of a method without a sign are importances, in units
    of an average word of the same row; words above 1 are listed.

    With the model, words that go with one answer are also tested causally, by inserting them into texts of
    other answers, and the scores of a random sample of rows are evaluated. The rows are read several times,
    and memory does not grow with their number.

    Args:
        folder: The folder that ``explain_dataset`` wrote.
        model: The model of the run: a name, a folder, a model or a pipeline, or its visualizer. Without it
            nothing is tested causally and no scores are evaluated.
        causal: Whether to test words causally; by default if a classifier is given.
        sample: Rows whose scores are evaluated: 100 if the model is given; 0 for none.
        seed: Seeds the bootstrap and the samples.
        progress: Called with what is being done and how far it is.

    Returns:
        The summary; what could not be computed is in its ``notes`` and ``error_notes``.

    Raises:
        InputError: It is no folder of a run, no row of it was explained, or the model is another one.

    >>> import tempfile
    >>> from model_understanding import explain_dataset
    >>> folder = tempfile.mkdtemp()
    >>> run = explain_dataset("demo:sentiment", ["A fine film.", "An awful film."], folder, form="jsonl")
    >>> [(answer.label, answer.rows) for answer in summarize_dataset(folder).answers]
    [('negative', 1), ('positive', 1)]
    """
    rows = StoredRows(folder)
    explainer = None if model is None else model_of_run(rows.manifest, model)
    if explainer is None and (causal or sample):
        raise InputError(
            "Testing words causally and evaluating scores needs the model.",
            hint="Pass the model of the run: summarize_dataset(folder, model).",
        )
    first = FirstTotals.of(rows, progress)
    summary = summary_of(first, second_look(first, seed, progress=progress))
    if rows.manifest["problem"] == "single_label":  # else no answer is right or wrong
        found = find_slices(rows, rows.labels, seed=seed)
        summary = replace(summary, slices=found.slices, error_notes=(*summary.error_notes, *found.notes))
    if rows.gives_classes and causal is not False:
        summary = _with_shortcuts(summary, explainer, rows, seed, progress)
    if sample != 0 and (explainer is not None or rows.manifest["evaluate"]):
        size = EVALUATED if sample is None else sample
        summary = replace(summary, trust=measure_trust(explainer, rows, size, seed, progress=progress))
    verdicts = {} if summary.trust is None else summary.trust.verdict_of
    examples = {
        place: replace(example, verdict=verdicts.get(place, example.verdict))
        for place, example in rows.examples(_named_rows(summary)).items()
    }
    return replace(summary, examples=examples)


def _with_shortcuts(
    summary: DatasetSummary, explainer: Any, rows: StoredRows, seed: int, progress: Progress | None
) -> DatasetSummary:
    """Return a summary with the words that were tested causally, or why none was."""

    def tested(done: int, of: int) -> None:
        if progress is not None:
            progress("Testing words causally", done, of)

    if explainer is None:
        reason = "No word was tested causally: that needs the model. In Python pass it as model=."
        return replace(summary, notes=(*summary.notes, reason))
    try:
        shortcuts = find_shortcuts(explainer, rows, summary.answers, seed=seed, progress=tested)
    except InputError as error:
        return replace(summary, notes=(*summary.notes, f"No word was tested causally. {error.message}"))
    return replace(summary, shortcuts=shortcuts)


def _named_rows(summary: DatasetSummary) -> Iterator[int]:
    """Yield every row that a summary names."""
    for answer in summary.answers:
        for word in (*answer.words, *answer.phrases):
            yield from word.examples
    for shortcut in summary.shortcuts or ():
        yield from (*shortcut.examples, *shortcut.word.examples)
    for slice_ in summary.slices or ():
        yield from slice_.rows
    yield from summary.wrong
    for overused in summary.overused or ():
        yield from overused.examples
    if summary.trust is not None:
        yield from summary.trust.least


class FirstTotals:
    """What the first look at the rows finds.

    Args:
        rows: The rows.
    """

    def __init__(self, rows: StoredRows) -> None:
        self.rows = rows
        self.words, self.distributions, self.errors = FirstLook(rows.signed), Distributions(), Reasons()
        self.right_and_wrong = RightAndWrong(rows.labels)
        self.wrong = Largest[None](_MOST_WRONG)
        self.answered: Counter[str | None] = Counter()
        self.overused, self.cautions = OverusedWords(), Reasons()
        self.methods: Counter[str] = Counter()

    @classmethod
    def of(cls, rows: StoredRows, progress: Progress | None = None) -> "FirstTotals":
        """Look at all rows.

        Raises:
            InputError: None of them was explained.
        """
        first = cls(rows)
        for row in _read(rows, "Counting words", progress):
            first._add(row)
        if not first.answered:
            reason = next(iter(first.errors.most_frequent()), "there are none.")
            raise InputError(
                f"No row of {str(rows.folder)!r} was explained: {reason}",
                hint="Run it again on rows that can be explained.",
            )
        return first

    def _add(self, row: StoredRow) -> None:
        if row.error is not None:
            self.errors.add(row.id, row.error)
            return
        confidence = _confidence(row, self.rows)
        self.answered[row.answer] += 1
        self.words.add(row)
        self.distributions.look(row, confidence)
        self.right_and_wrong.add(row, confidence)
        if None not in (row.label, row.prediction, confidence) and row.label != row.prediction:
            assert confidence is not None
            self.wrong.add(confidence, row.row, None)
        self.overused.look(row)
        self.methods[row.method or ""] += 1
        if row.cautions:
            self.cautions.add(row.id, *row.cautions)


def second_look(
    first: FirstTotals,
    seed: int,
    others: Mapping[str | None, Iterable[str]] = MappingProxyType({}),
    progress: Progress | None = None,
    paired: int | None = None,
) -> SecondLook:
    """Look at all rows again.

    Args:
        first: What the first look found.
        seed: Seeds the bootstrap.
        others: More words of each answer to measure.
        progress: Called with how far it is.
        paired: In how many groups rows are resampled together with those of another run.
    """
    rows, second = first.rows, SecondLook(first.words, seed, others, paired)
    for row in _read(rows, "Measuring words", progress):
        if row.error is None:
            confidence = _confidence(row, rows)
            second.add(row)
            first.distributions.add(row, confidence)
            first.overused.add(row, confidence)
    return second


def summary_of(first: FirstTotals, second: SecondLook) -> DatasetSummary:
    """Return the summary of what both looks at the rows found, without what needs the model."""
    rows = first.rows
    answers = tuple(_answers(first, second))
    is_right_or_wrong = rows.manifest["problem"] == "single_label"
    summary = DatasetSummary(
        manifest=rows.manifest,
        signed=rows.signed,
        folder=str(rows.folder),
        rows=len(rows),
        failed=first.errors.rows,
        missing_parts=len(rows.missing_parts),
        errors=first.errors.most_frequent(),
        answers=answers,
        distributions=first.distributions.all(),
        wrong=first.wrong.rows() if is_right_or_wrong else (),
        confusion=first.right_and_wrong.confusion() if is_right_or_wrong else None,
        overused=first.overused.listed() if is_right_or_wrong and first.right_and_wrong.total else None,
        methods=dict(first.methods.most_common()),
        cautions=first.cautions.most_frequent(),
        caution_ids=first.cautions.first_ids(),
        error_notes=tuple(_error_notes(first)),
        notes=tuple(_notes(first)),
        reading_notes=tuple(_reading_notes(first)),
    )
    return replace(summary, examples=rows.examples(_named_rows(summary)))


def _read(rows: StoredRows, what: str, progress: Progress | None) -> Iterator[StoredRow]:
    for done, row in enumerate(rows, 1):
        yield row
        if progress is not None and (done % _STEP == 0 or done == len(rows)):
            progress(what, done, len(rows))


def _confidence(row: StoredRow, rows: StoredRows) -> float | None:
    """Return the probability of a row's answer; of a text, the geometric mean of its tokens'."""
    if rows.manifest["task"] == SEQUENCE_CLASSIFICATION:
        return row.probability(rows.labels)
    if row.probabilities is None or not len(row.probabilities):
        return None
    return float(np.exp(np.log(np.maximum(row.probabilities.astype(np.float64), 1e-300)).mean()))


def _answers(first: FirstTotals, second: SecondLook) -> Iterator[AnswerSummary]:
    """Yield the answers in the model's order, those without any row and right class excluded."""
    rows = first.rows
    has_labels = first.right_and_wrong.total > 0
    for label in rows.labels if rows.gives_classes else (None,):
        labeled = first.right_and_wrong.labeled(label) if has_labels and label is not None else None
        count = first.answered[label]
        words, phrases = second.listed(label) if first.words.rows[label] else ((), ())
        if count or labeled or len(rows.labels) <= MOST_CLASSES:
            yield AnswerSummary(label=label, rows=count, labeled=labeled, words=words, phrases=phrases)


def _notes(first: FirstTotals) -> Iterator[str]:
    """Yield what could not be computed, and why."""
    rows, manifest = first.rows, first.rows.manifest
    column, target = manifest["columns"].get("label"), manifest["columns"].get("target")
    if rows.missing_parts:
        how = how_to_complete(rows.missing_parts, manifest["shards"])
        yield f"{how} The numbers are those of the rows that are here."
    if len(first.methods) > 1:
        yield f"Rows were explained by different methods: {', '.join(sorted(first.methods))}."
    if target is not None:
        others = first.answered.total() - first.words.rows.total()
        if others:
            yield (
                f"The scores of {others:,} of {first.answered.total():,} rows explain what column {target!r} "
                "names, and not the model's answer. These rows do not count for words and phrases."
            )
    if column is None or not rows.gives_classes or manifest["problem"] != "single_label":
        pass
    elif not rows.classes:
        yield (
            f"The values of column {column!r} are no classes of the model ({_some(rows.label_counts)}; "
            f"the model has {_some(rows.labels)}), so errors are not known."
        )
    else:
        if rows.classes_by_number:
            in_order = sorted(rows.classes.items(), key=lambda item: rows.labels.index(item[1]))
            read = ", ".join(f"{value} is {label!r}" for value, label in islice(in_order, 3))
            more = ", …" if len(in_order) > 3 else ""
            yield (
                f"Column {column!r} has numbers, which stand for the model's classes in their order: {read}"
                f"{more}. If the data has another order, write the names of the classes in their place."
            )
        others = {value: count for value, count in rows.label_counts.items() if value not in rows.classes}
        if count := sum(others.values()):
            yield (
                f"{count:,} {'row has' if count == 1 else 'rows have'} a label that the model does not have "
                f"({_some(others)}); {'it does' if count == 1 else 'they do'} not count as right or wrong."
            )
    if first.words.missed:
        yield (
            "The data has too many different words and phrases to count all: those in "
            f"{first.words.missed:,} rows or fewer may be missing."
        )


def _reading_notes(first: FirstTotals) -> Iterator[str]:
    """Yield what rows are called, and what counts as one observation."""
    rows, manifest = first.rows, first.rows.manifest
    if manifest.get("input_columns") and manifest["columns"].get("id") is None:
        yield (
            "Rows are named by their place in the input, from 0: "
            f"{_how_to_name(manifest, 'ids', '--id-column')}"
        )
    elif (repeated := rows.repeated_id) is not None:
        yield (
            f"Several rows have the same id, for example {repeated!r}. In a command they are named by their "
            "place in the input, from 0: explain --from DIR --row N."
        )
    if repeated := first.words.repeats.rows:
        yield (
            f"{repeated:,} of {first.answered.total():,} rows {'repeats' if repeated == 1 else 'repeat'} the "
            "text of another row. Words are ranked, and their intervals found, by different texts."
        )


def _error_notes(first: FirstTotals) -> Iterator[str]:
    """Yield what is known of wrong answers besides their table, or why there is none."""
    rows, manifest = first.rows, first.rows.manifest
    if not rows.gives_classes:
        return
    if manifest["columns"].get("label") is None:
        yield f"Not known: {_how_to_name(manifest, 'right classes', '--label-column')}"
    elif manifest["problem"] != "single_label":
        yield "Not counted: the model can give several classes to one text."
    elif rows.classes and len(rows.labels) > MOST_CLASSES:
        yield (
            f"{100 * first.right_and_wrong.accuracy:.1f} % of the answers are right. The model has "
            f"{len(rows.labels):,} classes: too many for a table of right classes against answers."
        )


def _how_to_name(manifest: Mapping[str, Any], what: str, option: str) -> str:
    """Return how to name a column that was not found, where the data has one that is not used."""
    again = f"Run the data set again with {option} NAME and another folder: --out NEW_FOLDER."
    names = manifest.get("input_columns")
    if names is None:  # of a run that did not write them down
        return f"no column of {what} was found. {again}"
    if not names:
        return f"the data is texts without {what}."
    used = manifest["columns"].values()
    others = [name for name in names if name not in used]
    if not others:
        return f"the data has no column of {what}, only {_some(names, _COLUMNS)}."
    return f"no column of {what} was found. {again} Other columns of the data: {_some(others, _COLUMNS)}."


def _some(values: Iterable[str], most: int = 3) -> str:
    shown = list(values)
    return ", ".join(map(repr, shown[:most])) + (", …" if len(shown) > most else "")
