"""The pictures of an attention map: one matrix, a grid of them, or arcs between tokens."""

from typing import TYPE_CHECKING, Literal, get_args

from model_understanding.errors import InputError
from model_understanding.results import AttentionMap
from model_understanding.results.attention_sinks import SinkMode
from model_understanding.show.attention_arcs import arcs_panel
from model_understanding.show.attention_figure import heatmap_axes
from model_understanding.show.attention_grid import grid_panel
from model_understanding.show.colors import Theme, palette
from model_understanding.show.panel import house_style, new_axes
from model_understanding.tokens import LEVELS, Level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
