"""The content of a data set's page without scripts: strings and numbers, which the template escapes."""

from collections.abc import Iterable
from typing import Any

from model_understanding.results.dataset_summary import (
    AnswerSummary,
    CausalEffect,
    Confusion,
    DatasetComparison,
    DatasetSummary,
    ErrorSlice,
    OverusedWord,
    RowExample,
    Shortcut,
    WordChange,
    WordEffect,
)
from model_understanding.show.page.blocks import Bar, bar
from model_understanding.show.shared.words import format_number, format_percent, printable
from model_understanding.show.views.dataset_comparison import (
    changed_rows,
    changed_word,
    compared_headline,
    compared_reading_notes,
    compared_topics,
    provenance_pairs,
    run_names,
)
from model_understanding.show.views.dataset_findings import common_words, mistake, topics
from model_understanding.show.views.dataset_summary import (
    adjusted_text,
    figures,
    headline,
    interval_text,
    measure,
    origin,
    points_text,
    provenance_rows,
    reading_notes,
    trust_sentence,
    warnings,
)
from model_understanding.show.views.dataset_words import LEVEL

_WORDS, _PHRASES, _ANSWERS, _CELLS, _CHANGES = 30, 10, 20, 30, 100
_LABEL, _WORD, _TEXT = 60, 60, 300
_CHANGED = 50

Cells = tuple[str, ...]


def dataset_content(summary: DatasetSummary) -> dict[str, Any]:
    """Return the values of the template of a summary.

    Args:
        summary: The summary.

    Returns:
        Values by name.
    """
    shown = [answer for answer in summary.answers if answer.words][:_ANSWERS]
    return {
        "title": headline(summary),
        "origin": origin(summary),
        "headline": headline(summary),
        "topics": topics(summary),
        "figures": [(one.name, one.value, one.detail) for one in figures(summary)],
        "notes": [printable(note, 600) for note in (*summary.notes, *warnings(summary))],
        "measure": measure(summary),
        "answers": [_answer(answer, summary.signed) for answer in shown],
        "omitted_answers": sum(bool(answer.words) for answer in summary.answers) - len(shown),
        "shortcuts": [test for shortcut in summary.shortcuts or () for test in _shortcut(shortcut)],
        "overused": [_overused(word) for word in summary.overused or ()],
        "slices": [_slice(slice_) for slice_ in summary.slices or ()],
        "cells": [] if summary.confusion is None else _cells(summary.confusion),
        "trust": _trust(summary),
        "trust_notes": [printable(each, 600) for each in summary.trust.cautions] if summary.trust else [],
        "errors": [(printable(reason, 300), f"{count:,}") for reason, count in summary.errors.items()],
        "reading": reading_notes(summary),
        "provenance": provenance_rows(summary.manifest),
    }


def compared_datasets_content(comparison: DatasetComparison) -> dict[str, Any]:
    """Return the values of the template of two runs.

    Args:
        comparison: The comparison.

    Returns:
        Values by name.
    """
    runs = (comparison.first, comparison.second)
    numbers = [{one.name: one for one in figures(run)} for run in runs]
    return {
        "title": compared_headline(comparison),
        "headline": compared_headline(comparison),
        "topics": compared_topics(comparison),
        "origins": [origin(run) for run in runs],
        "figures": [
            (name, *(_figure_text(of_run, name) for of_run in numbers))
            for name in dict.fromkeys(name for of_run in numbers for name in of_run)
        ],
        "notes": [printable(note, 600) for note in comparison.notes],
        "names": run_names(comparison),
        "changed": [_changed_row(row, previous) for row, previous in changed_rows(comparison)[:_CHANGED]],
        "omitted_changed": max(0, comparison.changed_answers - min(len(comparison.examples), _CHANGED)),
        "changes": [_change(change) for change in comparison.words[:_CHANGES]],
        "omitted_changes": max(0, len(comparison.words) - _CHANGES),
        "reading": compared_reading_notes(comparison),
        "provenance": provenance_pairs(comparison),
    }


def _figure_text(numbers: dict[str, Any], name: str) -> str:
    one = numbers.get(name)
    return "–" if one is None else f"{one.value} ({one.detail})" if one.detail else one.value


def _answer(answer: AnswerSummary, signed: bool) -> dict[str, Any]:
    return {
        "label": None if answer.label is None else printable(answer.label, _LABEL),
        "rows": f"{answer.rows:,}",
        "words": _words(answer.words[:_WORDS], signed),
        "phrases": _words(answer.phrases[:_PHRASES], signed),
        "more": max(0, len(answer.words) - _WORDS),
    }


def _words(words: Iterable[WordEffect], signed: bool) -> list[tuple[Cells, Bar]]:
    kept = list(words)
    most = max((abs(effect.effect) for effect in kept), default=1.0) or 1.0
    return [
        (
            (
                printable(effect.word, _WORD),
                format_number(effect.effect),
                interval_text(effect.interval),
                f"{effect.count:,}",
                format_percent(effect.share),
                format_number(effect.spread),
                "–" if effect.label_precision is None else format_percent(effect.label_precision),
            ),
            bar(effect.effect / most, signed),
        )
        for effect in kept
    ]


def _shortcut(shortcut: Shortcut) -> list[Cells]:
    tests = [("inserted", shortcut.inserted)]
    if shortcut.swapped is not None:
        tests.append(("swapped", shortcut.swapped))
    outcome = "✓ decides" if shortcut.confirmed else "does not decide"
    word, label = printable(shortcut.word.word, _WORD), printable(str(shortcut.word.label), _LABEL)
    return [(word, label, how, *_causal(causal), outcome) for how, causal in tests]


def _causal(causal: CausalEffect) -> Cells:
    low, high = causal.interval
    return (
        f"{format_percent(causal.flip_rate)} ({causal.flips:,} of {causal.trials:,})",
        f"{format_percent(causal.control_flip_rate)} ({causal.control_flips:,} of {causal.control_trials:,})",
        f"{points_text(causal.difference)} ({points_text(low)} to {points_text(high)})",
        adjusted_text(causal.adjusted),
    )


def _overused(overused: OverusedWord) -> Cells:
    low, high = overused.interval
    return (
        printable(overused.word, _WORD),
        printable(overused.label, _LABEL),
        f"{overused.rows:,}",
        format_percent(overused.answered_share),
        format_percent(overused.labeled_share),
        f"{points_text(overused.answered_share - overused.labeled_share)} "
        f"({points_text(low)} to {points_text(high)})",
        adjusted_text(overused.adjusted),
    )


def _slice(slice_: ErrorSlice) -> Cells:
    return (
        ", ".join(printable(word, _WORD) for word in slice_.words),
        mistake(slice_),
        f"{slice_.errors:,} of {slice_.size:,}",
        format_percent(slice_.precision),
        common_words(slice_),
    )


def _cells(confusion: Confusion) -> list[Cells]:
    """Return the most frequent pairs of a right class and an answer."""
    cells = [
        (count, row, column)
        for row, counts in enumerate(confusion.counts)
        for column, count in enumerate(counts)
        if count
    ]
    shown = sorted(cells, key=lambda cell: (-cell[0], cell[1:]))[:_CELLS]
    labels = [printable(label, _LABEL) for label in confusion.labels]
    return [
        (labels[row], labels[column], f"{count:,}", _share(confusion.confidence[row][column]))
        for count, row, column in shown
    ]


def _trust(summary: DatasetSummary) -> str:
    if summary.trust is None:
        return ""
    if not summary.trust.rows:
        return "No row of the sample could be evaluated."
    return trust_sentence(summary.trust, summary.rows - summary.failed)


def _changed_row(row: RowExample, previous: str) -> Cells:
    text = row.text if row.pair is None else f"{row.text} | {row.pair}"
    return (
        printable(row.id, _LABEL),
        printable(text, _TEXT),
        printable(previous, _LABEL) or "–",
        printable(str(row.prediction), _LABEL),
        _share(row.probability),
        "–" if row.label is None else printable(row.label, _LABEL),
    )


def _share(value: float | None) -> str:
    return "–" if value is None else format_percent(value)


def _change(change: WordChange) -> Cells:
    sides = ("–" if side is None else format_number(side.effect) for side in (change.before, change.after))
    return (
        printable(changed_word(change), _WORD),
        "" if change.label is None else printable(change.label, _LABEL),
        *sides,
        f"{format_number(change.difference)} ({interval_text(change.interval)})",
        f"{format_number(change.adjusted)}{' *' if change.adjusted < LEVEL else ''}",
    )
