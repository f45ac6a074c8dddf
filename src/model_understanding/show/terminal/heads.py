"""Attention heads ranked by a score, as a table in the terminal."""

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from model_understanding.results import AttentionMap
from model_understanding.show.shared.colors import palette
from model_understanding.show.shared.words import (
    cautions_of,
    format_entry,
    format_number,
    format_percent,
    printable,
)
from model_understanding.show.terminal.report import print_cautions

_BAR = 12  # characters of the longest bar
_KEYS = 2  # keys with the largest mean weight that are listed


def print_head_ranking(
    attention: AttentionMap,
    meaning: str = "",
    max_score: float | None = None,
    console: Console | None = None,
) -> None:
    """Print the ranked heads of a map: layer, head, score, and the keys that each attends most to.

    Args:
        attention: A map with a ranking.
        meaning: What a high score means.
        max_score: Score of the longest bar; by default the largest score.
        console: Where to print; standard output by default.
    """
    console = console or Console()
    print_cautions(cautions_of(attention), console)
    console.print(Text(f"Heads by {printable(attention.ranking[0].by)}", style="bold"))
    if meaning:
        console.print(Text(printable(meaning, 200), style="dim"))
    folded = attention.folded("character")
    labels = folded.keys.labels()
    peak = max_score or max(abs(ranked.score) for ranked in attention.ranking) or 1.0
    signed = any(ranked.score < 0 for ranked in attention.ranking)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "layer", "head", "score"):
        table.add_column(name, justify="right")
    table.add_column("")
    table.add_column("attends most to, on average (key)", overflow="fold")
    colors = palette("dark")
    format_weight = format_percent if attention.is_attention else format_number
    for rank, (layer, head, score) in enumerate(attention.ranking, start=1):
        weights = np.abs(folded.matrix(layer, head)).mean(axis=0)
        keys = [key for key in np.argsort(-weights, kind="stable")[:_KEYS] if weights[key] > 0]
        color = colors.unsigned if not signed else colors.supports if score >= 0 else colors.against
        table.add_row(
            Text(str(rank), style="dim"),
            Text(str(layer)),
            Text(str(head)),
            Text(("+" if signed and score > 0 else "") + format_number(score)),
            Text("█" * max(round(_BAR * abs(score) / peak), 1 if score else 0), style=color),
            Text("   ".join(format_entry(labels[key], format_weight(float(weights[key]))) for key in keys)),
        )
    console.print(Padding(table, (1, 2, 0, 2)))
