"""The HTML page of many texts: an index whose entries open to the report of each text."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from model_understanding.results import Failure, Report
from model_understanding.results.reports import Entry
from model_understanding.show.page.document import (
    SIZE_MARK,
    page_script,
    policy,
    rendered,
    report_fragment,
    with_size,
)
from model_understanding.show.shared.headline import report_headline
from model_understanding.show.views.reading import main_reading

_MOST_CHARACTERS = 300  # of a text in the index


def reports_page(entries: Sequence[Entry]) -> str:
    """Return the reports of many texts as one self-contained HTML document; it loads nothing.

    Args:
        entries: The texts, each with its report or why it has none.
    """
    reports = [entry.report for entry in entries if isinstance(entry.report, Report)]
    models = dict.fromkeys(report.provenance.model for report in reports)
    answers = Counter(
        str(report.prediction.label) for report in reports if report.prediction is not None
    ).most_common()
    title = f"{len(entries)} text{'s' * (len(entries) != 1)}"
    return with_size(
        rendered(
            "collection.html.jinja",
            {
                "policy": policy(page_script()),
                "script": Markup(page_script()),
                "page_size": SIZE_MARK,
                "title": " · ".join((title, *models)),
                "headline": title,
                "origin": " · ".join(models),
                "answers": ", ".join(f"{count} × {label}" for label, count in answers),
                "entries": [_entry(entry) for entry in entries],
            },
        )
    )


def _entry(entry: Entry) -> dict[str, Any]:
    if isinstance(entry.report, Failure):
        return {"source": entry.source, "failure": str(entry.report)}
    report = entry.report
    reading = main_reading(report)
    text = " · ".join(report.texts[:1] if report.generation is not None else report.texts)
    return {
        "source": entry.source,
        "failure": "",
        "headline": report_headline(report),
        "verdict": "" if reading is None else f"{reading.trust.symbol} {reading.trust.verdict}",
        "text": text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…",
        "report": report_fragment(report),
    }
