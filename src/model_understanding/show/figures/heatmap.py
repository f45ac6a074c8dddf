"""A labeled seaborn heatmap with masked cells, columns excluded from the color scale, and text borders."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import Colormap, ListedColormap, Normalize, PowerNorm, to_hex
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation

from model_understanding.show.figures.fonts import drawable, text_style
from model_understanding.show.figures.frame import (
    DETAIL_SIZE,
    POINTS,
    SMALL_SIZE,
    AxisContent,
    Header,
    Panel,
    first_fitting,
    fitted,
    text_width,
)
from model_understanding.show.figures.options import NO_OPTIONS, PlotOptions
from model_understanding.show.figures.place import Room, draw_plot
from model_understanding.show.shared.colors import STEPS, Palette, text_on
from model_understanding.show.shared.words import LABEL_LENGTH, ordinal, printable
from model_understanding.tokens import Tokens

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_SIZE = 22.0  # inches of the longer side
_MAX_LABELED = 200  # cells of the longer side up to which every cell is labeled
_MAX_NUMBERED = 14  # cells of the longer side up to which cells contain their values
_MAX_VECTOR_CELLS = 900  # above this, cells are an image within SVG and PDF
_BAR_WIDTH, _BAR_GAP, _BAR_HEIGHT = 0.14, 0.18, 3.2  # inches of the color bar, and left of it
_BAR_ROOM = 0.85  # inches for the color bar, its ticks and its label
_HEADER_WIDTH = 6.2  # minimum width of a header in inches
_MAX_HEADER, _MAX_LABEL = 0.4, 0.33  # shares of the place of a user's axes
_ZERO = re.compile(r"^(-?)0\.")  # of a number below 1, which is written .25
_UPRIGHT_SIZE = SMALL_SIZE + 0.5  # points of column labels that are not rotated


HeaderMaker = Callable[..., Header]
"""Returns the header for a width and an indent in inches and, in axes of the user, for a height."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """A matrix of Q rows and K columns with its labels and colors.

    Args:
        values: Shape ``(Q, K)``.
        mask: Which cells have a value, shape ``(Q, K)``.
        rows: Drawable labels of the rows.
        columns: Drawable labels of the columns.
        special_rows: Which rows are special tokens.
        special_columns: Which columns are special tokens.
        excluded: Columns that are excluded from the color scale.
        borders: Columns at which another text begins.
        row_borders: Rows at which another text begins.
        color: Color of a value, as a fraction of the end of the scale (−1 to 1 or 0 to 1).
        signed: Whether values can be negative.
        column_label: Label of the columns' axis.
        row_labels: Labels of the rows' axis, from the longest to the shortest; the first that fits is used.
        scale: Label of the color scale.
        masked_label: Legend label of masked cells.
        as_percent: Whether values are shown in percent.
        cell_texts: Text of each cell instead of its value, drawable.
        has_numbers: Whether these texts are numbers: what does not fit is written smaller, never shortened.
        min_width: Minimum width of a cell in inches.
        excluded_label: Legend label of the excluded columns.
        row_noun: What a row is, where not every one is labeled.
        reach: The value with the strongest color; by default the largest.
        options: What the caller sets of the plot.
    """

    values: np.ndarray
    mask: np.ndarray
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    special_rows: np.ndarray
    special_columns: np.ndarray
    excluded: tuple[int, ...]
    borders: tuple[int, ...]
    color: Callable[[float], str]
    signed: bool
    column_label: str
    row_labels: tuple[str, ...]
    scale: str
    masked_label: str
    as_percent: bool = False
    cell_texts: tuple[tuple[str, ...], ...] | None = None
    has_numbers: bool = False
    min_width: float = 0.0
    excluded_label: str = ""
    row_borders: tuple[int, ...] = ()
    row_noun: str = "token"
    reach: float | None = None
    options: PlotOptions = NO_OPTIONS

    @property
    def hidden(self) -> np.ndarray:
        """Cells without a color from the scale: masked cells and excluded columns."""
        hidden = ~self.mask
        hidden[:, list(self.excluded)] = True
        return hidden

    @property
    def peak(self) -> float:
        """The absolute value at the end of the color scale, 1 if all are zero."""
        largest = float(np.abs(self.values[~self.hidden]).max(initial=0.0))
        return (largest if self.reach is None else self.reach) or 1.0

    @property
    def is_rooted(self) -> bool:
        """Whether to use a square-root scale: most unsigned values are far below the largest."""
        visible = self.values[~self.hidden]
        is_skewed = visible.size > 0 and float(np.quantile(visible, 0.95)) < 0.25 * self.peak
        return not self.signed and not self.options.has_limits and is_skewed

    @property
    def limits(self) -> tuple[float, float]:
        """The ends of the color scale."""
        low, high = self.options.vmin, self.options.vmax
        end = self.peak if high is None else float(high)
        start = (-end if self.signed else 0.0) if low is None else float(low)
        return (start, end) if start < end else (start, start + 1.0)

    def norm(self) -> Normalize:
        """Return the map from values to the color scale."""
        return PowerNorm(0.5 if self.is_rooted else 1.0, *self.limits)

    def color_map(self) -> Colormap:
        """Return the colors of the scale."""
        own = self.options.color_map()
        return own or ListedColormap([self._shade(step / (STEPS - 1)) for step in range(STEPS)])

    def color_of(self, value: float) -> str:
        """Return the color of a value."""
        position = float(np.clip(self.norm()(value), 0, 1))
        own = self.options.color_map()
        return self._shade(position) if own is None else to_hex(own(position))

    def _shade(self, position: float) -> str:
        """Return the theme's color at a position on the scale, from 0 to 1; a value of 0 is neutral."""
        low, high = self.limits
        extent = max(abs(low), abs(high))
        return self.color((low + (high - low) * position) / extent if self.signed else position)

    def handles(self, colors: Palette) -> list[Patch]:
        """Return the legend entries for excluded columns and masked cells, if there are any."""
        entries = []
        if self.excluded:
            entries.append(Patch(**excluded_style(colors), label=self.excluded_label))
        if not self.mask.all():
            entries.append(Patch(facecolor=colors.masked, label=self.masked_label))
        return entries


def heatmap_axes(
    grid: Grid,
    colors: Palette,
    make_header: HeaderMaker,
    ax: "Axes | None" = None,
    figsize: tuple[float, float] | None = None,
) -> "Axes":
    """Draw a heatmap into axes of the user, or into a new pyplot figure that grows with the labels.

    Args:
        grid: The matrix.
        colors: The theme's colors.
        make_header: Returns the header for a width and an indent in inches.
        ax: Axes of the user.
        figsize: Width and height of the new figure in inches.

    Returns:
        The axes of the heatmap.
    """
    return draw_plot(lambda room: heatmap_panel(grid, colors, make_header, room), colors, ax, figsize)


def heatmap_panel(
    grid: Grid,
    colors: Palette,
    make_header: HeaderMaker,
    room: Room | None = None,
    header_width: float = _HEADER_WIDTH,
) -> Panel:
    """Plan a heatmap whose cells are large enough for their labels.

    Args:
        grid: The matrix.
        colors: The theme's colors.
        make_header: Returns the header for a width and an indent in inches.
        room: The place of a user's axes; cells and labels are made to fit it.
        header_width: Least width of the header in inches, where the panel has a place of its own.

    Returns:
        The panel.
    """
    if room is not None:
        return _fitted_panel(grid, colors, make_header, room)
    has_bar = grid.options.cbar is not False
    longest = max(len(grid.rows), len(grid.columns))
    widest = _widest(grid)
    cell = min(max(6.0 / longest, 0.135 if longest <= 80 else 0.108), 0.52, _MAX_SIZE / longest)
    upright = widest <= 0.95 and len(grid.columns) * max(widest, cell) <= max(
        7.2, len(grid.columns) * grid.min_width
    )
    cell_width = max(widest if upright else cell, cell, grid.min_width)
    width, height = cell_width * len(grid.columns), cell * len(grid.rows)
    size = _label_size(min(cell, cell_width))
    left = max(text_width(label, size) for label in grid.rows) + (0.42 if longest <= _MAX_LABELED else 0.6)
    labels = 0.2 if upright else max(text_width(label, size) for label in grid.columns) + 0.1
    total = max(left + width + (_BAR_ROOM if has_bar else 0.05), header_width)
    header = make_header(total, -left)

    def draw(axes: "Axes") -> None:
        draw_heatmap(axes, grid, colors, width, height, header, left=left)

    right, bottom = (
        total - left - width,
        max(
            labels + (0.34 if longest <= _MAX_LABELED else 0.52),
            _BAR_HEIGHT / 2 - height if has_bar else 0.0,
        ),
    )
    return Panel(
        width=width, height=height, left=left, right=right, top=header.height, bottom=bottom, draw=draw
    )


def _fitted_panel(grid: Grid, colors: Palette, make_header: HeaderMaker, room: Room) -> Panel:
    """Plan a heatmap for the place of a user's axes."""
    is_small = room.width < 2.6 or room.height < 2.0
    has_bar = room.width >= 1.7 if grid.options.cbar is None else bool(grid.options.cbar)
    right = (0.98 if grid.is_rooted or not is_small else 0.62) if has_bar else 0.02
    axis_name = 0.24
    longest_row = max(text_width(label, SMALL_SIZE) for label in grid.rows)
    row_room = min(longest_row, _MAX_LABEL * room.width) if room.shows_y else 0.0
    row_step = _label_step(0.5 * room.height / len(grid.rows), SMALL_SIZE)
    left = row_room + 0.08
    if room.shows_y and not is_small:
        left += axis_name + (0.16 if row_step > 1 else 0.0)
    width = max(room.width - left - right, 0.2)
    header = make_header(room.width, -left, _MAX_HEADER * room.height)
    cell_width = width / len(grid.columns)
    is_upright = _widest(grid) <= cell_width
    longest_column = max(text_width(label, SMALL_SIZE) for label in grid.columns) + 0.02
    column_room = 0.0
    if room.shows_x:
        column_room = 0.16 if is_upright else min(longest_column, _MAX_LABEL * room.height)
    bottom = column_room + 0.08
    if room.shows_x and not is_small:
        bottom += axis_name + (0.16 if not is_upright and _label_step(cell_width, SMALL_SIZE) > 1 else 0.0)
    height = max(room.height - header.height - bottom, 0.2)
    small = replace(
        grid,
        rows=tuple(fitted(label, row_room, SMALL_SIZE) for label in grid.rows) if row_room else grid.rows,
        columns=tuple(fitted(label, column_room, SMALL_SIZE) for label in grid.columns)
        if column_room and not is_upright
        else grid.columns,
        column_label=grid.column_label if room.shows_x and not is_small else "",
        row_labels=grid.row_labels if room.shows_y and not is_small else ("",),
    )

    def draw(axes: "Axes") -> None:
        draw_heatmap(axes, small, colors, width, height, header, left=left, has_bar=has_bar, is_fitted=True)

    return Panel(
        width=width,
        height=height,
        left=left,
        right=right,
        top=header.height,
        bottom=bottom,
        draw=draw,
        x=AxisContent("tokens", grid.columns),
        y=AxisContent("tokens", grid.rows),
    )


def draw_heatmap(
    axes: "Axes",
    grid: Grid,
    colors: Palette,
    width: float,
    height: float,
    header: Header,
    *,
    left: float,
    has_bar: bool | None = None,
    is_fitted: bool = False,
) -> None:
    """Draw a grid into axes of a known size.

    Args:
        axes: The axes.
        grid: The matrix.
        colors: The theme's colors.
        width: Total width of the cells in inches.
        height: Total height of the cells in inches.
        header: The header above the axes.
        left: Inches left of the axes.
        has_bar: Whether there is a color bar; by default if the caller did not decline it.
        is_fitted: Whether the size is that of the user's axes: labels may not need more.
    """
    import seaborn

    if has_bar is None:
        has_bar = grid.options.cbar is not False
    cell_width, cell_height = width / len(grid.columns), height / len(grid.rows)
    annot = grid.options.annot
    texts = grid.options.cell_texts((len(grid.rows), len(grid.columns))) or grid.cell_texts
    is_numbered = max(grid.values.shape) <= _MAX_NUMBERED and cell_width >= 0.3 and cell_height >= 0.22
    is_numbered = is_numbered if annot is None else annot is not False
    bar_height = min(height if is_fitted else max(height, 1.5), _BAR_HEIGHT)
    seaborn.heatmap(
        np.where(grid.hidden, 0.0, grid.values),
        mask=grid.hidden,
        ax=axes,
        cmap=grid.color_map(),
        norm=grid.norm(),
        cbar=has_bar,
        cbar_ax=_bar_axes(axes, bar_height) if has_bar else None,
        cbar_kws={"extend": _extend(grid)},
        xticklabels=False,
        yticklabels=False,
        rasterized=grid.values.size > _MAX_VECTOR_CELLS,
        linewidths=1.0 if is_numbered else 0.25,
        linecolor=colors.background if is_numbered else "face",
    )
    axes.set_facecolor(colors.masked)
    _stripe_excluded(axes, grid, colors)
    for border in grid.borders:
        axes.axvline(border, color=colors.text, linewidth=1.0)
    for border in grid.row_borders:
        axes.axhline(border, color=colors.text, linewidth=1.0)
    if texts is not None and annot is not False:
        _write_texts(axes, grid, texts, cell_width, cell_height)
    elif is_numbered:
        _write_values(axes, grid, colors, cell_width, cell_height)
    _label(axes, grid, colors, cell_width, cell_height, left, SMALL_SIZE + (0 if is_fitted else 1))
    if has_bar:
        _finish_bar(axes, grid, colors, bar_height, bar_height if is_fitted else math.inf)
    header.draw(axes, colors)


def _bar_axes(axes: "Axes", height: float) -> "Axes":
    """Return axes for a color bar right of the heatmap, of a size in inches that does not grow with it."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    place: Any = axes.transAxes
    corner = figure.dpi_scale_trans + ScaledTranslation(1, 1, place)
    return axes.inset_axes((_BAR_GAP, -height, _BAR_WIDTH, height), transform=corner)


def _extend(grid: Grid) -> str:
    """Return which ends of the color bar are pointed: those that values exceed."""
    visible = grid.values[~grid.hidden]
    low, high = grid.limits
    below, above = bool((visible < low).any()), bool((visible > high).any())
    return "both" if below and above else "min" if below else "max" if above else "neither"


def axis_labels(tokens: Tokens, prefix: str = "") -> tuple[str, ...]:
    """Return drawable labels of tokens, short enough for an axis."""
    return tuple(
        prefix + drawable(printable(label, LABEL_LENGTH - 4), LABEL_LENGTH) for label in tokens.labels()
    )


def text_borders(tokens: Tokens) -> tuple[int, ...]:
    """Return the positions at which another text begins."""
    segments = tokens.segments
    return tuple(i for i in range(1, len(tokens)) if segments[i] > 0 and segments[i] not in segments[:i])


def _stripe_excluded(axes: "Axes", grid: Grid, colors: Palette) -> None:
    """Draw stripes on the excluded columns, except on their masked cells."""
    for column in grid.excluded:
        rows = np.flatnonzero(grid.mask[:, column])
        for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
            if len(run):
                axes.add_patch(Rectangle((column, run[0]), 1, len(run), **excluded_style(colors)))


def excluded_style(colors: Palette) -> dict[str, Any]:
    """Return the style of columns that are excluded from the color scale."""
    return {"facecolor": colors.sink, "edgecolor": colors.hatch, "hatch": "////", "linewidth": 0}


def _write_texts(
    axes: "Axes",
    grid: Grid,
    cell_texts: tuple[tuple[str, ...], ...],
    cell_width: float,
    cell_height: float,
) -> None:
    """Write into each cell as much of its text as fits, or a whole number as large as it can be."""
    size = min(_label_size(cell_height), SMALL_SIZE)
    if cell_width < 0.2 or cell_height * POINTS < size:
        return
    for row, texts in enumerate(cell_texts):
        for column, text in enumerate(texts):
            fitting, own_size = text, size
            if grid.has_numbers:
                own_size = max(min(size, size * (cell_width - 0.04) / (text_width(text, size) or 1)), 2.5)
            else:
                fitting = fitted(drawable(text), cell_width - 0.04, size)
            axes.text(
                column + 0.5,
                row + 0.5,
                fitting,
                ha="center",
                va="center_baseline",
                fontsize=own_size,
                color=text_on(grid.color_of(float(grid.values[row, column]))),
                **text_style(fitting),
            )


def _write_values(axes: "Axes", grid: Grid, colors: Palette, width: float, height: float) -> None:
    size = min(SMALL_SIZE - 0.5, height * POINTS * 0.75)
    for row, column in np.argwhere(grid.mask):
        value = float(grid.values[row, column])
        is_excluded = column in grid.excluded
        face = colors.sink if is_excluded else grid.color_of(value)
        if grid.options.fmt is not None:
            text = grid.options.formatted(value)
        else:
            text = f"{100 * value:.0f}" if grid.as_percent else _ZERO.sub(r"\1.", f"{value:.2f}")
            text = "0" if text == "-0" else text
        axes.text(
            column + 0.5,
            row + 0.5,
            text.replace("-", "−"),
            ha="center",
            va="center",
            fontsize=max(min(size, size * (width - 0.02) / text_width(text, size)), 2.5),
            color=colors.muted if is_excluded else text_on(face),
            bbox={"boxstyle": "square,pad=0.15", "facecolor": face, "edgecolor": "none"}
            if is_excluded
            else None,
        )


def _label(
    axes: "Axes",
    grid: Grid,
    colors: Palette,
    cell_width: float,
    cell_height: float,
    left: float,
    max_size: float,
) -> None:
    size = min(_label_size(min(cell_width, cell_height)), max_size)
    is_upright = _widest(grid) <= cell_width + 0.01
    step_x = 1 if is_upright else _label_step(cell_width, size)
    step_y = _label_step(cell_height, size)
    columns, rows = np.arange(0, len(grid.columns), step_x), np.arange(0, len(grid.rows), step_y)
    axes.set_xticks(
        columns + 0.5,
        [grid.columns[i] for i in columns],
        rotation=0 if is_upright else 90,
        fontsize=min(_UPRIGHT_SIZE, max_size) if is_upright else size,
        **text_style(*grid.columns),
    )
    axes.set_yticks(
        rows + 0.5, [grid.rows[i] for i in rows], rotation=0, fontsize=size, **text_style(*grid.rows)
    )
    axes.tick_params(length=0, pad=4)
    for ticks, indices, special in (
        (axes.xaxis.get_major_ticks(), columns, grid.special_columns),
        (axes.yaxis.get_major_ticks(), rows, grid.special_rows),
    ):
        # The ticks and not their labels: of axes that share them only the outer ones show labels.
        for tick, index in zip(ticks, indices, strict=False):
            tick.label1.set_color(colors.muted if special[index] else colors.text)
    height = cell_height * len(grid.rows) + 0.1
    fitting = [label for label in grid.row_labels if text_width(label, DETAIL_SIZE) <= height]
    style = {"fontsize": DETAIL_SIZE, "color": colors.muted, "labelpad": 6}
    room = cell_width * len(grid.columns) + left
    column_label = _axis_label(grid.column_label, step_x, room)
    axes.set_xlabel(column_label, **style)
    axes.set_ylabel(_axis_label((fitting or grid.row_labels[-1:])[0], step_y, height, grid.row_noun), **style)


def _finish_bar(axes: "Axes", grid: Grid, colors: Palette, height: float, label_room: float) -> None:
    bar = axes.collections[0].colorbar
    if bar is None:
        return
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(labelsize=SMALL_SIZE, labelcolor=colors.muted, length=0, pad=3)
    bar.locator = MaxNLocator(max(1, min(5, int(height / 0.3))))
    factor, unit = (100, " %") if grid.as_percent else (1, "")
    bar.formatter = FuncFormatter(partial(_tick_text, factor, unit))
    bar.update_ticks()
    kinds = ("square-root scale", "√ scale") if grid.is_rooted else ("linear scale",)
    labels = [*(f"{grid.scale} ({kind})" for kind in kinds), kinds[-1] if grid.is_rooted else grid.scale]
    bar.set_label(
        first_fitting(labels, label_room, SMALL_SIZE), fontsize=SMALL_SIZE, color=colors.muted, labelpad=5
    )


def _widest(grid: Grid) -> float:
    """Return the inches that the widest column label needs without rotation."""
    return max(text_width(label, _UPRIGHT_SIZE) for label in grid.columns) + 0.12


def _label_size(cell: float) -> float:
    """Return the font size in points for the height of a cell in inches, between 6.5 and 9 points."""
    return min(max(cell * POINTS * 0.82, 6.5), SMALL_SIZE + 1)


def _label_step(cell: float, size: float) -> int:
    """Return the number of cells per label for a cell size in inches and a font size in points."""
    return max(1, int(np.ceil(size * 1.17 / POINTS / cell - 0.02)))


def _axis_label(label: str, step: int, room: float, noun: str = "token") -> str:
    """Return the label of an axis that fits its length, with a note if not every one is labeled."""
    lines = [fitted(label, room, DETAIL_SIZE)]
    if label and step > 1:
        notes = f"every {ordinal(step)} {noun} is labeled", f"every {ordinal(step)} labeled"
        lines.append(first_fitting(notes, room, DETAIL_SIZE))
    return "\n".join(filter(None, lines))


def _tick_text(factor: float, unit: str, value: float, _position: float) -> str:
    return f"{factor * value:.3g}{unit}".replace("-", "−")
