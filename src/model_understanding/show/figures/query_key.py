"""The products of a query with its keys as a matplotlib picture: keys × dimensions."""

from typing import TYPE_CHECKING

import numpy as np

from model_understanding.results import QueryKey
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
from model_understanding.show.shared.words import cautions, percent, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_KEYS = 48


def query_key_axes(found: QueryKey, ax: "Axes | None" = None, *, theme: Theme = "light") -> "Axes":
    """Draw which dimensions make a query look at its keys: blue raises a key's score, orange lowers it.

    Args:
        found: The query and its keys; the keys of most weight are drawn.
        ax: Axes to draw into; a new pyplot figure where left out.
        theme: ``light`` or ``dark``.

    Returns:
        The axes.

    Raises:
        InputError: There is no such theme.
    """
    colors = palette(theme)
    grid = _grid(found, colors)
    with house_style():
        if ax is None:
            panel = heatmap_panel(grid, colors, lambda width, indent: _header(found, width, indent))
            return new_axes(panel, colors)
        header = _header(found, max(size_in_inches(ax)[0], 1.6), 0.0)
        width, height = size_left(ax, header, *label_room(grid))
        draw_heatmap(ax, grid, colors, max(0.8 * width - 0.3, 0.3), height, header)
        return ax


def _keys(found: QueryKey) -> np.ndarray:
    allowed = np.flatnonzero(found.allowed)
    return np.sort(allowed[np.argsort(-found.weights[allowed], kind="stable")][:_MOST_KEYS])


def _grid(found: QueryKey, colors: Palette) -> Grid:
    keys = _keys(found)
    tokens, width = found.tokens.select(keys), len(found.query_vector)
    labels = axis_labels(tokens)
    return Grid(
        values=found.products[keys].astype(np.float64),
        mask=np.ones((len(keys), width), dtype=bool),
        rows=tuple(
            f"{label}  {percent(float(weight))}"
            for label, weight in zip(labels, found.weights[keys], strict=True)
        ),
        columns=tuple(str(number) for number in range(width)),
        special_rows=tokens.special,
        special_columns=np.zeros(width, dtype=bool),
        sinks=(),
        borders=(),
        color=colors.signed,
        signed=True,
        across="dimension of the head",
        down=("key, and its attention weight", "key"),
        scale="scale · query · key",
        masked_words="",
    )


def _header(found: QueryKey, width: float, indent: float) -> Header:
    label = drawable(shown(found.tokens.labels()[found.query], 30))
    left_out = int(found.allowed.sum()) - len(_keys(found))
    details = [
        "A row sums to the key's score before masks and biases; the softmax of the scores is the weight."
    ]
    if found.additions[found.allowed].any():
        details.append("This model adds to the scores: what is drawn is the products alone.")
    if left_out:
        details.append(f"{left_out:,} keys of less weight are left out.")
    return make_header(
        title=f"Query “{label}” and its keys: layer {found.layer}, head {found.head}",
        details=details,
        cautions=cautions(found),
        width=width,
        indent=indent,
    )
