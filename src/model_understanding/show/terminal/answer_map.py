"""An answer map as text in the terminal."""

from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from model_understanding.results import AnswerMap
from model_understanding.results.answer_map import Origin
from model_understanding.show.shared.words import cautions_of
from model_understanding.show.terminal.report import plain_table, print_cautions
from model_understanding.show.views.answer_map import MOST_COLUMNS, AnswerMapView, answer_map_view

_STYLES: dict[Origin, str] = {"sources": "green", "answer": "green", "unclear": "yellow", "nothing": "red"}

_MARGIN = 2


def print_answer_map(answer_map: AnswerMap, console: Console | None = None) -> None:
    """Print which sources an answer comes from: a sentence, the answer with marks, the sources, a table.

    Args:
        answer_map: The answer map.
        console: Where to print; standard output by default.
    """
    console = console or Console()
    view = _fitting(answer_map, console)
    console.print(Text(view.headline, style="bold"))
    print_cautions(cautions_of(answer_map), console)
    console.print()
    console.print(_answer(view))
    if view.words:
        console.print(Text(view.words, style="red"))
    for row in view.sources:
        console.print()
        console.print(Text(f"{row.mark} {row.name}", style="bold"))
        for detail in row.details:
            console.print(Padding(Text(detail), (0, 0, 0, 4)))
    console.print(Padding(_table(view), (1, _MARGIN, 1, _MARGIN)))
    for fact in view.facts:
        console.print(Text(fact, style="dim italic"))


def _fitting(answer_map: AnswerMap, console: Console) -> AnswerMapView:
    """Return the view with as many sources in the table as the terminal has room for."""
    for columns in range(MOST_COLUMNS, 1, -1):
        view = answer_map_view(answer_map, columns)
        width = Measurement.get(console, console.options.update(width=10_000), _table(view)).minimum
        if width <= console.width - 2 * _MARGIN:
            return view
    return answer_map_view(answer_map, 1)


def _answer(view: AnswerMapView) -> Text:
    text = Text()
    for part in view.answer:
        text.append(part.text, style=_STYLES.get(part.origin, "") if part.origin else "")
        if part.mark:
            text.append(f" {part.mark}", style="bold")
    return text


def _table(view: AnswerMapView) -> Table:
    table = plain_table()
    table.add_column("statement", overflow="fold", min_width=24)
    table.add_column("from")
    for column in view.columns:
        table.add_column(column, justify="right", overflow="fold")
    table.add_column("all sources", justify="right")
    for row in view.rows:
        effects = [
            Text(effect, style="bold" if attributed else "dim")
            for effect, attributed in zip(row.effects, row.attributed, strict=True)
        ]
        table.add_row(Text(row.label), Text(row.origin), *effects, Text(row.without))
    return table
