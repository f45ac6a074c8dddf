"""``compare``: two saved reports side by side."""

from pathlib import Path
from typing import Annotated

import typer

from model_understanding.cli import options
from model_understanding.cli.console import data_console, print_json, print_message, reserved_stdout
from model_understanding.cli.output import check_files, saving
from model_understanding.comparison import Comparison
from model_understanding.comparison import compare as compare_reports
from model_understanding.results import Report

TOO_DIFFERENT = 3  # exit code: the reports differ by more than --fail-above


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Report saved as .json or .npz.")],
    second: Annotated[
        Path, typer.Argument(metavar="B", help="Report to compare it with. Differences are B − A.")
    ],
    fail_above: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            min=0,
            help="Exit with code 3 if a token's share, a probability or an attention weight differs by more "
            "than X (from 0 to 1), or if a part of one report has no counterpart in the other.",
            show_default=False,
        ),
    ] = None,
    json_output: options.Json = False,
    out: Annotated[list[Path] | None, options.out_option(Comparison.SUFFIXES)] = None,
) -> None:
    """Compare two saved reports token by token.

    The reports may differ in prompt, checkpoint, class or method. No model is loaded. Raw scores are compared
    if method, target and quantity match; otherwise shares are compared, and the reason is printed.
    """
    paths = tuple(out or ())
    check_files(paths, Comparison.SUFFIXES)
    with reserved_stdout() as data:
        comparison = compare_reports(Report.load(first), Report.load(second), names=_names(first, second))
        with saving(paths, comparison.save):
            if json_output:
                print_json(comparison.to_json(), data)
            else:
                from model_understanding.show.terminal.comparison import print_comparison

                print_comparison(comparison, data_console(data))
    if fail_above is not None:
        _require_similar(comparison, fail_above)


def _require_similar(comparison: Comparison, most: float) -> None:
    """End with an exit code of its own where the reports differ too much."""
    if comparison.left_out:
        message = f"{comparison.left_out[0]} --fail-above needs both."
    elif comparison.change > most:
        message = f"The largest difference is {comparison.change:.6g}; --fail-above allows {most:g}."
    else:
        return
    print_message(message, label="differs", style="bold red")
    raise typer.Exit(TOO_DIFFERENT)


def _names(first: Path, second: Path) -> tuple[str, str]:
    """Return the files' names, with their folders if the names are the same."""
    if first.name != second.name:
        return first.name, second.name
    return str(first), str(second)
