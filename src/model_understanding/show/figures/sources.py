"""What each of several targets depends on: one row per target, one column per word."""

import numpy as np

from model_understanding.show.figures.fonts import drawable
from model_understanding.show.figures.frame import Header, Panel, make_header
from model_understanding.show.figures.heatmap import Grid, heatmap_panel
from model_understanding.show.shared.colors import Palette
from model_understanding.show.shared.words import LABEL_LENGTH, printable
from model_understanding.show.views.sources import SourcesView

_NAME = 28  # characters of an entity with its label: a shorter name would leave out one of them


def sources_panel(sources: SourcesView, colors: Palette) -> Panel:
    """Plan a heatmap with one row per target and one column per word, each row as shares of its own.

    Args:
        sources: The scores.
        colors: The theme's colors.

    Returns:
        The panel.
    """
    units = np.flatnonzero(sources.scored.any(axis=0))
    grid = Grid(
        values=sources.shares[:, units],
        mask=sources.scored[:, units],
        rows=tuple(
            f"→ {_short(label)}" if sources.by_step else _short(label, _NAME) for label in sources.rows
        ),
        columns=tuple(_short(sources.units[unit]) for unit in units),
        special_rows=np.zeros(len(sources.rows), dtype=bool),
        special_columns=sources.special[units],
        excluded=()
        if sources.special[units].all()
        else tuple(np.flatnonzero(sources.special[units]).tolist()),
        borders=tuple(np.flatnonzero(units >= sources.second)[:1].tolist()) if sources.second > 0 else (),
        color=colors.signed if sources.signed else colors.magnitude,
        signed=sources.signed,
        column_label="word that it depends on",
        row_labels=("generated token", "token") if sources.by_step else (sources.noun,),
        scale=f"share of the row's {'|score|' if sources.signed else 'score'}",
        masked_label="no score",
        as_percent=True,
        excluded_label="special tokens, excluded from the color scale",
    )

    row_name = f"token of the {sources.answer}" if sources.by_step else sources.noun

    def header(width: float, indent: float) -> Header:
        sides = ["blue: raises the target value  ·  orange: lowers it"] if sources.signed else []
        facts = "  ·  ".join(filter(None, (sources.method, sources.gap)))
        omitted = len(sources.units) - len(units)
        words = "1 word without a score is" if omitted == 1 else f"{omitted} words without a score are"
        left_out = [f"{words} not shown"] if omitted else []
        return make_header(
            title=f"What each {row_name} is based on",
            details=[f"{sources.title}, as shares of each row", facts, *left_out, *sides],
            cautions=(),
            handles=grid.handles(colors),
            width=width,
            indent=indent,
        )

    return heatmap_panel(grid, colors, header)


def _short(label: str, length: int = LABEL_LENGTH - 4) -> str:
    return drawable(printable(label, length), length + 4)
