"""Attention heads ranked by a score, as a table in the terminal."""

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from model_understanding.results import AttentionMap
from model_understanding.show.shared.words import cautions_of
from model_understanding.show.terminal.report import colored_bar, plain_table, print_cautions, side
from model_understanding.show.views.heads import ranked_heads


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
    view = ranked_heads(attention, meaning, max_score)
    console.print(Text(f"Heads by {view.by}", style="bold"))
    if view.meaning:
        console.print(Text(view.meaning, style="dim"))
    table = plain_table()
    for name in ("", "layer", "head", "score"):
        table.add_column(name, justify="right")
    table.add_column("")
    table.add_column("attends most to, on average (key)", overflow="fold")
    for row in view.rows:
        table.add_row(
            Text(str(row.rank), style="dim"),
            Text(str(row.layer)),
            Text(str(row.head)),
            Text(row.score),
            colored_bar(row.strength, side(view.signed, row.strength)),
            Text("   ".join(row.keys)),
        )
    console.print(Padding(table, (1, 2, 0, 2)))
