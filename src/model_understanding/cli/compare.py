"""``compare``: two saved reports side by side."""

from pathlib import Path
from typing import Annotated

import typer

from model_understanding.cli import options

TOO_FAR = 3  # the exit code where the reports differ by more than --fail-above


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A report saved as .json or .npz.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another. Differences are B less A.")],
    fail_above: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            min=0,
            help="End with exit code 3 if a token's share, a probability or an attention weight differs by "
            "more than X (0 to 1), or a part of one report has no counterpart.",
            show_default=False,
        ),
    ] = None,
    json_output: options.Json = False,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Save here; the suffix chooses the format: html, png, svg, pdf, json, csv. Repeatable.",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Compare two saved reports: prompts, checkpoints, classes or methods, aligned token by token.

    Nothing is computed anew and no model is loaded. Raw scores are compared where method, target and quantity
    agree, else shares, and why is said.
    """
    from model_understanding.cli.console import print_json, print_message, reserved_stdout
    from model_understanding.cli.output import check_suffixes, print_comparison
    from model_understanding.comparison import Comparison
    from model_understanding.comparison import compare as compared
    from model_understanding.results import Report

    paths = tuple(out or ())
    check_suffixes(paths, Comparison.SUFFIXES)
    with reserved_stdout() as data:
        found = compared(Report.load(first), Report.load(second), names=_names(first, second))
        for path in paths:  # first: a reader may close the pipe early
            print_message(f"Saved {found.save(path)}")
        if json_output:
            print_json(found.to_json(), data)
        else:
            print_comparison(found, data)
    if fail_above is None:
        return
    if found.left_out:
        print_message(f"{found.left_out[0]} --fail-above needs both.", label="differs", style="bold red")
        raise typer.Exit(TOO_FAR)
    if found.change > fail_above:
        words = f"The reports differ by {found.change:.6g}, more than {fail_above:g}."
        print_message(words, label="differs", style="bold red")
        raise typer.Exit(TOO_FAR)


def _names(first: Path, second: Path) -> tuple[str, str]:
    """Return the files' names, with their folders where the names are the same."""
    if first.name != second.name:
        return first.name, second.name
    return str(first), str(second)
