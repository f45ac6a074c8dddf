"""Token saliency as a matplotlib plot."""

import math
from typing import TYPE_CHECKING

from model_understanding.checks import one_of
from model_understanding.errors import InputError
from model_understanding.results import Attribution
from model_understanding.show.figures.bars import (
    MAX_ROWS,
    MAX_VERTICAL_WIDTH,
    ROW,
    Bars,
    draw_horizontal,
    draw_vertical,
    make_bars,
    vertical_slot,
)
from model_understanding.show.figures.bars_in_text import LINE_WIDTH, draw_in_text, lay_out
from model_understanding.show.figures.frame import (
    LABEL_SIZE,
    SMALL_SIZE,
    Header,
    Panel,
    house_style,
    make_header,
    new_axes,
    remaining_size,
    size_in_inches,
    text_width,
)
from model_understanding.show.shared.colors import Palette, Theme, palette
from model_understanding.show.shared.words import (
    cautions_of,
    gap_text,
    method_name,
    ordinal,
    score_axis_label,
    target_name,
    target_value,
)
from model_understanding.tokens import LEVELS, Level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEADER_WIDTH = 6.2  # minimum width of a header in inches
_LABEL_ROW = 0.19  # height of a label in inches


def saliency_axes(
    attribution: Attribution,
    ax: "Axes | None" = None,
    *,
    target: int = 0,
    level: Level = "character",
    normalized: bool = True,
    theme: Theme = "light",
) -> "Axes":
    """Draw the scores of one target as bars.

    Args:
        attribution: The attribution.
        ax: Axes to draw into, not cleared first; by default a new pyplot figure that grows with the text.
        target: Index of the target.
        level: What a bar stands for: ``token``, ``character`` (tokens that split one visible character are
            joined), ``word``, ``sentence``.
        normalized: Whether to scale the scores so that their absolute values sum to 100 %.
        theme: ``light`` or ``dark``.

    Returns:
        The axes.

    Raises:
        InputError: The target, level or theme is unknown, or the attribution has no tokens.
    """
    colors = palette(theme)
    with house_style():
        if ax is None:
            return new_axes(saliency_panel(attribution, target, level, normalized, colors), colors)
        bars = _checked_bars(attribution, target, level, normalized, colors)
        _draw_into(ax, attribution, bars, target)
        return ax


def saliency_panel(
    attribution: Attribution,
    target: int,
    level: Level,
    normalized: bool,
    colors: Palette,
    *,
    titled: bool = True,
) -> Panel:
    """Plan a plot of the scores of one target: vertical bars, horizontal bars, or bars above the text.

    Args:
        attribution: The attribution.
        target: Index of the target.
        level: What a bar stands for.
        normalized: Whether absolute scores sum to 100 %.
        colors: The theme's colors.
        titled: Whether the plot has a title; else the page around it shows the title.

    Returns:
        The panel, of the size that its text needs.
    """
    bars = _checked_bars(attribution, target, level, normalized, colors)
    count = len(bars.labels)
    slot = vertical_slot(bars)
    if count * slot <= MAX_VERTICAL_WIDTH:
        return _vertical_panel(attribution, bars, target, max(count * slot, 5.6), titled)
    if count <= MAX_ROWS:
        return _horizontal_panel(attribution, bars, target, titled)
    return _text_panel(attribution, bars, target, titled)


def _checked_bars(
    attribution: Attribution, target: int, level: Level, normalized: bool, colors: Palette
) -> Bars:
    one_of(level, "level", LEVELS)
    if not len(attribution.tokens):
        raise InputError("The attribution has no tokens.", hint="Explain a text that is not empty.")
    return make_bars(attribution, target, level, normalized, colors)


def _header(
    attribution: Attribution,
    bars: Bars,
    target: int,
    width: float,
    indent: float,
    *,
    extra: str = "",
    titled: bool = True,
) -> Header:
    facts = [
        f"value {target_value(attribution, target)}",
        gap_text(attribution.row(target)),
        method_name(attribution),
    ]
    value = "  ·  ".join(filter(None, facts))
    return make_header(
        title=f"Token saliency: {target_name(attribution.targets[target])}" if titled else "",
        details=[*([value] if titled else []), *([extra] if extra else [])],
        cautions=cautions_of(attribution),
        handles=bars.handles(),
        width=width,
        indent=indent,
    )


def _vertical_panel(attribution: Attribution, bars: Bars, target: int, width: float, titled: bool) -> Panel:
    left = 0.82
    header = _header(attribution, bars, target, max(width + left, _HEADER_WIDTH), -left, titled=titled)

    def draw(axes: "Axes") -> None:
        draw_vertical(axes, bars)
        _label_score_axis(axes, bars, "y")
        header.draw(axes, bars.colors)

    right = max(0.05, _HEADER_WIDTH - width - left)
    return Panel(width=width, height=2.5, left=left, right=right, top=header.height, bottom=0.36, draw=draw)


def _horizontal_panel(attribution: Attribution, bars: Bars, target: int, titled: bool) -> Panel:
    left = max(text_width(label, LABEL_SIZE) for label in bars.labels) + 0.14
    width = 5.8
    header = _header(attribution, bars, target, left + width, -left, titled=titled)

    def draw(axes: "Axes") -> None:
        draw_horizontal(axes, bars)
        _label_score_axis(axes, bars, "x")
        header.draw(axes, bars.colors)

    return Panel(
        width=width,
        height=ROW * len(bars.labels),
        left=left,
        right=0.1,
        top=header.height,
        bottom=0.5,
        draw=draw,
    )


def _text_panel(attribution: Attribution, bars: Bars, target: int, titled: bool) -> Panel:
    chips, height = lay_out(bars)
    largest = int(abs(bars.scores).argmax())
    unit = score_axis_label(bars.signed, bars.normalized)
    scale = f"longest bar: {bars.value_text(largest)} ({unit})"
    header = _header(attribution, bars, target, LINE_WIDTH, 0.0, extra=scale, titled=titled)

    def draw(axes: "Axes") -> None:
        draw_in_text(axes, bars, chips, LINE_WIDTH, height)
        header.draw(axes, bars.colors)

    return Panel(
        width=LINE_WIDTH, height=height, left=0.0, right=0.0, top=header.height + 0.05, bottom=0.0, draw=draw
    )


def _draw_into(axes: "Axes", attribution: Attribution, bars: Bars, target: int) -> None:
    """Draw into axes of the user of any size; labels that would overlap are left out."""
    available = max(size_in_inches(axes)[0], 1.6)
    header = _header(attribution, bars, target, available, 0.0)
    count = len(bars.labels)
    width, height = remaining_size(axes, header, 0.7, 0.4)
    if count * vertical_slot(bars) <= width:
        draw_vertical(axes, bars)
        _label_score_axis(axes, bars, "y")
        header.draw(axes, bars.colors)
        return
    labels = max(text_width(label, LABEL_SIZE) for label in bars.labels)
    width, height = remaining_size(axes, header, labels + 0.15, 0.5)
    step = max(1, math.ceil(count * _LABEL_ROW / height))
    if step > 1:
        extra = f"every {ordinal(step)} token is labeled"
        header = _header(attribution, bars, target, available, 0.0, extra=extra)
    ticks = max(1, min(5, int(width / 0.75)))
    draw_horizontal(axes, bars, step=step, values=step == 1 and ticks > 2, ticks=ticks)
    _label_score_axis(axes, bars, "x")
    header.draw(axes, bars.colors)


def _label_score_axis(axes: "Axes", bars: Bars, axis: str) -> None:
    label = score_axis_label(bars.signed, bars.normalized) if bars.scores.any() else "all scores are 0"
    style = {"fontsize": SMALL_SIZE + 0.5, "color": bars.colors.muted, "labelpad": 6}
    (axes.set_ylabel if axis == "y" else axes.set_xlabel)(label, **style)
