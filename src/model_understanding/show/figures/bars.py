"""Saliency as vertical or horizontal bars."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import Normalize, to_hex
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullLocator

from model_understanding.results import Attribution
from model_understanding.show.figures.fonts import drawable, text_style
from model_understanding.show.figures.frame import (
    LABEL_SIZE,
    POINTS,
    SMALL_SIZE,
    fitted,
    size_in_inches,
    text_width,
)
from model_understanding.show.figures.options import NO_OPTIONS, PlotOptions
from model_understanding.show.shared.colors import Palette
from model_understanding.show.shared.runs import blanks_before
from model_understanding.show.shared.words import (
    LABEL_LENGTH,
    printable,
)
from model_understanding.show.views.saliency import saliency_view
from model_understanding.tokens import Level

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

MAX_VERTICAL_WIDTH = 9.0  # inches for vertical bars
ROW = 0.235  # inches per row of horizontal bars
MAX_ROWS = 45
_BAR = 0.66  # width of a bar as a share of its slot
_MOST_ROOM = 0.35  # largest share of an axis that values may take on each side
VALUE_HEIGHT = SMALL_SIZE * 2.2 / POINTS  # inches for a value above or below its bar
HATCH = "////"
_VERTICAL = {-1: "top", 1: "bottom"}
_HORIZONTAL = {-1: "right", 1: "left"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bars:
    """One bar per unit of a text.

    Args:
        labels: Drawable labels.
        blanks: Whether each unit is preceded by a blank in the text.
        scores: Shape ``(units,)``.
        values: The scores as text.
        ranks: 1 for the largest score; ``None`` for special tokens and units without a score.
        special: Which units are special tokens.
        valid: Which units have a score.
        signed: Whether the sign of a score has a meaning.
        normalized: Whether scores are shares.
        signs: The meaning of positive and of negative scores.
        colors: The theme's colors.
        options: What the caller sets of the plot.
        texts: Texts that the caller writes at the bars; empty for the scores.
    """

    labels: tuple[str, ...]
    blanks: tuple[bool, ...]
    scores: np.ndarray
    values: tuple[str, ...]
    ranks: tuple[int | None, ...]
    special: np.ndarray
    valid: np.ndarray
    signed: bool
    normalized: bool
    signs: tuple[str, str]
    colors: Palette
    options: PlotOptions = NO_OPTIONS
    texts: tuple[str, ...] = ()

    def select(self, units: Sequence[int]) -> "Bars":
        """Return some of the bars, in this order."""
        indices = np.asarray(units, dtype=int)
        return replace(
            self,
            labels=tuple(self.labels[unit] for unit in units),
            blanks=tuple(self.blanks[unit] for unit in units),
            scores=self.scores[indices],
            values=tuple(self.values[unit] for unit in units),
            ranks=tuple(self.ranks[unit] for unit in units),
            special=self.special[indices],
            valid=self.valid[indices],
            texts=tuple(self.texts[unit] for unit in units) if self.texts else (),
        )

    def by_size(self) -> list[int]:
        """Return the bars with a score, largest first, without special tokens and without zeros."""
        ranked = [unit for unit, rank in enumerate(self.ranks) if rank is not None and self.scores[unit]]
        return sorted(ranked, key=lambda unit: self.ranks[unit] or 0)

    @property
    def peak(self) -> float:
        """The largest absolute score, 1 if all are zero."""
        return float(np.abs(self.scores).max(initial=0)) or 1.0

    def color(self, unit: int) -> str:
        """Return a bar's color."""
        color_map = self.options.color_map()
        if color_map is not None:
            return to_hex(color_map(self._norm()(float(self.scores[unit]))))
        if self.special[unit]:
            return self.colors.special
        if not self.signed:
            return self.colors.unsigned
        return self.colors.supports if self.scores[unit] >= 0 else self.colors.against

    def _norm(self) -> Normalize:
        low, high = self.options.vmin, self.options.vmax
        start = -self.peak if self.signed else 0.0
        return Normalize(start if low is None else low, self.peak if high is None else high, clip=True)

    def label_color(self, unit: int) -> str:
        """Return the color of a bar's label."""
        return self.colors.muted if self.special[unit] or not self.valid[unit] else self.colors.text

    def value_text(self, unit: int) -> str:
        """Return the value of a bar, short."""
        score = float(self.scores[unit])
        if self.texts:
            return self.texts[unit]
        if self.options.fmt is not None:
            return self.options.formatted(score)
        return self.values[unit]

    def handles(self) -> list[Patch]:
        """Return the legend entries for the kinds of bars that there are."""
        plain = ~self.special & self.valid
        entries = []
        if self.signed and self.options.cmap is None:
            for units, label, color in (
                (plain & (self.scores > 0), self.signs[0], self.colors.supports),
                (plain & (self.scores < 0), self.signs[1], self.colors.against),
            ):
                if units.any():
                    entries.append(Patch(facecolor=color, label=drawable(label)))
        if (self.special & self.valid).any() and self.options.cmap is None:
            entries.append(Patch(facecolor=self.colors.special, label="special token"))
        if not (self.valid | self.special).all():
            entries.append(Patch(**no_score_style(self.colors), label="no score"))
        return entries


def make_bars(
    attribution: Attribution,
    target: int,
    level: Level,
    normalized: bool,
    colors: Palette,
    options: PlotOptions = NO_OPTIONS,
) -> Bars:
    """Join the scores of one target at a level.

    Args:
        attribution: The attribution.
        target: Index of the target.
        level: ``token``, ``character``, ``word`` or ``sentence``.
        normalized: Whether absolute scores are scaled to sum to 1.
        colors: The theme's colors.
        options: What the caller sets of the plot.

    Returns:
        The bars.
    """
    view = saliency_view(attribution, target, level=level)
    return Bars(
        labels=tuple(
            drawable(printable(label, LABEL_LENGTH), LABEL_LENGTH + 4)
            for label in (unit.label for unit in view.units)
        ),
        scores=np.array([unit.share if normalized else unit.score for unit in view.units], dtype=np.float64),
        values=tuple(unit.share_text if normalized else unit.score_text for unit in view.units),
        ranks=tuple(unit.rank for unit in view.units),
        blanks=blanks_before(attribution.row(target).folded(level).tokens),
        special=np.array([unit.special for unit in view.units], dtype=bool),
        valid=np.array([unit.scored for unit in view.units], dtype=bool),
        signed=view.signed,
        normalized=normalized,
        signs=view.signs,
        colors=colors,
        options=options,
        texts=_written_texts(options, len(view.units)),
    )


def _written_texts(options: PlotOptions, count: int) -> tuple[str, ...]:
    if options.annot is None or isinstance(options.annot, bool | np.bool_):
        return ()
    (texts,) = replace(options, annot=np.atleast_2d(np.asarray(options.annot))).cell_texts((1, count)) or (
        (),
    )
    return tuple(map(drawable, texts))


def no_score_style(colors: Palette) -> dict[str, Any]:
    """Return the style of tokens that cannot contribute."""
    return {"facecolor": colors.sink, "edgecolor": colors.hatch, "hatch": HATCH, "linewidth": 0}


def vertical_slot(bars: Bars) -> float:
    """Return the width in inches that a vertical bar needs for its label and its value."""
    widths = [text_width(label, LABEL_SIZE) for label in bars.labels]
    return max([0.5, *(width + 0.16 for width in widths)])


def draw_vertical(
    axes: "Axes", bars: Bars, *, values: bool = True, ticks: int = 5, label_length: float | None = None
) -> None:
    """Draw vertical bars with labels below.

    Args:
        axes: Empty axes, wide enough for the labels.
        bars: The bars.
        values: Whether to write the value of each bar.
        ticks: Maximum number of ticks of the score axis.
        label_length: Inches below the axes for labels that are rotated; by default they are upright.
    """
    units = range(len(bars.scores))
    axes.bar(units, bars.scores, width=_BAR, color=[bars.color(unit) for unit in units])
    axes.set_xlim(-0.6, len(units) - 0.4)
    axes.set_ylim(*_limits(bars, VALUE_HEIGHT if values else 0.0, size_in_inches(axes)[1]))
    labels = bars.labels
    if label_length is not None:
        labels = tuple(fitted(label, label_length, LABEL_SIZE) for label in labels)
    axes.set_xticks(
        units,
        labels,
        rotation=0 if label_length is None else 90,
        fontsize=LABEL_SIZE,
        **text_style(*labels),
    )
    axes.tick_params(axis="x", length=0, pad=6)
    _finish(axes, bars, axes.xaxis, "y", ticks)
    for unit in units:
        if not bars.valid[unit] and bars.special[unit]:
            _write_value(axes, bars, unit, (unit, 0), (0, 3), ("center", "bottom"))
        elif not bars.valid[unit]:
            axes.axvspan(unit - 0.4, unit + 0.4, zorder=0.5, **no_score_style(bars.colors))
        elif values:
            score, side = float(bars.scores[unit]), -1 if bars.scores[unit] < 0 else 1
            _write_value(axes, bars, unit, (unit, score), (0, 3 * side), ("center", _VERTICAL[side]))


def draw_horizontal(
    axes: "Axes", bars: Bars, *, values: bool = True, ticks: int = 5, label_length: float | None = None
) -> None:
    """Draw horizontal bars, the first one on top, with labels on the left.

    Args:
        axes: Empty axes.
        bars: The bars.
        values: Whether to write the value of each bar, where there is room.
        ticks: Maximum number of ticks of the score axis.
        label_length: Inches left of the axes for labels, which are shortened to it.
    """
    units = range(len(bars.scores))
    axes.barh(units, bars.scores, height=_BAR, color=[bars.color(unit) for unit in units])
    axes.set_ylim(len(units) - 0.45, -0.55)
    room = max((text_width(bars.value_text(unit), SMALL_SIZE) for unit in units), default=0) + 0.1
    width = size_in_inches(axes)[0]
    values = values and room <= _MOST_ROOM * width  # otherwise a value would cover a label
    axes.set_xlim(*_limits(bars, room if values else 0.0, width))
    labels = bars.labels
    if label_length is not None:
        labels = tuple(fitted(label, label_length, LABEL_SIZE) for label in labels)
    axes.set_yticks(units, labels, fontsize=LABEL_SIZE, **text_style(*labels))
    axes.tick_params(axis="y", length=0, pad=6)
    _finish(axes, bars, axes.yaxis, "x", ticks)
    for unit in units:
        if not bars.valid[unit] and bars.special[unit]:
            _write_value(axes, bars, unit, (0, unit), (4, 0), ("left", "center_baseline"))
        elif not bars.valid[unit]:
            axes.axhspan(unit - 0.4, unit + 0.4, zorder=0.5, **no_score_style(bars.colors))
        elif values:
            score, side = float(bars.scores[unit]), -1 if bars.scores[unit] < 0 else 1
            _write_value(
                axes, bars, unit, (score, unit), (4 * side, 0), (_HORIZONTAL[side], "center_baseline")
            )


def _write_value(
    axes: "Axes",
    bars: Bars,
    unit: int,
    end: tuple[float, float],
    shift: tuple[int, int],
    alignment: tuple[str, str],
) -> None:
    """Write the value of a bar beyond its end, on a background that hides grid lines."""
    axes.annotate(
        bars.value_text(unit),
        end,
        xytext=shift,
        textcoords="offset points",
        ha=alignment[0],
        va=alignment[1],
        fontsize=SMALL_SIZE,
        color=bars.colors.muted,
        bbox={"boxstyle": "square,pad=0.12", "facecolor": bars.colors.background, "edgecolor": "none"},
    )


def _limits(bars: Bars, room: float, length: float) -> tuple[float, float]:
    """Return the limits of the score axis, with room for the values; signed scores have both sides.

    Args:
        bars: The bars.
        room: Inches that a value needs beyond its bar.
        length: Length of the axis in inches.
    """
    low, high = min(bars.scores.min(initial=0), 0.0), max(bars.scores.max(initial=0), 0.0)
    sides = int(low < 0) + int(high > 0 or low == 0)
    share = min(room / max(length, 1e-9), _MOST_ROOM)
    span = (high - low) or 1.0
    margin = max(0.04, share / (1 - sides * share)) * span
    start = low - (margin if low < 0 else 0.04 * span if bars.signed else 0)
    end = high + (margin if high > 0 or low == 0 else 0.04 * span)
    options = bars.options
    return start if options.vmin is None else options.vmin, end if options.vmax is None else options.vmax


def _finish(axes: "Axes", bars: Bars, label_axis: "Axis", score_axis: str, ticks: int) -> None:
    colors = bars.colors
    axes.set_facecolor(colors.background)
    axes.set_axisbelow(True)
    axes.grid(axis=score_axis, color=colors.line, linewidth=0.7)  # type: ignore[arg-type]
    for spine in axes.spines.values():
        spine.set_visible(False)
    (axes.axhline if score_axis == "y" else axes.axvline)(0, color=colors.muted, linewidth=1.0)
    axes.tick_params(axis=score_axis, labelsize=SMALL_SIZE, length=0, labelcolor=colors.muted)  # type: ignore[arg-type]
    axis = axes.yaxis if score_axis == "y" else axes.xaxis
    axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]) if ticks else NullLocator())
    if bars.normalized:
        axis.set_major_formatter(_percent)
    # The ticks and not their labels: of axes that share them only the outer ones show labels.
    for unit, tick in enumerate(label_axis.get_major_ticks()[: len(bars.scores)]):
        tick.label1.set_color(bars.label_color(unit))


def _percent(value: float, _position: float) -> str:
    return f"{100 * value:.3g} %".replace("-", "−")
