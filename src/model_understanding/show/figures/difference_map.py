"""Heat maps of a difference split over a model: the last row at the top, zero in the middle of the scale."""

import numpy as np

from model_understanding.show.figures.fonts import drawable
from model_understanding.show.figures.frame import Header, Panel, make_header
from model_understanding.show.figures.heatmap import Grid, heatmap_panel
from model_understanding.show.figures.options import NO_OPTIONS, PlotOptions
from model_understanding.show.shared.colors import Palette
from model_understanding.show.shared.words import LABEL_LENGTH, printable
from model_understanding.show.views.difference_map import DifferenceMap

_LEAST = 3.9  # inches of a plot beside others
_MOST_WRITTEN = 14  # rows and columns up to which contributions are written into the cells
_WRITTEN = 0.01  # of the largest contribution, from which one is written


def small_panel(shown: DifferenceMap, colors: Palette) -> Panel:
    """Plan a map that stands beside others.

    Args:
        shown: The map.
        colors: The theme's colors.
    """

    def header(width: float, indent: float) -> Header:
        return make_header(
            title=map_title(shown), details=(shown.meaning,), cautions=(), width=width, indent=indent
        )

    return heatmap_panel(map_grid(shown, colors, NO_OPTIONS), colors, header, header_width=_LEAST)


def map_title(shown: DifferenceMap) -> str:
    """Return the name of a map as a title."""
    return shown.name[0].upper() + shown.name[1:]


def map_grid(shown: DifferenceMap, colors: Palette, options: PlotOptions = NO_OPTIONS) -> Grid:
    """Return a map as the matrix of a heat map.

    Args:
        shown: The map.
        colors: The theme's colors.
        options: What the caller sets of the plot.
    """
    values = shown.drawn()[::-1].astype(np.float64)
    columns = shown.columns
    is_compared = any(columns.seconds)
    noun = f"{columns.noun} of the text (of the reference)" if is_compared else columns.noun
    return Grid(
        values=values,
        mask=np.ones(values.shape, dtype=bool),
        rows=shown.row_labels[::-1],
        columns=tuple(
            drawable(printable(columns.label(span), LABEL_LENGTH + 4), LABEL_LENGTH + 8)
            for span in columns.spans
        ),
        special_rows=np.zeros(len(values), dtype=bool),
        special_columns=np.array([first < last or columns.muted[first] for first, last in columns.spans]),
        excluded=(),
        borders=(),
        color=colors.signed,
        signed=True,
        column_label=noun,
        row_labels=(shown.row_noun, "block"),
        scale="contribution",
        masked_label="",
        cell_texts=_cell_texts(values, shown.reach, options),
        has_numbers=True,
        row_noun="block",
        reach=shown.reach,
        options=options,
    )


def _cell_texts(values: np.ndarray, reach: float, options: PlotOptions) -> tuple[tuple[str, ...], ...] | None:
    """Return the contributions of a small map; next to none is not written."""
    if options.annot is not None or options.fmt is not None or max(values.shape) > _MOST_WRITTEN:
        return None
    return tuple(
        tuple("" if abs(value) < _WRITTEN * reach else f"{value:.2g}".replace("-", "−") for value in row)
        for row in values.tolist()
    )
