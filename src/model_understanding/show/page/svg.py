"""SVG plots of the page without scripts."""

import base64
import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8
from markupsafe import Markup, escape

from model_understanding.show.shared.colors import oklch
from model_understanding.show.shared.words import printable

MAX_LABELED, MAX_CELLS = 36, 256  # cells per side
WIDTH = 640


def _matrix_labels(
    rows: Sequence[str], columns: Sequence[str], left: float, top: float, cell: float
) -> Iterator[str]:
    for row, label in enumerate(rows):
        yield svg_text(left - 6, top + (row + 0.7) * cell, label, "end")
    for column, label in enumerate(columns):
        x = left + (column + 0.6) * cell
        yield svg_text(x, top - 6, label, "start", f"rotate(-60 {x:.1f} {top - 6})")


def svg_element(width: float, height: float, label: str, shapes: list[str]) -> Markup:
    """Return an ``<svg>`` of shapes, whose texts are escaped, with an accessible label."""
    return Markup(
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img" '
        f'aria-label="{escape(printable(label))}">{"".join(shapes)}</svg>'
    )


def svg_text(x: float, y: float, text: str, anchor: str, transform: str = "") -> str:
    """Return a ``<text>`` with escaped content."""
    attribute = f' transform="{transform}"' if transform else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{attribute}>{escape(text)}</text>'


def png_url(pixels: UInt8[np.ndarray, "rows keys 4"]) -> str:
    """Return RGBA pixels as the data URL of a PNG."""
    rows, keys = pixels.shape[:2]
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), pixels.reshape(rows, 4 * keys)], axis=1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", keys, rows, 8, 6, 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
        + chunk(b"IEND", b"")
    )
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"


_LEVELS = 24  # levels of opacity: few, so that the image stays small
_HIGHER, _LOWER = oklch(0.62, 0.15, 255.0), oklch(0.66, 0.16, 55.0)  # for both themes
_GRAY = (128, 128, 128, 70)


def difference_matrix(
    differences: Float[np.ndarray, "rows units"],
    compared: Bool[np.ndarray, "rows units"],
    rows: tuple[str, ...],
    columns: tuple[str, ...],
    label: str,
) -> Markup:
    """Return signed differences as a matrix: blue above zero, orange below, gray for missing values.

    Args:
        differences: The differences.
        compared: Which differences are not missing.
        rows: Labels of the rows, printable.
        columns: Labels of the columns.
        label: Accessible label of the plot.

    Returns:
        An ``<svg>`` element; for large matrices, with the largest difference of each block.
    """
    height, width = differences.shape
    is_labeled = max(height, width) <= MAX_LABELED
    left, top = (120, 90) if is_labeled else (0, 0)
    cell = min(18.0, (WIDTH - left) / width, 560 / height)
    box = f'x="{left}" y="{top}" width="{width * cell:.1f}" height="{height * cell:.1f}"'
    image = png_url(_difference_pixels(*_block_largest(differences, compared)))
    shapes = [
        f'<rect class="mu-fill-ground" {box}/>',
        f'<image href="{image}" {box} preserveAspectRatio="none" image-rendering="pixelated"/>',
    ]
    if is_labeled:
        row_labels, column_labels = ([printable(name, 13) for name in names] for names in (rows, columns))
        shapes += _matrix_labels(row_labels, column_labels, left, top, cell)
    return svg_element(left + width * cell + 60, top + height * cell, label, shapes)


def _block_largest(
    differences: Float[np.ndarray, "rows units"], compared: Bool[np.ndarray, "rows units"]
) -> tuple[np.ndarray, np.ndarray]:
    """Return at most 256 cells per side, each the largest difference of its block with its sign."""
    block = -(-max(differences.shape) // MAX_CELLS)
    if block == 1:
        return differences, compared
    padding = [(0, -length % block) for length in differences.shape]
    rows, columns = (-(-length // block) for length in differences.shape)

    def blocks(values: np.ndarray) -> np.ndarray:
        split = np.pad(values, padding).reshape(rows, block, columns, block)
        return split.transpose(0, 2, 1, 3).reshape(rows, columns, -1)

    parts = blocks(differences)
    largest = np.abs(parts).argmax(axis=-1)[..., None]
    return np.take_along_axis(parts, largest, axis=-1)[..., 0], np.asarray(blocks(compared).any(axis=-1))


def _difference_pixels(
    differences: Float[np.ndarray, "rows units"], compared: Bool[np.ndarray, "rows units"]
) -> UInt8[np.ndarray, "rows units 4"]:
    strengths = np.abs(differences) / (float(np.abs(differences).max(initial=0)) or 1.0)
    pixels = np.zeros((*differences.shape, 4), dtype=np.uint8)
    for color, cells in ((_HIGHER, differences > 0), (_LOWER, differences < 0)):
        pixels[cells, :3] = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    pixels[..., 3] = np.rint(255 / _LEVELS * np.ceil(_LEVELS * strengths))
    pixels[~compared] = _GRAY
    return pixels
