"""The logit lens as a matplotlib picture: layers × positions, each cell the likeliest token."""

from typing import TYPE_CHECKING

import numpy as np

from model_understanding.results import LogitLens
from model_understanding.show.figures.fonts import drawable
from model_understanding.show.figures.frame import (
    Header,
    house_style,
    make_header,
    new_axes,
    size_in_inches,
    size_left,
)
from model_understanding.show.figures.heatmap import (
    Grid,
    axis_labels,
    draw_heatmap,
    heatmap_panel,
    label_room,
)
from model_understanding.show.shared.colors import Palette, Theme, palette
from model_understanding.show.shared.words import cautions, predicted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CELL = 0.66  # inches of a cell that holds a word
_WIDEST = 21.0


def lens_axes(lens: LogitLens, ax: "Axes | None" = None, *, theme: Theme = "light") -> "Axes":
    """Draw what each layer would answer, the last layer at the top, colored by its probability.

    Args:
        lens: The lens.
        ax: Axes to draw into; a new pyplot figure that grows with the text where left out.
        theme: ``light`` or ``dark``.

    Returns:
        The axes of the grid.

    Raises:
        InputError: There is no such theme.
    """
    colors = palette(theme)
    grid = _grid(lens, colors)
    with house_style():
        if ax is None:
            panel = heatmap_panel(grid, colors, lambda width, indent: _header(lens, width, indent))
            return new_axes(panel, colors)
        header = _header(lens, max(size_in_inches(ax)[0], 1.6), 0.0)
        width, height = size_left(ax, header, *label_room(grid))
        draw_heatmap(ax, grid, colors, max(0.8 * width - 0.3, 0.3), height, header)
        return ax


def _grid(lens: LogitLens, colors: Palette) -> Grid:
    order = range(lens.layer_count)[::-1]
    count = len(lens.positions)
    is_text = int(lens.positions[0]) >= 0
    tokens = lens.tokens.select(lens.positions) if is_text else None
    words = tuple(
        tuple(drawable(predicted(lens, layer, place, 12), 12) for place in range(count)) for layer in order
    )
    return Grid(
        values=lens.top_probabilities[::-1, :, 0].astype(np.float64),
        mask=np.ones((lens.layer_count, count), dtype=bool),
        rows=tuple(lens.layer_names[layer] for layer in order),
        columns=("answer",) if tokens is None else axis_labels(tokens),
        special_rows=np.zeros(lens.layer_count, dtype=bool),
        special_columns=np.zeros(count, dtype=bool) if tokens is None else tokens.special,
        sinks=(),
        borders=(),
        color=colors.magnitude,
        signed=False,
        across="" if tokens is None else "after reading the prompt up to this token",
        down=("hidden states", "states"),
        scale="probability of the likeliest",
        masked_words="",
        words=words,
        least_width=min(_CELL, _WIDEST / count),
    )


def _header(lens: LogitLens, width: float, indent: float) -> Header:
    what = "token" if int(lens.positions[0]) >= 0 else "class"
    return make_header(
        title=f"Logit lens: the likeliest {what} at each layer",
        details=("Each layer is read through the model's own last norm and head.",),
        cautions=cautions(lens),
        width=width,
        indent=indent,
    )
