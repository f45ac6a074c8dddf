"""Reports of many texts in one file."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_understanding.errors import InputError
from model_understanding.results.failure import Failure
from model_understanding.results.files import csv_text, reading, save_as
from model_understanding.results.report import Report
from model_understanding.results.serialization import result_from_dict, result_from_json

REPORTS_SUFFIXES = (".html", ".jsonl", ".json", ".csv")


@dataclass(frozen=True, slots=True)
class Entry:
    """One text of a file of reports.

    Args:
        source: Where the text comes from: ``text 2``, or ``line 3 of reviews.txt``.
        report: Its report, or why it has none.
    """

    source: str
    report: Report | Failure


def save_reports(
    reports: Sequence[Report | Failure],
    path: str | os.PathLike[str],
    *,
    sources: Sequence[str] | None = None,
) -> Path:
    """Write the reports of many texts into one file.

    ``.html`` is one page whose index opens each report; ``.jsonl`` has one report per line and ``.json`` a
    list of them, which ``load_reports`` reads; ``.csv`` has the scores of all texts in one table.

    Args:
        reports: What ``analyze`` returned for many texts.
        path: File to write; it is written atomically.
        sources: Where each text comes from, for the index and the table; ``text 1`` and so on if left out.

    Returns:
        The path written.

    Raises:
        InputError: The suffix is not supported, or the file cannot be written.
    """
    names = [f"text {number}" for number in range(1, len(reports) + 1)] if sources is None else sources
    entries = [Entry(source, report) for source, report in zip(names, reports, strict=True)]
    return save_as(path, REPORTS_SUFFIXES, lambda suffix: _content(entries, suffix))


def load_reports(path: str | os.PathLike[str]) -> list[Report | Failure]:
    """Read the reports that ``save_reports`` wrote as ``.jsonl`` or ``.json``.

    Args:
        path: The file.

    Returns:
        The reports; a ``Failure`` in the place of a text that has none.

    Raises:
        InputError: The file does not exist or holds something else.
    """
    source = Path(path).expanduser()
    with reading("reports", source, "save_reports(reports, 'x.jsonl')"):
        text = source.read_text(encoding="utf-8")
        if source.suffix.lower() == ".json":
            content = json.loads(text)
            items = content if isinstance(content, list) else [content]  # Report.save writes one alone
            reports = [result_from_dict(item) for item in items]
        else:
            reports = [result_from_json(line) for line in text.split("\n") if line.strip()]
    for report in reports:
        if not isinstance(report, Report | Failure):
            raise InputError(
                f"{source} holds {type(report).__name__}, not reports.", hint="Pass a file of save_reports."
            )
    return reports


def _content(entries: Sequence[Entry], suffix: str) -> bytes:
    if suffix == ".html":
        from model_understanding.results.rendering import render_reports

        return render_reports(entries).encode("utf-8")
    if suffix == ".csv":
        return _table(entries).encode("utf-8", "backslashreplace")
    lines = [entry.report.to_json() for entry in entries]
    text = "\n".join(lines) if suffix == ".jsonl" else "[\n" + ",\n".join(lines) + "\n]"
    return (text + "\n" if lines or suffix == ".json" else "").encode("utf-8", "backslashreplace")


def _table(entries: Sequence[Entry]) -> str:
    import pandas

    tables = []
    for entry in entries:
        if isinstance(entry.report, Report):
            table = entry.report.to_dataframe()
            table.insert(0, "source", entry.source)
            tables.append(table)
    if not tables:
        raise InputError("There is no report to save.", hint="Save the reports of texts that did not fail.")
    return csv_text(pandas.concat(tables))
