"""Attention as a figure: a map, a grid of heads, or arcs."""

from typing import TYPE_CHECKING, Literal, get_args

from matplotlib.figure import Figure

from model_understanding.checks import one_of
from model_understanding.results import AttentionMap
from model_understanding.results.attention_sinks import SinkMode
from model_understanding.show.figures.attention_arcs import arcs_panel
from model_understanding.show.figures.attention_grid import grid_panel
from model_understanding.show.figures.fonts import missing_fonts_note
from model_understanding.show.figures.frame import (
    EDGE,
    Header,
    Panel,
    add_panel_axes,
    house_style,
    make_header,
)
from model_understanding.show.figures.heatmap import (
    Grid,
    HeaderMaker,
    axis_labels,
    heatmap_axes,
    heatmap_panel,
    text_borders,
)
from model_understanding.show.figures.options import NO_OPTIONS, PlotOptions
from model_understanding.show.figures.place import Room, draw_plot
from model_understanding.show.shared.colors import Palette, Theme, palette
from model_understanding.show.shared.words import attention_title, cautions_of
from model_understanding.show.views.attention import AttentionView, attention_view
from model_understanding.show.views.scale import scale_of
from model_understanding.tokens import LEVELS, Level

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def attention_panel(
    attention: AttentionMap,
    layer: int | None,
    head: int | None,
    level: Level,
    colors: Palette,
    *,
    titled: bool = True,
    sinks: SinkMode | None = None,
    has_cautions: bool = True,
) -> Panel:
    """Plan a heatmap of one attention matrix.

    Args:
        attention: The map.
        layer: Index of the layer; ``None`` for the mean.
        head: Index of the head; ``None`` for the mean.
        level: What a row and a column stand for.
        colors: The theme's colors.
        titled: Whether the plot has a title; else the page around it shows the title.
        sinks: Mode for attention sinks.
        has_cautions: Whether the warnings stand here; those of a report stand at its top.

    Returns:
        The panel, of the size that its labels need.
    """
    view = attention_view(attention, layer, head, level, sinks)
    grid = _grid(view, colors)
    title = attention_title(attention, layer, head) if titled else ""
    return heatmap_panel(
        grid, colors, _header_maker(attention if has_cautions else None, view, grid, title, colors)
    )


def attention_figure(attention: AttentionMap, *, theme: Theme = "light") -> Figure:
    """Draw the mean over a map's layers and heads in a figure that is not registered with pyplot.

    Args:
        attention: The map.
        theme: ``light`` or ``dark``.
    """
    with house_style():
        colors = palette(theme)
        panel = attention_panel(attention, None, None, "character", colors)
        figure = Figure(figsize=(panel.full_width + 2 * EDGE, panel.full_height + 2 * EDGE))
        figure.set_facecolor(colors.background)
        panel.draw(add_panel_axes(figure, panel, EDGE, EDGE))
        return figure


def _grid(view: AttentionView, colors: Palette, options: PlotOptions = NO_OPTIONS) -> Grid:
    query, _ = view.sides
    by_step = (f"from ({query}), labeled by the generated token", "generated token")
    columns = axis_labels(view.keys)
    return Grid(
        values=view.weights,
        mask=view.mask,
        rows=axis_labels(view.rows, "→ " if view.has_steps else ""),
        columns=columns,
        special_rows=view.rows.special,
        special_columns=view.keys.special,
        excluded=view.excluded,
        borders=text_borders(view.keys),
        row_borders=text_borders(view.rows),
        color=colors.attention,
        signed=False,
        column_label=view.column_name,
        row_labels=(*(by_step if view.has_steps else ()), f"from ({query})", "from"),
        scale=view.scale_label,
        masked_label=view.masked_label,
        as_percent=view.are_shares,
        excluded_label=view.sink_text(columns),
        reach=scale_of(view).reach,
        options=options,
    )


def _header_maker(
    attention: AttentionMap | None, view: AttentionView, grid: Grid, title: str, colors: Palette
) -> HeaderMaker:
    missing = missing_fonts_note((*view.rows.labels(), *view.keys.labels()))
    note = "" if grid.options.has_limits else scale_of(view).note(view)

    def header(width: float, indent: float, height: float | None = None) -> Header:
        is_drawn = view.sinks and not view.excluded
        return make_header(
            title=grid.options.titled(title),
            notes=(*view.omissions, *filter(None, (note, missing))),
            details=(*((grid.excluded_label,) if is_drawn else ()),),
            cautions=() if attention is None else cautions_of(attention),
            handles=grid.handles(colors),
            width=width,
            indent=indent,
            height=height,
        )

    return header


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
    figsize: tuple[float, float] | None = None,
    options: PlotOptions = NO_OPTIONS,
) -> "Axes":
    """Draw an attention map.

    Args:
        attention_map: The map.
        ax: Axes to draw into; by default a new pyplot figure that grows with the text.
        view: ``map``, a seaborn heatmap of one matrix; ``grid``, a small heatmap for each layer and head, on
            one color scale; ``arcs``, the largest weights of one matrix as arcs from queries to keys.
        layer: Index of the layer in the model; ``None`` for the mean over the map's layers, or for all layers
            in a grid.
        head: Index of the head in the model, likewise.
        level: What a row and a column stand for: ``token``, ``character``, ``word``, ``sentence``; keys
            are summed, queries averaged.
        sinks: How to draw attention sinks: ``raw`` draws them like other keys, ``muted`` excludes them from
            the color scale, ``renormalized`` also rescales each row. By default, the sinks of raw attention
            are muted.
        theme: ``light`` or ``dark``.
        figsize: Width and height of the new figure in inches.
        options: What the caller sets of the plot.

    Returns:
        The axes of the plot.

    Raises:
        InputError: The map does not have this layer or head or has no tokens, or the view, level, mode or
            theme is unknown.
    """
    one_of(view, "view", get_args(View))
    one_of(level, "level", LEVELS)
    colors = palette(theme)
    if view == "map":
        matrix = attention_view(attention_map, layer, head, level, sinks)
        grid = _grid(matrix, colors, options)
        title = attention_title(attention_map, layer, head)
        header = _header_maker(attention_map, matrix, grid, title, colors)
        return heatmap_axes(grid, colors, header, ax, figsize)
    options.refuse(f"view={view!r}", "annot", "fmt", *(("cbar",) if view == "arcs" else ()))
    make_panel = grid_panel if view == "grid" else arcs_panel

    def plan(room: Room | None) -> Panel:
        return make_panel(attention_map, layer, head, level, colors, sinks=sinks, options=options, room=room)

    return draw_plot(plan, colors, ax, figsize)
