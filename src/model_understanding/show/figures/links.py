"""Two texts and what each pair of their words adds to their cosine."""

import numpy as np

from model_understanding.show.figures.fonts import drawable
from model_understanding.show.figures.frame import Header, Panel, make_header
from model_understanding.show.figures.heatmap import Grid, heatmap_panel
from model_understanding.show.shared.colors import Palette
from model_understanding.show.shared.words import LABEL_LENGTH, printable
from model_understanding.show.views.links import LinksView

_NAMED = 5  # links that are written above the heat map


def links_panel(view: LinksView, colors: Palette) -> Panel:
    """Plan a heatmap with the words of the first text as rows and of the second as columns.

    Args:
        view: The links.
        colors: The theme's colors.

    Returns:
        The panel.
    """
    rows, columns = np.flatnonzero(~view.special_first), np.flatnonzero(~view.special_second)
    values = view.scores[np.ix_(rows, columns)]
    grid = Grid(
        values=values,
        mask=np.ones(values.shape, dtype=bool),
        rows=tuple(_short(view.first[row]) for row in rows),
        columns=tuple(_short(view.second[column]) for column in columns),
        special_rows=np.zeros(len(rows), dtype=bool),
        special_columns=np.zeros(len(columns), dtype=bool),
        excluded=(),
        borders=(),
        color=colors.signed,
        signed=True,
        column_label="word of the second text",
        row_labels=("word of the first text", "first text"),
        scale=f"adds to the {view.quantity}",
        masked_label="",
        reach=view.peak,
    )

    def header(width: float, indent: float) -> Header:
        strongest = ", ".join(
            f"{link.first} ↔ {link.second} {link.score_text}" for link in view.links[:_NAMED]
        )
        return make_header(
            title=view.title,
            details=[drawable(strongest), view.sum_text, *view.notes, *filter(None, [view.method])],
            cautions=(),
            handles=grid.handles(colors),
            width=width,
            indent=indent,
        )

    return heatmap_panel(grid, colors, header)


def _short(label: str) -> str:
    return drawable(printable(label, LABEL_LENGTH - 4), LABEL_LENGTH)
