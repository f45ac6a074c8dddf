"""The data of the page of a data set's summary: ``DatasetPayload`` of ``static/payload.schema.json``."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from model_understanding.results.dataset_summary import (
    AnswerSummary,
    CausalEffect,
    ChangedRow,
    Confusion,
    DatasetComparison,
    DatasetSummary,
    ErrorSlice,
    OverusedWord,
    Shortcut,
    TrustSample,
    WordChange,
    WordEffect,
)
from model_understanding.results.evaluation import VERDICTS
from model_understanding.show.payload.dataset_rows import Rows, command_of, in_turn, verdict_name
from model_understanding.show.payload.parts import SCHEMA, encoded_palette, script_json
from model_understanding.show.shared.changed_text import changed_pieces
from model_understanding.show.shared.words import printable
from model_understanding.show.views.dataset_comparison import (
    changed_rows,
    changed_word,
    compared_headline,
    compared_reading_notes,
    compared_topics,
    provenance_pairs,
    run_names,
)
from model_understanding.show.views.dataset_findings import Topic, common_words, mistake, topics
from model_understanding.show.views.dataset_summary import (
    HOW_OVERUSED,
    figures,
    headline,
    how_tested,
    measure,
    origin,
    provenance_rows,
    reading_notes,
    trust_sentence,
    warnings,
)
from model_understanding.show.views.dataset_words import LEVEL

_LABEL, _WORD = 120, 200  # characters
_MAX_WORDS = 8_000  # of all answers
_LEAST_WORDS = 10  # of each answer
_MAX_CHANGES = 500
_NO_CHANGE = 0.005  # a difference that is shown as 0.00
_MAX_MATRIX = 12  # classes in a matrix; of more, the most frequent mistakes are listed
_MAX_CELLS = 200
_SLICE_ROWS = 5
_AROUND = 300  # characters on each side of an inserted word
_DIGITS = 4


def dataset_payload(summary: DatasetSummary) -> dict[str, Any]:
    """Return the data of the page of a summary.

    Args:
        summary: The summary.

    Returns:
        ``DatasetPayload`` of the schema. Rows are on the page only where something on it refers to them, and
        within a budget of characters.
    """
    omitted: list[str] = []
    rows = Rows(summary.examples, summary.manifest)
    rows.keep(_cited(summary))
    kept = max(_LEAST_WORDS, _MAX_WORDS // (2 * max(len(summary.answers), 1)))
    if any(max(len(answer.words), len(answer.phrases)) > kept for answer in summary.answers):
        omitted.append(f"Of each answer, only the first {kept:,} words and phrases are on the page.")
    in_order = sorted(summary.answers, key=lambda answer: not answer.words)  # the page opens on the first
    answers = [_answer(answer, kept, rows) for answer in in_order]
    return {
        "schema": SCHEMA,
        "kind": "dataset",
        "title": _title(summary),
        "origin": origin(summary),
        "headline": headline(summary),
        "topics": _topics(topics(summary)),
        "figures": _figures(summary),
        "measure": measure(summary),
        "signed": summary.signed,
        "answers": answers,
        "shortcuts": None
        if summary.shortcuts is None
        else [_shortcut(shortcut, rows) for shortcut in summary.shortcuts],
        "overused": [_overused(word, rows) for word in summary.overused or ()],
        "slices": None if summary.slices is None else [_slice(slice_, rows) for slice_ in summary.slices],
        "confusion": None if summary.confusion is None else _confusion(summary.confusion, omitted),
        "distributions": [
            {
                "name": printable(one.name, 80),
                "edges": [_rounded(x) for x in one.edges],
                "counts": list(one.counts),
            }
            for one in summary.distributions
        ],
        "wrong": rows.indices(summary.wrong),
        "trust": None if summary.trust is None else _trust(summary, summary.trust, rows),
        "rows": rows.encoded,
        "command": command_of(summary),
        "errors": [
            {"name": printable(reason, 300), "value": f"{count:,}"}
            for reason, count in summary.errors.items()
        ],
        "notes": [printable(note, 600) for note in (*summary.notes, *warnings(summary))],
        "howOverused": HOW_OVERUSED,
        "howTested": how_tested(summary),
        "howToRead": list(reading_notes(summary)),
        "provenance": _provenance(summary.manifest),
        "omitted": [*omitted, *rows.omissions()],
        "palette": encoded_palette(),
    }


def dataset_json(summary: DatasetSummary) -> str:
    """Return the payload as JSON that may stand in a page's script element."""
    return script_json(dataset_payload(summary))


def compared_datasets_payload(comparison: DatasetComparison) -> dict[str, Any]:
    """Return the data of the page of two runs: ``DatasetComparisonPayload`` of the schema."""
    runs = (comparison.first, comparison.second)
    unequal = [one for one in comparison.words if one.adjusted < LEVEL or abs(one.difference) >= _NO_CHANGE]
    changes = unequal[:_MAX_CHANGES]
    sides = [[change.before for change in changes], [change.after for change in changes]]
    examples = [runs[0].examples, {**runs[1].examples, **comparison.examples}]
    rows = [Rows(of_run, run.manifest) for of_run, run in zip(examples, runs, strict=True)]
    rows[1].keep(example.row for example, _ in changed_rows(comparison))
    for of_run, of_side in zip(rows, sides, strict=True):
        of_run.keep(in_turn([effect.examples for effect in of_side if effect is not None]))
    more = len(unequal) - len(changes)
    omitted = [f"{more:,} more words are only in the .json file."] if more else []
    return {
        "schema": SCHEMA,
        "kind": "dataset comparison",
        "title": compared_headline(comparison),
        "origin": "comparison of two runs",
        "headline": compared_headline(comparison),
        "topics": _topics(compared_topics(comparison)),
        "runs": [
            _run(run, name, of_run)
            for run, name, of_run in zip(runs, run_names(comparison), rows, strict=True)
        ],
        "measure": measure(runs[1]),
        "signed": all(run.signed for run in runs),
        "changes": [_change(change, rows) for change in changes],
        "changed": [
            {"row": index, "previous": printable(previous, _LABEL)}
            for example, previous in changed_rows(comparison)
            for index in rows[1].indices([example.row])
        ],
        "notes": [printable(note, 600) for note in comparison.notes],
        "howToRead": list(compared_reading_notes(comparison)),
        "provenance": [
            {"name": name, "first": first, "second": second, "remark": ""}
            for name, first, second in provenance_pairs(comparison)
        ],
        "omitted": [*omitted, *rows[0].omissions(), *rows[1].omissions()],
        "palette": encoded_palette(),
    }


def compared_datasets_json(comparison: DatasetComparison) -> str:
    """Return the payload as JSON that may stand in a page's script element."""
    return script_json(compared_datasets_payload(comparison))


def _run(run: DatasetSummary, name: str, rows: Rows) -> dict[str, Any]:
    return {
        "name": name,
        "origin": origin(run),
        "headline": headline(run),
        "figures": _figures(run),
        "rows": rows.encoded,
        "command": command_of(run),
    }


def _figures(summary: DatasetSummary) -> list[dict[str, str]]:
    return [
        {"name": one.name, "value": one.value, "detail": one.detail, "section": one.section}
        for one in figures(summary)
    ]


def _title(summary: DatasetSummary) -> str:
    name = printable(str(summary.manifest.get("input") or ""), 60)
    return " · ".join(filter(None, (headline(summary), name)))


def _topics(found: Iterable[Topic]) -> list[dict[str, Any]]:
    return [{"name": topic.name, "findings": list(map(list, topic.findings))} for topic in found]


def _cited(summary: DatasetSummary) -> Iterator[int]:
    """Yield the rows that the page refers to, the most important first; of words, one row each in turn."""
    yield from summary.wrong
    for shortcut in summary.shortcuts or ():
        yield from shortcut.examples
    for slice_ in summary.slices or ():
        yield from slice_.rows[:_SLICE_ROWS]
    for overused in summary.overused or ():
        yield from overused.examples
    if summary.trust is not None:
        yield from summary.trust.least
    named = [effect.examples for answer in summary.answers for effect in (*answer.words, *answer.phrases)]
    yield from in_turn(named)
    yield from sorted(summary.examples)


def _answer(answer: AnswerSummary, kept: int, rows: Rows) -> dict[str, Any]:
    return {
        "label": None if answer.label is None else printable(answer.label, _LABEL),
        "rows": answer.rows,
        "labeled": answer.labeled,
        "words": _words(answer.words[:kept], rows),
        "phrases": _words(answer.phrases[:kept], rows),
    }


def _words(words: Sequence[WordEffect], rows: Rows) -> dict[str, Any]:
    return {
        "words": [printable(effect.word, _WORD) for effect in words],
        "effects": [_rounded(effect.effect) for effect in words],
        "lows": [_rounded(effect.interval[0]) for effect in words],
        "highs": [_rounded(effect.interval[1]) for effect in words],
        "spreads": [_rounded(effect.spread) for effect in words],
        "counts": [effect.count for effect in words],
        "rows": [effect.rows for effect in words],
        "shares": [_rounded(effect.share) for effect in words],
        "precisions": [_rounded_or_none(effect.label_precision) for effect in words],
        "answerShares": [_rounded_or_none(effect.answer_share) for effect in words],
        "examples": [rows.indices(effect.examples) for effect in words],
    }


def _shortcut(shortcut: Shortcut, rows: Rows) -> dict[str, Any]:
    effect = shortcut.word
    return {
        "word": printable(effect.word, _WORD),
        "label": printable(str(effect.label), _LABEL),
        "effect": _rounded(effect.effect),
        "inserted": _causal(shortcut.inserted),
        "swapped": None if shortcut.swapped is None else _causal(shortcut.swapped),
        "controls": [printable(word, _WORD) for word in shortcut.controls],
        "confirmed": shortcut.confirmed,
        "misled": None if shortcut.misled is None else list(shortcut.misled),
        "changes": [
            {"row": index, **_change_of_row(change)}
            for change in shortcut.changes
            for index in rows.indices([change.row])
        ],
    }


def _change_of_row(change: ChangedRow) -> dict[str, Any]:
    before, word, after = changed_pieces(change, _AROUND)
    return {
        "before": before,
        "word": word,
        "after": after,
        "answer": printable(change.answer, _LABEL),
        "probability": _rounded(change.probability),
    }


def _causal(causal: CausalEffect) -> dict[str, Any]:
    return {
        "trials": causal.trials,
        "flips": causal.flips,
        "controlTrials": causal.control_trials,
        "controlFlips": causal.control_flips,
        "difference": _finely(causal.difference),
        "low": _finely(causal.interval[0]),
        "high": _finely(causal.interval[1]),
        "shift": _rounded(causal.shift),
        "adjusted": _rounded(causal.adjusted),
    }


def _overused(overused: OverusedWord, rows: Rows) -> dict[str, Any]:
    return {
        "word": printable(overused.word, _WORD),
        "label": printable(overused.label, _LABEL),
        "rows": overused.rows,
        "answered": overused.answered,
        "labeled": overused.labeled,
        "low": _finely(overused.interval[0]),
        "high": _finely(overused.interval[1]),
        "adjusted": _rounded(overused.adjusted),
        "examples": rows.indices(overused.examples),
    }


def _slice(slice_: ErrorSlice, rows: Rows) -> dict[str, Any]:
    return {
        "words": [printable(word, _WORD) for word in slice_.words],
        "mistake": mistake(slice_),
        "errors": slice_.errors,
        "size": slice_.size,
        "precision": _rounded(slice_.precision),
        "foundBy": common_words(slice_),
        "rows": rows.indices(slice_.rows[:_SLICE_ROWS]),
    }


def _confusion(confusion: Confusion, omitted: list[str]) -> dict[str, Any]:
    is_matrix = len(confusion.labels) <= _MAX_MATRIX
    cells = [
        (count, row, column)
        for row, counts in enumerate(confusion.counts)
        for column, count in enumerate(counts)
        if count and (is_matrix or row != column)
    ]
    cells.sort(key=lambda cell: (-cell[0], cell[1:]))
    if more := len(cells[_MAX_CELLS:]):
        omitted.append(f"{more:,} less frequent mistakes are only in the .json file.")
    return {
        "labels": [printable(label, _LABEL) for label in confusion.labels],
        "isMatrix": is_matrix,
        "cells": [
            {
                "label": row,
                "prediction": column,
                "count": count,
                "confidence": _rounded_or_none(confusion.confidence[row][column]),
            }
            for count, row, column in cells[:_MAX_CELLS]
        ],
        "totals": [sum(counts) for counts in confusion.counts],
    }


def _trust(summary: DatasetSummary, trust: TrustSample, rows: Rows) -> dict[str, Any]:
    order = {verdict: place for place, verdict in enumerate(VERDICTS)}
    verdicts = sorted(trust.verdicts.items(), key=lambda item: order.get(item[0], len(order)))
    return {
        "rows": trust.rows,
        "sentence": trust_sentence(trust, summary.rows - summary.failed),
        "verdicts": [{"name": verdict_name(name), "count": count} for name, count in verdicts],
        "supported": _rounded(trust.supported),
        "low": _rounded(trust.interval[0]),
        "high": _rounded(trust.interval[1]),
        "least": rows.indices(trust.least),
        "cautions": [printable(caution, 600) for caution in trust.cautions],
    }


def _change(change: WordChange, rows: Sequence[Rows]) -> dict[str, Any]:
    return {
        "word": printable(changed_word(change), _WORD),
        "label": None if change.label is None else printable(change.label, _LABEL),
        "before": _side(change.before, rows[0]),
        "after": _side(change.after, rows[1]),
        "difference": _rounded(change.difference),
        "low": _rounded(change.interval[0]),
        "high": _rounded(change.interval[1]),
        "adjusted": _rounded(change.adjusted),
        "significant": change.adjusted < LEVEL,
    }


def _side(effect: WordEffect | None, rows: Rows) -> dict[str, Any] | None:
    if effect is None:
        return None
    low, high = effect.interval
    return {
        "effect": _rounded(effect.effect),
        "low": _rounded(low),
        "high": _rounded(high),
        "count": effect.count,
        "share": _rounded(effect.share),
        "rows": rows.indices(effect.examples),
    }


def _provenance(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in provenance_rows(manifest)]


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _finely(value: float) -> float:
    """Round so that a number shown with one decimal in points is that of the terminal."""
    return float(f"{value:.9g}")


def _rounded_or_none(value: float | None) -> float | None:
    return None if value is None else _rounded(value)
