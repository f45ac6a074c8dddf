"""The data of the page of a ledger: ``LedgerPayload`` of ``static/payload.schema.json``."""

from typing import Any

from model_understanding.results import Ledger
from model_understanding.show.payload.difference_map import axes_and_maps, text_parts
from model_understanding.show.payload.ledger_code import ledger_code, ledger_command
from model_understanding.show.payload.parts import SCHEMA, encoded_palette, script_json
from model_understanding.show.shared.words import cautions_of, printable, provenance_rows
from model_understanding.show.views.ledger import (
    HOW_TO_READ,
    LISTED,
    gap_words,
    ledger_view,
    origin,
    page_note,
)


def ledger_payload(ledger: Ledger) -> dict[str, Any]:
    """Return the data of the page of a ledger.

    Args:
        ledger: The ledger.

    Returns:
        ``LedgerPayload`` of the schema.
    """
    view = ledger_view(ledger, LISTED)
    return {
        "schema": SCHEMA,
        "kind": "ledger",
        "title": view.answer[0],
        "origin": origin(ledger),
        "answer": list(view.answer),
        "headline": view.headline,
        "target": view.target,
        "difference": ledger.difference,
        "texts": [text_parts(text) for text in view.compared],
        "baseline": view.baseline,
        "models": [],
        **axes_and_maps(view.maps),
        "gap": gap_words(ledger) if view.maps else "",
        "restored": [],
        "gaps": [{"name": name, "sum": total, "gap": gap} for name, total, gap in view.gaps],
        "note": page_note(ledger),
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
