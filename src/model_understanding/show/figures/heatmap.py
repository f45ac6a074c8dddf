"""A labeled seaborn heatmap with masked cells, columns off the color scale, and text borders."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import ListedColormap, PowerNorm
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from model_understanding.show.figures.fonts import drawable, text_style
from model_understanding.show.figures.frame import DETAIL_SIZE, POINTS, SMALL_SIZE, Header, Panel, text_width
from model_understanding.show.shared.colors import STEPS, Palette, text_on
from model_understanding.show.shared.words import LABEL_LENGTH, ordinal, shown
from model_understanding.tokens import Tokens

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LARGEST = 22.0  # inches of the longer side
_LABELED = 200  # the longest side whose cells all have their labels
_NUMBERED = 14  # the longest side whose cells carry their numbers
_VECTOR_CELLS = 900  # above this, cells are an image within SVG and PDF
_BAR_WIDTH, _BAR_GAP, _BAR_HEIGHT = 0.14, 0.18, 3.2  # inches of the color bar, and left of it
_BAR_ROOM = 0.8  # inches for the bar, its ticks and its name
_HEADER_WIDTH = 6.2  # inches that a header gets at least
_UPRIGHT_SIZE = SMALL_SIZE + 0.5  # points of column labels that are not turned


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """A matrix of Q rows and K columns with what a picture of it needs.

    Args:
        values: Shape ``(Q, K)``.
        mask: Which cells have a value, shape ``(Q, K)``.
        rows: Drawable labels of the rows.
        columns: Drawable labels of the columns.
        special_rows: Which rows are special tokens.
        special_columns: Which columns are.
        sinks: Columns off the color scale.
        borders: Columns before which another text begins.
        color: The color of a value, as a share of the end of the scale (−1 to 1 or 0 to 1).
        signed: Whether values lie on both sides of zero.
        across: Name of the columns' axis.
        down: Names of the rows' axis, from the fullest to the shortest.
        scale: Name of the color scale.
        masked_words: What a masked cell means.
        as_percent: Whether the color scale counts in percent.
        words: What each cell says in place of its number, drawable.
        least_width: Inches that a cell is wide at least.
        sink_words: Which columns are off the color scale, with what they take.
    """

    values: np.ndarray
    mask: np.ndarray
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    special_rows: np.ndarray
    special_columns: np.ndarray
    sinks: tuple[int, ...]
    borders: tuple[int, ...]
    color: Callable[[float], str]
    signed: bool
    across: str
    down: tuple[str, ...]
    scale: str
    masked_words: str
    as_percent: bool = False
    words: tuple[tuple[str, ...], ...] | None = None
    least_width: float = 0.0
    sink_words: str = ""

    @property
    def hidden(self) -> np.ndarray:
        """Cells without a color from the scale: masked ones and those of a sink."""
        hidden = ~self.mask
        hidden[:, list(self.sinks)] = True
        return hidden

    @property
    def top(self) -> float:
        """The largest absolute value on the color scale, 1 where all are zero."""
        return float(np.abs(self.values[~self.hidden]).max(initial=0.0)) or 1.0

    @property
    def is_rooted(self) -> bool:
        """Whether the scale is of square roots: most unsigned values are far below the largest."""
        visible = self.values[~self.hidden]
        return not self.signed and visible.size > 0 and float(np.quantile(visible, 0.95)) < 0.25 * self.top

    def face(self, value: float) -> str:
        """Return the color of a value."""
        share = value / self.top
        return self.color(share**0.5 if self.is_rooted else share)

    def handles(self, colors: Palette) -> list[Patch]:
        """Return the legend entries for what occurs."""
        entries = []
        if self.sinks:
            entries.append(Patch(**sink_style(colors), label=self.sink_words))
        if not self.mask.all():
            entries.append(Patch(facecolor=colors.masked, label=self.masked_words))
        return entries


def heatmap_panel(grid: Grid, colors: Palette, make_header: Callable[[float, float], Header]) -> Panel:
    """Plan a heatmap whose cells are large enough for their labels.

    Args:
        grid: The matrix.
        colors: The theme's colors.
        make_header: Makes the header from its width and its indent in inches.

    Returns:
        The panel.
    """
    longest = max(len(grid.rows), len(grid.columns))
    widest = _widest(grid)
    cell = min(max(6.0 / longest, 0.135 if longest <= 80 else 0.108), 0.52, _LARGEST / longest)
    upright = widest <= 0.95 and len(grid.columns) * max(widest, cell) <= max(
        7.2, len(grid.columns) * grid.least_width
    )
    across = max(widest if upright else cell, cell, grid.least_width)
    width, height = across * len(grid.columns), cell * len(grid.rows)
    size = _label_size(min(cell, across))
    left = max(text_width(label, size) for label in grid.rows) + (0.42 if longest <= _LABELED else 0.6)
    labels = 0.2 if upright else max(text_width(label, size) for label in grid.columns) + 0.1
    room = max(left + width + _BAR_ROOM, _HEADER_WIDTH)
    header = make_header(room, -left)

    def draw(axes: "Axes") -> None:
        draw_heatmap(axes, grid, colors, width, height, header, own_bar=True)

    right, bottom = (
        room - left - width,
        max(labels + (0.34 if longest <= _LABELED else 0.52), _BAR_HEIGHT / 2 - height),
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
        width: Width that the cells will take, in inches.
        height: Height that they will take.
        header: What stands above.
        own_bar: Whether room was kept for the color bar; else seaborn takes it from the axes.
    """
    import seaborn

    across, down = width / len(grid.columns), height / len(grid.rows)
    is_numbered = max(grid.values.shape) <= _NUMBERED and across >= 0.3 and down >= 0.22
    bar_axes = None
    if own_bar:
        tall = min(max(height, 1.5), _BAR_HEIGHT)
        place = (1 + _BAR_GAP / width, 1 - tall / height, _BAR_WIDTH / width, tall / height)
        bar_axes = axes.inset_axes(place)
    seaborn.heatmap(
        np.where(grid.hidden, 0.0, grid.values),
        mask=grid.hidden,
        ax=axes,
        cmap=_color_map(grid),
        norm=PowerNorm(0.5 if grid.is_rooted else 1.0, vmin=-grid.top if grid.signed else 0.0, vmax=grid.top),
        cbar_ax=bar_axes,
        xticklabels=False,
        yticklabels=False,
        rasterized=grid.values.size > _VECTOR_CELLS,
        linewidths=1.0 if is_numbered else 0.25,
        linecolor=colors.background if is_numbered else "face",
    )
    axes.set_facecolor(colors.masked)
    _draw_sinks(axes, grid, colors)
    for border in grid.borders:
        axes.axvline(border, color=colors.text, linewidth=1.0)
    if grid.words is not None:
        _write_words(axes, grid, across, down)
    elif is_numbered:
        _write_numbers(axes, grid, colors)
    _label(axes, grid, colors, across, down)
    _finish_bar(axes, grid, colors)
    header.draw(axes, colors)


def label_room(grid: Grid) -> tuple[float, float]:
    """Return the inches that labels and names need left of and below axes of a size yet unknown."""
    left, below = (
        max(text_width(label, SMALL_SIZE) for label in labels) for labels in (grid.rows, grid.columns)
    )
    return left + 0.4, below + 0.4


def axis_labels(tokens: Tokens, prefix: str = "") -> tuple[str, ...]:
    """Return drawable labels of tokens, short enough for an axis."""
    return tuple(prefix + drawable(shown(label, LABEL_LENGTH - 4), LABEL_LENGTH) for label in tokens.labels())


def text_borders(tokens: Tokens) -> tuple[int, ...]:
    """Return the positions at which a further text begins."""
    segments = tokens.segments
    return tuple(i for i in range(1, len(tokens)) if segments[i] > 0 and segments[i] not in segments[:i])


def _color_map(grid: Grid) -> ListedColormap:
    low = -1.0 if grid.signed else 0.0
    return ListedColormap([grid.color(low + (1 - low) * step / (STEPS - 1)) for step in range(STEPS)])


def _draw_sinks(axes: "Axes", grid: Grid, colors: Palette) -> None:
    """Stripe the sink columns, leaving their masked cells as masked."""
    for sink in grid.sinks:
        open_rows = np.flatnonzero(grid.mask[:, sink])
        for run in np.split(open_rows, np.flatnonzero(np.diff(open_rows) > 1) + 1):
            if len(run):
                axes.add_patch(Rectangle((sink, run[0]), 1, len(run), **sink_style(colors)))


def sink_style(colors: Palette) -> dict[str, Any]:
    """Return how what is off the color scale is striped."""
    return {"facecolor": colors.sink, "edgecolor": colors.hatch, "hatch": "////", "linewidth": 0}


def _write_words(axes: "Axes", grid: Grid, across: float, down: float) -> None:
    """Write into each cell as much of its words as it has room for."""
    assert grid.words is not None
    size = min(_label_size(down), SMALL_SIZE)
    if across < 0.2 or down * POINTS < size:
        return
    for row, words in enumerate(grid.words):
        for column, word in enumerate(words):
            fitting = word
            while len(fitting) > 1 and text_width(fitting, size) > across - 0.04:
                fitting = shown(word, len(fitting) - 1)
            axes.text(
                column + 0.5,
                row + 0.5,
                fitting,
                ha="center",
                va="center_baseline",
                fontsize=size,
                color=text_on(grid.face(float(grid.values[row, column]))),
                **text_style(fitting),
            )


def _write_numbers(axes: "Axes", grid: Grid, colors: Palette) -> None:
    for row, column in np.argwhere(grid.mask):
        value = float(grid.values[row, column])
        is_sink = column in grid.sinks
        face = colors.sink if is_sink else grid.face(value)
        words = f"{100 * value:.0f}" if grid.as_percent else f"{value:.2f}".replace("0.", ".", 1)
        axes.text(
            column + 0.5,
            row + 0.5,
            words.replace("-", "−"),
            ha="center",
            va="center",
            fontsize=SMALL_SIZE - 0.5,
            color=colors.muted if is_sink else text_on(face),
            bbox={"boxstyle": "square,pad=0.15", "facecolor": face, "edgecolor": "none"} if is_sink else None,
        )


def _label(axes: "Axes", grid: Grid, colors: Palette, across: float, down: float) -> None:
    size = _label_size(min(across, down))
    is_upright = _widest(grid) <= across + 0.01
    step_x = 1 if is_upright else _every(across, size)
    step_y = _every(down, size)
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
    for labels, places, special in (
        (axes.get_xticklabels(), columns, grid.special_columns),
        (axes.get_yticklabels(), rows, grid.special_rows),
    ):
        for label, where in zip(labels, places, strict=True):
            label.set_color(colors.muted if special[where] else colors.text)
    height = down * len(grid.rows) + 0.1
    fitting = [words for words in grid.down if text_width(words, DETAIL_SIZE) <= height]
    style = {"fontsize": DETAIL_SIZE, "color": colors.muted, "labelpad": 6}
    axes.set_xlabel(grid.across + _thinned(step_x), **style)
    axes.set_ylabel((fitting or grid.down[-1:])[0] + _thinned(step_y), **style)


def _finish_bar(axes: "Axes", grid: Grid, colors: Palette) -> None:
    bar = axes.collections[0].colorbar
    if bar is None:
        return
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(labelsize=SMALL_SIZE, labelcolor=colors.muted, length=0, pad=3)
    bar.locator = MaxNLocator(5)
    factor = 100 if grid.as_percent else 1
    bar.formatter = FuncFormatter(lambda value, _: f"{factor * value:.3g}".replace("-", "−"))
    bar.update_ticks()
    words = f"{grid.scale} (square-root scale)" if grid.is_rooted else f"{grid.scale} (linear scale)"
    bar.set_label(words, fontsize=SMALL_SIZE, color=colors.muted, labelpad=5)


def _widest(grid: Grid) -> float:
    """Return the inches that the widest column label needs when it is not turned."""
    return max(text_width(label, _UPRIGHT_SIZE) for label in grid.columns) + 0.12


def _label_size(cell: float) -> float:
    """Return the font size that fits a row of a cell's height, between 6.5 and 9 points."""
    return min(max(cell * POINTS * 0.82, 6.5), SMALL_SIZE + 1)


def _every(cell: float, size: float) -> int:
    """Return how many cells a label of a size needs."""
    return max(1, int(np.ceil(size * 1.17 / POINTS / cell - 0.02)))


def _thinned(step: int) -> str:
    if step == 1:
        return ""
    return f"\nevery {ordinal(step)} token is labeled"
