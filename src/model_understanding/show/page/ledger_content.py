"""The content of a ledger's page without scripts: strings and numbers, which the template escapes."""

from typing import Any

from model_understanding.results import Ledger
from model_understanding.show.page.blocks import Bar, Paragraph, Word, bar
from model_understanding.show.shared.words import cautions_of, printable, provenance_rows
from model_understanding.show.views.difference_map import DifferenceMap
from model_understanding.show.views.ledger import (
    HOW_TO_READ,
    LISTED,
    ComparedText,
    gap_words,
    ledger_view,
    origin,
    page_note,
)

_DIFFERS = "font-weight:600;border-bottom:2px solid"


def ledger_content(ledger: Ledger) -> dict[str, Any]:
    """Return the values of the template of a ledger.

    Args:
        ledger: The ledger.

    Returns:
        Values by name.
    """
    view = ledger_view(ledger, LISTED)
    return {
        "title": view.answer[0],
        "origin": origin(ledger),
        "answer": view.answer,
        "headline": view.headline,
        "baseline": view.baseline,
        "texts": [(text.name, text.value, (text_paragraph(text),)) for text in view.compared],
        "cautions": cautions_of(ledger),
        "maps": [(shown.name, shown.meaning, ranked_rows(shown)) for shown in view.maps],
        "gap": gap_words(ledger) if view.maps else "",
        "note": page_note(ledger),
        "notes": HOW_TO_READ,
        "provenance": [(name, printable(value)) for name, value in provenance_rows(ledger.provenance)],
    }


def text_paragraph(text: ComparedText) -> Paragraph:
    """Return a text as a paragraph in which the tokens that differ are marked."""
    words = [
        Word(
            text=run.text,
            style=_DIFFERS if run.unit is not None and text.units[run.unit][2] else "",
            is_pill=run.is_pill,
        )
        for run in text.runs
    ]
    return Paragraph(words=tuple(words), direction=text.direction)


def ranked_rows(shown: DifferenceMap) -> list[tuple[str, str, str, Bar]]:
    """Return the strongest places of a map: each with its value, its share and a bar."""
    return [(cell.place, cell.value, cell.share, bar(cell.strength, signed=True)) for cell in shown.ranked]
