"""The data of the page of a diff of two models: ``LedgerPayload`` of ``static/payload.schema.json``."""

from typing import Any

from model_understanding.results import ModelDiff
from model_understanding.show.payload.difference_map import axes_and_maps, text_parts
from model_understanding.show.payload.model_diff_code import model_diff_code, model_diff_command
from model_understanding.show.payload.parts import SCHEMA, encoded_palette, script_json
from model_understanding.show.shared.words import cautions_of, printable
from model_understanding.show.views.ledger import LISTED
from model_understanding.show.views.model_diff_page import model_diff_page


def model_diff_payload(diff: ModelDiff) -> dict[str, Any]:
    """Return the data of the page of a diff.

    Args:
        diff: The diff.

    Returns:
        ``LedgerPayload`` of the schema.
    """
    page = model_diff_page(diff, LISTED)
    return {
        "schema": SCHEMA,
        "kind": "diff",
        "title": page.answer[0],
        "origin": page.origin,
        "answer": list(page.answer),
        "headline": page.headline,
        "target": page.target,
        "difference": diff.difference,
        "texts": [text_parts(page.text)],
        "baseline": "",
        "models": [
            {"name": model.name, "called": model.called, "answer": model.answer, "value": model.value}
            for model in page.models
        ],
        **axes_and_maps(page.maps),
        "restored": [{"name": name, "value": value} for name, value in page.restored],
        "gap": page.gap if page.maps else "",
        "gaps": [{"name": name, "sum": total, "gap": gap} for name, total, gap in page.gaps],
        "note": page.note,
        "cautions": list(cautions_of(diff)),
        "howToRead": list(page.how_to_read),
        "provenance": [{"name": name, "value": printable(value)} for name, value in page.provenance],
        "python": model_diff_code(diff),
        "command": model_diff_command(diff),
        "palette": encoded_palette(),
    }


def model_diff_json(diff: ModelDiff) -> str:
    """Return the payload as JSON that may stand in a page's script element."""
    return script_json(model_diff_payload(diff))
