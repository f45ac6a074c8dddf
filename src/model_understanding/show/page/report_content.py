"""The content of a report's page without scripts: strings and numbers, which the template escapes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from model_understanding.results import AttentionMap, Attribution, Evaluation, Generation, Prediction, Report
from model_understanding.show.page.css import LEVELS, level_class
from model_understanding.show.page.svg import attention_matrix, bar_chart
from model_understanding.show.shared.runs import highlighted_runs
from model_understanding.show.shared.words import (
    READING_NOTES,
    attention_note,
    attention_title,
    cautions_of,
    control_name,
    evaluation_name,
    evaluation_value,
    explained_name,
    format_entry,
    format_number,
    format_percent,
    gap_text,
    method_name,
    provenance_rows,
    raw_value_and_range,
    report_headline,
    sign_meanings,
    target_value,
)
from model_understanding.show.views.attention import top_tokens, units_by_size

_MAX_CLASSES = 12
_MAX_ROWS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A span of highlighted text.

    Args:
        text: The text.
        css: CSS classes.
        tip: Tooltip; empty for none.
        opens: Whether another source text begins here.
    """

    text: str
    css: str = ""
    tip: str = ""
    opens: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table: texts, and a bar from 0 to 100 with its CSS class."""

    cells: tuple[str, ...]
    bar: float = 0.0
    css: str = ""


def report_content(report: Report) -> dict[str, Any]:
    """Return the values of the report template.

    Args:
        report: The report.

    Returns:
        Values by name.
    """
    headline = report_headline(report)
    origin = " · ".join(
        name for name in (report.provenance.task, report.provenance.model) if name != "unknown"
    )
    return {
        "title": f"{headline} · {origin}" if origin else headline,
        "headline": headline,
        "origin": origin,
        "cautions": cautions_of(report),
        "texts": report.texts,
        "classes": _class_rows(report.prediction) if report.prediction else [],
        "omitted_classes": max(0, len(report.prediction.labels) - _MAX_CLASSES) if report.prediction else 0,
        "is_regression": report.prediction is not None and report.prediction.probabilities is None,
        "generation": _generation_words(report.generation) if report.generation else [],
        "steps": _step_rows(report.generation) if report.generation else [],
        "attributions": [_attribution(attribution) for attribution in report.attributions],
        "attention": [_attention(attention) for attention in report.main_attention],
        "evaluations": [_evaluation_row(evaluation) for evaluation in report.evaluations],
        "notes": READING_NOTES,
        "provenance": provenance_rows(report),
    }


def _evaluation_row(evaluation: Evaluation) -> Row:
    mean = evaluation.control_mean
    verdict = f"{evaluation.verdict}." if evaluation.verdict else ""
    details = filter(None, (verdict, raw_value_and_range(evaluation), *evaluation.reasons))
    return Row(
        cells=(
            evaluation_name(evaluation),
            evaluation_value(evaluation),
            "–" if mean is None else f"{format_number(mean)} ({control_name(evaluation)})",
            "higher" if evaluation.higher_is_better else "lower",
            " ".join(details) or "–",
        )
    )


def _attention(attention: AttentionMap) -> dict[str, Any]:
    title = attention_title(attention)
    return {"title": title, "note": attention_note(attention), "plot": attention_matrix(attention, title)}


def _class_rows(prediction: Prediction) -> list[Row]:
    """Return the classes with the highest logits; the values of a regression have no bar."""
    rows = []
    for index in np.argsort(-prediction.logits, kind="stable")[:_MAX_CLASSES]:
        label, logit = prediction.labels[index], format_number(float(prediction.logits[index]))
        if prediction.probabilities is None:
            rows.append(Row(cells=(label, logit)))
        else:
            share = float(prediction.probabilities[index])
            rows.append(Row(cells=(label, logit, format_percent(share)), bar=100 * share))
    return rows


def _generation_words(generation: Generation) -> list[Word]:
    words = []
    sources = set()
    for run in highlighted_runs(generation.tokens):
        opens = run.source >= 0 and run.source not in sources
        sources.add(run.source)
        step = -1 if run.unit is None else run.unit - generation.prompt_length
        tip, css = "", "mu-prompt"
        if step >= 0:
            tip = f"probability {format_percent(float(generation.probabilities[step]))}"
            css = "mu-answer"
        elif run.source > 0:
            css = "mu-answer"
        words.append(
            Word(
                text=run.text, css="mu-pill" if run.is_pill else css, tip=tip, opens=opens and run.source > 0
            )
        )
    return words


def _step_rows(generation: Generation) -> list[Row]:
    labels = generation.continuation_tokens().labels()
    rows = []
    for step, label in enumerate(labels):
        share = float(generation.probabilities[step])
        predictions = [
            format_entry(other, format_percent(float(probability)), 30)
            for other, probability in zip(
                generation.top_labels[step], generation.top_probabilities[step], strict=False
            )
        ]
        entropy = f"{float(generation.entropies[step]):.2f}"
        rows.append(Row(cells=(label, format_percent(share), entropy, *predictions[:5]), bar=100 * share))
    return rows


def _attribution(attribution: Attribution) -> dict[str, Any]:
    folded = attribution.folded("character")
    is_single = len(folded.targets) == 1
    content: dict[str, Any] = {
        "title": f"Saliency: {explained_name(folded)}",
        "method": " · ".join(filter(None, (gap_text(folded), method_name(folded)))),
        "is_single": is_single,
        "signed": folded.signed,
        "levels": range(1, LEVELS + 1),
    }
    if not is_single:
        return {**content, "plot": "", "targets": _target_rows(folded)}
    rows = _score_rows(folded)
    return {
        **content,
        "plot": bar_chart(folded, content["title"]),
        "value": target_value(folded),
        "signs": sign_meanings(folded.targets[0]),
        "words": _highlighted_words(folded),
        "rows": rows,
        "omitted_rows": len(folded.tokens) - len(rows),
        "has_special": bool(folded.tokens.special.any()),
        "has_unscored": not folded.valid.all(),
    }


def _highlighted_words(attribution: Attribution) -> list[Word]:
    scores, shares = attribution.scores[0], attribution.normalized().scores[0]
    peak = float(np.abs(scores).max(initial=0)) or 1.0
    words, sources = [], set()
    for run in highlighted_runs(attribution.tokens):
        opens = run.source > 0 and run.source not in sources
        sources.add(run.source)
        if run.unit is None:
            words.append(Word(text=run.text, opens=opens))
            continue
        score = float(scores[run.unit])
        if not attribution.valid[0, run.unit]:
            css, tip = "mu-unscored", "no score: cannot contribute"
        else:
            css = level_class(score, peak, attribution.signed)
            tip = f"{format_percent(float(shares[run.unit]))} · score {format_number(score)}"
        if run.is_pill or attribution.tokens.special[run.unit]:
            css = "mu-pill"
        words.append(Word(text=run.text, css=css, tip=tip, opens=opens))
    return words


def _score_rows(attribution: Attribution) -> list[Row]:
    shares = attribution.normalized().scores[0]
    peak = float(np.abs(shares).max(initial=0)) or 1.0
    labels = attribution.tokens.labels()
    ranks = {unit: rank for rank, unit in enumerate(units_by_size(attribution), 1)}
    rows = []
    listed = set(list(ranks)[:_MAX_ROWS]) if len(labels) > _MAX_ROWS else set(range(len(labels)))
    for unit, label in enumerate(labels):
        if unit not in listed:
            continue
        special = bool(attribution.tokens.special[unit])
        if unit not in ranks:
            rows.append(Row(cells=(str(unit), label, "–", "no score", "–"), css="mu-muted"))
            continue
        share, score = float(shares[unit]), float(attribution.scores[0, unit])
        side = "unsigned" if not attribution.signed else "supports" if score >= 0 else "against"
        rows.append(
            Row(
                cells=(str(unit), label, format_percent(share), format_number(score), str(ranks[unit])),
                bar=100 * abs(share) / peak,
                css="mu-special" if special else f"mu-{side}",
            )
        )
    return rows


def _target_rows(attribution: Attribution) -> list[Row]:
    rows = []
    for index, target in enumerate(attribution.targets):
        tokens = [
            f"{token.label} {format_percent(token.value)}" for token in top_tokens(attribution, index, 5)
        ]
        label = target.name or ", ".join(target.labels) or target.description()
        rows.append(Row(cells=(label.strip(" ") or label, target_value(attribution, index), *tokens)))
    return rows
