"""The frame of a picture: its size in inches, its place on a figure, and the header above its axes."""

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

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE_SIZE, DETAIL_SIZE, LABEL_SIZE, SMALL_SIZE = 12.0, 9.0, 9.5, 8.0  # points
_LEGEND_SIZE = SMALL_SIZE + 0.5
POINTS = 72.0  # in an inch
EDGE = 0.18  # inches of air around a panel
_STYLE = {"font.family": [BASE_FAMILY], "hatch.linewidth": 0.7, "axes.unicode_minus": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A picture that knows its size before it is drawn.

    Args:
        width: Width of the axes in inches.
        height: Height of the axes in inches.
        left: Inches left of the axes, for labels.
        right: Inches right of them.
        top: Inches above them, for the header.
        bottom: Inches below them.
        draw: Draws into axes of that size.
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
    """What stands above the axes: title, details, cautions, legend.

    Args:
        title: Lines of the title.
        details: Lines below it.
        cautions: Lines of the stamp.
        handles: Legend entries.
        columns: Legend entries in a row.
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
        """Height of it all, in inches."""
        title = 17 + 14.5 * (len(self.title) - 1) if self.title else 0
        stamp = _lines_height(self.cautions) + 12 if self.cautions else 0
        return (title + _lines_height(self.details) + stamp + self.legend_height + 8) / POINTS

    def draw(self, axes: "Axes", colors: Palette) -> None:
        """Write it above the axes.

        Args:
            axes: The axes.
            colors: The theme's colors.
        """
        rise = 6.0
        if self.handles:
            names = [str(handle.get_label()) for handle in self.handles]
            # The legend's own padding is taken back on its left.
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
            stamp = {"boxstyle": "round,pad=0.45", "facecolor": colors.caution, "edgecolor": "none"}
            style = {
                "color": colors.caution_text,
                "weight": title_weight("".join(self.cautions)),
                "bbox": stamp,
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
    """Return the points that lines of detail size take."""
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
        title: What is shown; empty where the page around says it.
        details: Further lines.
        cautions: What a reader must know first.
        handles: Legend entries, with drawable labels.
        width: Room in inches.
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
            for line in wrapped(drawable(f"⚠  {text}"), width - 0.2, DETAIL_SIZE, "bold")
        ),
        handles=tuple(handles),
        columns=max(1, min(len(handles), int(width / widest))) if handles else 1,
        indent=indent,
    )


def house_style() -> AbstractContextManager[None]:
    """Return a context in which matplotlib draws by our settings; the user's come back after it."""
    return matplotlib.style.context(["default", _STYLE])


def place(figure: "Figure", panel: Panel, left: float, top: float) -> "Axes":
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
    """Draw a panel into a new pyplot figure, which notebooks and windows show."""
    from matplotlib import pyplot

    size = (panel.full_width + 2 * EDGE, panel.full_height + 2 * EDGE)
    axes = place(pyplot.figure(figsize=size, facecolor=colors.background), panel, EDGE, EDGE)
    panel.draw(axes)
    return axes


def size_in_inches(axes: "Axes") -> tuple[float, float]:
    """Return the width and height of axes in inches."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return axes.bbox.width / figure.dpi, axes.bbox.height / figure.dpi


def size_left(axes: "Axes", header: Header, left: float, below: float) -> tuple[float, float]:
    """Return the size in inches that axes will have once their figure has made room for what surrounds them.

    Args:
        axes: Axes that the user made.
        header: What will stand above them.
        left: Inches that labels need on the left.
        below: Inches that labels need below.
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
    """Return bold where the house font holds the whole text, else normal: other fonts may have no bold."""
    return "bold" if families(text) == [BASE_FAMILY] else "normal"


def wrapped(text: str, width: float, size: float, weight: str = "normal") -> list[str]:
    """Break text into lines at blanks, and within a word that is wider than a line.

    Args:
        text: Drawable text.
        width: Room in inches.
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
