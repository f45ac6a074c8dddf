"""Attention as a matplotlib picture: a seaborn heatmap, rows from (query), columns to (key)."""

from typing import TYPE_CHECKING

from model_understanding.results import AttentionMap
from model_understanding.results.attention_sinks import SinkMode
from model_understanding.show.attention_view import AttentionView, attention_view
from model_understanding.show.colors import Palette, Theme, palette
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


def heatmap_axes(
    attention_map: AttentionMap,
    ax: "Axes | None" = None,
    *,
    layer: int | None = None,
    head: int | None = None,
    level: Level = "character",
    sinks: SinkMode | None = None,
    theme: Theme = "light",
) -> "Axes":
    """Draw one attention matrix as a seaborn heatmap; see ``attention_pictures.attention_axes``."""
    colors = palette(theme)
    with house_style():
        if ax is None:
            panel = attention_panel(attention_map, layer, head, level, colors, sinks=sinks)
            return new_axes(panel, colors)
        view = attention_view(attention_map, layer, head, level, sinks)
        grid = _grid(view, colors)
        room = max(size_in_inches(ax)[0], 1.6)
        title = attention_title(attention_map, layer, head)
        header = _header(attention_map, view, grid, title, colors, room, 0.0)
        width, height = size_left(ax, header, *label_room(grid))
        draw_heatmap(ax, grid, colors, max(0.8 * width - 0.3, 0.3), height, header)
        return ax


def attention_panel(
    attention: AttentionMap,
    layer: int | None,
    head: int | None,
    level: Level,
    colors: Palette,
    *,
    titled: bool = True,
    sinks: SinkMode | None = None,
) -> Panel:
    """Plan a heatmap of one attention matrix.

    Args:
        attention: The map.
        layer: The layer's index, ``None`` for the mean.
        head: The head's index, likewise.
        level: What a row and a column stand for.
        colors: The theme's colors.
        titled: Whether the picture carries its title, or the page around it does.
        sinks: What is done with the sinks.

    Returns:
        The panel, of the size that its labels need.
    """
    view = attention_view(attention, layer, head, level, sinks)
    grid = _grid(view, colors)
    title = attention_title(attention, layer, head) if titled else ""
    return heatmap_panel(
        grid,
        colors,
        lambda width, indent: _header(attention, view, grid, title, colors, width, indent),
    )


def _grid(view: AttentionView, colors: Palette) -> Grid:
    produced = ("from (query), named by the token it produced", "from (query) → produced")
    columns = axis_labels(view.keys)
    return Grid(
        values=view.weights,
        mask=view.mask,
        rows=axis_labels(view.rows, "→ " if view.produced else ""),
        columns=columns,
        special_rows=view.rows.special,
        special_columns=view.keys.special,
        sinks=view.off_scale,
        borders=text_borders(view.keys),
        color=colors.attention,
        signed=False,
        across="to (key)",
        down=(*(produced if view.produced else ()), "from (query)", "from"),
        scale=view.scale_name,
        masked_words=view.masked_words,
        sink_words=view.sink_words(columns),
    )


def _header(
    attention: AttentionMap,
    view: AttentionView,
    grid: Grid,
    title: str,
    colors: Palette,
    width: float,
    indent: float,
) -> Header:
    return make_header(
        title=title,
        details=(*view.left_out, *((grid.sink_words,) if view.sinks and not view.off_scale else ())),
        cautions=cautions(attention),
        handles=grid.handles(colors),
        width=width,
        indent=indent,
    )
