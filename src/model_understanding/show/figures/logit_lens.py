"""The logit lens as a matplotlib plot: layers × positions, with the top prediction in each cell."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from model_understanding.results import LogitLens
from model_understanding.show.figures.fonts import drawable
from model_understanding.show.figures.frame import Header, make_header
from model_understanding.show.figures.heatmap import Grid, axis_labels, heatmap_axes
from model_understanding.show.figures.options import NO_OPTIONS, PlotOptions
from model_understanding.show.shared.colors import Palette, Theme, palette
from model_understanding.show.shared.words import LENS_NOTE, cautions_of, prediction_label
from model_understanding.show.views.layers import entry_name, place_word

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CELL_WIDTH = 0.66  # inches of a cell with a token
_MAX_WIDTH = 21.0


def lens_axes(
    lens: LogitLens,
    ax: "Axes | None" = None,
    *,
    theme: Theme = "light",
    figsize: tuple[float, float] | None = None,
    options: PlotOptions = NO_OPTIONS,
) -> "Axes":
    """Draw the top prediction of each layer, the last layer at the top, colored by its probability.

    Args:
        lens: The logit lens.
        ax: Axes to draw into; by default a new pyplot figure that grows with the text.
        theme: ``light`` or ``dark``.
        figsize: Width and height of the new figure in inches.
        options: What the caller sets of the plot.

    Returns:
        The axes of the heatmap.

    Raises:
        InputError: The theme is unknown.
    """
    colors = palette(theme)
    return heatmap_axes(_grid(lens, colors, options), colors, partial(_header, lens, options), ax, figsize)


def _grid(lens: LogitLens, colors: Palette, options: PlotOptions) -> Grid:
    order = range(lens.layer_count)[::-1]
    count = len(lens.positions)
    is_text = int(lens.positions[0]) >= 0
    tokens = lens.tokens.select(lens.positions) if is_text else None
    predictions = tuple(
        tuple(drawable(prediction_label(lens, layer, index, 12), 12) for index in range(count))
        for layer in order
    )
    return Grid(
        values=lens.top_probabilities[::-1, :, 0].astype(np.float64),
        mask=np.ones((lens.layer_count, count), dtype=bool),
        rows=tuple(lens.layer_names[layer] for layer in order),
        columns=("output",) if tokens is None else axis_labels(tokens),
        special_rows=np.zeros(lens.layer_count, dtype=bool),
        special_columns=np.zeros(count, dtype=bool) if tokens is None else tokens.special,
        excluded=(),
        borders=(),
        color=colors.magnitude,
        signed=False,
        column_label="" if tokens is None else f"{place_word(lens)} token",
        row_labels=("hidden states", "states"),
        row_noun="layer",
        scale="probability of the top prediction",
        masked_label="",
        as_percent=True,
        cell_texts=predictions,
        options=options,
        min_width=min(_CELL_WIDTH, _MAX_WIDTH / count),
    )


def _header(
    lens: LogitLens, options: PlotOptions, width: float, indent: float, height: float | None = None
) -> Header:
    return make_header(
        title=options.titled(f"Logit lens: top {entry_name(lens)} at each layer"),
        details=(LENS_NOTE,),
        cautions=cautions_of(lens),
        width=width,
        indent=indent,
        height=height,
    )
