"""Many attention matrices at once: one small tile for each layer and head, on one color scale."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from model_understanding.results import AttentionMap
from model_understanding.results.attention_sinks import SinkMode
from model_understanding.show.figures.fonts import text_style
from model_understanding.show.figures.frame import SMALL_SIZE, Header, Panel, make_header, text_width
from model_understanding.show.figures.heatmap import axis_labels
from model_understanding.show.shared.attention_view import AttentionView, attention_view
from model_understanding.show.shared.colors import STEPS, Palette
from model_understanding.show.shared.words import attention_name, cautions, number, percent
from model_understanding.tokens import Level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_TILES = 144  # as many as a model of 12 layers and 12 heads has
_MOST_DOTS = 96  # of a tile's side
_WIDE = 9.4  # inches of all tiles
_LEAST, _MOST = 0.62, 2.4  # inches of a tile
_GAP, _NAMED_GAP = 0.07, 0.24  # inches between tiles, and where each carries its name
_SCALE_ROOM, _SCALE_WIDTH, _SCALE_HEIGHT = 0.44, 1.9, 0.11  # inches of the color scale below the tiles


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
    row_names: tuple[str, ...]  # of layers × heads; else each tile has its own name
    column_names: tuple[str, ...]
    rows: int
    columns: int
    top: float
    rooted: bool
    omitted: tuple[str, ...]

    @property
    def is_named_by_side(self) -> bool:
        return bool(self.row_names)


def grid_panel(
    attention: AttentionMap,
    layer: int | None,
    head: int | None,
    level: Level,
    colors: Palette,
    *,
    sinks: SinkMode | None = None,
) -> Panel:
    """Plan a grid with a tile for each layer and head that a map holds.

    Args:
        attention: The map.
        layer: Only this layer's heads.
        head: Only this head, in every layer.
        level: What a row and a column of a tile stand for.
        colors: The theme's colors.
        sinks: What is done with the sinks of each tile.

    Returns:
        The panel; more than 144 tiles are thinned out, and the picture says so.
    """
    found = _tiles(attention, layer, head, level, sinks)
    queries, keys = found.tiles[0].view.weights.shape
    wide = min(max(_WIDE / found.columns, _LEAST), _MOST)
    tall = min(max(wide * queries / keys, 0.4 * wide), 1.6 * wide)
    gap = _GAP if found.is_named_by_side else _NAMED_GAP
    width = found.columns * (wide + _GAP) - _GAP
    names = 0.24 if found.is_named_by_side else gap  # inches of the names above the first row
    height = names + found.rows * (tall + gap) - _GAP + _SCALE_ROOM
    left = max([0.1, *(text_width(name, SMALL_SIZE) + 0.14 for name in found.row_names)])
    room = max(left + width, 6.2)
    header = _header(attention, found, colors, room, -left)

    def draw(axes: "Axes") -> None:
        axes.set_facecolor(colors.background)
        axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        for tile in found.tiles:
            x, y = tile.column * (wide + _GAP), names + tile.row * (tall + gap)
            dots, _ = _dots(tile.view, found.top, found.rooted, colors)
            axes.imshow(
                dots, extent=(x, x + wide, y + tall, y), aspect="auto", interpolation="nearest", zorder=2
            )
            if not found.is_named_by_side:
                _write(axes, _name(tile), x, y - 0.04, colors, "left", "bottom")
        for row, name in enumerate(found.row_names):
            _write(axes, name, -0.07, names + row * (tall + gap) + tall / 2, colors, "right", "center")
        for column, name in enumerate(found.column_names):
            _write(axes, name, column * (wide + _GAP) + wide / 2, names - 0.05, colors, "center", "bottom")
        _draw_scale(axes, found, colors, height - _SCALE_ROOM + 0.16)
        axes.set(xlim=(0, width), ylim=(height, 0))  # images move them
        header.draw(axes, colors)

    return Panel(
        width=width,
        height=height,
        left=left,
        right=room - left - width,
        top=header.height,
        bottom=0.05,
        draw=draw,
    )


def _tiles(
    attention: AttentionMap, layer: int | None, head: int | None, level: Level, sinks: SinkMode | None
) -> _Tiles:
    layers, heads = _held(attention.layers, layer), _held(attention.heads, head)
    held = len(layers) * len(heads)
    layers, heads = _thinned(layers, heads)
    both = len(layers) > 1 and len(heads) > 1
    count = len(layers) * len(heads)
    columns = len(heads) if both else min(count, max(4, round(float(np.sqrt(1.4 * count)))))
    planes = [(one, other) for one in layers for other in heads]
    tiles = tuple(
        _Tile(
            layer=one,
            head=other,
            row=place // columns,
            column=place % columns,
            view=attention_view(attention, one, other, level, sinks),
        )
        for place, (one, other) in enumerate(planes)
    )
    visible = [np.abs(tile.view.weights[_is_on_scale(tile.view)]) for tile in tiles]
    weights = np.concatenate(visible)
    top = float(weights.max(initial=0.0)) or 1.0
    omitted = []
    if held > count:
        named = f"layers {_listed(layers)}, heads {_listed(heads)}"
        omitted.append(f"{count} of {held} tiles are drawn: {named}.")
    block = -(-max(tiles[0].view.weights.shape) // _MOST_DOTS)
    if block > 1:
        omitted.append(f"Each dot is the largest of {block} × {block} cells.")
    return _Tiles(
        tiles=tiles,
        row_names=tuple(f"layer {one}" for one in layers) if both else (),
        column_names=tuple(_short(other, columns) for other in heads) if both else (),
        rows=-(-count // columns),
        columns=columns,
        top=top,
        rooted=bool(weights.size) and float(np.quantile(weights, 0.95)) < 0.25 * top,
        omitted=tuple(omitted),
    )


def _held(held: tuple[int, ...] | str, wanted: int | None) -> list[int | None]:
    """Return the layers or heads to draw; one that is not held is told by the first tile."""
    if wanted is not None:
        return [wanted]
    return [None] if isinstance(held, str) else list(held)


def _thinned(layers: list[int | None], heads: list[int | None]) -> tuple[list[int | None], list[int | None]]:
    """Return evenly spaced layers and heads that make at most as many tiles as fit."""
    if len(layers) * len(heads) <= MOST_TILES:
        return layers, heads
    side = int(np.sqrt(MOST_TILES))
    count = min(len(layers), max(side, MOST_TILES // len(heads)))
    return _spaced(layers, count), _spaced(heads, min(len(heads), MOST_TILES // count))


def _spaced(values: list[int | None], count: int) -> list[int | None]:
    return [values[round(place)] for place in np.linspace(0, len(values) - 1, count)]


def _listed(values: Sequence[int | None]) -> str:
    return ", ".join("all" if value is None else str(value) for value in values)


def _short(head: int | None, columns: int) -> str:
    return "" if head is None else f"head {head}" if columns <= 14 else str(head)


def _name(tile: _Tile) -> str:
    parts = [
        f"{name} {value}" for name, value in (("layer", tile.layer), ("head", tile.head)) if value is not None
    ]
    return ", ".join(parts) or "mean"


def _is_on_scale(view: AttentionView) -> np.ndarray:
    shown = view.mask.copy()
    shown[:, list(view.off_scale)] = False
    return shown


def _dots(
    view: AttentionView, top: float, rooted: bool, colors: Palette
) -> tuple[UInt8[np.ndarray, "rows keys 3"], int]:
    """Return a tile's pixels, each the largest of a block of cells, and the block's side."""
    block = -(-max(view.weights.shape) // _MOST_DOTS)
    strengths = _largest(np.where(_is_on_scale(view), np.abs(view.weights) / top, -1.0), block)
    off = np.zeros_like(view.mask)
    off[:, list(view.off_scale)] = view.mask[:, list(view.off_scale)]
    is_off = _largest(off.astype(float), block) > 0
    ramp = _ramp(colors)
    steps = np.clip(strengths, 0, 1) ** (0.5 if rooted else 1.0)
    dots = ramp[np.rint(steps * (STEPS - 1)).astype(int)]
    dots[strengths < 0] = _bytes(colors.masked)
    dots[is_off & ((strengths < 0) | (block == 1))] = _bytes(colors.hatch)
    return dots, block


def _largest(values: Float[np.ndarray, "rows keys"], block: int) -> Float[np.ndarray, "dots across"]:
    if block == 1:
        return values
    padded = np.pad(values, [(0, -length % block) for length in values.shape], constant_values=-1.0)
    rows, keys = (length // block for length in padded.shape)
    return padded.reshape(rows, block, keys, block).max(axis=(1, 3))


def _ramp(colors: Palette) -> UInt8[np.ndarray, "steps 3"]:
    return np.array([_bytes(colors.attention(step / (STEPS - 1))) for step in range(STEPS)], dtype=np.uint8)


def _bytes(color: str) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in to_rgb(color))
    return red, green, blue


def _write(axes: "Axes", words: str, x: float, y: float, colors: Palette, ha: str, va: str) -> None:
    style = {"ha": ha, "va": va, "fontsize": SMALL_SIZE, "color": colors.muted}
    axes.text(x, y, words, **style, **text_style(words))  # pyright: ignore[reportArgumentType]


def _draw_scale(axes: "Axes", found: _Tiles, colors: Palette, top: float) -> None:
    """Draw the color scale that all tiles share, below them."""
    start = text_width("0", SMALL_SIZE) + 0.08
    ramp = _ramp(colors)[None]
    extent = (start, start + _SCALE_WIDTH, top + _SCALE_HEIGHT, top)
    if found.rooted:  # evenly spaced weights, as the tiles color them
        ramp = ramp[:, np.rint((STEPS - 1) * np.sqrt(np.linspace(0, 1, STEPS))).astype(int)]
    axes.imshow(ramp, extent=extent, aspect="auto", interpolation="nearest")
    middle = top + _SCALE_HEIGHT / 2
    name = f"{number(found.top)}  {found.tiles[0].view.scale_name}, one scale for all tiles"
    _write(axes, "0", 0, middle, colors, "left", "center")
    _write(axes, name, start + _SCALE_WIDTH + 0.08, middle, colors, "left", "center")


def _header(attention: AttentionMap, found: _Tiles, colors: Palette, width: float, indent: float) -> Header:
    view = found.tiles[0].view
    masked = any(not tile.view.mask.all() for tile in found.tiles)
    words = _sink_words(found)
    off = any(tile.view.off_scale for tile in found.tiles)
    handles = [Patch(facecolor=colors.hatch, label=words)] if off else []
    handles += [Patch(facecolor=colors.masked, label=view.masked_words)] if masked else []
    rows = "the token produced" if view.produced else "from (query)"
    return make_header(
        title=f"{attention_name(attention)}: {len(found.tiles)} tiles",
        details=(
            f"Each tile: rows {rows}, downwards; columns to (key), rightwards; {view.weights.shape[0]} × "
            f"{view.weights.shape[1]} tokens.",
            *found.omitted,
            *view.left_out,
            *([words] if words and not off else []),
        ),
        cautions=cautions(attention),
        handles=handles,
        width=width,
        indent=indent,
    )


def _sink_words(found: _Tiles) -> str:
    """Return in how many tiles there is a sink, and which one is it most often."""
    holders = [tile.view for tile in found.tiles if tile.view.sinks]
    if not holders:
        return ""
    names = axis_labels(holders[0].keys)
    place, count = Counter(sink for view in holders for sink in view.sinks).most_common(1)[0]
    shares = [view.shares[view.sinks.index(place)] for view in holders if place in view.sinks]
    done = {"raw": "", "muted": ", off the color scale", "renormalized": ", left out and rows rescaled"}
    return (
        f"{holders[0].sink_name}{done[holders[0].mode]}: in {len(holders)} of {len(found.tiles)} tiles; in "
        f"{count} of them {names[place]}, with {percent(float(np.mean(shares)))} on average"
    )
