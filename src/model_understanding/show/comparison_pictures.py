"""The picture of differences on a comparison's page: a matrix in two colors that stand on either theme."""

import numpy as np
from jaxtyping import Bool, Float, UInt8
from markupsafe import Markup

from model_understanding.results import Alignment
from model_understanding.show.colors import oklch
from model_understanding.show.comparison_words import MARKS
from model_understanding.show.page_pictures import (
    LABELED,
    MOST_CELLS,
    WIDTH,
    png_of,
    svg_element,
    svg_text,
)
from model_understanding.show.wording import shown

_LEVELS = 24  # of opacity: few, so that the picture stays small
_HIGHER, _LOWER = oklch(0.62, 0.15, 255.0), oklch(0.66, 0.16, 55.0)  # between the two themes' own
_GRAY = (128, 128, 128, 70)


def difference_picture(
    differences: Float[np.ndarray, "rows units"],
    compared: Bool[np.ndarray, "rows units"],
    rows: tuple[str, ...],
    columns: tuple[str, ...],
    label: str,
) -> Markup:
    """Return signed differences as a matrix: blue above zero, orange below, gray where there is none.

    Args:
        differences: The differences.
        compared: Which of them there are.
        rows: A label of each row, fit to print.
        columns: A label of each column.
        label: What the picture shows.

    Returns:
        An ``<svg>`` element; of large matrices the largest difference of each block.
    """
    height, width = differences.shape
    labeled = max(height, width) <= LABELED
    left, top = (120, 90) if labeled else (0, 0)
    cell = min(18.0, (WIDTH - left) / width, 560 / height)
    box = f'x="{left}" y="{top}" width="{width * cell:.1f}" height="{height * cell:.1f}"'
    image = png_of(_pixels(*_shrunk_differences(differences, compared)))
    shapes = [
        f'<rect class="mu-fill-ground" {box}/>',
        f'<image href="{image}" {box} preserveAspectRatio="none" image-rendering="pixelated"/>',
    ]
    if labeled:
        shapes += [
            svg_text(left - 6, top + (place + 0.7) * cell, shown(name, 13), "end")
            for place, name in enumerate(rows)
        ]
        for place, name in enumerate(columns):
            x = left + (place + 0.6) * cell
            shapes.append(svg_text(x, top - 6, shown(name, 13), "start", f"rotate(-60 {x:.1f} {top - 6})"))
    return svg_element(left + width * cell + 60, top + height * cell, label, shapes)


def axis_labels(alignment: Alignment) -> tuple[str, ...]:
    """Return a short label of each unit: ``good``; ``~bad`` in the place of another; ``−very``; ``+very``.

    One word each: two with an arrow between them would swap places where a script runs right to left.
    """
    first, second = (tokens.labels() for tokens in (alignment.first, alignment.second))
    return tuple(
        MARKS[kind] + shown(second[other] if other >= 0 else first[one], 12)
        for kind, (one, other) in zip(alignment.kinds(), alignment.pairs, strict=True)
    )


def _shrunk_differences(
    differences: Float[np.ndarray, "rows units"], compared: Bool[np.ndarray, "rows units"]
) -> tuple[np.ndarray, np.ndarray]:
    """Return at most 256 cells a side, each the largest difference of its block with its sign."""
    block = -(-max(differences.shape) // MOST_CELLS)
    if block == 1:
        return differences, compared
    padding = [(0, -length % block) for length in differences.shape]
    rows, columns = (-(-length // block) for length in differences.shape)

    def blocks(values: np.ndarray) -> np.ndarray:
        cut = np.pad(values, padding).reshape(rows, block, columns, block)
        return cut.transpose(0, 2, 1, 3).reshape(rows, columns, -1)

    parts = blocks(differences)
    largest = np.abs(parts).argmax(axis=-1)[..., None]
    return np.take_along_axis(parts, largest, axis=-1)[..., 0], np.asarray(blocks(compared).any(axis=-1))


def _pixels(
    differences: Float[np.ndarray, "rows units"], compared: Bool[np.ndarray, "rows units"]
) -> UInt8[np.ndarray, "rows units 4"]:
    strengths = np.abs(differences) / (float(np.abs(differences).max(initial=0)) or 1.0)
    pixels = np.zeros((*differences.shape, 4), dtype=np.uint8)
    for color, cells in ((_HIGHER, differences > 0), (_LOWER, differences < 0)):
        pixels[cells, :3] = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    pixels[..., 3] = np.rint(255 / _LEVELS * np.ceil(_LEVELS * strengths))
    pixels[~compared] = _GRAY
    return pixels
