"""A ledger as matplotlib plots: layers × tokens, or layers × heads, on a scale with zero in its middle."""

from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from matplotlib.figure import Figure

from model_understanding.checks import one_of
from model_understanding.errors import InputError
from model_understanding.results import Ledger
from model_understanding.show.figures.fonts import drawable
from model_understanding.show.figures.frame import Header, Panel, house_style, make_header
from model_understanding.show.figures.heatmap import Grid, heatmap_axes, heatmap_panel
from model_understanding.show.figures.options import NO_OPTIONS, PlotOptions
from model_understanding.show.figures.report import draw_panels, draw_rows
from model_understanding.show.shared.colors import Palette, Theme, palette
from model_understanding.show.shared.words import LABEL_LENGTH, cautions_of, printable
from model_understanding.show.views.difference_map import DifferenceMap, signed_number
from model_understanding.show.views.ledger import LedgerView, ledger_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["residual", "attention", "mlp", "heads"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_IN_FILES = KINDS[:3]
_MAX_ROW = 20.0  # inches of plots side by side
_LEAST = 3.9  # inches of a plot beside others
_MOST_WRITTEN = 14  # rows and columns up to which contributions are written into the cells
_WRITTEN = 0.01  # of the largest contribution, from which one is written


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
    return heatmap_axes(_grid(shown, colors, options), colors, header, ax, figsize)


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
        panels = [_small_panel(shown, colors) for shown in maps]
        heading = " ".join(view.answer), " · ".join((view.headline, *view.texts))
        if sum(panel.full_width for panel in panels) <= _MAX_ROW:
            return draw_rows([panels], Figure(), theme=theme, heading=heading)
        return draw_panels(panels, Figure(), theme=theme, heading=heading)


def _small_panel(shown: DifferenceMap, colors: Palette) -> Panel:
    def header(width: float, indent: float) -> Header:
        return make_header(
            title=_title(shown), details=(shown.meaning,), cautions=(), width=width, indent=indent
        )

    return heatmap_panel(_grid(shown, colors, NO_OPTIONS), colors, header, header_width=_LEAST)


def _title(shown: DifferenceMap) -> str:
    return shown.name[0].upper() + shown.name[1:]


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
        title=options.titled(f"{_title(shown)}: {signed_number(shown.difference)} in {view.target}"),
        details=(shown.meaning, f"blue: raises {view.target}  ·  orange: lowers it"),
        cautions=cautions_of(ledger),
        width=width,
        indent=indent,
        height=height,
    )


def _grid(shown: DifferenceMap, colors: Palette, options: PlotOptions) -> Grid:
    values = shown.drawn()[::-1].astype(np.float64)
    columns = shown.columns
    is_compared = any(columns.seconds)
    noun = f"{columns.noun} of the text (of the reference)" if is_compared else columns.noun
    return Grid(
        values=values,
        mask=np.ones(values.shape, dtype=bool),
        rows=shown.row_labels[::-1],
        columns=tuple(
            drawable(printable(columns.label(span), LABEL_LENGTH + 4), LABEL_LENGTH + 8)
            for span in columns.spans
        ),
        special_rows=np.zeros(len(values), dtype=bool),
        special_columns=np.array([first < last or columns.muted[first] for first, last in columns.spans]),
        excluded=(),
        borders=(),
        color=colors.signed,
        signed=True,
        column_label=noun,
        row_labels=(shown.row_noun, "block"),
        scale="contribution",
        masked_label="",
        cell_texts=_cell_texts(values, shown.reach, options),
        row_noun="block",
        reach=shown.reach,
        options=options,
    )


def _cell_texts(values: np.ndarray, reach: float, options: PlotOptions) -> tuple[tuple[str, ...], ...] | None:
    """Return the contributions of a small map; next to none is not written."""
    if options.annot is not None or options.fmt is not None or max(values.shape) > _MOST_WRITTEN:
        return None
    return tuple(
        tuple("" if abs(value) < _WRITTEN * reach else f"{value:.2g}".replace("-", "−") for value in row)
        for row in values.tolist()
    )
