"""The difference between two models as matplotlib plots: heat maps; over many texts, bars with intervals."""

from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from matplotlib.figure import Figure

from model_understanding.checks import one_of
from model_understanding.errors import InputError
from model_understanding.results import ModelDiff, ModelDiffSummary
from model_understanding.show.figures.difference_map import map_grid, map_title, small_panel
from model_understanding.show.figures.fonts import drawable
from model_understanding.show.figures.frame import (
    SMALL_SIZE,
    Header,
    Panel,
    house_style,
    make_header,
    text_width,
)
from model_understanding.show.figures.heatmap import heatmap_axes
from model_understanding.show.figures.ledger import MAX_ROW
from model_understanding.show.figures.options import NO_OPTIONS, PlotOptions
from model_understanding.show.figures.report import draw_panels, draw_rows
from model_understanding.show.shared.colors import Palette, Theme, palette
from model_understanding.show.shared.words import cautions_of, printable
from model_understanding.show.views.difference_map import DifferenceMap, signed_number
from model_understanding.show.views.model_diff import (
    NOTE,
    model_diff_summary_view,
    model_diff_view,
    model_names,
)
from model_understanding.show.views.model_diff_maps import model_diff_maps

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["modules", "blocks", "tokens"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_BARS = 20  # modules of a summary that are drawn
_ROW, _WIDTH = 0.26, 4.4  # inches of a bar's row, and of the longest bar


def model_diff_axes(
    diff: ModelDiff,
    ax: "Axes | None" = None,
    *,
    kind: Kind = "modules",
    theme: Theme = "light",
    figsize: tuple[float, float] | None = None,
    options: PlotOptions = NO_OPTIONS,
) -> "Axes":
    """Draw which weights make a difference: the last block at the top, blue where it is raised.

    Args:
        diff: The diff.
        ax: Axes to draw into; by default a new pyplot figure that grows with its labels.
        kind: ``modules``, blocks × their modules; ``blocks``, blocks × tokens; ``tokens``, over all modules.
        theme: ``light`` or ``dark``.
        figsize: Width and height of the new figure in inches.
        options: What the caller sets of the plot.

    Returns:
        The axes of the heat map.

    Raises:
        InputError: There is no such kind or theme, or nothing to draw.
    """
    one_of(kind, "kind", KINDS)
    colors, maps = palette(theme), {shown.key: shown for shown in model_diff_maps(diff)}
    if kind not in maps:
        raise InputError(
            f"The diff has no {kind} to draw.",
            hint=f"Pass kind={next(iter(maps))!r}." if maps else "No changed weight makes a difference.",
        )
    header = partial(_header, diff, maps[kind], options)
    return heatmap_axes(map_grid(maps[kind], colors, options), colors, header, ax, figsize)


def model_diff_figure(diff: ModelDiff, *, theme: Theme = "light") -> Figure:
    """Draw a diff in one figure: its answer, then blocks × modules and blocks × tokens.

    Args:
        diff: The diff.
        theme: ``light`` or ``dark``.

    Returns:
        A figure that is not registered with pyplot, so that it does not have to be closed.

    Raises:
        InputError: There is no difference to draw, or the theme is unknown.
    """
    colors, view = palette(theme), model_diff_view(diff)
    maps = [shown for shown in model_diff_maps(diff) if shown.key != "tokens"]
    if not maps:
        raise InputError(
            "The diff has nothing to draw: no changed weight makes a difference.",
            hint="Save it as .html or .json.",
        )
    with house_style():
        panels = [small_panel(shown, colors) for shown in maps]
        heading = " ".join(view.answer), " · ".join((view.headline, *view.texts, NOTE))
        if sum(panel.full_width for panel in panels) <= MAX_ROW:
            return draw_rows([panels], Figure(), theme=theme, heading=heading)
        return draw_panels(panels, Figure(), theme=theme, heading=heading)


def model_diff_summary_figure(summary: ModelDiffSummary, *, theme: Theme = "light") -> Figure:
    """Draw the modules with the largest mean shares over many texts, each with its interval.

    Args:
        summary: The summary.
        theme: ``light`` or ``dark``.

    Returns:
        A figure that is not registered with pyplot.

    Raises:
        InputError: No weights differ, or the theme is unknown.
    """
    colors, view = palette(theme), model_diff_summary_view(summary)
    if not summary.modules:
        raise InputError(
            "The summary has nothing to draw: no weights differ.", hint="Save it as .html or .json."
        )
    with house_style():
        heading = " ".join(view.answer), " · ".join((" → ".join(model_names(summary)), NOTE))
        return draw_panels([_bars(summary, colors)], Figure(), theme=theme, heading=heading)


def _bars(summary: ModelDiffSummary, colors: Palette) -> Panel:
    modules = summary.modules[:_BARS]
    labels = [drawable(printable(module.name, 60)) for module in modules]
    left = max(text_width(label, SMALL_SIZE) for label in labels) + 0.1
    header = make_header(
        title="Mean share of each module",
        details=("lines: 95 % intervals over the texts",) if summary.texts > 1 else (),
        cautions=(),
        width=left + _WIDTH,
        indent=-left,
    )

    def draw(axes: "Axes") -> None:
        places = np.arange(len(modules))
        shares = np.array([100 * module.share for module in modules])
        axes.barh(places, shares, height=0.66, color=colors.signed(0.7))
        for place, module in zip(places, modules, strict=True):
            if module.share_interval is not None:
                ends = [100 * min(max(end, 0.0), 1.0) for end in module.share_interval]
                axes.plot(ends, [place, place], color=colors.text, linewidth=1.2)
        axes.set_yticks(places, labels, fontsize=SMALL_SIZE, color=colors.text)
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel("mean share in %", fontsize=SMALL_SIZE, color=colors.text)
        axes.tick_params(colors=colors.text, labelsize=SMALL_SIZE, length=0)
        axes.set_facecolor(colors.background)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(colors.muted)
        header.draw(axes, colors)

    return Panel(
        width=_WIDTH,
        height=_ROW * len(modules) + 0.1,
        left=left,
        right=0.2,
        top=header.height,
        bottom=0.5,
        draw=draw,
    )


def _header(
    diff: ModelDiff,
    shown: DifferenceMap,
    options: PlotOptions,
    width: float,
    indent: float,
    height: float | None = None,
) -> Header:
    target = printable(diff.target.description(), 60)
    return make_header(
        title=options.titled(f"{map_title(shown)}: {signed_number(shown.difference)} in {target}"),
        details=(
            " → ".join(model_names(diff)),
            shown.meaning,
            f"blue: raises {target}  ·  orange: lowers it",
        ),
        cautions=cautions_of(diff),
        width=width,
        indent=indent,
        height=height,
    )
