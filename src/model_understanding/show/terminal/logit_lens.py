"""The logit lens as text in the terminal."""

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from model_understanding.results import LogitLens
from model_understanding.show.shared.words import LENS_NOTE, cautions_of
from model_understanding.show.terminal.report import add_rest, plain_table, print_cautions
from model_understanding.show.views.layers import layer_rows, layers_title, place_word, position_rows

_MAX_POSITIONS = 24


def print_lens(lens: LogitLens, console: Console | None = None) -> None:
    """Print the final prediction at each position, and the prediction of each layer at the last position.

    Args:
        lens: The logit lens.
        console: Where to print; standard output by default.
    """
    console = console or Console()
    print_cautions(cautions_of(lens), console)
    if len(lens.positions) > 1:
        console.print()
        console.print(Text("Prediction at each position", style="bold"))
        console.print(Padding(_position_table(lens), (1, 2, 0, 2)))
    console.print()
    console.print(Text(layers_title(lens), style="bold"))
    console.print(Padding(_layer_table(lens), (1, 2, 0, 2)))
    console.print(Text(LENS_NOTE, style="dim italic"))


def _position_table(lens: LogitLens) -> Table:
    table = plain_table()
    table.add_column(f"{place_word(lens)} token", overflow="fold", max_width=24)
    table.add_column("prediction", overflow="fold", max_width=24)
    table.add_column("probability", justify="right")
    table.add_column("top from layer")
    for row in position_rows(lens, _MAX_POSITIONS):
        table.add_row(
            Text(row.token), Text(row.prediction), Text(row.probability), Text(row.layer, style="dim")
        )
    add_rest(table, len(lens.positions) - _MAX_POSITIONS)
    return table


def _layer_table(lens: LogitLens) -> Table:
    """Return a table of the layers at the last position, the last layer first."""
    table = plain_table()
    table.add_column("layer")
    table.add_column("top predictions", overflow="fold")
    table.add_column("rank", justify="right")
    table.add_column("entropy", justify="right")
    table.add_column("KL", justify="right")
    for row in layer_rows(lens):
        table.add_row(
            Text(row.name),
            Text("   ".join(row.predictions)),
            Text(row.rank_text, style="bold" if row.rank == 1 else ""),
            Text(row.entropy),
            Text(row.divergence),
        )
    return table
