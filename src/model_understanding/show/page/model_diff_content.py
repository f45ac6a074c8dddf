"""The content of the pages of two models without scripts: strings and numbers, which the templates escape."""

from typing import Any

from model_understanding.results import ModelDiff, ModelDiffSummary
from model_understanding.show.page.blocks import bar
from model_understanding.show.page.ledger_content import ranked_rows, text_paragraph
from model_understanding.show.payload.model_diff_code import model_diffs_command
from model_understanding.show.shared.words import cautions_of, printable
from model_understanding.show.views.ledger import LISTED
from model_understanding.show.views.model_diff import model_diff_summary_view, origin
from model_understanding.show.views.model_diff_page import both_provenances, model_diff_page

_MODULES = 40
"""Modules in the table of a summary."""


def model_diff_content(diff: ModelDiff) -> dict[str, Any]:
    """Return the values of the template of a diff.

    Args:
        diff: The diff.

    Returns:
        Values by name.
    """
    page = model_diff_page(diff, LISTED)
    return {
        "title": page.answer[0],
        "origin": page.origin,
        "answer": page.answer,
        "paragraphs": (text_paragraph(page.text),),
        "models": page.models,
        "cautions": cautions_of(diff),
        "maps": [(shown.name, shown.meaning, ranked_rows(shown)) for shown in page.maps],
        "restored": page.restored,
        "gap": page.gap if page.maps else "",
        "note": page.note if page.maps else "",
        "notes": page.how_to_read,
        "provenance": [(name, printable(value)) for name, value in page.provenance],
    }


def model_diff_summary_content(summary: ModelDiffSummary) -> dict[str, Any]:
    """Return the values of the template of a summary of diffs.

    Args:
        summary: The summary.

    Returns:
        Values by name.
    """
    view = model_diff_summary_view(summary, _MODULES)
    end = max((module.share for module in summary.modules), default=0.0) or 1.0
    return {
        "title": view.answer[0],
        "origin": origin(summary),
        "answer": view.answer,
        "modules": [
            (row, bar(module.share / end, signed=False))
            for row, module in zip(view.modules, summary.modules, strict=False)
        ],
        "omitted": max(len(summary.modules) - _MODULES, 0),
        "notes": view.facts,
        "command": model_diffs_command(summary),
        "provenance": [(name, printable(value)) for name, value in both_provenances(summary)],
    }
