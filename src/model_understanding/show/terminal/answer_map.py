"""An answer map as text in the terminal."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
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
# Least columns of a statement, and in a terminal that has not even room for one source.
_STATEMENT, _SHORT = 24, 8


def print_answer_map(answer_map: AnswerMap, console: Console | None = None) -> None:
    """Print which sources an answer comes from: a sentence, the answer with marks, the sources, a table.

    Args:
        answer_map: The answer map.
        console: Where to print; standard output by default.
    """
    console = console or Console()
    view, table = _fitting(answer_map, console)
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
    console.print(Padding(table, (1, _MARGIN, 1, _MARGIN)))
    for fact in view.facts:
        console.print(Text(fact, style="dim italic"))


def _fitting(answer_map: AnswerMap, console: Console) -> tuple[AnswerMapView, Table]:
    """Return the view and its table, with as many sources as the terminal has room for."""
    sizes = [*((columns, _STATEMENT) for columns in range(MOST_COLUMNS, 0, -1)), (1, _SHORT)]
    for columns, least in sizes:
        view = answer_map_view(answer_map, columns)
        table = _table(view, least)
        width = Measurement.get(console, console.options.update(width=10_000), table).minimum
        if width <= console.width - 2 * _MARGIN:
            return view, table
    view = answer_map_view(answer_map, 0)
    return view, _table(view, _SHORT)


def _answer(view: AnswerMapView) -> Text:
    text = Text()
    for part in view.answer:
        text.append(part.text, style=_STYLES.get(part.origin, "") if part.origin else "")
        if part.mark:
            text.append(f" {part.mark}", style="bold")
    return text


def _table(view: AnswerMapView, least: int) -> Table:
    table = plain_table()
    table.add_column("statement", overflow="fold", min_width=least)
    _add_whole_column(table, "from", [row.origin for row in view.rows], "left")
    for place, column in enumerate(view.columns):
        _add_whole_column(table, column, [row.effects[place] for row in view.rows], "right")
    _add_whole_column(table, "all sources", [row.without for row in view.rows], "right")
    for row in view.rows:
        effects = [
            Text(effect, style="bold" if attributed else "dim")
            for effect, attributed in zip(row.effects, row.attributed, strict=True)
        ]
        table.add_row(Text(row.label), Text(row.origin), *effects, Text(row.without))
    return table


def _add_whole_column(table: Table, name: str, cells: Sequence[str], justify: JustifyMethod) -> None:
    """Add a column that is neither cut nor broken; a minimum is what rich counts, `no_wrap` alone is not."""
    width = max(map(cell_len, (name, *cells)))
    table.add_column(name, justify=justify, no_wrap=True, min_width=width)
