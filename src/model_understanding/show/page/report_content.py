"""What a page says about a report: plain strings and numbers for the template, which escapes them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from model_understanding.results import AttentionMap, Attribution, Evaluation, Generation, Prediction, Report
from model_understanding.show.page.css import LEVELS, level_class
from model_understanding.show.page.svg import attention_picture, bars_picture
from model_understanding.show.shared.attention_view import largest_units, top_sources
from model_understanding.show.shared.runs import highlighted_runs
from model_understanding.show.shared.words import (
    READING_NOTES,
    answer_words,
    attention_title,
    before_normalizing,
    cautions,
    control_words,
    evaluation_name,
    evaluation_value,
    method_name,
    number,
    output_words,
    percent,
    provenance_rows,
    shown,
    sign_words,
    target_name,
    targets_name,
)

_MOST_CLASSES = 12
_MOST_ROWS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A stretch of highlighted text.

    Args:
        text: What to show.
        css: Its classes.
        tip: What hovering says; empty for none.
        opens: Whether another source text begins here.
    """

    text: str
    css: str = ""
    tip: str = ""
    opens: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of a table: words, and a bar from 0 to 100 with its class."""

    cells: tuple[str, ...]
    bar: float = 0.0
    css: str = ""


def report_content(report: Report) -> dict[str, Any]:
    """Return everything the template shows, apart from the figures.

    Args:
        report: The report.

    Returns:
        Names for the template.
    """
    return {
        "answer": answer_words(report),
        "origin": " · ".join(
            name for name in (report.provenance.task, report.provenance.model) if name != "unknown"
        ),
        "cautions": cautions(report),
        "texts": report.texts,
        "classes": _class_rows(report.prediction) if report.prediction else [],
        "classes_left_out": max(0, len(report.prediction.labels) - _MOST_CLASSES) if report.prediction else 0,
        "is_regression": report.prediction is not None and report.prediction.probabilities is None,
        "generation": _generation_words(report.generation) if report.generation else [],
        "steps": _step_rows(report.generation) if report.generation else [],
        "attributions": [_attribution(attribution) for attribution in report.attributions],
        "attention": [_attention(attention) for attention in report.main_attention],
        "evaluations": [
            Row(
                cells=(
                    evaluation_name(evaluation),
                    evaluation_value(evaluation),
                    _control(evaluation),
                    "higher" if evaluation.higher_is_better else "lower",
                    " ".join(
                        filter(
                            None, (evaluation.verdict, before_normalizing(evaluation), *evaluation.reasons)
                        )
                    )
                    or "–",
                )
            )
            for evaluation in report.evaluations
        ],
        "notes": READING_NOTES,
        "provenance": provenance_rows(report),
    }


def _control(evaluation: Evaluation) -> str:
    words = control_words(evaluation)
    return f"{number(float(evaluation.control.mean()))} ({words})" if words else "–"


def _attention(attention: AttentionMap) -> dict[str, Any]:
    title = attention_title(attention)
    return {"title": title, "picture": attention_picture(attention, title)}


def _class_rows(prediction: Prediction) -> list[Row]:
    """Return the likeliest classes; a regression's values have no bar."""
    rows = []
    for place in np.argsort(-prediction.logits, kind="stable")[:_MOST_CLASSES]:
        logit = number(float(prediction.logits[place]))
        if prediction.probabilities is None:
            rows.append(Row(cells=(prediction.labels[place], logit)))
        else:
            share = float(prediction.probabilities[place])
            rows.append(Row(cells=(prediction.labels[place], logit, percent(share)), bar=100 * share))
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
            tip = f"probability {percent(float(generation.probabilities[step]))}"
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
        likeliest = [
            f"{shown(other.strip(' ') or other, 30)} {percent(float(probability))}"
            for other, probability in zip(
                generation.top_labels[step], generation.top_probabilities[step], strict=False
            )
        ]
        entropy = f"{float(generation.entropies[step]):.2f}"
        rows.append(Row(cells=(label, percent(share), entropy, *likeliest[:5]), bar=100 * share))
    return rows


def _attribution(attribution: Attribution) -> dict[str, Any]:
    folded = attribution.folded("character")
    is_single = len(folded.targets) == 1
    content: dict[str, Any] = {
        "title": "Saliency: "
        + (target_name(folded.targets[0]) if is_single else targets_name(folded.targets)),
        "method": method_name(folded),
        "is_single": is_single,
        "signed": folded.signed,
        "levels": range(1, LEVELS + 1),
    }
    if not is_single:
        return {**content, "picture": "", "targets": _target_rows(folded)}
    rows = _score_rows(folded)
    return {
        **content,
        "picture": bars_picture(folded, content["title"]),
        "value": output_words(folded),
        "signs": sign_words(folded.targets[0]),
        "words": _highlighted_words(folded),
        "rows": rows,
        "rows_left_out": len(folded.tokens) - len(rows),
        "has_special": bool(folded.tokens.special.any()),
        "has_unscored": not folded.valid.all(),
    }


def _highlighted_words(attribution: Attribution) -> list[Word]:
    scores, shares = attribution.scores[0], attribution.normalized().scores[0]
    reach = float(np.abs(scores).max(initial=0)) or 1.0
    words, sources = [], set()
    for run in highlighted_runs(attribution.tokens):
        opens = run.source > 0 and run.source not in sources
        sources.add(run.source)
        if run.unit is None:
            words.append(Word(text=run.text, opens=opens))
            continue
        score = float(scores[run.unit])
        if not attribution.valid[run.unit if attribution.valid.ndim == 1 else (0, run.unit)]:
            css, tip = "mu-unscored", "no score: it cannot contribute"
        else:
            css = level_class(score, reach, attribution.signed)
            tip = f"{percent(float(shares[run.unit]))} · score {number(score)}"
        if run.is_pill or attribution.tokens.special[run.unit]:
            css = "mu-pill"
        words.append(Word(text=run.text, css=css, tip=tip, opens=opens))
    return words


def _score_rows(attribution: Attribution) -> list[Row]:
    shares = attribution.normalized().scores[0]
    reach = float(np.abs(shares).max(initial=0)) or 1.0
    labels = attribution.tokens.labels()
    ranks = {unit: rank for rank, unit in enumerate(largest_units(attribution), 1)}
    rows = []
    drawn = set(list(ranks)[:_MOST_ROWS]) if len(labels) > _MOST_ROWS else set(range(len(labels)))
    for unit, label in enumerate(labels):
        if unit not in drawn:
            continue
        special = bool(attribution.tokens.special[unit])
        if unit not in ranks:
            rows.append(Row(cells=(str(unit), label, "–", "no score", "–"), css="mu-muted"))
            continue
        share, score = float(shares[unit]), float(attribution.scores[0, unit])
        side = "unsigned" if not attribution.signed else "supports" if score >= 0 else "against"
        rows.append(
            Row(
                cells=(str(unit), label, percent(share), number(score), str(ranks[unit])),
                bar=100 * abs(share) / reach,
                css="mu-special" if special else f"mu-{side}",
            )
        )
    return rows


def _target_rows(attribution: Attribution) -> list[Row]:
    rows = []
    for place, target in enumerate(attribution.targets):
        sources = [f"{s.label} {percent(s.share)}" for s in top_sources(attribution, place, 5)]
        name = target.name or ", ".join(target.labels) or target.description()
        rows.append(Row(cells=(name.strip(" ") or name, output_words(attribution, place), *sources)))
    return rows
