"""Parts of a page with heat maps of a difference, as the schema has them: axes, maps, texts."""

from collections.abc import Sequence
from typing import Any

from model_understanding.show.payload.parts import decimals
from model_understanding.show.views.difference_map import Columns, DifferenceMap
from model_understanding.show.views.ledger import ComparedText


def axes_and_maps(maps: Sequence[DifferenceMap]) -> dict[str, Any]:
    """Return maps, and the axes that they share.

    Args:
        maps: The maps.

    Returns:
        ``axes`` and ``maps`` of ``LedgerPayload``.
    """
    axes: list[Columns] = []
    for shown in maps:
        if shown.columns not in axes:
            axes.append(shown.columns)
    return {
        "axes": [_axis(axis) for axis in axes],
        "maps": [_map(shown, axes.index(shown.columns)) for shown in maps],
    }


def text_parts(text: ComparedText) -> dict[str, Any]:
    """Return a text in parts: ``LedgerText`` of the schema.

    Args:
        text: The text.
    """
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
