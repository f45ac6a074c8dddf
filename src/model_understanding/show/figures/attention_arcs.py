"""The largest weights of an attention matrix as arcs from queries to keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgba
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from model_understanding.results import AttentionMap
from model_understanding.results.attention_sinks import SinkMode
from model_understanding.show.figures.fonts import missing_fonts_note, text_style
from model_understanding.show.figures.frame import (
    DETAIL_SIZE,
    SMALL_SIZE,
    AxisContent,
    Panel,
    fitted,
    make_header,
    text_width,
)
from model_understanding.show.figures.heatmap import axis_labels
from model_understanding.show.figures.options import NO_OPTIONS, PlotOptions
from model_understanding.show.figures.place import Room
from model_understanding.show.shared.colors import Palette
from model_understanding.show.shared.words import attention_title, cautions_of, format_percent
from model_understanding.show.views.attention import AttentionView, attention_view
from model_understanding.tokens import Level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ARCS_PER_ROW = 3
_MAX_ARCS, _MAX_PER_ROW = 24, 1.5  # arcs of a short text, and of a long one for each row
_MAX_ROWS, _MAX_KEYS = 72, 96
_LINE = 0.185  # inches per line of text
_GAP = 2.9  # inches between the columns
_MIN_STRENGTH = 0.02  # share of the largest weight below which no arc is drawn
_MIN_WIDTH, _MAX_WIDTH = 0.5, 4.2  # points
_MIN_OPACITY = 0.16
_MAX_HEADER = 0.42  # share of the height of the place of a user's axes
_LEAST_LINE = 0.145  # inches per line of text in axes of the user


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Arcs:
    view: AttentionView
    rows: range
    keys: tuple[int, ...]
    arcs: tuple[tuple[int, int, float], ...]  # row, key, weight; smallest weight first
    peak: float
    options: PlotOptions
    details: tuple[str, ...]


def arcs_panel(
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
    """Plan a plot of the largest weights of one attention matrix.

    Args:
        attention: The map.
        layer: Index of the layer; ``None`` for the mean.
        head: Index of the head; ``None`` for the mean.
        level: What a label stands for.
        colors: The theme's colors.
        sinks: Mode for attention sinks; excluded sinks have no arcs, but their share next to their label.
        options: What the caller sets of the plot; ``vmax`` is the weight of the thickest arc.
        room: The place of a user's axes; of more tokens than fit the first are drawn.

    Returns:
        The panel. Its header gives the share of the weight that the arcs show.
    """
    view = attention_view(attention, layer, head, level, sinks)
    selected = _select_arcs(view, options, _MAX_ROWS, _MAX_KEYS)
    if room is not None:
        lines = max(int((0.82 - _MAX_HEADER) * room.height / _LEAST_LINE), 2)
        selected = _select_arcs(view, options, min(lines, _MAX_ROWS), min(lines, _MAX_KEYS), is_brief=True)
    row_labels = list(axis_labels(view.rows, "→ " if view.has_steps else ""))
    key_labels = list(axis_labels(view.keys))
    for sink, share in zip(view.sinks, view.shares, strict=True):
        key_labels[sink] += f"  ({view.sink_name}: {format_percent(share)})"
    if room is not None:
        length = max(0.32 * room.width - 0.1, 0.2)
        row_labels = [fitted(label, length, SMALL_SIZE) for label in row_labels]
        key_labels = [fitted(label, length, SMALL_SIZE) for label in key_labels]
    least = 0.9 if room is None else min(0.75, 0.32 * room.width - 0.1)
    left = max([least, *(text_width(row_labels[row], SMALL_SIZE) for row in selected.rows)]) + 0.1
    right = max([least, *(text_width(key_labels[key], SMALL_SIZE) for key in selected.keys)]) + 0.1
    count = max(len(selected.rows), len(selected.keys), 2)
    total_width = max(left + _GAP + right, 6.2) if room is None else room.width
    gap = _GAP if room is None else max(room.width - left - right, 0.2)
    missing = missing_fonts_note((*view.rows.labels(), *view.keys.labels()))
    sink_text = view.sink_text(axis_labels(view.keys)) if view.mode == "renormalized" else ""
    header = make_header(
        title=options.titled(attention_title(attention, layer, head)),
        details=(),
        notes=(
            *selected.details,
            *view.omissions,
            *([missing] if missing else []),
            *([sink_text] if sink_text else []),
        ),
        cautions=cautions_of(attention),
        width=total_width,
        indent=-left,
        height=None if room is None else _MAX_HEADER * room.height,
    )
    height = count * _LINE if room is None else max(room.height - header.height - 0.36, 0.2)

    def draw(axes: "Axes") -> None:
        axes.set_facecolor(colors.background)
        axes.set(xlim=(0, gap), ylim=(height, 0), xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        row_heights = _heights(selected.rows, height)
        key_heights = _heights(selected.keys, height)
        _draw_arcs(axes, selected, row_heights, key_heights, gap, colors)
        font = text_style(*row_labels, *key_labels)
        for row, y in row_heights.items():
            color = colors.muted if view.rows.special[row] else colors.text
            style = {"ha": "right", "va": "center", "fontsize": SMALL_SIZE, "color": color}
            axes.text(-0.06, y, row_labels[row], **style, **font)  # pyright: ignore[reportArgumentType]
        for key, y in key_heights.items():
            is_muted = view.keys.special[key] or key in view.excluded
            style = {"ha": "left", "va": "center", "fontsize": SMALL_SIZE}
            style["color"] = colors.muted if is_muted else colors.text
            axes.text(gap + 0.06, y, key_labels[key], **style, **font)  # pyright: ignore[reportArgumentType]
        if room is not None and min(left, right) < 0.9:
            header.draw(axes, colors)
            return
        below = {"va": "top", "fontsize": DETAIL_SIZE, "color": colors.muted}
        axes.text(-0.06, height + 0.07, view.row_name, ha="right", **below)  # pyright: ignore[reportArgumentType]
        axes.text(gap + 0.06, height + 0.07, view.column_name, ha="left", **below)  # pyright: ignore[reportArgumentType]
        header.draw(axes, colors)

    return Panel(
        width=gap,
        height=height,
        left=left,
        right=total_width - left - gap,
        top=header.height + 0.04,
        bottom=0.32,
        draw=draw,
        x=AxisContent("drawing", (f"{gap:.2f}",)),
        y=AxisContent("drawing", (f"{height:.2f}",)),
    )


def _select_arcs(
    view: AttentionView, options: PlotOptions, max_rows: int, max_keys: int, *, is_brief: bool = False
) -> _Arcs:
    """Select the arcs and tokens to draw, and describe the selection."""
    weights = np.where(view.mask, np.abs(view.weights), 0.0)
    total = float(weights[:max_rows].sum())
    has_choice = view.mask.sum(axis=1) > 1
    weights[:, list(view.excluded)] = 0.0
    weights[~has_choice] = 0.0
    rows = range(min(len(view.rows), max_rows))
    largest = float(weights[: len(rows)].max(initial=0.0)) or 1.0
    peak = largest if options.vmax is None else float(options.vmax)
    least = max(_MIN_STRENGTH * largest, options.vmin or 0.0)
    arcs = [
        (row, int(key), float(weights[row, key]))
        for row in rows
        for key in np.argsort(-weights[row], kind="stable")[:ARCS_PER_ROW]
        if weights[row, key] >= least
    ]
    arcs = sorted(arcs, key=lambda arc: -arc[2])[: max(_MAX_ARCS, int(_MAX_PER_ROW * len(rows)))]
    keys, details = tuple(range(len(view.keys))), []
    if len(keys) > max_keys:
        received = np.zeros(len(keys))
        for _, key, weight in arcs:
            received[key] += weight
        top = [int(key) for key in np.argsort(-received, kind="stable")[:max_keys] if received[key] > 0]
        keys = tuple(sorted({*top, *view.sinks[:3]}))
        arcs = [arc for arc in arcs if arc[1] in top]
        details.append(f"Showing {len(keys)} of {len(view.keys)} keys: those with the largest total weight.")
    if len(rows) < len(view.rows):
        details.append(f"Showing the first {len(rows)} of {len(view.rows)} queries.")
    share = format_percent(sum(weight for *_, weight in arcs) / total if total else 0.0)
    without = f" ({view.sink_name}s excluded)" if view.excluded and view.mode == "muted" else ""
    if is_brief:
        details = [f"The {len(arcs)} largest weights{without}: {share} of the total.", *details]
    else:
        details.insert(
            0,
            f"Arcs: the {len(arcs)} largest weights, at most {ARCS_PER_ROW} per query{without}: {share} of "
            f"the total. Thickest and darkest: {view.format_weight(peak)}.",
        )
        if not has_choice[: len(rows)].all():
            details.append("A query that can attend to one key only has no arc.")
    return _Arcs(
        view=view,
        rows=rows,
        keys=keys,
        arcs=tuple(sorted(arcs, key=lambda arc: arc[2])),
        peak=peak,
        options=options,
        details=tuple(details),
    )


def _heights(tokens: Sequence[int], height: float) -> dict[int, float]:
    """Return the vertical position of each token, evenly spaced over a height in inches."""
    return {token: (index + 0.5) * height / len(tokens) for index, token in enumerate(tokens)}


def _draw_arcs(
    axes: "Axes",
    selected: _Arcs,
    rows: dict[int, float],
    keys: dict[int, float],
    gap: float,
    colors: Palette,
) -> None:
    patches, widths, edges = [], [], []
    color_map = selected.options.color_map()
    for row, key, weight in selected.arcs:
        start, end, bend = (0.0, rows[row]), (gap, keys[key]), gap * 0.45
        path = Path(
            [start, (bend, start[1]), (gap - bend, end[1]), end],
            [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
        )
        patches.append(PathPatch(path))
        strength = min(weight / selected.peak, 1.0)
        widths.append(_MIN_WIDTH + (_MAX_WIDTH - _MIN_WIDTH) * strength)
        color = colors.attention(0.45 + 0.4 * strength) if color_map is None else color_map(strength)
        edges.append(to_rgba(color, _MIN_OPACITY + (0.92 - _MIN_OPACITY) * strength))
    arcs = PatchCollection(patches, facecolors="none", edgecolors=edges, linewidths=widths)
    arcs.set_capstyle("round")
    axes.add_collection(arcs)
