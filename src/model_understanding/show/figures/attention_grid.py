"""Many attention matrices at once: a small heatmap for each layer and head, on one color scale."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Patch

from model_understanding.results import AttentionMap
from model_understanding.results.attention_sinks import SinkMode
from model_understanding.show.figures.fonts import text_style
from model_understanding.show.figures.frame import (
    SMALL_SIZE,
    AxisContent,
    Header,
    Panel,
    first_fitting,
    fitted,
    make_header,
    text_width,
)
from model_understanding.show.figures.heatmap import axis_labels
from model_understanding.show.figures.options import NO_OPTIONS, PlotOptions
from model_understanding.show.figures.place import Room
from model_understanding.show.shared.colors import STEPS, Palette
from model_understanding.show.shared.words import attention_name, cautions_of, format_percent
from model_understanding.show.views.attention import AttentionView, attention_view
from model_understanding.show.views.scale import scale_of
from model_understanding.tokens import Level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_TILES = 144  # the number of heads of a model with 12 layers of 12 heads
_MAX_PIXELS = 96  # per side of a heatmap
_TOTAL_WIDTH = 9.4  # inches of all heatmaps
_MIN_WIDTH, _MAX_WIDTH = 0.62, 2.4  # inches of a heatmap
_GAP, _TITLE_GAP = 0.07, 0.24  # inches between heatmaps without and with titles
_SCALE_ROOM, _SCALE_WIDTH, _SCALE_HEIGHT = 0.44, 1.9, 0.11  # inches of the color scale below the heatmaps


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tile:
    layer: int | None
    head: int | None
    row: int
    column: int
    view: AttentionView


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tiles:
    tiles: tuple[_Tile, ...]
    row_labels: tuple[str, ...]  # for layers × heads; else each tile has a title
    column_labels: tuple[str, ...]
    rows: int
    columns: int
    start: float
    peak: float
    is_rooted: bool
    omissions: tuple[str, ...]
    options: PlotOptions

    @property
    def has_titles(self) -> bool:
        return not self.row_labels


def grid_panel(
    attention: AttentionMap,
    layer: int | None,
    head: int | None,
    level: Level,
    colors: Palette,
    *,
    sinks: SinkMode | None = None,
    options: PlotOptions = NO_OPTIONS,
    room: Room | None = None,
) -> Panel:
    """Plan a grid with a heatmap for each layer and head of a map.

    Args:
        attention: The map.
        layer: Only the heads of this layer.
        head: Only this head, in every layer.
        level: What a row and a column of a heatmap stand for.
        colors: The theme's colors.
        sinks: Mode for the attention sinks of each heatmap.
        options: What the caller sets of the plot.
        room: The place of a user's axes.

    Returns:
        The panel. If there are more than 144 heatmaps, evenly spaced layers and heads are drawn; the header
        lists them.
    """
    grid = _tiles(attention, layer, head, level, sinks, options)
    queries, keys = grid.tiles[0].view.weights.shape
    gap = _TITLE_GAP if grid.has_titles else _GAP
    label_height = gap if grid.has_titles else 0.24  # inches of the labels above the first row
    scale_room = _SCALE_ROOM if options.cbar is not False else 0.0
    left = max([0.1, *(text_width(label, SMALL_SIZE) + 0.14 for label in grid.row_labels)])
    if room is None:
        tile_width = min(max(_TOTAL_WIDTH / grid.columns, _MIN_WIDTH), _MAX_WIDTH)
        width = grid.columns * (tile_width + _GAP) - _GAP
        total_width = max(left + width, 6.2)
    else:
        total_width = room.width
        tile_width = max((room.width - left + _GAP) / grid.columns - _GAP, 0.05)
        width = grid.columns * (tile_width + _GAP) - _GAP
    header = _header(attention, grid, colors, total_width, -left, room)
    tile_height = min(max(tile_width * queries / keys, 0.4 * tile_width), 1.6 * tile_width)
    if room is not None:
        free = room.height - header.height - label_height - scale_room + _GAP - 0.05
        tile_height = min(tile_height, max(free / grid.rows - gap, 0.05))
    height = label_height + grid.rows * (tile_height + gap) - _GAP + scale_room
    spare = 0.05 if room is None else max(room.height - header.height - height, 0.05)

    def draw(axes: "Axes") -> None:
        axes.set_facecolor(colors.background)
        axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        for tile in grid.tiles:
            x, y = tile.column * (tile_width + _GAP), label_height + tile.row * (tile_height + gap)
            extent = (x, x + tile_width, y + tile_height, y)
            pixels = _pixels(tile.view, grid, colors)
            axes.imshow(pixels, extent=extent, aspect="auto", interpolation="nearest", zorder=2)
            if grid.has_titles:
                _write(
                    axes,
                    fitted(_tile_title(tile), tile_width, SMALL_SIZE),
                    x,
                    y - 0.04,
                    colors,
                    "left",
                    "bottom",
                )
        for row, label in enumerate(grid.row_labels):
            y = label_height + row * (tile_height + gap) + tile_height / 2
            _write(axes, label, -0.07, y, colors, "right", "center")
        for column, label in enumerate(grid.column_labels):
            x = column * (tile_width + _GAP) + tile_width / 2
            _write(
                axes,
                fitted(label, tile_width, SMALL_SIZE),
                x,
                label_height - 0.05,
                colors,
                "center",
                "bottom",
            )
        if options.cbar is not False:
            _draw_scale(axes, grid, colors, height - _SCALE_ROOM + 0.16, total_width - left)
        axes.set(xlim=(0, width), ylim=(height, 0))  # imshow changes the limits
        header.draw(axes, colors)

    return Panel(
        width=width,
        height=height,
        left=left,
        right=total_width - left - width,
        top=header.height,
        bottom=spare,
        draw=draw,
        x=AxisContent("drawing", (f"{width:.2f}",)),
        y=AxisContent("drawing", (f"{height:.2f}",)),
    )


def _tiles(
    attention: AttentionMap,
    layer: int | None,
    head: int | None,
    level: Level,
    sinks: SinkMode | None,
    options: PlotOptions,
) -> _Tiles:
    layers, heads = _selected(attention.layers, layer), _selected(attention.heads, head)
    total = len(layers) * len(heads)
    layers, heads = _thinned(layers, heads)
    is_table = len(layers) > 1 and len(heads) > 1
    count = len(layers) * len(heads)
    columns = len(heads) if is_table else min(count, max(4, round(float(np.sqrt(1.4 * count)))))
    planes = [(layer_index, head_index) for layer_index in layers for head_index in heads]
    tiles = tuple(
        _Tile(
            layer=layer_index,
            head=head_index,
            row=index // columns,
            column=index % columns,
            view=attention_view(attention, layer_index, head_index, level, sinks),
        )
        for index, (layer_index, head_index) in enumerate(planes)
    )
    weights = np.concatenate([np.abs(tile.view.weights[_is_on_scale(tile.view)]) for tile in tiles])
    peak = max((scale_of(tile.view).reach for tile in tiles), default=0.0) or 1.0
    is_skewed = bool(weights.size) and float(np.quantile(weights, 0.95)) < 0.25 * peak
    omissions = []
    if total > count:
        omissions.append(
            f"Showing {count} of {total} heatmaps: layers {_listed(layers)}, heads {_listed(heads)}."
        )
    block = -(-max(tiles[0].view.weights.shape) // _MAX_PIXELS)
    if block > 1:
        omissions.append(f"Each pixel is the maximum of {block} × {block} cells.")
    return _Tiles(
        tiles=tiles,
        row_labels=tuple(f"layer {index}" for index in layers) if is_table else (),
        column_labels=tuple(_head_label(index, columns) for index in heads) if is_table else (),
        rows=-(-count // columns),
        columns=columns,
        start=options.vmin or 0.0,
        peak=peak if options.vmax is None else float(options.vmax),
        is_rooted=is_skewed and not options.has_limits,
        omissions=tuple(omissions),
        options=options,
    )


def _selected(indices: tuple[int, ...] | str, index: int | None) -> list[int | None]:
    """Return the layers or heads to draw; an index that the map does not have fails later."""
    if index is not None:
        return [index]
    return [None] if isinstance(indices, str) else list(indices)


def _thinned(layers: list[int | None], heads: list[int | None]) -> tuple[list[int | None], list[int | None]]:
    """Return evenly spaced layers and heads that give at most the maximum number of heatmaps."""
    if len(layers) * len(heads) <= MAX_TILES:
        return layers, heads
    side = int(np.sqrt(MAX_TILES))
    count = min(len(layers), max(side, MAX_TILES // len(heads)))
    return _evenly_spaced(layers, count), _evenly_spaced(heads, min(len(heads), MAX_TILES // count))


def _evenly_spaced(values: list[int | None], count: int) -> list[int | None]:
    return [values[round(index)] for index in np.linspace(0, len(values) - 1, count)]


def _listed(indices: Sequence[int | None]) -> str:
    return ", ".join("all" if index is None else str(index) for index in indices)


def _head_label(head: int | None, columns: int) -> str:
    return "" if head is None else f"head {head}" if columns <= 14 else str(head)


def _tile_title(tile: _Tile) -> str:
    parts = [
        f"{name} {index}" for name, index in (("layer", tile.layer), ("head", tile.head)) if index is not None
    ]
    return ", ".join(parts) or "mean"


def _is_on_scale(view: AttentionView) -> np.ndarray:
    on_scale = view.mask.copy()
    on_scale[:, list(view.excluded)] = False
    return on_scale


def _pixels(view: AttentionView, grid: _Tiles, colors: Palette) -> UInt8[np.ndarray, "rows keys 3"]:
    """Return the pixels of a heatmap, each the maximum of a block of cells."""
    block = -(-max(view.weights.shape) // _MAX_PIXELS)
    scaled = np.clip((np.abs(view.weights) - grid.start) / (grid.peak - grid.start), 0, 1)
    strengths = _block_maximum(np.where(_is_on_scale(view), scaled, -1.0), block)
    excluded = np.zeros_like(view.mask)
    excluded[:, list(view.excluded)] = view.mask[:, list(view.excluded)]
    is_excluded = _block_maximum(excluded.astype(float), block) > 0
    steps = np.clip(strengths, 0, 1) ** (0.5 if grid.is_rooted else 1.0)
    pixels = _ramp(colors, grid.options)[np.rint(steps * (STEPS - 1)).astype(int)]
    pixels[strengths < 0] = _rgb(colors.masked)
    pixels[is_excluded & ((strengths < 0) | (block == 1))] = _rgb(colors.hatch)
    return pixels


def _block_maximum(values: Float[np.ndarray, "rows keys"], block: int) -> Float[np.ndarray, "height width"]:
    if block == 1:
        return values
    padded = np.pad(values, [(0, -length % block) for length in values.shape], constant_values=-1.0)
    rows, keys = (length // block for length in padded.shape)
    return padded.reshape(rows, block, keys, block).max(axis=(1, 3))


def _ramp(colors: Palette, options: PlotOptions) -> UInt8[np.ndarray, "steps 3"]:
    color_map = options.color_map()
    steps = [step / (STEPS - 1) for step in range(STEPS)]
    shades = [colors.attention(step) if color_map is None else to_hex(color_map(step)) for step in steps]
    return np.array([_rgb(shade) for shade in shades], dtype=np.uint8)


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in to_rgb(color))
    return red, green, blue


def _write(axes: "Axes", text: str, x: float, y: float, colors: Palette, ha: str, va: str) -> None:
    style = {"ha": ha, "va": va, "fontsize": SMALL_SIZE, "color": colors.muted}
    axes.text(x, y, text, **style, **text_style(text))  # pyright: ignore[reportArgumentType]


def _draw_scale(axes: "Axes", grid: _Tiles, colors: Palette, top: float, room: float) -> None:
    """Draw the common color scale below the heatmaps."""
    view = grid.tiles[0].view
    least = view.format_weight(grid.start) if grid.start else "0"
    start = text_width(least, SMALL_SIZE) + 0.08
    width = min(_SCALE_WIDTH, max(room - start - 0.6, 0.2))
    ramp = _ramp(colors, grid.options)[None]
    extent = (start, start + width, top + _SCALE_HEIGHT, top)
    if grid.is_rooted:  # linear in the weight, colored as in the heatmaps
        ramp = ramp[:, np.rint((STEPS - 1) * np.sqrt(np.linspace(0, 1, STEPS))).astype(int)]
    axes.imshow(ramp, extent=extent, aspect="auto", interpolation="nearest")
    middle = top + _SCALE_HEIGHT / 2
    largest = max(np.abs(tile.view.weights[_is_on_scale(tile.view)]).max(initial=0.0) for tile in grid.tiles)
    most = f"{'≥ ' if largest > grid.peak else ''}{view.format_weight(grid.peak)}"
    labels = [f"{most}  {view.scale_label}", most]
    if len(grid.tiles) > 1:
        labels.insert(0, f"{labels[0]}, same scale for all heatmaps")
    _write(axes, least, 0, middle, colors, "left", "center")
    free = room - start - width - 0.08
    _write(
        axes, first_fitting(labels, free, SMALL_SIZE), start + width + 0.08, middle, colors, "left", "center"
    )


def _header(
    attention: AttentionMap, grid: _Tiles, colors: Palette, width: float, indent: float, room: Room | None
) -> Header:
    view = grid.tiles[0].view
    has_masked = any(not tile.view.mask.all() for tile in grid.tiles)
    has_excluded = any(tile.view.excluded for tile in grid.tiles)
    sink_text = _sink_text(grid)
    handles = [Patch(facecolor=colors.hatch, label=sink_text)] if has_excluded else []
    handles += [Patch(facecolor=colors.masked, label=view.masked_label)] if has_masked else []
    rows, keys = view.weights.shape
    plural = "" if len(grid.tiles) == 1 else "s"
    return make_header(
        title=grid.options.titled(f"{attention_name(attention)}: {len(grid.tiles)} heatmap{plural}"),
        details=(
            f"Rows: {view.row_name}; columns: {view.column_name}; {rows} × {keys} tokens each.",
            *([sink_text] if sink_text and not has_excluded else []),
        ),
        notes=(*grid.omissions, *view.omissions),
        cautions=cautions_of(attention),
        handles=handles,
        width=width,
        indent=indent,
        height=None if room is None else 0.4 * room.height,
    )


def _sink_text(grid: _Tiles) -> str:
    """Return the number of heatmaps with a sink, and the most frequent sink with its mean share."""
    views = [tile.view for tile in grid.tiles if tile.view.sinks]
    if not views:
        return ""
    view, labels = views[0], axis_labels(views[0].keys)
    sink, count = Counter(sink for view in views for sink in view.sinks).most_common(1)[0]
    shares = [view.shares[view.sinks.index(sink)] for view in views if sink in view.sinks]
    total, mean = len(grid.tiles), format_percent(float(np.mean(shares)))
    treatment = f", {view.treatment}" if view.treatment else ""
    return (
        f"{view.sink_name} in {len(views)} of {total} heatmaps{treatment}; "
        f"most often {labels[sink]} ({count} of {total}, mean share {mean})"
    )
