"""The content of a report's page without scripts, which its template draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_understanding.results import AttentionMap, QueryKey, Report
from model_understanding.show.page.blocks import Bar, Paragraph, bar, colored_text, marked_text
from model_understanding.show.shared.colors import tint
from model_understanding.show.shared.words import (
    LENS_NOTE,
    READING_NOTES,
    attention_note,
    attention_title,
    cautions_of,
    format_number,
    format_percent,
    printable,
    provenance_rows,
)
from model_understanding.show.views.answer import AnswerRow
from model_understanding.show.views.answers import answer_view
from model_understanding.show.views.attention import (
    MAX_CELLS,
    AttentionView,
    TokenValue,
    attention_view,
    top_keys,
)
from model_understanding.show.views.heads import HeadsView, scored_heads
from model_understanding.show.views.layers import layer_rows, layers_title
from model_understanding.show.views.links import LinksView, links_view
from model_understanding.show.views.report import MapView, map_views
from model_understanding.show.views.saliency import SaliencyView, Unit
from model_understanding.show.views.sources import SourcesView
from model_understanding.show.views.steps import Step, step_views
from model_understanding.show.views.tested import tested_rows
from model_understanding.show.views.trust import Trust

_MAX_SCORES, _MAX_STEPS, _MAX_QUERIES = 300, 200, 60  # rows of a table


@dataclass(frozen=True, slots=True)
class Entry:
    """A token with its value, and its inline style."""

    label: str
    value: str
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table: its name, cells in the order of the columns, lists of entries, a bar, and a side.

    The side says which of two texts the row is of.
    """

    name: str
    cells: tuple[str, ...] = ()
    entries: tuple[tuple[Entry, ...], ...] = ()
    bar: Bar | None = None
    side: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPart:
    """A saliency map: its question and answer, the colored text, and the strongest units.

    Args:
        title: The question that it answers.
        why: The answer in pieces, every second one emphasized.
        faded: Whether its scores are not supported.
        text: The colored text.
        legend: The colors and what they mean.
        top: The strongest units.
        unit: What a unit is.
        has_intervals: Whether scores have confidence intervals.
        facts: The value of the target and the method, in one line.
        notes: Sentences about what the reader sees.
        scores: All units that have a score, of a long text the largest.
        omitted: Number of units that are not in ``scores``.
        targets: What each of several targets depends on.
        noun: What these are: ``entity``, ``target``.
        omitted_targets: Number of targets that are not listed.
    """

    title: str
    why: tuple[str, ...]
    faded: bool
    text: tuple[Paragraph, ...]
    legend: tuple[tuple[Bar, str], ...]
    top: tuple[Row, ...]
    unit: str
    has_intervals: bool
    facts: str
    notes: tuple[str, ...]
    scores: tuple[Row, ...]
    omitted: int
    targets: tuple[Row, ...]
    noun: str
    omitted_targets: int


def report_content(report: Report) -> dict[str, Any]:
    """Return the values of the report template.

    Args:
        report: The report.

    Returns:
        Values by name; the template escapes their strings.
    """
    answer, maps = answer_view(report), map_views(report)
    known = (report.provenance.task, report.provenance.model)
    origin = " · ".join(printable(name) for name in known if name != "unknown")
    steps = () if report.generation is None else step_views(report.generation)
    by_step = next((shown.sources for shown in maps if shown.sources and shown.sources.by_step), None)
    return {
        "title": f"{answer.headline} · {origin}" if origin else answer.headline,
        "answer": answer,
        "answer_rows": [(row, _answer_bar(row)) for row in answer.rows],
        "marked": marked_text(answer),
        "is_part": not (report.prediction or report.generation or report.answer),
        "origin": origin,
        "trust": maps[0].reading.trust if maps else None,
        "trust_color": _trust_color(maps[0].reading.trust) if maps else "",
        "cautions": cautions_of(report),
        "maps": [_map_part(shown, lists_targets=shown.sources is not by_step) for shown in maps],
        "steps": _step_rows(steps, by_step),
        "answer_name": "answer" if by_step is None else by_step.answer,
        "omitted_steps": max(0, len(steps) - _MAX_STEPS),
        "has_sources": by_step is not None and len(by_step.rows) == len(steps),
        "attention": [_attention(attention) for attention in report.main_attention],
        "heads": None if report.heads is None else _head_rows(scored_heads(report.heads)),
        "heads_title": "" if report.heads is None else _heads_title(scored_heads(report.heads)),
        "layers": () if report.lens is None else layer_rows(report.lens),
        "layers_title": "" if report.lens is None else layers_title(report.lens),
        "lens_note": LENS_NOTE,
        "links": None if report.links is None else _links(links_view(report.links)),
        "query_keys": [_query_key(query_key) for query_key in report.query_keys],
        "tested": tested_rows(report.evaluations),
        "notes": READING_NOTES,
        "provenance": provenance_rows(report.provenance),
    }


def _answer_bar(row: AnswerRow) -> Bar | None:
    return None if row.share is None else bar(row.share, signed=False, kind="attention")


def _trust_color(trust: Trust) -> str:
    return {
        "supported": "#2e9e5b",
        "weak": "#b8860b",
        "not supported": "#d9534f",
    }.get(trust.verdict, "#808080")


def _map_part(shown: MapView, *, lists_targets: bool) -> MapPart:
    view = shown.saliency
    sources = shown.sources if lists_targets else None
    top, scored = view.top(), view.scored()
    largest = sorted(scored, key=lambda unit: -abs(unit.score))[:_MAX_SCORES]
    listed = sorted(largest, key=lambda unit: unit.index)
    return MapPart(
        title=shown.reading.title,
        why=shown.reading.why,
        faded=view.faded,
        text=colored_text(view),
        legend=_legend(view),
        top=tuple(_unit_row(unit, view) for unit in top),
        unit=view.unit_name.removesuffix("s"),
        has_intervals=any(unit.interval is not None for unit in scored),
        facts=" · ".join(filter(None, (view.title, view.value, view.gap, view.method))),
        notes=view.notes,
        scores=tuple(_unit_row(unit, view) for unit in listed) if len(scored) > len(top) else (),
        omitted=len(scored) - len(listed),
        targets=() if sources is None else _target_rows(sources),
        noun="" if sources is None else sources.noun,
        omitted_targets=0 if sources is None else max(0, len(sources.rows) - _MAX_STEPS),
    )


def _legend(view: SaliencyView) -> tuple[tuple[Bar, str], ...]:
    """Return the colors that the text has; an unsigned one from low to high."""
    if not view.signed:
        return tuple(
            (Bar(width=0, style=f"background-color:{tint(part, 'unsigned', faded=view.faded)}"), name)
            for part, name in ((0.1, "low"), (1.0, "high"))
        )
    present = ((1.0, view.signs[0]), (-1.0, view.signs[1]))
    return tuple(
        (bar(sign, True, faded=view.faded), name)
        for sign, name in present
        if any(unit.colored and unit.strength * sign > 0 for unit in view.units)
    )


def _unit_row(unit: Unit, view: SaliencyView) -> Row:
    cells = (unit.share_text, unit.score_text, unit.interval_text)
    if unit.special:
        return Row(name=unit.label, cells=cells, side=unit.side)
    return Row(
        name=unit.label, cells=cells, side=unit.side, bar=bar(unit.strength, view.signed, faded=view.faded)
    )


def _target_rows(sources: SourcesView) -> tuple[Row, ...]:
    return tuple(
        Row(name=label, cells=(sources.values[row],), entries=(_source_entries(sources, row),))
        for row, label in enumerate(sources.rows[:_MAX_STEPS])
    )


def _source_entries(sources: SourcesView, row: int) -> tuple[Entry, ...]:
    return tuple(Entry(printable(top.label, 30), top.share_text) for top in sources.tops[row])


def _step_rows(steps: Sequence[Step], sources: SourcesView | None) -> tuple[Row, ...]:
    has_sources = sources is not None and len(sources.rows) == len(steps)
    rows = []
    for step in steps[:_MAX_STEPS]:
        depends = _source_entries(sources, step.index) if sources is not None and has_sources else ()
        others = tuple(Entry(other.label, other.probability) for other in step.alternatives)
        rows.append(
            Row(
                name=step.label,
                cells=(step.probability,),
                entries=(depends, others[:3]),
                bar=bar(step.share, False, kind="attention"),
            )
        )
    return tuple(rows)


def _attention(attention: AttentionMap) -> dict[str, Any]:
    count = len(attention.queries)
    if count * len(attention.keys) > MAX_CELLS:
        attention = attention.selected(range(_MAX_QUERIES))
    view = attention_view(attention)
    labels = [printable(label, 30) for label in view.rows.labels()]
    tops = [top_keys(view, row) for row in range(min(len(labels), _MAX_QUERIES))]
    peak = max((abs(key.value) for top in tops for key in top), default=0) or 1.0
    keys = [printable(label, 30) for label in view.keys.labels()]
    return {
        "title": attention_title(attention),
        "row_title": view.row_name,
        "key_title": view.top_title,
        "notes": [*view.omissions, *filter(None, [view.sink_text(keys, "excluded below")])],
        "rows": [
            Row(name=label, entries=(tuple(_key_entry(key, view, peak) for key in top),))
            for label, top in zip(labels, tops, strict=False)
        ],
        "omitted": max(0, count - _MAX_QUERIES),
        "note": attention_note(attention),
    }


def _key_entry(key: TokenValue, view: AttentionView, peak: float) -> Entry:
    kind = "against" if key.value < 0 else "supports" if (view.weights < 0).any() else "attention"
    style = f"background-color:{tint(abs(key.value) / peak, kind)};border-radius:3px"
    return Entry(printable(key.label.strip(" ") or key.label, 20), view.format_weight(key.value), style)


def _links(view: LinksView) -> dict[str, Any]:
    return {
        "view": view,
        "rows": [
            Row(name=link.first, cells=(link.second, link.score_text), bar=bar(link.strength, signed=True))
            for link in view.links
        ],
    }


def _query_key(query_key: QueryKey) -> dict[str, Any]:
    """Return the scores of a query with its keys, in reading order; of many keys those with most weight."""
    labels = [printable(label, 30) for label in query_key.tokens.labels()]
    weights, scores = query_key.weights, query_key.scores
    allowed = [int(key) for key in np.argsort(-weights, kind="stable") if query_key.allowed[key]]
    query = f"“{printable(query_key.rows.labels()[query_key.query], 30)}” (token {query_key.query})"
    return {
        "title": f"Query and keys of {query}: layer {query_key.layer}, head {query_key.head}",
        "rows": [
            Row(
                name=labels[key],
                cells=(format_percent(float(weights[key])), format_number(float(scores[key]))),
                bar=bar(float(weights[key]), False, kind="attention"),
            )
            for key in sorted(allowed[:_MAX_QUERIES])
        ],
        "omitted": max(0, len(allowed) - _MAX_QUERIES),
    }


def _heads_title(heads: HeadsView) -> str:
    return f"Attention heads by {heads.by}"


def _head_rows(heads: HeadsView) -> tuple[Row, ...]:
    return tuple(
        Row(
            name=f"layer {row.layer}, head {row.head}",
            cells=(row.score,),
            bar=bar(row.strength, heads.signed, kind="" if heads.signed else "attention"),
        )
        for row in heads.rows
    )
