"""The layout of a plot: its size in inches, its position in a figure, and the header above its axes."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib.style
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from model_understanding.show.figures.fonts import BASE_FAMILY, drawable, families, text_style
from model_understanding.show.shared.colors import Palette
from model_understanding.show.shared.words import warning_text

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE_SIZE, DETAIL_SIZE, LABEL_SIZE, SMALL_SIZE = 12.0, 9.0, 9.5, 8.0  # points
_LEGEND_SIZE = SMALL_SIZE + 0.5
POINTS = 72.0  # in an inch
EDGE = 0.18  # inches around a panel
_STYLE = {"font.family": [BASE_FAMILY], "hatch.linewidth": 0.7, "axes.unicode_minus": True}


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
    """

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    draw: "Callable[[Axes], None]"

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
    """

    title: tuple[str, ...]
    details: tuple[str, ...]
    cautions: tuple[str, ...]
    handles: "tuple[Artist, ...]"
    columns: int
    indent: float

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
        title = 17 + 14.5 * (len(self.title) - 1) if self.title else 0
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
            left = (self.indent - rise / POINTS) / size_in_inches(axes)[0]
            legend = axes.legend(
                handles=list(self.handles),
                loc="lower left",
                bbox_to_anchor=(left, 1.0),
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
        axes.set_title(
            "\n".join(self.title),
            x=self.indent / size_in_inches(axes)[0],
            y=1.0,
            pad=rise + 3,
            ha="left",
            fontsize=TITLE_SIZE,
            color=colors.text,
            fontweight=title_weight("".join(self.title)),
            linespacing=1.15,
            **text_style(*self.title),
        )

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
) -> Header:
    """Wrap a header to a width.

    Args:
        title: Title of the plot; empty if the page around it shows the title.
        details: Lines below the title.
        cautions: Cautions of the result.
        handles: Legend entries, with drawable labels.
        width: Available width in inches.
        indent: Inches from the axes' left edge to the text, negative to the left.

    Returns:
        The header.
    """
    weight = title_weight(drawable(title))
    widest = max((text_width(str(handle.get_label()), _LEGEND_SIZE) for handle in handles), default=0) + 0.36
    for handle in handles:
        handle.set_label("\n".join(wrapped(str(handle.get_label()), width - 0.36, _LEGEND_SIZE)))
    return Header(
        title=tuple(wrapped(drawable(title), width, TITLE_SIZE, weight)) if title else (),
        details=tuple(line for text in details for line in wrapped(drawable(text), width, DETAIL_SIZE)),
        cautions=tuple(
            line
            for text in cautions
            for line in wrapped(drawable(f"⚠  {warning_text(text)}"), width - 0.2, DETAIL_SIZE, "bold")
        ),
        handles=tuple(handles),
        columns=max(1, min(len(handles), int(width / widest))) if handles else 1,
        indent=indent,
    )


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


def remaining_size(axes: "Axes", header: Header, left: float, below: float) -> tuple[float, float]:
    """Return the size of axes in inches after their figure has made room for header and labels.

    Args:
        axes: Axes of the user.
        header: The header above the axes.
        left: Inches needed for labels on the left.
        below: Inches needed for labels below.
    """
    width, height = size_in_inches(axes)
    figure = axes.get_figure(root=True)
    if figure is not None and figure.get_layout_engine() is not None:
        width, height = width - left, height - header.height - below
    return max(width, 0.5), max(height, 0.5)


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
