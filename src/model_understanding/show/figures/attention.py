"""Attention as a figure: a map, a grid of heads, or arcs."""

from typing import TYPE_CHECKING, Literal, get_args

from model_understanding.errors import InputError
from model_understanding.results import AttentionMap
from model_understanding.results.attention_sinks import SinkMode
from model_understanding.show.figures.attention_arcs import arcs_panel
from model_understanding.show.figures.attention_grid import grid_panel
from model_understanding.show.figures.frame import (
    Header,
    Panel,
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
    text_borders,
)
from model_understanding.show.shared.attention_view import AttentionView, attention_view
from model_understanding.show.shared.colors import Palette, Theme, palette
from model_understanding.show.shared.words import attention_title, cautions
from model_understanding.tokens import LEVELS, Level

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


View = Literal["map", "grid", "arcs"]


def attention_axes(
    attention_map: AttentionMap,
    ax: "Axes | None" = None,
    *,
    view: View = "map",
    layer: int | None = None,
    head: int | None = None,
    level: Level = "character",
    sinks: SinkMode | None = None,
    theme: Theme = "light",
) -> "Axes":
    """Draw an attention map.

    Args:
        attention_map: The map.
        ax: Axes to draw into; a new pyplot figure that grows with the text where left out.
        view: ``map``, a seaborn heatmap of one matrix; ``grid``, a small tile for each layer and head held,
            on one color scale; ``arcs``, the strongest links of one matrix between two columns of tokens.
        layer: The layer's index in the model; ``None`` for the mean over those held, in a grid for all.
        head: The head's index in the model, likewise.
        level: What a row and a column stand for: ``token``, ``character``, ``word``, ``sentence``; keys
            are summed, queries averaged.
        sinks: What is done with keys that take most of the attention: ``raw`` draws them like the rest,
            ``muted`` takes them off the color scale, ``renormalized`` also divides each row by what remains.
            Where left out, the sinks of plain attention are muted.
        theme: ``light`` or ``dark``.

    Returns:
        The axes of the picture.

    Raises:
        InputError: The map does not hold that layer or head, there is no such view, level, theme or mode, or
            no tokens.
    """
    if view not in get_args(View):
        raise InputError(
            f"view={view!r} is unknown. Allowed: {', '.join(get_args(View))}.",
            hint="Leave it out for one matrix.",
        )
    if level not in LEVELS:
        raise InputError(f"level={level!r} is unknown. Allowed: {', '.join(LEVELS)}.", hint="Leave it out.")
    if view == "map":
        return heatmap_axes(attention_map, ax, layer=layer, head=head, level=level, sinks=sinks, theme=theme)
    colors = palette(theme)
    with house_style():
        make = grid_panel if view == "grid" else arcs_panel
        panel = make(attention_map, layer, head, level, colors, sinks=sinks)
        if ax is None:
            return new_axes(panel, colors)
        panel.draw(ax)
        return ax
