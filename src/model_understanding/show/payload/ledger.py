"""The data of the page of a ledger: ``LedgerPayload`` of ``static/payload.schema.json``."""

from typing import Any

from model_understanding.results import Ledger
from model_understanding.show.payload.ledger_code import ledger_code, ledger_command
from model_understanding.show.payload.parts import SCHEMA, decimals, encoded_palette, script_json
from model_understanding.show.shared.words import cautions_of, printable, provenance_rows
from model_understanding.show.views.difference_map import Columns, DifferenceMap
from model_understanding.show.views.ledger import (
    HOW_TO_READ,
    LISTED,
    PAGE_NOTE,
    ComparedText,
    gap_words,
    ledger_view,
    origin,
)


def ledger_payload(ledger: Ledger) -> dict[str, Any]:
    """Return the data of the page of a ledger.

    Args:
        ledger: The ledger.

    Returns:
        ``LedgerPayload`` of the schema.
    """
    view = ledger_view(ledger, LISTED)
    axes: list[Columns] = []
    for shown in view.maps:
        if shown.columns not in axes:
            axes.append(shown.columns)
    return {
        "schema": SCHEMA,
        "kind": "ledger",
        "title": view.answer[0],
        "origin": origin(ledger),
        "answer": list(view.answer),
        "headline": view.headline,
        "target": view.target,
        "difference": ledger.difference,
        "texts": [_text(text) for text in view.compared],
        "baseline": view.baseline,
        "axes": [_axis(axis) for axis in axes],
        "maps": [_map(shown, axes.index(shown.columns)) for shown in view.maps],
        "gap": gap_words(ledger) if view.maps else "",
        "gaps": [{"name": name, "sum": total, "gap": gap} for name, total, gap in view.gaps],
        "note": PAGE_NOTE,
        "cautions": list(cautions_of(ledger)),
        "howToRead": list(HOW_TO_READ),
        "provenance": [
            {"name": name, "value": printable(value)} for name, value in provenance_rows(ledger.provenance)
        ],
        "python": ledger_code(ledger),
        "command": ledger_command(ledger),
        "palette": encoded_palette(),
    }


def ledger_json(ledger: Ledger) -> str:
    """Return the payload as JSON that may stand in a page's script element."""
    return script_json(ledger_payload(ledger))


def _text(text: ComparedText) -> dict[str, Any]:
    units = text.units
    return {
        "name": text.name,
        "value": text.value,
        "direction": text.direction,
        "parts": [
            {
                "text": run.text,
                "first": -1 if run.unit is None else units[run.unit][0],
                "last": -1 if run.unit is None else units[run.unit][1],
                "differs": run.unit is not None and units[run.unit][2],
                "isPill": run.is_pill,
            }
            for run in text.runs
        ],
    }


def _axis(columns: Columns) -> dict[str, Any]:
    return {
        "word": columns.word,
        "noun": columns.noun,
        "names": list(columns.names),
        "labels": list(columns.labels),
        "seconds": list(columns.seconds),
        "marked": list(columns.marked),
        "muted": list(columns.muted),
        "drawn": [position for span in columns.spans for position in span],
    }


def _map(shown: DifferenceMap, axis: int) -> dict[str, Any]:
    return {
        "key": shown.key,
        "name": shown.name,
        "meaning": shown.meaning,
        "rows": list(shown.rows),
        "rowLabels": list(shown.row_labels),
        "rowNoun": shown.row_noun,
        "axis": axis,
        "values": decimals(shown.values.ravel()),
        "reach": shown.reach,
        "isCut": shown.is_cut,
        "ranked": [
            {
                "row": cell.row,
                "column": cell.column,
                "place": cell.place,
                "value": cell.value,
                "share": cell.share,
                "strength": round(cell.strength, 4),
            }
            for cell in shown.ranked
        ],
    }
