"""Attention heads in the order of a score, as a table in the terminal."""

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from model_understanding.results import AttentionMap
from model_understanding.show.shared.colors import palette
from model_understanding.show.shared.words import cautions, number, percent, shown
from model_understanding.show.terminal.report import print_cautions

_BAR = 12  # characters of the longest bar
_KEYS = 2  # tokens named as looked at most


def print_head_ranking(
    attention: AttentionMap, meaning: str = "", most: float | None = None, console: Console | None = None
) -> None:
    """Print the heads that a map ranks: layer, head, score, and what each looks at most.

    Args:
        attention: A map with a ranking.
        meaning: What a high score says.
        most: The most a score can be, for the longest bar; the largest one listed where left out.
        console: Where to print; standard output where left out.
    """
    console = console or Console()
    print_cautions(cautions(attention), console)
    by = attention.ranking[0].by
    console.print(Text(f"Heads by {shown(by)}", style="bold"))
    if meaning:
        console.print(Text(shown(meaning, 200), style="dim"))
    folded = attention.folded("character")
    labels = folded.keys.labels()
    reach = most or max(abs(one.score) for one in attention.ranking) or 1.0
    signed = any(one.score < 0 for one in attention.ranking)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "layer", "head", "score"):
        table.add_column(name, justify="right")
    table.add_column("")
    table.add_column("looks most at, on average (key)", overflow="fold")
    for place, (layer, head, score) in enumerate(attention.ranking, start=1):
        looked = np.abs(folded.matrix(layer, head)).mean(axis=0)
        keys = [key for key in np.argsort(-looked, kind="stable")[:_KEYS] if looked[key] > 0]
        colors = palette("dark")
        color = colors.unsigned if not signed else colors.supports if score >= 0 else colors.against
        table.add_row(
            Text(str(place), style="dim"),
            Text(str(layer)),
            Text(str(head)),
            Text(("+" if signed and score > 0 else "") + number(score)),
            Text("█" * max(round(_BAR * abs(score) / reach), 1 if score else 0), style=color),
            Text("   ".join(f"{shown(labels[key], 20)} {_share(attention, looked[key])}" for key in keys)),
        )
    console.print(Padding(table, (1, 2, 0, 2)))


def _share(attention: AttentionMap, value: float) -> str:
    """Return a mean weight: of attention a share, of other maps a number."""
    words = percent(float(value)) if attention.map == "raw" else number(float(value))
    return words.replace(" %", "%")
