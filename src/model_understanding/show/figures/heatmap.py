"""A labeled seaborn heatmap with masked cells, columns excluded from the color scale, and text borders."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import ListedColormap, PowerNorm
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from model_understanding.show.figures.fonts import drawable, text_style
from model_understanding.show.figures.frame import (
    DETAIL_SIZE,
    POINTS,
    SMALL_SIZE,
    Header,
    Panel,
    house_style,
    new_axes,
    remaining_size,
    size_in_inches,
    text_width,
)
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
_UPRIGHT_SIZE = SMALL_SIZE + 0.5  # points of column labels that are not rotated


HeaderMaker = Callable[[float, float], Header]
"""Returns the header for a width and an indent in inches."""


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
        color: Color of a value, as a fraction of the end of the scale (−1 to 1 or 0 to 1).
        signed: Whether values can be negative.
        column_label: Label of the columns' axis.
        row_labels: Labels of the rows' axis, from the longest to the shortest; the first that fits is used.
        scale: Label of the color scale.
        masked_label: Legend label of masked cells.
        as_percent: Whether values are shown in percent.
        cell_texts: Text of each cell instead of its value, drawable.
        min_width: Minimum width of a cell in inches.
        excluded_label: Legend label of the excluded columns.
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
    min_width: float = 0.0
    excluded_label: str = ""

    @property
    def hidden(self) -> np.ndarray:
        """Cells without a color from the scale: masked cells and excluded columns."""
        hidden = ~self.mask
        hidden[:, list(self.excluded)] = True
        return hidden

    @property
    def peak(self) -> float:
        """The largest absolute value on the color scale, 1 if all are zero."""
        return float(np.abs(self.values[~self.hidden]).max(initial=0.0)) or 1.0

    @property
    def is_rooted(self) -> bool:
        """Whether to use a square-root scale: most unsigned values are far below the largest."""
        visible = self.values[~self.hidden]
        return not self.signed and visible.size > 0 and float(np.quantile(visible, 0.95)) < 0.25 * self.peak

    def color_of(self, value: float) -> str:
        """Return the color of a value."""
        fraction = value / self.peak
        return self.color(fraction**0.5 if self.is_rooted else fraction)

    def handles(self, colors: Palette) -> list[Patch]:
        """Return the legend entries for excluded columns and masked cells, if there are any."""
        entries = []
        if self.excluded:
            entries.append(Patch(**excluded_style(colors), label=self.excluded_label))
        if not self.mask.all():
            entries.append(Patch(facecolor=colors.masked, label=self.masked_label))
        return entries


def heatmap_axes(grid: Grid, colors: Palette, make_header: HeaderMaker, ax: "Axes | None" = None) -> "Axes":
    """Draw a heatmap into axes of the user, or into a new pyplot figure that grows with the labels.

    Args:
        grid: The matrix.
        colors: The theme's colors.
        make_header: Returns the header for a width and an indent in inches.
        ax: Axes of the user.

    Returns:
        The axes of the heatmap.
    """
    with house_style():
        if ax is None:
            return new_axes(heatmap_panel(grid, colors, make_header), colors)
        header = make_header(max(size_in_inches(ax)[0], 1.6), 0.0)
        width, height = remaining_size(ax, header, *_label_room(grid))
        draw_heatmap(ax, grid, colors, max(0.8 * width - 0.3, 0.3), height, header)
        return ax


def heatmap_panel(grid: Grid, colors: Palette, make_header: HeaderMaker) -> Panel:
    """Plan a heatmap whose cells are large enough for their labels.

    Args:
        grid: The matrix.
        colors: The theme's colors.
        make_header: Returns the header for a width and an indent in inches.

    Returns:
        The panel.
    """
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
    room = max(left + width + _BAR_ROOM, _HEADER_WIDTH)
    header = make_header(room, -left)

    def draw(axes: "Axes") -> None:
        draw_heatmap(axes, grid, colors, width, height, header, own_bar=True)

    right, bottom = (
        room - left - width,
        max(labels + (0.34 if longest <= _MAX_LABELED else 0.52), _BAR_HEIGHT / 2 - height),
    )
    return Panel(
        width=width, height=height, left=left, right=right, top=header.height, bottom=bottom, draw=draw
    )


def draw_heatmap(
    axes: "Axes",
    grid: Grid,
    colors: Palette,
    width: float,
    height: float,
    header: Header,
    *,
    own_bar: bool = False,
) -> None:
    """Draw a grid into axes of a known size.

    Args:
        axes: The axes.
        grid: The matrix.
        colors: The theme's colors.
        width: Total width of the cells in inches.
        height: Total height of the cells in inches.
        header: The header above the axes.
        own_bar: Whether there is room for the color bar; else seaborn takes the room from the axes.
    """
    import seaborn

    cell_width, cell_height = width / len(grid.columns), height / len(grid.rows)
    is_numbered = max(grid.values.shape) <= _MAX_NUMBERED and cell_width >= 0.3 and cell_height >= 0.22
    bar_axes = None
    if own_bar:
        bar_height = min(max(height, 1.5), _BAR_HEIGHT)
        bar_axes = axes.inset_axes(
            (1 + _BAR_GAP / width, 1 - bar_height / height, _BAR_WIDTH / width, bar_height / height)
        )
    seaborn.heatmap(
        np.where(grid.hidden, 0.0, grid.values),
        mask=grid.hidden,
        ax=axes,
        cmap=_color_map(grid),
        norm=PowerNorm(
            0.5 if grid.is_rooted else 1.0, vmin=-grid.peak if grid.signed else 0.0, vmax=grid.peak
        ),
        cbar_ax=bar_axes,
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
    if grid.cell_texts is not None:
        _write_texts(axes, grid, cell_width, cell_height)
    elif is_numbered:
        _write_values(axes, grid, colors)
    _label(axes, grid, colors, cell_width, cell_height)
    _finish_bar(axes, grid, colors)
    header.draw(axes, colors)


def _label_room(grid: Grid) -> tuple[float, float]:
    """Return the inches that labels need left of and below axes of unknown size."""
    left, below = (
        max(text_width(label, SMALL_SIZE) for label in labels) for labels in (grid.rows, grid.columns)
    )
    return left + 0.4, below + 0.4


def axis_labels(tokens: Tokens, prefix: str = "") -> tuple[str, ...]:
    """Return drawable labels of tokens, short enough for an axis."""
    return tuple(
        prefix + drawable(printable(label, LABEL_LENGTH - 4), LABEL_LENGTH) for label in tokens.labels()
    )


def text_borders(tokens: Tokens) -> tuple[int, ...]:
    """Return the positions at which another text begins."""
    segments = tokens.segments
    return tuple(i for i in range(1, len(tokens)) if segments[i] > 0 and segments[i] not in segments[:i])


def _color_map(grid: Grid) -> ListedColormap:
    low = -1.0 if grid.signed else 0.0
    return ListedColormap([grid.color(low + (1 - low) * step / (STEPS - 1)) for step in range(STEPS)])


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


def _write_texts(axes: "Axes", grid: Grid, cell_width: float, cell_height: float) -> None:
    """Write into each cell as much of its text as fits."""
    assert grid.cell_texts is not None
    size = min(_label_size(cell_height), SMALL_SIZE)
    if cell_width < 0.2 or cell_height * POINTS < size:
        return
    for row, texts in enumerate(grid.cell_texts):
        for column, text in enumerate(texts):
            fitting = text
            while len(fitting) > 1 and text_width(fitting, size) > cell_width - 0.04:
                fitting = printable(text, len(fitting) - 1)
            axes.text(
                column + 0.5,
                row + 0.5,
                fitting,
                ha="center",
                va="center_baseline",
                fontsize=size,
                color=text_on(grid.color_of(float(grid.values[row, column]))),
                **text_style(fitting),
            )


def _write_values(axes: "Axes", grid: Grid, colors: Palette) -> None:
    for row, column in np.argwhere(grid.mask):
        value = float(grid.values[row, column])
        is_excluded = column in grid.excluded
        face = colors.sink if is_excluded else grid.color_of(value)
        text = f"{100 * value:.0f}" if grid.as_percent else f"{value:.2f}".replace("0.", ".", 1)
        axes.text(
            column + 0.5,
            row + 0.5,
            text.replace("-", "−"),
            ha="center",
            va="center",
            fontsize=SMALL_SIZE - 0.5,
            color=colors.muted if is_excluded else text_on(face),
            bbox={"boxstyle": "square,pad=0.15", "facecolor": face, "edgecolor": "none"}
            if is_excluded
            else None,
        )


def _label(axes: "Axes", grid: Grid, colors: Palette, cell_width: float, cell_height: float) -> None:
    size = _label_size(min(cell_width, cell_height))
    is_upright = _widest(grid) <= cell_width + 0.01
    step_x = 1 if is_upright else _label_step(cell_width, size)
    step_y = _label_step(cell_height, size)
    columns, rows = np.arange(0, len(grid.columns), step_x), np.arange(0, len(grid.rows), step_y)
    axes.set_xticks(
        columns + 0.5,
        [grid.columns[i] for i in columns],
        rotation=0 if is_upright else 90,
        fontsize=_UPRIGHT_SIZE if is_upright else size,
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
    axes.set_xlabel(grid.column_label + _step_note(step_x), **style)
    axes.set_ylabel((fitting or grid.row_labels[-1:])[0] + _step_note(step_y), **style)


def _finish_bar(axes: "Axes", grid: Grid, colors: Palette) -> None:
    bar = axes.collections[0].colorbar
    if bar is None:
        return
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(labelsize=SMALL_SIZE, labelcolor=colors.muted, length=0, pad=3)
    bar.locator = MaxNLocator(5)
    factor, unit = (100, " %") if grid.as_percent else (1, "")
    bar.formatter = FuncFormatter(lambda value, _: f"{factor * value:.3g}{unit}".replace("-", "−"))
    bar.update_ticks()
    label = f"{grid.scale} (square-root scale)" if grid.is_rooted else f"{grid.scale} (linear scale)"
    bar.set_label(label, fontsize=SMALL_SIZE, color=colors.muted, labelpad=5)


def _widest(grid: Grid) -> float:
    """Return the inches that the widest column label needs without rotation."""
    return max(text_width(label, _UPRIGHT_SIZE) for label in grid.columns) + 0.12


def _label_size(cell: float) -> float:
    """Return the font size in points for the height of a cell in inches, between 6.5 and 9 points."""
    return min(max(cell * POINTS * 0.82, 6.5), SMALL_SIZE + 1)


def _label_step(cell: float, size: float) -> int:
    """Return the number of cells per label for a cell size in inches and a font size in points."""
    return max(1, int(np.ceil(size * 1.17 / POINTS / cell - 0.02)))


def _step_note(step: int) -> str:
    if step == 1:
        return ""
    return f"\nevery {ordinal(step)} token is labeled"
