"""The logit lens as text in the terminal."""

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from model_understanding.results import LogitLens
from model_understanding.show.shared.words import cautions, number, percent, predicted, shown

_MOST_POSITIONS = 24
_TOP = 3
LENS_NOTE = (
    "Each layer is read through the model's last norm and head, which were trained for the last layer alone."
)


def print_lens(lens: LogitLens, console: Console | None = None) -> None:
    """Print what each layer would answer: each position in a line, and the last one layer by layer.

    Args:
        lens: The lens.
        console: Where to print; standard output where left out.
    """
    console = console or Console()
    for caution in cautions(lens):
        console.print(Text(f"⚠ {caution}", style="bold"))
    labels = lens.tokens.labels()
    if len(lens.positions) > 1:
        console.print()
        console.print(Text("What the model answers, and from which layer on", style="bold"))
        console.print(Padding(_positions(lens, labels), (1, 2, 0, 2)))
    last = int(lens.positions[-1])
    where = "" if last < 0 else f" after {shown(labels[last], 30)} (token {last})"
    console.print()
    console.print(Text(f"What each layer would answer{where}", style="bold"))
    console.print(Padding(_layers(lens), (1, 2, 0, 2)))
    console.print(Text(LENS_NOTE, style="dim italic"))


def _positions(lens: LogitLens, labels: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("after", overflow="fold", max_width=24)
    table.add_column("answer", overflow="fold", max_width=24)
    table.add_column("probability", justify="right")
    table.add_column("settled")
    for place, layer in enumerate(lens.stable_layers()[:_MOST_POSITIONS]):
        table.add_row(
            Text(shown(labels[int(lens.positions[place])], 24)),
            Text(predicted(lens, -1, place, 24)),
            Text(percent(float(lens.final_probabilities[-1, place]))),
            Text(lens.layer_names[int(layer)], style="dim"),
        )
    if len(lens.positions) > _MOST_POSITIONS:
        table.add_row(Text(f"and {len(lens.positions) - _MOST_POSITIONS} more", style="dim"))
    return table


def _layers(lens: LogitLens) -> Table:
    """Return a table of the layers at the last position, the last layer first."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("layer")
    table.add_column("likeliest", overflow="fold")
    table.add_column("rank", justify="right")
    table.add_column("entropy", justify="right")
    table.add_column("KL", justify="right")
    for layer in reversed(range(lens.layer_count)):
        likeliest = "   ".join(
            f"{shown(label.strip(' ') or label, 20)} {percent(float(probability)).replace(' %', '%')}"
            for label, probability in zip(
                lens.top_labels(layer)[:_TOP], lens.top_probabilities[layer, -1], strict=False
            )
        )
        rank = int(lens.final_ranks[layer, -1])
        table.add_row(
            Text(lens.layer_names[layer]),
            Text(likeliest),
            Text(f"{rank:,}", style="bold" if rank == 1 else ""),
            Text(f"{float(lens.entropies[layer, -1]):.2f}"),
            Text(number(float(lens.divergences[layer, -1]))),
        )
    return table
