"""The difference between two models as text in the terminal."""

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from model_understanding.results import ModelDiff, ModelDiffSummary
from model_understanding.show.shared.words import cautions_of
from model_understanding.show.terminal.report import plain_table, print_cautions
from model_understanding.show.views.model_diff import DiffRow, model_diff_summary_view, model_diff_view


def print_model_diff(diff: ModelDiff, console: Console | None = None, top: int = 8) -> None:
    """Print the difference, and the modules and tokens that make most of it.

    Args:
        diff: The diff.
        console: Where to print; standard output by default.
        top: Number of rows in each list.
    """
    console = console or Console()
    view = model_diff_view(diff, top)
    print_cautions(cautions_of(diff), console)
    console.print()
    console.print(Text(" ".join(view.answer), style="bold"))
    console.print()
    for line in (view.headline, *view.texts):
        console.print(Text(line, style="dim"))
    for name, rows in (("modules", view.modules), ("tokens (all modules)", view.tokens)):
        if rows:
            console.print(Padding(_table(name, rows), (1, 2, 0, 2)))
    if view.facts:
        console.print()
    for fact in view.facts:
        console.print(Text(fact, style="dim italic"))


def _table(name: str, rows: tuple[DiffRow, ...]) -> Table:
    table = plain_table()
    table.add_column(name, overflow="fold", min_width=24)
    table.add_column("contribution", justify="right")
    table.add_column("share", justify="right")
    has_tokens = any(row.at for row in rows)
    if has_tokens:
        table.add_column("mostly at")
    for row in rows:
        cells = [Text(row.name), Text(row.value), Text(row.share, style="bold")]
        table.add_row(*cells, *([Text(row.at)] if has_tokens else []))
    return table


def print_model_diff_summary(summary: ModelDiffSummary, console: Console | None = None, top: int = 8) -> None:
    """Print which modules make the differences between two models over many texts.

    Args:
        summary: The summary.
        console: Where to print; standard output by default.
        top: Number of modules.
    """
    console = console or Console()
    view = model_diff_summary_view(summary, top)
    print_cautions(cautions_of(summary), console)
    console.print()
    console.print(Text(" ".join(view.answer), style="bold"))
    if view.modules:
        table = plain_table()
        table.add_column("modules", overflow="fold", min_width=24)
        for name in ("mean share", "95 % interval", "signed"):
            table.add_column(name, justify="right")
        for row in view.modules:
            cells = (Text(row.share, style="bold"), Text(row.interval), Text(row.signed))
            table.add_row(Text(row.name), *cells)
        console.print(Padding(table, (1, 2, 0, 2)))
    console.print()
    for fact in view.facts:
        console.print(Text(fact, style="dim italic"))
