"""An answer map as matplotlib plots: the answer in color, and a heat map of statements × sources."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from model_understanding.errors import InputError
from model_understanding.results import AnswerMap
from model_understanding.show.figures.answer import set_inches
from model_understanding.show.figures.fonts import drawable
from model_understanding.show.figures.frame import DETAIL_SIZE, Header, Panel, house_style, make_header
from model_understanding.show.figures.heatmap import Grid, heatmap_axes, heatmap_panel
from model_understanding.show.figures.options import NO_OPTIONS, PlotOptions
from model_understanding.show.figures.report import draw_panels
from model_understanding.show.figures.typesetting import Piece, typeset
from model_understanding.show.shared.colors import Palette, Theme, palette, text_on
from model_understanding.show.shared.words import cautions_of, printable, warning_text
from model_understanding.show.views.answer_map import headline, table_columns, unfounded_words
from model_understanding.show.views.sourced_answer import REACH, SourcedAnswer, nats, note_of, strength_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS, MOST_COLUMNS = 40, 14
"""Statements and sources of the heat map."""
_WIDTH, _SIZE, _LINES = 10.5, 12.0, 30  # inches of a line of the answer, points of its text, most lines
_LEAST = 0.1  # strength from which a word has a color
_ROW_LABEL, _COLUMN_LABEL = 42, 24  # characters
_MOST_WRITTEN = 14  # columns up to which effects are written into the cells


def answer_map_axes(
    answer_map: AnswerMap,
    ax: "Axes | None" = None,
    *,
    theme: Theme = "light",
    figsize: tuple[float, float] | None = None,
    options: PlotOptions = NO_OPTIONS,
) -> "Axes":
    """Draw the effect of each source on each statement as a heat map.

    Args:
        answer_map: The answer map.
        ax: Axes to draw into; by default a new pyplot figure that grows with its labels.
        theme: ``light`` or ``dark``.
        figsize: Width and height of the new figure in inches.
        options: What the caller sets of the plot.

    Returns:
        The axes of the heat map.

    Raises:
        InputError: The answer has no statement, or the theme is unknown.
    """
    colors = palette(theme)
    header = partial(_header, answer_map, options)
    return heatmap_axes(_grid(answer_map, colors, options), colors, header, ax, figsize)


def answer_map_figure(answer_map: AnswerMap, *, theme: Theme = "light") -> Figure:
    """Draw an answer map in one figure: a sentence, the answer in color with marks, and the heat map.

    Args:
        answer_map: The answer map.
        theme: ``light`` or ``dark``.

    Returns:
        A figure that is not registered with pyplot, so that it does not have to be closed.

    Raises:
        InputError: The answer has no statement, or the theme is unknown.
    """
    colors = palette(theme)
    with house_style():
        grid = heatmap_panel(
            _grid(answer_map, colors, NO_OPTIONS), colors, partial(_small_header, answer_map)
        )
        panels = [_answer_panel(answer_map, colors), grid]
        return draw_panels(panels, Figure(), theme=theme, heading=(headline(answer_map), note_of(answer_map)))


def _answer_panel(answer_map: AnswerMap, colors: Palette) -> Panel:
    view = SourcedAnswer(answer_map)
    answer = typeset(_pieces(view, colors), _WIDTH, _SIZE, most=_LINES, direction=view.direction)
    given = f"Question: {printable(answer_map.question, 300)}" if answer_map.question else ""
    question = typeset([Piece(text=given, color=colors.muted)], _WIDTH, DETAIL_SIZE, most=3)
    below = [Piece(text="Without the sources, a word is ", color=colors.muted)]
    for step, name in ((1.0, " less likely "), (-1.0, " likelier ")):
        face = colors.signed(REACH * step)
        below += [Piece(text=name, color=text_on(face), face=face), Piece(text="  ", color=colors.text)]
    notes = [unfounded_words(answer_map), *map(warning_text, cautions_of(answer_map))]
    below.append(Piece(text="".join(f"\n{note}" for note in notes if note), color=colors.muted))
    legend = typeset(below, _WIDTH, DETAIL_SIZE, most=8)
    top = question.height + 0.08 if given else 0.0
    height = top + answer.height + 0.1 + legend.height

    def draw(axes: "Axes") -> None:
        set_inches(axes, _WIDTH, height)
        if given:
            question.draw(axes, 0.0, 0.0)
        answer.draw(axes, 0.0, top)
        legend.draw(axes, 0.0, top + answer.height + 0.1)

    return Panel(width=_WIDTH, height=height, left=0.0, right=0.0, top=0.0, bottom=0.0, draw=draw)


def _pieces(view: SourcedAnswer, colors: Palette) -> Iterator[Piece]:
    effects = view.by_word(view.answer_map.without_sources[None])[0]
    runs = view.runs
    for index, run in enumerate(runs):
        shown = None if run.statement < 0 else view.statements[run.statement]
        origin = run.origin or (None if shown is None else shown.origin)
        underline = {"nothing": colors.unsupported, "unclear": colors.weak}.get(origin or "")
        strength = REACH * strength_of(float(effects[run.word])) if run.word >= 0 else 0.0
        if run.is_pill or abs(strength) < REACH * _LEAST:
            color = colors.muted if run.is_pill else colors.text
            yield Piece(text=run.text, color=color, underline=underline)
        else:
            face = colors.signed(strength)
            yield Piece(text=run.text, color=text_on(face), face=face, underline=underline)
        following = runs[index + 1].statement if index + 1 < len(runs) else -1
        if shown is not None and following != run.statement:
            mark = "".join(f"[{source + 1}]" for source in shown.sources) or f"[{shown.mark}]"
            yield Piece(text=f" {mark}", color=underline or colors.muted, weight="bold")


def _grid(answer_map: AnswerMap, colors: Palette, options: PlotOptions) -> Grid:
    statements = answer_map.statements[:MOST_ROWS]
    columns = table_columns(answer_map, MOST_COLUMNS)
    if not statements or not columns:
        missing = "source" if statements else "statement"
        raise InputError(f"The answer has no {missing} to draw.", hint="Save it as .html or .json.")
    values = answer_map.statement_effects()[: len(statements), columns]
    is_written = options.annot is None and options.fmt is None and len(columns) <= _MOST_WRITTEN
    return Grid(
        values=values,
        mask=np.ones(values.shape, dtype=bool),
        rows=tuple(
            drawable(f"{place}. {printable(each.text.strip(), _ROW_LABEL)}")
            for place, each in enumerate(statements, start=1)
        ),
        columns=tuple(
            drawable(f"[{source + 1}] {printable(answer_map.sources[source].name, _COLUMN_LABEL)}")
            for source in columns
        ),
        special_rows=np.zeros(len(statements), dtype=bool),
        special_columns=np.zeros(len(columns), dtype=bool),
        excluded=(),
        borders=(),
        color=colors.signed,
        signed=True,
        column_label="source",
        row_labels=("statement",),
        scale="effect in nats",
        masked_label="",
        cell_texts=tuple(tuple(map(nats, row)) for row in values.tolist()) if is_written else None,
        min_width=0.5,
        row_noun="statement",
        options=options,
    )


def _counts(answer_map: AnswerMap) -> tuple[str, ...]:
    count, sources = len(answer_map.statements), len(answer_map.sources)
    return tuple(
        words
        for words, is_needed in (
            (f"The first {MOST_ROWS} of {count} statements.", count > MOST_ROWS),
            (f"The {MOST_COLUMNS} of {sources} sources with the largest effects.", sources > MOST_COLUMNS),
        )
        if is_needed
    )


def _small_header(answer_map: AnswerMap, width: float, indent: float) -> Header:
    details = ("How much the log-probability of a statement drops without the source.", *_counts(answer_map))
    title = "Effect of each source on each statement"
    return make_header(title=title, details=details, cautions=(), width=width, indent=indent)


def _header(
    answer_map: AnswerMap, options: PlotOptions, width: float, indent: float, height: float | None = None
) -> Header:
    return make_header(
        title=options.titled(headline(answer_map)),
        details=(
            "How much the log-probability of a statement drops without the source.",
            *_counts(answer_map),
            note_of(answer_map),
        ),
        cautions=cautions_of(answer_map),
        width=width,
        indent=indent,
        height=height,
    )
