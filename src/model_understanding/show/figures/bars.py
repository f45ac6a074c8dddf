"""Saliency as bars: upright, lying, or above the running text, whichever its labels leave room for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from model_understanding.results import Attribution
from model_understanding.show.figures.fonts import drawable, text_style
from model_understanding.show.figures.frame import LABEL_SIZE, SMALL_SIZE, text_width
from model_understanding.show.shared.colors import Palette
from model_understanding.show.shared.words import LABEL_LENGTH, number, percent, shown, sign_words
from model_understanding.tokens import Tokens

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VERTICAL_WIDTH = 9.0  # inches that upright bars may take
ROW = 0.235  # inches of a lying bar's row
MOST_ROWS = 45
_BAR = 0.66  # share of its slot that a bar fills
HATCH = "////"
_VERTICAL = {-1: "top", 1: "bottom"}
_HORIZONTAL = {-1: "right", 1: "left"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bars:
    """One bar for each unit of a text.

    Args:
        labels: Drawable labels.
        apart: Whether a blank stands before each in the text.
        scores: Shape ``(units,)``.
        special: Which are special tokens.
        valid: Which have a score.
        signed: Whether signs have a meaning.
        normalized: Whether scores are shares.
        signs: What a score above and below zero does.
        colors: The theme's colors.
    """

    labels: tuple[str, ...]
    apart: tuple[bool, ...]
    scores: np.ndarray
    special: np.ndarray
    valid: np.ndarray
    signed: bool
    normalized: bool
    signs: tuple[str, str]
    colors: Palette

    @property
    def reach(self) -> float:
        """The largest absolute score, 1 where all are zero."""
        return float(np.abs(self.scores).max(initial=0)) or 1.0

    def color(self, unit: int) -> str:
        """Return a bar's color."""
        if self.special[unit]:
            return self.colors.special
        if not self.signed:
            return self.colors.unsigned
        return self.colors.supports if self.scores[unit] >= 0 else self.colors.against

    def label_color(self, unit: int) -> str:
        """Return the color of a bar's label."""
        return self.colors.muted if self.special[unit] or not self.valid[unit] else self.colors.text

    def value_words(self, unit: int) -> str:
        """Return a bar's number, short."""
        score = float(self.scores[unit])
        if not self.normalized:
            return number(score)
        words = percent(score) if abs(score) < 0.0995 else f"{100 * score:.0f} %".replace("-", "−")
        return "0" if score == 0 else words

    def handles(self) -> list[Patch]:
        """Return the legend entries for what occurs."""
        plain = ~self.special & self.valid
        entries = []
        if self.signed:
            for wanted, words, color in (
                (plain & (self.scores > 0), self.signs[0], self.colors.supports),
                (plain & (self.scores < 0), self.signs[1], self.colors.against),
            ):
                if wanted.any():
                    entries.append(Patch(facecolor=color, label=drawable(words)))
        if (self.special & self.valid).any():
            entries.append(Patch(facecolor=self.colors.special, label="special token"))
        if not self.valid.all():
            entries.append(Patch(**no_score_style(self.colors), label="no score (cannot contribute)"))
        return entries


def make_bars(attribution: Attribution, target: int, level: str, normalized: bool, colors: Palette) -> Bars:
    """Fold one target's scores to a level and name its units.

    Args:
        attribution: The attribution.
        target: Which target.
        level: ``token``, ``character``, ``word`` or ``sentence``.
        normalized: Whether absolute scores are scaled to sum to 1.
        colors: The theme's colors.

    Returns:
        The bars.
    """
    row = attribution.row(target).folded(level)  # type: ignore[arg-type]
    scores = (row.normalized() if normalized else row).scores[0].astype(np.float64)
    return Bars(
        labels=tuple(drawable(shown(label, LABEL_LENGTH), LABEL_LENGTH + 4) for label in row.tokens.labels()),
        apart=blanks_before(row.tokens),
        scores=scores,
        special=row.tokens.special,
        valid=row.valid[0],
        signed=row.signed,
        normalized=normalized,
        signs=sign_words(row.targets[0]),
        colors=colors,
    )


def no_score_style(colors: Palette) -> dict[str, Any]:
    """Return the stripes of a token that cannot contribute."""
    return {"facecolor": colors.sink, "edgecolor": colors.hatch, "hatch": HATCH, "linewidth": 0}


def vertical_slot(bars: Bars) -> float:
    """Return the inches that one upright bar needs for its label and its number."""
    texts = [text_width(label, LABEL_SIZE) for label in bars.labels]
    return max([0.5, *(width + 0.16 for width in texts)])


def draw_vertical(axes: "Axes", bars: Bars, *, numbers: bool = True) -> None:
    """Draw upright bars with their labels below.

    Args:
        axes: Empty axes, wide enough for the labels.
        bars: The bars.
        numbers: Whether to write each bar's number.
    """
    places = range(len(bars.scores))
    axes.bar(places, bars.scores, width=_BAR, color=[bars.color(unit) for unit in places])
    axes.set_xlim(-0.6, len(places) - 0.4)
    axes.set_ylim(*_limits(bars))
    axes.set_xticks(places, bars.labels, fontsize=LABEL_SIZE, **text_style(*bars.labels))
    axes.tick_params(axis="x", length=0, pad=6)
    _finish(axes, bars, axes.get_xticklabels(), "y")
    for unit in places:
        if not bars.valid[unit]:
            axes.axvspan(unit - 0.4, unit + 0.4, zorder=0.5, **no_score_style(bars.colors))
        elif numbers:
            score, side = float(bars.scores[unit]), -1 if bars.scores[unit] < 0 else 1
            _write_number(axes, bars, unit, (unit, score), (0, 3 * side), ("center", _VERTICAL[side]))


def draw_horizontal(
    axes: "Axes", bars: Bars, *, every: int = 1, numbers: bool = True, ticks: int = 5
) -> None:
    """Draw lying bars, the first token on top, with their labels on the left.

    Args:
        axes: Empty axes.
        bars: The bars.
        every: Only each so-many-th label is written.
        numbers: Whether to write each bar's number.
        ticks: How many ticks the score axis has at most.
    """
    places = range(len(bars.scores))
    axes.barh(places, bars.scores, height=_BAR, color=[bars.color(unit) for unit in places])
    axes.set_ylim(len(places) - 0.45, -0.55)
    axes.set_xlim(*_limits(bars))
    axes.set_yticks(places[::every], bars.labels[::every], fontsize=LABEL_SIZE, **text_style(*bars.labels))
    axes.tick_params(axis="y", length=0, pad=6)
    _finish(axes, bars, axes.get_yticklabels(), "x", every, ticks)
    for unit in places:
        if not bars.valid[unit]:
            axes.axhspan(unit - 0.4, unit + 0.4, zorder=0.5, **no_score_style(bars.colors))
        elif numbers:
            score, side = float(bars.scores[unit]), -1 if bars.scores[unit] < 0 else 1
            _write_number(
                axes, bars, unit, (score, unit), (4 * side, 0), (_HORIZONTAL[side], "center_baseline")
            )


def _write_number(
    axes: "Axes",
    bars: Bars,
    unit: int,
    end: tuple[float, float],
    shift: tuple[int, int],
    alignment: tuple[str, str],
) -> None:
    """Write a bar's number beyond its end, on a ground that keeps grid lines out of it."""
    axes.annotate(
        bars.value_words(unit),
        end,
        xytext=shift,
        textcoords="offset points",
        ha=alignment[0],
        va=alignment[1],
        fontsize=SMALL_SIZE,
        color=bars.colors.muted,
        bbox={"boxstyle": "square,pad=0.12", "facecolor": bars.colors.background, "edgecolor": "none"},
    )


def blanks_before(tokens: Tokens) -> tuple[bool, ...]:
    """Return whether a blank, or another text, stands before each token."""
    apart = []
    for position, (segment, start) in enumerate(zip(tokens.segments, tokens.offsets[:, 0], strict=True)):
        if position == 0 or segment < 0 or segment != tokens.segments[position - 1]:
            apart.append(True)
            continue
        end = int(tokens.offsets[position - 1, 1])
        around = tokens.texts[segment][max(end - 1, 0) : int(start) + 1]
        apart.append(any(character.isspace() for character in around))
    return tuple(apart)


def _limits(bars: Bars) -> tuple[float, float]:
    """Return the ends of the score axis, with room for the numbers; signed scores keep both sides."""
    low, high = min(bars.scores.min(initial=0), 0.0), max(bars.scores.max(initial=0), 0.0)
    span = (high - low) or 1.0
    room = 0.13 * span
    return (
        low - (room if low < 0 else 0.04 * span if bars.signed else 0),
        high + (room if high > 0 or low == 0 else 0.04 * span),
    )


def _finish(axes: "Axes", bars: Bars, labels: list, score_axis: str, every: int = 1, ticks: int = 5) -> None:
    colors = bars.colors
    axes.set_facecolor(colors.background)
    axes.set_axisbelow(True)
    axes.grid(axis=score_axis, color=colors.line, linewidth=0.7)  # type: ignore[arg-type]
    for spine in axes.spines.values():
        spine.set_visible(False)
    (axes.axhline if score_axis == "y" else axes.axvline)(0, color=colors.muted, linewidth=1.0)
    axes.tick_params(axis=score_axis, labelsize=SMALL_SIZE, length=0, labelcolor=colors.muted)  # type: ignore[arg-type]
    axis = axes.yaxis if score_axis == "y" else axes.xaxis
    axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))
    if bars.normalized:
        axis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %".replace("-", "−"))
    for place, label in enumerate(labels):
        label.set_color(bars.label_color(place * every))
