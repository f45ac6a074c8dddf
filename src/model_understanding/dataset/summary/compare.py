"""Two runs beside each other: which words changed their role, and which answers."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import sqrt

import numpy as np

from model_understanding.dataset.summary.bootstrap import intervals
from model_understanding.dataset.summary.effects import Measured, SecondLook, paired_groups, strength
from model_understanding.dataset.summary.reading import StoredRow, StoredRows
from model_understanding.dataset.summary.sampling import Largest
from model_understanding.dataset.summary.summarize import FirstTotals, Progress, second_look, summary_of
from model_understanding.dataset.summary.words import word_key
from model_understanding.errors import InputError
from model_understanding.results.dataset_summary import (
    DatasetComparison,
    DatasetSummary,
    WordChange,
    WordEffect,
)
from model_understanding.statistics import benjamini_hochberg, t_two_sided

_MOST_CHANGES, _EXAMPLES = 200, 50


def compare_datasets(
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> DatasetComparison:
    """Say which words changed their role between two runs: of two models, or over two data sets.

    Words that matter most in either run are compared for each answer that both models have, where they are
    in enough rows of both. Effects, which have the unit of the model's output, are divided by the run's mean
    absolute word score, so that runs of two models can be compared; importances have a unit of their own.
    The interval of a difference is from a bootstrap: where rows are the same in both runs, these are
    resampled together (paired by row), else both runs independently. Its p-value is from Student's t with
    their spread; p-values are adjusted over all words (Benjamini-Hochberg).

    Rows are the same if they have the same place and the same text in both.

    Args:
        first: The folder of a run.
        second: The folder of the other.
        seed: Seeds the bootstraps.
        progress: Called with what is being done and how far it is.

    Returns:
        The comparison, with the words that changed most first; what could not be compared is in its
        ``notes``.

    Raises:
        InputError: One of them is no folder of a run, or the runs cannot be compared.
    """
    both = (StoredRows(first), StoredRows(second))
    _check(*both)
    looks = [FirstTotals.of(rows, progress) for rows in both]
    answers = _Answers(*both)
    before, after = _measured(looks[0], looks[1], seed, progress, is_paired=answers.same > 0)
    summaries = (summary_of(looks[0], before), summary_of(looks[1], after))
    shared = [label for label in looks[0].words.rows if label in looks[1].words.rows]
    units = (looks[0].words.average, looks[1].words.average) if both[0].signed else (1.0, 1.0)
    changes = [
        change
        for label in shared
        for change in _changes(label, before.measured(label), after.measured(label), summaries, units)
    ]
    previous = answers.previous()
    knows_right = bool(answers.labeled) and both[0].manifest["problem"] == "single_label"
    return DatasetComparison(
        first=summaries[0],
        second=summaries[1],
        same_rows=answers.same,
        paired=answers.same > 0,
        changed_answers=answers.changed,
        words=_adjusted(changes),
        examples=both[1].examples(previous),
        previous=previous,
        became_right=answers.became_right if knows_right else None,
        became_wrong=answers.became_wrong if knows_right else None,
        notes=tuple(_notes(*both, answers.same)),
        reading_notes=tuple(_reading_notes(*both, answers.same)),
    )


def _check(first: StoredRows, second: StoredRows) -> None:
    """Refuse runs whose scores mean different things.

    Raises:
        InputError: One explains classes and the other texts or numbers, or only one has scores with a sign.
    """
    kinds = [(rows.manifest["task"], rows.gives_classes) for rows in (first, second)]
    if kinds[0] != kinds[1]:
        raise InputError(
            "The runs are of different kinds of models: "
            f"{first.manifest['task']} ({first.manifest['problem'] or 'text'}) and "
            f"{second.manifest['task']} ({second.manifest['problem'] or 'text'}).",
            hint="Compare two classifiers, or two language models.",
        )
    if first.signed != second.signed:
        raise InputError(
            f"Scores of {first.manifest['method']!r} and {second.manifest['method']!r} cannot be compared: "
            "only one of them has a sign.",
            hint="Run both with the same --method.",
        )
    if first.gives_classes and not set(first.labels) & set(second.labels):
        raise InputError(
            f"The models have no class in common: {', '.join(first.labels[:3])} and "
            f"{', '.join(second.labels[:3])}.",
            hint="Compare models with the same names of classes (id2label in their config.json).",
        )


def _measured(
    first: FirstTotals, second: FirstTotals, seed: int, progress: Progress | None, *, is_paired: bool
) -> tuple[SecondLook, SecondLook]:
    """Return what is known of the candidates of either run in both.

    Rows that are not the same at one place vary independently, also where they are resampled together.
    """

    def candidates(look: FirstTotals) -> dict[str | None, list[str]]:
        return {answer: look.words.candidates(answer)[0] for answer in look.words.rows}

    paired = paired_groups([first.words, second.words]) if is_paired else None
    return (
        second_look(first, seed, candidates(second), progress, paired),
        second_look(second, seed if is_paired else seed + 1, candidates(first), progress, paired),
    )


def _changes(
    label: str | None,
    before: Measured,
    after: Measured,
    summaries: tuple[DatasetSummary, DatasetSummary],
    units: tuple[float, float],
) -> Iterator[tuple[WordChange, float]]:
    """Yield the change of each word that either run lists for an answer, and its p-value."""
    listed = {
        word_key(word.word)
        for summary in summaries
        for answer in summary.answers
        if answer.label == label
        for word in answer.words
    }
    keys = sorted(listed & before.frequent().keys() & after.frequent().keys())
    if not keys:
        return
    columns = [[side.index[key] for key in keys] for side in (before, after)]
    scaled = [
        side.draws[:, index] / unit for side, index, unit in zip((before, after), columns, units, strict=True)
    ]
    draws = scaled[1] - scaled[0]
    groups = np.minimum(before.groups[columns[0]], after.groups[columns[1]])
    ends, spreads = intervals(draws, groups), np.nanstd(draws, axis=0)
    for place, key in enumerate(keys):
        old, new, rows = before.effects[key], after.effects[key], int(groups[place])
        difference = new.effect / units[1] - old.effect / units[0]
        error = float(spreads[place]) * sqrt(rows / (rows - 1)) if rows > 1 else 0.0
        change = WordChange(
            label=label,
            before=_in_units(old, units[0]),
            after=_in_units(new, units[1]),
            difference=difference,
            interval=(float(ends[place, 0]), float(ends[place, 1])),
            adjusted=1.0,
        )
        yield change, t_two_sided(difference / error, rows - 1) if error else float(difference == 0)


def _in_units(word: WordEffect, unit: float) -> WordEffect:
    low, high = word.interval
    return replace(
        word, effect=word.effect / unit, interval=(low / unit, high / unit), spread=word.spread / unit
    )


def _adjusted(changes: Sequence[tuple[WordChange, float]]) -> tuple[WordChange, ...]:
    """Return the changes with adjusted p-values, those that are largest beyond doubt first."""
    adjusted = benjamini_hochberg(np.array([value for _, value in changes]))
    found = [replace(change, adjusted=float(p)) for (change, _), p in zip(changes, adjusted, strict=True)]
    found.sort(key=lambda change: (-strength(change.interval), change.adjusted, -abs(change.difference)))
    return tuple(found[:_MOST_CHANGES])


class _Answers:
    """The rows that are the same in two runs, and what became of their answers."""

    def __init__(self, first: StoredRows, second: StoredRows) -> None:
        self.same = self.changed = self.labeled = self.became_right = self.became_wrong = 0
        self._labels = second.labels
        self._surest = Largest[str](_EXAMPLES)
        for before, after in _paired(first, second):
            if (
                (before.text, before.pair) == (after.text, after.pair)
                and not before.error
                and not after.error
            ):
                self._add(before, after)

    def _add(self, before: StoredRow, after: StoredRow) -> None:
        self.same += 1
        has_label = before.label is not None and before.label == after.label
        self.labeled += has_label
        if before.prediction == after.prediction:
            return
        self.changed += 1
        self.became_right += has_label and after.prediction == after.label
        self.became_wrong += has_label and before.prediction == before.label
        self._surest.add(after.probability(self._labels) or 0.0, after.row, str(before.prediction))

    def previous(self) -> dict[int, str]:
        """Return some rows with another answer, the surest first, with what the first run answered."""
        return self._surest.values()


def _paired(first: StoredRows, second: StoredRows) -> Iterator[tuple[StoredRow, StoredRow]]:
    """Yield the rows at one place in both runs; either may lack parts."""
    befores, afters = iter(first), iter(second)
    before, after = next(befores, None), next(afters, None)
    while before is not None and after is not None:
        if before.row == after.row:
            yield before, after
            before, after = next(befores, None), next(afters, None)
        elif before.row < after.row:
            before = next(befores, None)
        else:
            after = next(afters, None)


def _reading_notes(first: StoredRows, second: StoredRows, same: int) -> Iterator[str]:
    """Yield how the rows were paired."""
    if same == len(first) == len(second):
        yield "All rows are the same in both runs, so effects are compared row by row (paired bootstrap)."
    elif same:
        yield (
            f"{same:,} {'row has' if same == 1 else 'rows have'} the same text in both runs (of "
            f"{len(first):,} and {len(second):,}). Words are compared over all rows "
            "of each run, and rows at the same place are resampled together (paired bootstrap)."
        )


def _notes(first: StoredRows, second: StoredRows, same: int) -> Iterator[str]:
    """Yield what could not be compared, and why."""
    old, new = first.manifest, second.manifest
    if old["weights_sha256"] == new["weights_sha256"] and same == len(first) == len(second):
        yield "Both runs are of the same model and the same rows."
    elif old["weights_sha256"] != new["weights_sha256"] and not same:
        yield "Both the model and the rows differ: a word can have changed its role for either reason."
    written = () if first.gives_classes else ("max_new_tokens",)
    for name in ("method", "quantity", *written):
        if old[name] != new[name]:
            words = name.replace("_", " ")
            yield f"The {words} differs: {old[name] or 'default'} and {new[name] or 'default'}."
    others = sorted(set(first.labels) ^ set(second.labels))
    if others and first.gives_classes:
        yield f"Classes of only one of the models are not compared: {', '.join(others[:5])}."
