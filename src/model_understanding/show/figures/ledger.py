"""A ledger as matplotlib plots: layers × tokens, or layers × heads, on a scale with zero in its middle."""

from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

from matplotlib.figure import Figure

from model_understanding.checks import one_of
from model_understanding.errors import InputError
from model_understanding.results import Ledger
from model_understanding.show.figures.difference_map import map_grid, map_title, small_panel
from model_understanding.show.figures.frame import Header, house_style, make_header
from model_understanding.show.figures.heatmap import heatmap_axes
from model_understanding.show.figures.options import NO_OPTIONS, PlotOptions
from model_understanding.show.figures.report import draw_panels, draw_rows
from model_understanding.show.shared.colors import Theme, palette
from model_understanding.show.shared.words import cautions_of
from model_understanding.show.views.difference_map import DifferenceMap, signed_number
from model_understanding.show.views.ledger import LedgerView, ledger_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["residual", "attention", "mlp", "heads"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_IN_FILES = KINDS[:3]
MAX_ROW = 20.0  # inches of plots side by side


def ledger_axes(
    ledger: Ledger,
    ax: "Axes | None" = None,
    *,
    kind: Kind = "residual",
    theme: Theme = "light",
    figsize: tuple[float, float] | None = None,
    options: PlotOptions = NO_OPTIONS,
) -> "Axes":
    """Draw where a difference is: the last layer at the top, blue where it is raised, orange where lowered.

    Args:
        ledger: The ledger.
        ax: Axes to draw into; by default a new pyplot figure that grows with the text.
        kind: ``residual``, the hidden states; ``attention`` or ``mlp``, what these add; ``heads``.
        theme: ``light`` or ``dark``.
        figsize: Width and height of the new figure in inches.
        options: What the caller sets of the plot.

    Returns:
        The axes of the heatmap.

    Raises:
        InputError: There is no such kind or theme, or nothing to draw.
    """
    one_of(kind, "kind", KINDS)
    colors, view = palette(theme), ledger_view(ledger)
    shown = view.map(kind)
    if shown is None:
        others = [other.key for other in view.maps]
        raise InputError(
            f"The ledger has no {kind} to draw.",
            hint=f"Pass kind={others[0]!r}." if others else "The texts give the model the same output.",
        )
    header = partial(_header, ledger, view, shown, options)
    return heatmap_axes(map_grid(shown, colors, options), colors, header, ax, figsize)


def ledger_figure(ledger: Ledger, *, theme: Theme = "light") -> Figure:
    """Draw a ledger in one figure: its answer, then hidden states, attention and MLP outputs.

    Args:
        ledger: The ledger.
        theme: ``light`` or ``dark``.

    Returns:
        A figure that is not registered with pyplot, so that it does not have to be closed.

    Raises:
        InputError: There is no difference to draw, or the theme is unknown.
    """
    colors, view = palette(theme), ledger_view(ledger)
    maps = [shown for shown in view.maps if shown.key in _IN_FILES]
    if not maps:
        raise InputError(
            "The ledger has nothing to draw: there is no difference.", hint="Save it as .html or .json."
        )
    with house_style():
        panels = [small_panel(shown, colors) for shown in maps]
        heading = " ".join(view.answer), " · ".join((view.headline, *view.texts))
        if sum(panel.full_width for panel in panels) <= MAX_ROW:
            return draw_rows([panels], Figure(), theme=theme, heading=heading)
        return draw_panels(panels, Figure(), theme=theme, heading=heading)


def _header(
    ledger: Ledger,
    view: LedgerView,
    shown: DifferenceMap,
    options: PlotOptions,
    width: float,
    indent: float,
    height: float | None = None,
) -> Header:
    return make_header(
        title=options.titled(f"{map_title(shown)}: {signed_number(shown.difference)} in {view.target}"),
        details=(shown.meaning, f"blue: raises {view.target}  ·  orange: lowers it"),
        cautions=cautions_of(ledger),
        width=width,
        indent=indent,
        height=height,
    )
