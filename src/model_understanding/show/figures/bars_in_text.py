"""Saliency of a long text: the text in lines, with a bar above each token."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import regex
from matplotlib.patches import Rectangle

from model_understanding.show.figures.bars import Bars, no_score_style
from model_understanding.show.figures.fonts import text_style
from model_understanding.show.figures.frame import LABEL_SIZE, text_width
from model_understanding.show.shared.colors import text_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE_WIDTH = 9.0  # inches
_BLANK, _SEAM, _PADDING = 0.055, 0.01, 0.03  # inches between words, within a word, next to a label
_LANE, _CHIP, _LEADING = 0.46, 0.20, 0.12  # inches of the highest bar, of the text, below the text
_RIGHT_TO_LEFT = regex.compile(r"[\p{bc=R}\p{bc=AL}]")
_LETTER = regex.compile(r"\p{L}")


@dataclass(frozen=True, slots=True)
class Chip:
    """Position of a unit: its line, and its left edge and width in inches."""

    unit: int
    line: int
    left: float
    width: float


def lay_out(bars: Bars, width: float = LINE_WIDTH) -> tuple[list[Chip], float]:
    """Break the units into lines, right to left if most of the text is.

    Args:
        bars: The units.
        width: Length of a line in inches.

    Returns:
        The position of each unit, and the total height in inches.
    """
    chips: list[Chip] = []
    line, left = 0, 0.0
    for unit, label in enumerate(bars.labels):
        left += (_BLANK if bars.blanks[unit] else _SEAM) if left else 0.0
        chip_width = min(max(text_width(label, LABEL_SIZE) + 2 * _PADDING, 0.16), width)
        if left + chip_width > width and left > 0:
            line, left = line + 1, 0.0
        chips.append(Chip(unit, line, left, chip_width))
        left += chip_width
    text = "".join(label for label, special in zip(bars.labels, bars.special, strict=True) if not special)
    if 2 * len(_RIGHT_TO_LEFT.findall(text)) > len(_LETTER.findall(text)):
        chips = [Chip(chip.unit, chip.line, width - chip.left - chip.width, chip.width) for chip in chips]
    return chips, (line + 1) * _line_height(bars)


def draw_in_text(axes: "Axes", bars: Bars, chips: list[Chip], width: float, height: float) -> None:
    """Draw the text and its bars.

    Args:
        axes: Empty axes of exactly this size.
        bars: The units.
        chips: The position of each unit.
        width: Width of the axes in inches.
        height: Height of the axes in inches.
    """
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    colors, line_height, (above, below) = bars.colors, _line_height(bars), _lanes(bars)
    for chip in chips:
        unit, score = chip.unit, float(bars.scores[chip.unit])
        base = chip.line * line_height + above
        strength = score / bars.peak
        face = colors.signed(strength) if bars.signed else colors.magnitude(strength)
        if bars.special[unit]:
            face = colors.surface
        style = {"facecolor": face, "linewidth": 0} if bars.valid[unit] else no_score_style(colors)
        top_of_chip = base + below + 0.03
        axes.add_patch(Rectangle((chip.left, top_of_chip), chip.width, _CHIP, **style))
        is_colored = bars.valid[unit] and not bars.special[unit]
        axes.text(
            chip.left + chip.width / 2,
            top_of_chip + _CHIP - 0.06,
            bars.labels[unit],
            ha="center",
            va="baseline",
            fontsize=LABEL_SIZE,
            color=text_on(face) if is_colored else colors.muted,
            **text_style(bars.labels[unit]),
        )
        axes.plot([chip.left, chip.left + chip.width], [base, base], color=colors.line, linewidth=0.8)
        if bars.valid[unit]:
            axes.add_patch(
                Rectangle(
                    (chip.left, base), chip.width, -_LANE * strength, facecolor=bars.color(unit), linewidth=0
                )
            )


def _lanes(bars: Bars) -> tuple[float, float]:
    """Return the inches for bars above and below their baseline, on one scale."""
    high, low = max(bars.scores.max(initial=0), 0), max(-bars.scores.min(initial=0), 0)
    return _LANE * float(high) / bars.peak, _LANE * float(low) / bars.peak


def _line_height(bars: Bars) -> float:
    return sum(_lanes(bars)) + _CHIP + _LEADING
