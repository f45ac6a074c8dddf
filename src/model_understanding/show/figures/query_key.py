"""The products of a query with its keys as a matplotlib plot: keys × dimensions."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from model_understanding.results import QueryKey
from model_understanding.show.figures.fonts import drawable
from model_understanding.show.figures.frame import Header, make_header
from model_understanding.show.figures.heatmap import Grid, axis_labels, heatmap_axes
from model_understanding.show.figures.options import NO_OPTIONS, PlotOptions
from model_understanding.show.shared.colors import Palette, Theme, palette
from model_understanding.show.shared.words import cautions_of, format_percent, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_KEYS = 48


def query_key_axes(
    query_key: QueryKey,
    ax: "Axes | None" = None,
    *,
    theme: Theme = "light",
    figsize: tuple[float, float] | None = None,
    options: PlotOptions = NO_OPTIONS,
) -> "Axes":
    """Draw the contribution of each dimension to the keys' scores: blue raises a score, orange lowers it.

    Args:
        query_key: The query and its keys; the keys with the largest weights are drawn.
        ax: Axes to draw into; by default a new pyplot figure.
        theme: ``light`` or ``dark``.
        figsize: Width and height of the new figure in inches.
        options: What the caller sets of the plot.

    Returns:
        The axes.

    Raises:
        InputError: The theme is unknown.
    """
    colors = palette(theme)
    grid = _grid(query_key, colors, options)
    return heatmap_axes(grid, colors, partial(_header, query_key, options), ax, figsize)


def _keys(query_key: QueryKey) -> np.ndarray:
    allowed = np.flatnonzero(query_key.allowed)
    return np.sort(allowed[np.argsort(-query_key.weights[allowed], kind="stable")][:_MAX_KEYS])


def _grid(query_key: QueryKey, colors: Palette, options: PlotOptions) -> Grid:
    keys = _keys(query_key)
    tokens, width = query_key.tokens.select(keys), len(query_key.query_vector)
    labels = axis_labels(tokens)
    return Grid(
        values=query_key.products[keys].astype(np.float64),
        mask=np.ones((len(keys), width), dtype=bool),
        rows=tuple(
            f"{label}  {format_percent(float(weight))}"
            for label, weight in zip(labels, query_key.weights[keys], strict=True)
        ),
        columns=tuple(map(str, range(width))),
        special_rows=tokens.special,
        special_columns=np.zeros(width, dtype=bool),
        excluded=(),
        borders=(),
        color=colors.signed,
        signed=True,
        column_label="head dimension",
        row_labels=("key, with its attention weight", "key"),
        scale="scale × query × key",
        masked_label="",
        options=options,
    )


def _header(
    query_key: QueryKey, options: PlotOptions, width: float, indent: float, height: float | None = None
) -> Header:
    label = drawable(printable(query_key.rows.labels()[query_key.query], 30))
    omitted = int(query_key.allowed.sum()) - len(_keys(query_key))
    details = [
        "Each row sums to the key's score before masks and biases; the softmax over the scores gives the "
        "attention weights."
    ]
    if query_key.additions[query_key.allowed].any():
        details.append("This model adds other terms to the scores; only the products are shown.")
    if omitted:
        details.append(f"{omitted:,} keys with smaller weights are not shown.")
    return make_header(
        title=options.titled(f"Query “{label}” and its keys: layer {query_key.layer}, head {query_key.head}"),
        details=details,
        cautions=cautions_of(query_key),
        width=width,
        indent=indent,
        height=height,
    )
