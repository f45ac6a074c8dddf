"""The logit lens as text in the terminal."""

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from model_understanding.results import LogitLens
from model_understanding.show.shared.words import (
    LENS_NOTE,
    cautions_of,
    format_entry,
    format_number,
    format_percent,
    prediction_label,
    printable,
)
from model_understanding.show.terminal.report import print_cautions

_MAX_POSITIONS = 24
_TOP = 3


def print_lens(lens: LogitLens, console: Console | None = None) -> None:
    """Print the final prediction at each position, and the prediction of each layer at the last position.

    Args:
        lens: The logit lens.
        console: Where to print; standard output by default.
    """
    console = console or Console()
    print_cautions(cautions_of(lens), console)
    labels = lens.tokens.labels()
    if len(lens.positions) > 1:
        console.print()
        console.print(Text("Prediction at each position", style="bold"))
        console.print(Padding(_position_table(lens, labels), (1, 2, 0, 2)))
    last = int(lens.positions[-1])
    where = "" if last < 0 else f" after {printable(labels[last], 30)} (token {last})"
    console.print()
    console.print(Text(f"Prediction at each layer{where}", style="bold"))
    console.print(Padding(_layer_table(lens), (1, 2, 0, 2)))
    console.print(Text(LENS_NOTE, style="dim italic"))


def _position_table(lens: LogitLens, labels: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("after token", overflow="fold", max_width=24)
    table.add_column("prediction", overflow="fold", max_width=24)
    table.add_column("probability", justify="right")
    table.add_column("top from layer")
    for index, layer in enumerate(lens.stable_layers()[:_MAX_POSITIONS]):
        table.add_row(
            Text(printable(labels[int(lens.positions[index])], 24)),
            Text(prediction_label(lens, -1, index, 24)),
            Text(format_percent(float(lens.final_probabilities[-1, index]))),
            Text(lens.layer_names[int(layer)], style="dim"),
        )
    if len(lens.positions) > _MAX_POSITIONS:
        table.add_row(Text(f"and {len(lens.positions) - _MAX_POSITIONS} more", style="dim"))
    return table


def _layer_table(lens: LogitLens) -> Table:
    """Return a table of the layers at the last position, the last layer first."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("layer")
    table.add_column("top predictions", overflow="fold")
    table.add_column("rank", justify="right")
    table.add_column("entropy", justify="right")
    table.add_column("KL", justify="right")
    for layer in reversed(range(lens.layer_count)):
        entries = [
            format_entry(label, format_percent(float(probability)))
            for label, probability in zip(
                lens.top_labels(layer)[:_TOP], lens.top_probabilities[layer, -1], strict=False
            )
        ]
        rank = int(lens.final_ranks[layer, -1])
        table.add_row(
            Text(lens.layer_names[layer]),
            Text("   ".join(entries)),
            Text(f"{rank:,}", style="bold" if rank == 1 else ""),
            Text(f"{float(lens.entropies[layer, -1]):.2f}"),
            Text(format_number(float(lens.divergences[layer, -1]))),
        )
    return table
