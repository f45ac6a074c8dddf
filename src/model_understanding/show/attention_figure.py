"""Attention as a matplotlib picture: a seaborn heatmap, rows from (query), columns to (key)."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from model_understanding.errors import InputError
from model_understanding.results import AttentionMap
from model_understanding.show.colours import Palette, Theme, palette
from model_understanding.show.heatmap import (
    Grid,
    axis_labels,
    draw_heatmap,
    heatmap_panel,
    label_room,
    text_borders,
)
from model_understanding.show.panel import (
    Header,
    Panel,
    house_style,
    make_header,
    new_axes,
    size_in_inches,
    size_left,
)
from model_understanding.show.wording import attention_title, cautions
from model_understanding.tokens import Level

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def attention_axes(
    attention_map: AttentionMap,
    ax: "Axes | None" = None,
    *,
    layer: int | None = None,
    head: int | None = None,
    level: Level = "character",
    theme: Theme = "light",
) -> "Axes":
    """Draw one attention matrix as a seaborn heatmap.

    Args:
        attention_map: The map.
        ax: Axes to draw into; a new pyplot figure that grows with the text where left out.
        layer: The layer's index in the model, ``None`` for the mean over those held.
        head: The head's index in the model, ``None`` likewise.
        level: What a row and a column stand for: ``token``, ``character``, ``word``, ``sentence``; keys
            are summed, queries averaged.
        theme: ``light`` or ``dark``.

    Returns:
        The axes of the heatmap.

    Raises:
        InputError: The map does not hold that layer or head, there is no such theme, or no tokens.
    """
    colours = palette(theme)
    with house_style():
        if ax is None:
            return new_axes(attention_panel(attention_map, layer, head, level, colours), colours)
        grid = _grid(attention_map, layer, head, level, colours)
        room = max(size_in_inches(ax)[0], 1.6)
        header = _header(attention_map, grid, layer, head, colours, room, 0.0)
        width, height = size_left(ax, header, *label_room(grid))
        draw_heatmap(ax, grid, colours, max(0.8 * width - 0.3, 0.3), height, header)
        return ax


def attention_panel(
    attention: AttentionMap,
    layer: int | None,
    head: int | None,
    level: Level,
    colours: Palette,
    *,
    titled: bool = True,
) -> Panel:
    """Plan a heatmap of one attention matrix.

    Args:
        attention: The map.
        layer: The layer's index, ``None`` for the mean.
        head: The head's index, likewise.
        level: What a row and a column stand for.
        colours: The theme's colours.
        titled: Whether the picture carries its title, or the page around it does.

    Returns:
        The panel, of the size that its labels need.
    """
    grid = _grid(attention, layer, head, level, colours)
    return heatmap_panel(
        grid,
        colours,
        lambda width, indent: _header(attention, grid, layer, head, colours, width, indent, titled=titled),
    )


def _grid(
    attention: AttentionMap, layer: int | None, head: int | None, level: Level, colours: Palette
) -> Grid:
    """Choose a matrix of a map and fold it to a level; a sink stays one after folding."""
    if not len(attention.queries) or not len(attention.keys):
        raise InputError("The attention map has no tokens.", hint="Explain a text that is not empty.")
    matrix = attention.matrix(layer, head)
    folded = replace(attention, weights=matrix[None, None], layers="mean", heads="mean").folded(level)
    held = set(attention.sinks or ())
    groups = attention.keys.groups(level)
    rows = folded.queries if folded.steps is None else folded.steps
    produced = ("from (query), named by the token it produced", "from (query) → produced")
    return Grid(
        values=folded.weights[0, 0].astype(np.float64),
        mask=folded.mask,
        rows=axis_labels(rows, "" if folded.steps is None else "→ "),
        columns=axis_labels(folded.keys),
        special_rows=rows.special,
        special_columns=folded.keys.special,
        sinks=tuple(place for place, group in enumerate(groups) if held.intersection(group)),
        borders=text_borders(folded.keys),
        colour=colours.attention,
        signed=False,
        across="to (key)",
        down=(*(produced if folded.steps is not None else ()), "from (query)", "from"),
        scale="attention weight",
        masked_words="masked: may not be looked at",
    )


def _header(
    attention: AttentionMap,
    grid: Grid,
    layer: int | None,
    head: int | None,
    colours: Palette,
    width: float,
    indent: float,
    *,
    titled: bool = True,
) -> Header:
    return make_header(
        title=attention_title(attention, layer, head) if titled else "",
        details=(),
        cautions=cautions(attention),
        handles=grid.handles(colours),
        width=width,
        indent=indent,
    )
