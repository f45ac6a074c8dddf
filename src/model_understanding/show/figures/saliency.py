"""Token saliency as a matplotlib picture."""

import math
from typing import TYPE_CHECKING

from model_understanding.errors import InputError
from model_understanding.results import Attribution
from model_understanding.show.figures.bars import (
    MOST_ROWS,
    ROW,
    VERTICAL_WIDTH,
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
    size_in_inches,
    size_left,
    text_width,
)
from model_understanding.show.shared.colors import Palette, Theme, palette
from model_understanding.show.shared.words import (
    cautions,
    method_name,
    ordinal,
    output_words,
    score_words,
    target_name,
)
from model_understanding.tokens import Level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEADER_WIDTH = 6.2  # inches that a header gets at least
_LABEL_ROW = 0.19  # inches that a label needs


def saliency_axes(
    attribution: Attribution,
    ax: "Axes | None" = None,
    *,
    target: int = 0,
    level: Level = "character",
    normalized: bool = True,
    theme: Theme = "light",
) -> "Axes":
    """Draw one target's scores as bars.

    Args:
        attribution: The attribution.
        ax: Axes to draw into, not cleared first; a new pyplot figure that grows with the text
            where left out.
        target: Which of the attribution's targets.
        level: What one bar stands for: ``token``, ``character`` (tokens that split one visible character
            are joined), ``word``, ``sentence``.
        normalized: Whether to scale the absolute scores so that they sum to 1.
        theme: ``light`` or ``dark``.

    Returns:
        The axes.

    Raises:
        InputError: There is no such target or theme, or there are no tokens.
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
    """Plan a picture of one target's scores: upright bars, lying bars, or bars above the text.

    Args:
        attribution: The attribution.
        target: Which of its targets.
        level: What one bar stands for.
        normalized: Whether absolute scores sum to 1.
        colors: The theme's colors.
        titled: Whether the picture carries its title, or the page around it does.

    Returns:
        The panel, of the size that its text needs.
    """
    bars = _checked_bars(attribution, target, level, normalized, colors)
    count = len(bars.labels)
    slot = vertical_slot(bars)
    if count * slot <= VERTICAL_WIDTH:
        return _vertical_panel(attribution, bars, target, max(count * slot, 5.6), titled)
    if count <= MOST_ROWS:
        return _horizontal_panel(attribution, bars, target, titled)
    return _text_panel(attribution, bars, target, titled)


def _checked_bars(
    attribution: Attribution, target: int, level: Level, normalized: bool, colors: Palette
) -> Bars:
    count = len(attribution.targets)
    if not -count <= target < count:
        raise InputError(
            f"The attribution has no target {target}. It has {count}.",
            hint=f"Use a target from 0 to {count - 1}." if count else "Compute an attribution with a target.",
        )
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
    value = f"value {output_words(attribution, target)}  ·  {method_name(attribution)}"
    return make_header(
        title=f"Token saliency: {target_name(attribution.targets[target])}" if titled else "",
        details=[*([value] if titled else []), *([extra] if extra else [])],
        cautions=cautions(attribution),
        handles=bars.handles(),
        width=width,
        indent=indent,
    )


def _vertical_panel(attribution: Attribution, bars: Bars, target: int, width: float, titled: bool) -> Panel:
    left = 0.82
    header = _header(attribution, bars, target, max(width + left, _HEADER_WIDTH), -left, titled=titled)

    def draw(axes: "Axes") -> None:
        draw_vertical(axes, bars)
        _name_axis(axes, bars, "y")
        header.draw(axes, bars.colors)

    right = max(0.05, _HEADER_WIDTH - width - left)
    return Panel(width=width, height=2.5, left=left, right=right, top=header.height, bottom=0.36, draw=draw)


def _horizontal_panel(attribution: Attribution, bars: Bars, target: int, titled: bool) -> Panel:
    left = max(text_width(label, LABEL_SIZE) for label in bars.labels) + 0.14
    width = 5.8
    header = _header(attribution, bars, target, left + width, -left, titled=titled)

    def draw(axes: "Axes") -> None:
        draw_horizontal(axes, bars)
        _name_axis(axes, bars, "x")
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
    scale = f"the longest bar is {bars.value_words(largest)} ({score_words(bars.signed, bars.normalized)})"
    header = _header(attribution, bars, target, LINE_WIDTH, 0.0, extra=scale, titled=titled)

    def draw(axes: "Axes") -> None:
        draw_in_text(axes, bars, chips, LINE_WIDTH, height)
        header.draw(axes, bars.colors)

    return Panel(
        width=LINE_WIDTH, height=height, left=0.0, right=0.0, top=header.height + 0.05, bottom=0.0, draw=draw
    )


def _draw_into(axes: "Axes", attribution: Attribution, bars: Bars, target: int) -> None:
    """Draw into the user's axes, of whatever size, and leave out labels rather than let them collide."""
    room = max(size_in_inches(axes)[0], 1.6)
    header = _header(attribution, bars, target, room, 0.0)
    count = len(bars.labels)
    width, height = size_left(axes, header, 0.7, 0.4)
    if count * vertical_slot(bars) <= width:
        draw_vertical(axes, bars)
        _name_axis(axes, bars, "y")
        header.draw(axes, bars.colors)
        return
    labels = max(text_width(label, LABEL_SIZE) for label in bars.labels)
    width, height = size_left(axes, header, labels + 0.15, 0.5)
    every = max(1, math.ceil(count * _LABEL_ROW / height))
    if every > 1:
        extra = f"every {ordinal(every)} token is labeled"
        header = _header(attribution, bars, target, room, 0.0, extra=extra)
    ticks = max(1, min(5, int(width / 0.75)))
    draw_horizontal(axes, bars, every=every, numbers=every == 1 and ticks > 2, ticks=ticks)
    _name_axis(axes, bars, "x")
    header.draw(axes, bars.colors)


def _name_axis(axes: "Axes", bars: Bars, which: str) -> None:
    words = score_words(bars.signed, bars.normalized) if bars.scores.any() else "every score is 0"
    style = {"fontsize": SMALL_SIZE + 0.5, "color": bars.colors.muted, "labelpad": 6}
    (axes.set_ylabel if which == "y" else axes.set_xlabel)(words, **style)
