"""``doctor``: what this installation has, what it lacks, and the exact fix."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TextIO

import typer

from model_understanding.cli.examination import Finding
from model_understanding.cli.options import Json

_MARKS = {"ok": ("✓", "green"), "note": ("○", "yellow"), "missing": ("✗", "bold red")}


def doctor(json_output: Json = False) -> None:
    """Check the installation, and say what is missing and how to get it.

    Exits with 1 when something is missing that every explanation needs.
    """
    from model_understanding.cli.examination import examine
    from model_understanding.cli.progress import Steps
    from model_understanding.cli.streams import print_json, quiet_libraries, reserved_stdout

    quiet_libraries()
    with reserved_stdout() as data:
        with Steps() as steps:
            findings = examine(steps)
        if json_output:
            print_json(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False), data)
        else:
            _print_findings(findings, data)
    if any(finding.status == "missing" for finding in findings):
        raise typer.Exit(1)


def _print_findings(findings: Sequence[Finding], stream: TextIO) -> None:
    """Print a line for each finding. Lines are not wrapped, so that a fix can be copied."""
    from rich.text import Text

    from model_understanding.cli.streams import data_console
    from model_understanding.tokens import visible_text

    console = data_console(stream)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark, style = _MARKS[finding.status]
        line = Text.assemble((mark, style), "  ", (f"{finding.name:<{width}}", "bold"), "  ")
        console.print(line.append(visible_text(finding.detail)), soft_wrap=True)
        if finding.fix:
            console.print(Text(f"{'':<{width + 5}}→ {visible_text(finding.fix)}"), soft_wrap=True)
    console.print(Text(_verdict(findings), style="bold"), soft_wrap=True)


def _verdict(findings: Sequence[Finding]) -> str:
    """Return one line about all findings.

    >>> _verdict([Finding(name="gguf", status="note", detail="not installed")])
    'Everything needed is there; 1 optional thing is not.'
    """
    missing = sum(finding.status == "missing" for finding in findings)
    notes = sum(finding.status == "note" for finding in findings)
    if missing:
        return f"{missing} needed {'thing is' if missing == 1 else 'things are'} missing: see → above."
    if notes:
        return (
            f"Everything needed is there; {notes} optional {'thing is' if notes == 1 else 'things are'} not."
        )
    return "Everything is there."
