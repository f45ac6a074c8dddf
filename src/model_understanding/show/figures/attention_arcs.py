"""Attention as arcs between two columns of tokens: who looks at whom, for the strongest links."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from model_understanding.results import AttentionMap
from model_understanding.results.attention_sinks import SinkMode
from model_understanding.show.figures.fonts import text_style
from model_understanding.show.figures.frame import DETAIL_SIZE, SMALL_SIZE, Panel, make_header, text_width
from model_understanding.show.figures.heatmap import axis_labels
from model_understanding.show.shared.attention_view import AttentionView, attention_view
from model_understanding.show.shared.colors import Palette
from model_understanding.show.shared.words import attention_title, cautions, number, percent
from model_understanding.tokens import Level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINKS = 3  # of a row, the largest
_MOST_ROWS, _MOST_KEYS = 72, 96
_LINE = 0.185  # inches of a line of text
_GAP = 2.9  # inches between the columns
_FAINTEST = 0.02  # share of the largest weight under which nothing is drawn
_THINNEST, _THICKEST = 0.5, 4.2  # points


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Links:
    view: AttentionView
    rows: range
    keys: tuple[int, ...]
    ends: tuple[tuple[int, int, float], ...]  # row, key, weight, weakest first
    top: float
    details: tuple[str, ...]


def arcs_panel(
    attention: AttentionMap,
    layer: int | None,
    head: int | None,
    level: Level,
    colors: Palette,
    *,
    sinks: SinkMode | None = None,
) -> Panel:
    """Plan a picture of the strongest links of one attention matrix.

    Args:
        attention: The map.
        layer: The layer's index, ``None`` for the mean.
        head: The head's index, likewise.
        level: What a label stands for.
        colors: The theme's colors.
        sinks: What is done with the sinks; off the scale they have no arcs, and their share beside them.

    Returns:
        The panel. It says how much of the weight its arcs are.
    """
    links = _links(attention_view(attention, layer, head, level, sinks))
    view = links.view
    row_names = axis_labels(view.rows, "→ " if view.produced else "")
    key_names = list(axis_labels(view.keys))
    for sink, share in zip(view.sinks, view.shares, strict=True):
        key_names[sink] += f"  ({view.sink_name}: {percent(share)})"
    left = max([0.9, *(text_width(row_names[row], SMALL_SIZE) for row in links.rows)]) + 0.1
    right = max([0.9, *(text_width(key_names[key], SMALL_SIZE) for key in links.keys)]) + 0.1
    height = max(len(links.rows), len(links.keys), 2) * _LINE
    room = max(left + _GAP + right, 6.2)
    words = view.sink_words(axis_labels(view.keys))
    header = make_header(
        title=attention_title(attention, layer, head),
        details=(*links.details, *view.left_out, *([words] if view.mode == "renormalized" and words else [])),
        cautions=cautions(attention),
        width=room,
        indent=-left,
    )

    def draw(axes: "Axes") -> None:
        axes.set_facecolor(colors.background)
        axes.set(xlim=(0, _GAP), ylim=(height, 0), xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        row_places = {row: _place(place, len(links.rows), height) for place, row in enumerate(links.rows)}
        key_places = {key: _place(place, len(links.keys), height) for place, key in enumerate(links.keys)}
        _draw_arcs(axes, links, row_places, key_places, colors)
        named = text_style(*row_names, *key_names)
        for row, y in row_places.items():
            color = colors.muted if view.rows.special[row] else colors.text
            style = {"ha": "right", "va": "center", "fontsize": SMALL_SIZE, "color": color}
            axes.text(-0.06, y, row_names[row], **style, **named)  # pyright: ignore[reportArgumentType]
        for key, y in key_places.items():
            is_muted = view.keys.special[key] or key in view.off_scale
            style = {"ha": "left", "va": "center", "fontsize": SMALL_SIZE}
            style["color"] = colors.muted if is_muted else colors.text
            axes.text(_GAP + 0.06, y, key_names[key], **style, **named)  # pyright: ignore[reportArgumentType]
        below = {"va": "top", "fontsize": DETAIL_SIZE, "color": colors.muted}
        first = "produced (from query)" if view.produced else "from (query)"
        axes.text(-0.06, height + 0.07, first, ha="right", **below)  # pyright: ignore[reportArgumentType]
        axes.text(_GAP + 0.06, height + 0.07, "to (key)", ha="left", **below)  # pyright: ignore[reportArgumentType]
        header.draw(axes, colors)

    return Panel(
        width=_GAP,
        height=height,
        left=left,
        right=room - left - _GAP,
        top=header.height + 0.04,
        bottom=0.32,
        draw=draw,
    )


def _links(view: AttentionView) -> _Links:
    """Choose the links and the tokens that are drawn, and say what is not."""
    shown = np.where(view.mask, np.abs(view.weights), 0.0)
    shown[:, list(view.off_scale)] = 0.0
    rows = range(min(len(view.rows), _MOST_ROWS))
    top = float(shown[: len(rows)].max(initial=0.0)) or 1.0
    ends = []
    for row in rows:
        for key in np.argsort(-shown[row], kind="stable")[:LINKS]:
            if shown[row, key] >= _FAINTEST * top:
                ends.append((row, int(key), float(shown[row, key])))
    keys, details = tuple(range(len(view.keys))), []
    if len(keys) > _MOST_KEYS:
        reached = np.zeros(len(keys))
        for _, key, weight in ends:
            reached[key] += weight
        chosen = [int(key) for key in np.argsort(-reached, kind="stable")[:_MOST_KEYS] if reached[key] > 0]
        keys = tuple(sorted({*chosen, *view.sinks[:3]}))
        ends = [end for end in ends if end[1] in chosen]
        details.append(f"{len(keys)} of {len(view.keys)} keys are drawn: those that most arcs lead to.")
    if len(rows) < len(view.rows):
        details.append(f"The first {len(rows)} of {len(view.rows)} queries are drawn.")
    total = float(np.where(view.mask, np.abs(view.weights), 0.0)[: len(rows)].sum())
    drawn = sum(weight for *_, weight in ends) / total if total else 0.0
    aside = ", sinks left aside" if view.off_scale and view.mode == "muted" else ""
    details.insert(
        0,
        f"Arcs: up to {LINKS} of each row, the largest{aside}; {percent(drawn)} of the weight. "
        f"The thickest is {number(top)}.",
    )
    return _Links(
        view=view,
        rows=rows,
        keys=keys,
        ends=tuple(sorted(ends, key=lambda end: end[2])),
        top=top,
        details=tuple(details),
    )


def _place(place: int, count: int, height: float) -> float:
    return (place + 0.5) * height / count


def _draw_arcs(
    axes: "Axes", links: _Links, rows: dict[int, float], keys: dict[int, float], colors: Palette
) -> None:
    patches, widths, edges = [], [], []
    for row, key, weight in links.ends:
        start, end, bend = (0.0, rows[row]), (_GAP, keys[key]), _GAP * 0.45
        path = Path(
            [start, (bend, start[1]), (_GAP - bend, end[1]), end],
            [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
        )
        patches.append(PathPatch(path))
        strength = weight / links.top
        widths.append(_THINNEST + (_THICKEST - _THINNEST) * strength)
        edges.append(colors.attention(0.22 + 0.78 * strength))
    axes.add_collection(PatchCollection(patches, facecolors="none", edgecolors=edges, linewidths=widths))
