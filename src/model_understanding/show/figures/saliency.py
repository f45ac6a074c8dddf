"""Token saliency as a matplotlib plot."""

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
from model_understanding.show.figures.fonts import missing_fonts_note
from model_understanding.show.figures.frame import (
    LABEL_SIZE,
    SMALL_SIZE,
    AxisContent,
    Header,
    Panel,
    first_fitting,
    make_header,
    text_width,
)
from model_understanding.show.figures.options import NO_OPTIONS, PlotOptions
from model_understanding.show.figures.place import Room, draw_plot
from model_understanding.show.shared.colors import Palette, Theme, palette
from model_understanding.show.shared.words import (
    cautions_of,
    gap_text,
    method_name,
    score_axis_label,
    target_name,
    target_value,
)
from model_understanding.tokens import LEVELS, Level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEADER_WIDTH = 6.2  # minimum width of a header in inches
_LABEL_ROW = 0.19  # inches of a row with its label in axes of the user
_AXIS_LABEL, _TICK_LABELS = 0.22, 0.2  # inches for the name of the score axis, and for its numbers
_MAX_HEADER, _MAX_LABEL = 0.42, 0.4  # shares of the place's height and width


def saliency_axes(
    attribution: Attribution,
    ax: "Axes | None" = None,
    *,
    target: int = 0,
    level: Level = "character",
    normalized: bool = True,
    theme: Theme = "light",
    figsize: tuple[float, float] | None = None,
    options: PlotOptions = NO_OPTIONS,
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
        figsize: Width and height of the new figure in inches.
        options: What the caller sets of the plot; values are those of the score axis.

    Returns:
        The axes.

    Raises:
        InputError: The target, level or theme is unknown, the attribution has no tokens, or the axes share
            an axis with a plot of other tokens or another score.
    """
    colors = palette(theme)
    if options.cbar:
        options.refuse("A bar chart", "cbar")

    def plan(room: Room | None) -> Panel:
        return saliency_panel(attribution, target, level, normalized, colors, options=options, room=room)

    return draw_plot(plan, colors, ax, figsize)


def saliency_panel(
    attribution: Attribution,
    target: int,
    level: Level,
    normalized: bool,
    colors: Palette,
    *,
    titled: bool = True,
    options: PlotOptions = NO_OPTIONS,
    room: Room | None = None,
) -> Panel:
    """Plan a plot of the scores of one target: vertical bars, horizontal bars, or bars above the text.

    Args:
        attribution: The attribution.
        target: Index of the target.
        level: What a bar stands for.
        normalized: Whether absolute scores sum to 100 %.
        colors: The theme's colors.
        titled: Whether the plot has a title; else the page around it shows the title.
        options: What the caller sets of the plot.
        room: The place of a user's axes; of more bars than fit the largest are drawn.

    Returns:
        The panel, of the size of the place or, without one, of the size that its text needs.
    """
    bars = _checked_bars(attribution, target, level, normalized, colors, options)
    if room is not None:
        return _fitted_panel(attribution, bars, target, room)
    count = len(bars.labels)
    slot = vertical_slot(bars)
    if count * slot <= MAX_VERTICAL_WIDTH:
        return _vertical_panel(attribution, bars, target, max(count * slot, 5.6), titled)
    if count <= MAX_ROWS:
        return _horizontal_panel(attribution, bars, target, titled)
    return _text_panel(attribution, bars, target, titled)


def _checked_bars(
    attribution: Attribution,
    target: int,
    level: Level,
    normalized: bool,
    colors: Palette,
    options: PlotOptions,
) -> Bars:
    one_of(level, "level", LEVELS)
    if not len(attribution.tokens):
        raise InputError("The attribution has no tokens.", hint="Explain a text that is not empty.")
    return make_bars(attribution, target, level, normalized, colors, options)


def _header(
    attribution: Attribution,
    bars: Bars,
    target: int,
    width: float,
    indent: float,
    *,
    extra: str = "",
    titled: bool = True,
    height: float | None = None,
) -> Header:
    facts = [
        f"value {target_value(attribution, target)}",
        gap_text(attribution.row(target)),
        method_name(attribution),
    ]
    value = "  ·  ".join(filter(None, facts))
    missing = missing_fonts_note(attribution.tokens.labels())
    title = f"Token saliency: {target_name(attribution.targets[target])}" if titled else ""
    return make_header(
        title=bars.options.titled(title),
        details=[value] if titled else [],
        notes=[*([extra] if extra else []), *([missing] if missing else [])],
        cautions=cautions_of(attribution),
        handles=bars.handles(),
        width=width,
        indent=indent,
        height=height,
    )


def _vertical_panel(attribution: Attribution, bars: Bars, target: int, width: float, titled: bool) -> Panel:
    left = 0.82
    header = _header(attribution, bars, target, max(width + left, _HEADER_WIDTH), -left, titled=titled)

    def draw(axes: "Axes") -> None:
        draw_vertical(axes, bars, values=_has_values(bars))
        _label_score_axis(axes, bars, "y")
        header.draw(axes, bars.colors)

    right = max(0.05, _HEADER_WIDTH - width - left)
    return Panel(width=width, height=2.5, left=left, right=right, top=header.height, bottom=0.36, draw=draw)


def _horizontal_panel(attribution: Attribution, bars: Bars, target: int, titled: bool) -> Panel:
    left = max(text_width(label, LABEL_SIZE) for label in bars.labels) + 0.14
    width = 5.8
    header = _header(attribution, bars, target, left + width, -left, titled=titled)

    def draw(axes: "Axes") -> None:
        draw_horizontal(axes, bars, values=_has_values(bars))
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


def _fitted_panel(attribution: Attribution, bars: Bars, target: int, room: Room) -> Panel:
    """Plan bars for the place of a user's axes: vertical if all labels fit beside each other.

    Of axes that share one of their axes, that one shows the scores, which have one scale for all texts.
    """
    is_vertical = len(bars.labels) * vertical_slot(bars) <= room.width - _AXIS_LABEL - 0.36
    if room.shares_x != room.shares_y:
        is_vertical = room.shares_y
    elif room.x is not None:
        is_vertical = room.x.kind == "tokens"
    return (_fitted_vertical if is_vertical else _fitted_horizontal)(attribution, bars, target, room)


def _fitted_vertical(attribution: Attribution, bars: Bars, target: int, room: Room) -> Panel:
    named = room.height > 1.6 and room.width > 2
    left = (_AXIS_LABEL if named else 0.04) + (0.36 if room.shows_y else 0.0)
    width = max(room.width - left, 0.2)
    is_upright = len(bars.labels) * vertical_slot(bars) <= width + 1e-6
    drawn = bars if is_upright else _largest(bars, room.x, int(width / _LABEL_ROW))
    header = _fitted_header(attribution, bars, drawn, target, room, left)
    length = None if is_upright else 0.3 * room.height
    widest = max(text_width(label, LABEL_SIZE) for label in drawn.labels)
    below = 0.26 if length is None else min(widest, length) + 0.14
    bottom = below if room.shows_x else 0.06
    height = max(room.height - header.height - bottom, 0.1)
    has_values = _has_values(bars, is_upright and height > 0.9)

    def draw(axes: "Axes") -> None:
        draw_vertical(axes, drawn, values=has_values, ticks=min(5, int(height / 0.3)), label_length=length)
        if named:
            _label_score_axis(axes, drawn, "y", 0.6 * height if room.shares_y else height)
        header.draw(axes, bars.colors)

    return Panel(
        width=width,
        height=height,
        left=left,
        right=0.0,
        top=header.height,
        bottom=bottom,
        draw=draw,
        x=AxisContent("tokens", drawn.labels),
        y=_score_content(bars),
    )


def _fitted_horizontal(attribution: Attribution, bars: Bars, target: int, room: Room) -> Panel:
    named = room.height > 1.3 and room.width > 1.6
    longest = max(text_width(label, LABEL_SIZE) for label in bars.labels)
    length = min(longest, _MAX_LABEL * room.width)
    left = length + 0.14 if room.shows_y else 0.06
    ticks = min(5, int((room.width - left) / 0.75))
    right = 0.2 if ticks else 0.0  # half of the last number on the score axis
    width = max(room.width - left - right, 0.2)
    bottom = (_TICK_LABELS if room.shows_x else 0.04) + (_AXIS_LABEL if named else 0.0)
    header = _fitted_header(attribution, bars, bars, target, room, left)
    capacity = int((room.height - header.height - bottom) / _LABEL_ROW)
    drawn = _largest(bars, room.y, capacity)
    if drawn is not bars:
        header = _fitted_header(attribution, bars, drawn, target, room, left)
        capacity = int((room.height - header.height - bottom) / _LABEL_ROW)
        drawn = _largest(bars, room.y, capacity)
        header = _fitted_header(attribution, bars, drawn, target, room, left)
    has_values = _has_values(bars, width > 0.9)

    def draw(axes: "Axes") -> None:
        draw_horizontal(axes, drawn, values=has_values, ticks=ticks, label_length=length)
        if named:
            _label_score_axis(axes, drawn, "x", width)
        header.draw(axes, bars.colors)

    return Panel(
        width=width,
        height=max(room.height - header.height - bottom, 0.1),
        left=left,
        right=right,
        top=header.height,
        bottom=bottom,
        draw=draw,
        x=_score_content(bars),
        y=AxisContent("tokens", drawn.labels),
    )


def _fitted_header(
    attribution: Attribution, bars: Bars, drawn: Bars, target: int, room: Room, left: float
) -> Header:
    extra = ""
    if len(drawn.labels) < len(bars.labels):
        extra = f"{len(drawn.labels)} largest of {len(bars.labels)}"
    height = _MAX_HEADER * room.height
    return _header(attribution, drawn, target, room.width, -left, extra=extra, height=height)


def _largest(bars: Bars, shared: AxisContent | None, capacity: int) -> Bars:
    """Return all bars if they fit, else the largest ones: as many as the axes that share the labels show."""
    if shared is not None and shared.kind == "tokens":
        if shared.labels == bars.labels:
            return bars
        capacity = len(shared.labels)
    if len(bars.labels) <= max(capacity, 1):
        return bars
    return bars.select(bars.by_size()[: max(capacity, 1)] or range(max(capacity, 1)))


def _score_content(bars: Bars) -> AxisContent:
    return AxisContent("scores", ("share of the total" if bars.normalized else "raw score",))


def _has_values(bars: Bars, fits: bool = True) -> bool:
    annot = bars.options.annot
    return fits if annot is None else annot is not False


def _label_score_axis(axes: "Axes", bars: Bars, axis: str, length: float | None = None) -> None:
    label = score_axis_label(bars.signed, bars.normalized) if bars.scores.any() else "all scores are 0"
    if length is not None:
        label = first_fitting((label, label.split(" ")[0]), length, SMALL_SIZE + 0.5)
    style = {"fontsize": SMALL_SIZE + 0.5, "color": bars.colors.muted, "labelpad": 4 if length else 6}
    (axes.set_ylabel if axis == "y" else axes.set_xlabel)(label, **style)
