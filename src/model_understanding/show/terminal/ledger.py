"""A ledger as text in the terminal."""

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from model_understanding.results import Ledger
from model_understanding.show.shared.words import cautions_of
from model_understanding.show.terminal.report import plain_table, print_cautions
from model_understanding.show.views.difference_map import DifferenceMap
from model_understanding.show.views.ledger import ledger_view


def print_ledger(ledger: Ledger, console: Console | None = None, top: int = 8) -> None:
    """Print where the difference arises, its size and the places that most of it passes.

    Args:
        ledger: The ledger.
        console: Where to print; standard output by default.
        top: Number of places in each list.
    """
    console = console or Console()
    view = ledger_view(ledger, top)
    print_cautions(cautions_of(ledger), console)
    console.print()
    console.print(Text(" ".join(view.answer), style="bold"))
    console.print()
    for line in (view.headline, *view.texts):
        console.print(Text(line, style="dim"))
    for shown in view.maps:
        console.print(Padding(_table(shown), (1, 2, 0, 2)))
    if view.facts:
        console.print()
    for fact in view.facts:
        console.print(Text(fact, style="dim italic"))


def _table(shown: DifferenceMap) -> Table:
    table = plain_table()
    table.add_column(shown.name, overflow="fold", min_width=24)
    table.add_column("contribution", justify="right")
    table.add_column("share", justify="right")
    for cell in shown.ranked:
        table.add_row(Text(cell.place), Text(cell.value), Text(cell.share, style="bold"))
    return table
