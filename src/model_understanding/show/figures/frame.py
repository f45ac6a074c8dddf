"""The layout of a plot: its size in inches, its position in a figure, and the header above its axes."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import matplotlib.style
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.transforms import ScaledTranslation, Transform

from model_understanding.show.figures.fonts import BASE_FAMILY, drawable, families, text_style
from model_understanding.show.shared.colors import Palette
from model_understanding.show.shared.words import printable, warning_text

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE_SIZE, DETAIL_SIZE, LABEL_SIZE, SMALL_SIZE = 12.0, 9.0, 9.5, 8.0  # points
_LEGEND_SIZE = SMALL_SIZE + 0.5
POINTS = 72.0  # in an inch
EDGE = 0.18  # inches around a panel
_MEASURED = 0.96  # pixels of a screen make lines up to 4 % longer than measured
# What a header gives up to fit: lines of the title, of the warnings and of the notes, then the details, and
# the legend.
_LADDER = (
    (9, 9, 9, True, True),
    (9, 9, 9, False, True),
    (2, 2, 3, False, True),
    (2, 1, 2, False, True),
    (1, 1, 1, False, True),
    (1, 1, 1, False, False),
)
_STYLE = {"font.family": [BASE_FAMILY], "hatch.linewidth": 0.7, "axes.unicode_minus": True}


@dataclass(frozen=True, slots=True)
class AxisContent:
    """What an axis shows; axes that share it must show the same.

    Args:
        kind: ``tokens``, ``scores``, or ``drawing`` for coordinates of its own.
        labels: The labels of the tokens, the name of the score, or the extent.
    """

    kind: Literal["tokens", "scores", "drawing"]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A plot whose size is known before it is drawn.

    Args:
        width: Width of the axes in inches.
        height: Height of the axes in inches.
        left: Margin left of the axes in inches, for labels.
        right: Margin right of the axes.
        top: Margin above the axes, for the header.
        bottom: Margin below the axes.
        draw: Draws into axes of this size.
        x: What the x axis shows.
        y: What the y axis shows.
    """

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    draw: "Callable[[Axes], None]"
    x: AxisContent | None = None
    y: AxisContent | None = None

    @property
    def full_width(self) -> float:
        """Width with margins, in inches."""
        return self.left + self.width + self.right

    @property
    def full_height(self) -> float:
        """Height with margins, in inches."""
        return self.top + self.height + self.bottom


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Title, details, warnings and legend above the axes.

    Args:
        title: Lines of the title.
        details: Lines below the title.
        cautions: Lines of the warning box.
        handles: Legend entries.
        columns: Number of legend entries per row.
        indent: Inches from the axes' left edge to the text, negative to the left.
        title_size: Font size of the title in points.
    """

    title: tuple[str, ...]
    details: tuple[str, ...]
    cautions: tuple[str, ...]
    handles: "tuple[Artist, ...]"
    columns: int
    indent: float
    title_size: float = TITLE_SIZE

    @property
    def legend_height(self) -> float:
        """Height of the legend in points."""
        if not self.handles:
            return 0.0
        further_lines = sum(str(handle.get_label()).count("\n") for handle in self.handles)
        return math.ceil(len(self.handles) / self.columns) * 14.0 + further_lines * 12.0 + 4

    @property
    def height(self) -> float:
        """Total height in inches."""
        scale = self.title_size / TITLE_SIZE
        title = scale * (17 + 14.5 * (len(self.title) - 1)) if self.title else 0
        warnings = _lines_height(self.cautions) + 12 if self.cautions else 0
        return (title + _lines_height(self.details) + warnings + self.legend_height + 8) / POINTS

    def draw(self, axes: "Axes", colors: Palette) -> None:
        """Draw the header above the axes.

        Args:
            axes: The axes.
            colors: The theme's colors.
        """
        rise = 6.0
        if self.handles:
            names = [str(handle.get_label()) for handle in self.handles]
            # Compensates for the padding of the legend on its left.
            shift = self.indent - rise / POINTS
            legend = axes.legend(
                handles=list(self.handles),
                loc="lower left",
                bbox_to_anchor=(0.0, 1.0),
                bbox_transform=_shifted(axes, axes.transAxes, shift),
                ncols=self.columns,
                frameon=False,
                fontsize=_LEGEND_SIZE,
                labelcolor=colors.text,
                borderpad=0,
                borderaxespad=rise / (_LEGEND_SIZE),
                handlelength=1.1,
                handleheight=0.9,
                handletextpad=0.5,
                columnspacing=1.4,
                labelspacing=0.35,
            )
            for text in legend.get_texts():
                text.set(**text_style(*names))
            rise += self.legend_height
        if self.cautions:
            box = {"boxstyle": "round,pad=0.45", "facecolor": colors.caution, "edgecolor": "none"}
            style = {
                "color": colors.caution_text,
                "weight": title_weight("".join(self.cautions)),
                "bbox": box,
            }
            self._write(axes, self.cautions, 4, rise + 6, **style)
            rise += _lines_height(self.cautions) + 12
        if self.details:
            self._write(axes, self.details, 0, rise, color=colors.muted)
            rise += _lines_height(self.details)
        if not self.title:
            return
        title = axes.set_title(
            "\n".join(self.title),
            x=0.0,
            y=1.0,
            pad=rise + 3,
            ha="left",
            fontsize=self.title_size,
            color=colors.text,
            fontweight=title_weight("".join(self.title)),
            linespacing=1.15,
            **text_style(*self.title),
        )
        title.set_transform(_shifted(axes, title.get_transform(), self.indent))

    def _write(self, axes: "Axes", lines: Sequence[str], shift: float, rise: float, **style: Any) -> None:
        axes.annotate(
            "\n".join(lines),
            (0, 1),
            xycoords="axes fraction",
            textcoords="offset points",
            xytext=(self.indent * POINTS + shift, rise),
            ha="left",
            va="bottom",
            fontsize=DETAIL_SIZE,
            linespacing=1.25,
            annotation_clip=False,
            **style,
            **text_style(*lines),
        )


def _shifted(axes: "Axes", transform: Transform, inches: float) -> Transform:
    """Return a transform shifted to the right by a length that does not grow with the axes."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return transform + ScaledTranslation(inches, 0, figure.dpi_scale_trans)


def _lines_height(lines: Sequence[str]) -> float:
    """Return the height in points of lines of detail size."""
    return 13.5 + 11.8 * (len(lines) - 1) if lines else 0.0


def make_header(
    *,
    title: str,
    details: Sequence[str],
    cautions: Sequence[str],
    handles: "Sequence[Artist]" = (),
    width: float,
    indent: float = 0.0,
    height: float | None = None,
    notes: Sequence[str] = (),
) -> Header:
    """Wrap a header to a width, and shorten it to a height.

    Args:
        title: Title of the plot; empty if the page around it shows the title.
        details: Lines below the title.
        cautions: Cautions of the result.
        handles: Legend entries, with drawable labels.
        width: Available width in inches.
        indent: Inches from the axes' left edge to the text, negative to the left.
        height: Available height in inches; details are dropped first, then lines of the title and of the
            warnings end in ``…``, and the legend is dropped last.
        notes: Details that are not dropped: what the plot leaves out.

    Returns:
        The header.
    """
    if height is not None:
        width *= _MEASURED
    weight = title_weight(drawable(title))
    size = TITLE_SIZE if height is None or width >= 3.6 else 10.0 if width >= 2.2 else 9.0
    widest = max((text_width(str(handle.get_label()), _LEGEND_SIZE) for handle in handles), default=0) + 0.36
    for handle in handles:
        handle.set_label("\n".join(wrapped(str(handle.get_label()), width - 0.36, _LEGEND_SIZE)))
    full = Header(
        title=tuple(wrapped(drawable(title), width, size, weight)) if title else (),
        details=_wrapped_all((*details, *notes), width),
        cautions=tuple(
            line
            for text in cautions
            for line in wrapped(drawable(f"⚠  {warning_text(text)}"), width - 0.2, DETAIL_SIZE, "bold")
        ),
        handles=tuple(handles),
        columns=max(1, min(len(handles), int(width / widest))) if handles else 1,
        indent=indent,
        title_size=size,
    )
    if height is None:
        return full
    kept = _wrapped_all(notes, width)
    shorter = full
    for title_lines, cautions_lines, note_lines, has_details, has_legend in _LADDER:
        shorter = replace(
            full,
            title=_clipped(full.title, title_lines, width, size, weight),
            cautions=_clipped(full.cautions, cautions_lines, width - 0.2, DETAIL_SIZE, "bold"),
            details=full.details if has_details else _clipped(kept, note_lines, width, DETAIL_SIZE, "normal"),
            handles=full.handles if has_legend else (),
        )
        if shorter.height <= height:
            break
    return shorter


def _wrapped_all(texts: Sequence[str], width: float) -> tuple[str, ...]:
    return tuple(line for text in texts for line in wrapped(drawable(text), width, DETAIL_SIZE))


def _clipped(lines: tuple[str, ...], count: int, width: float, size: float, weight: str) -> tuple[str, ...]:
    """Return the first lines, the last of them ending in ``…`` if there are more."""
    if len(lines) <= count:
        return lines
    last = lines[count - 1]
    while last and text_width(f"{last}…", size, weight) > width:
        last = last[:-1]
    return (*lines[: count - 1], f"{last.rstrip()}…")


def first_fitting(texts: Sequence[str], width: float, size: float) -> str:
    """Return the first of some drawable texts that fits a width in inches, empty if none does."""
    return next((text for text in texts if text_width(text, size) <= width), "")


def fitted(text: str, width: float, size: float) -> str:
    """Return drawable text shortened in the middle until it fits a width in inches.

    Args:
        text: Drawable text.
        width: Available width in inches.
        size: Font size in points.
    """
    shorter = text
    while len(shorter) > 1 and text_width(shorter, size) > width:
        keep = min(len(shorter) - 1, max(1, int(len(shorter) * width / text_width(shorter, size)) + 1))
        shorter = printable(text, keep)
    return shorter


def house_style() -> AbstractContextManager[None]:
    """Return a context with our matplotlib settings; the user's settings are restored afterwards."""
    return matplotlib.style.context(["default", _STYLE])


def add_panel_axes(figure: "Figure", panel: Panel, left: float, top: float) -> "Axes":
    """Add axes for a panel to a figure.

    Args:
        figure: A figure whose size is final.
        panel: The panel.
        left: Inches from the figure's left edge to the panel's.
        top: Inches from the figure's top edge to the panel's.

    Returns:
        The new axes, empty.
    """
    width, height = figure.get_size_inches()
    bottom = height - top - panel.top - panel.height
    return figure.add_axes(
        ((left + panel.left) / width, bottom / height, panel.width / width, panel.height / height)
    )


def new_axes(panel: Panel, colors: Palette) -> "Axes":
    """Draw a panel into a new pyplot figure, which notebooks and windows display."""
    from matplotlib import pyplot

    size = (panel.full_width + 2 * EDGE, panel.full_height + 2 * EDGE)
    axes = add_panel_axes(pyplot.figure(figsize=size, facecolor=colors.background), panel, EDGE, EDGE)
    panel.draw(axes)
    return axes


def size_in_inches(axes: "Axes") -> tuple[float, float]:
    """Return the width and height of axes in inches."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return axes.bbox.width / figure.dpi, axes.bbox.height / figure.dpi


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of one line of drawable text in inches.

    Args:
        text: The text.
        size: Font size in points.
        weight: Font weight.
    """
    if not text:
        return 0.0
    properties = FontProperties(family=families(text), size=size, weight=weight)
    return text_to_path.get_text_width_height_descent(text, properties, ismath=False)[0] / POINTS


def title_weight(text: str) -> str:
    """Return bold if the base font has all glyphs, else normal: other fonts may have no bold face."""
    return "bold" if families(text) == [BASE_FAMILY] else "normal"


def wrapped(text: str, width: float, size: float, weight: str = "normal") -> list[str]:
    """Break text into lines at blanks, and within words that are wider than a line.

    Args:
        text: Drawable text.
        width: Available width in inches.
        size: Font size in points.
        weight: Font weight.

    Returns:
        The lines, at least one.
    """
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if text_width(joined, size, weight) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        while text_width(word, size, weight) > width and len(word) > 1:
            keep = max(1, int(len(word) * width / text_width(word, size, weight)))
            while keep > 1 and text_width(word[:keep], size, weight) > width:
                keep -= 1
            lines.append(word[:keep])
            word = word[keep:]
        line = word
    return [*lines, line]
