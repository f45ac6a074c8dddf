"""SVG pictures of the page without scripts."""

import base64
import struct
import zlib

import numpy as np
from jaxtyping import Bool, Float, UInt8
from markupsafe import Markup, escape

from model_understanding.comparison import Alignment
from model_understanding.results import AttentionMap, Attribution
from model_understanding.show.shared.attention_view import largest_units
from model_understanding.show.shared.colors import oklch
from model_understanding.show.shared.comparison_words import MARKS
from model_understanding.show.shared.words import LABEL_LENGTH, percent, shown

MOST_BARS = 40
LABELED, MOST_CELLS = 36, 256
_ROW, _LEFT, WIDTH = 20, 170, 640


def bars_picture(attribution: Attribution, label: str) -> Markup:
    """Return the scores of one target as bars, in reading order; of many the largest.

    Args:
        attribution: One target's scores, by visible character.
        label: What the picture shows.

    Returns:
        An ``<svg>`` element.
    """
    shares = attribution.normalized().scores[0]
    units = sorted(largest_units(attribution)[:MOST_BARS])
    reach = float(np.abs(shares).max(initial=0)) or 1.0
    labels = attribution.tokens.labels()
    signed = attribution.signed
    room = (WIDTH - _LEFT - 70) / (2 if signed else 1)
    zero = _LEFT + (room if signed else 0)
    shapes = []
    for place, unit in enumerate(units):
        share = float(shares[unit])
        width = abs(share) / reach * room
        kind = "special" if attribution.tokens.special[unit] else _side(share, signed)
        top = place * _ROW
        shapes.append(svg_text(_LEFT - 8, top + 14, shown(labels[unit], LABEL_LENGTH), "end"))
        left = zero - width if share < 0 else zero
        box = f'x="{left:.1f}" y="{top + 4}" width="{width:.1f}" height="{_ROW - 8}"'
        shapes.append(f'<rect class="mu-fill-{kind}" {box}/>')
        shapes.append(svg_text(WIDTH, top + 14, percent(share), "end"))
    return svg_element(WIDTH, max(len(units), 1) * _ROW, label, shapes)


def attention_picture(attention: AttentionMap, label: str) -> Markup:
    """Return the mean weights over the layers and heads held, as a matrix.

    Args:
        attention: The map.
        label: What the picture shows.

    Returns:
        An ``<svg>`` element; sinks are off the color scale, which ends at the largest other weight.
    """
    if len(attention.keys) <= 4 * LABELED:
        attention = attention.folded("character")
    weights = np.abs(attention.matrix())
    sinks = list(attention.sinks or ())
    weights[:, sinks] = 0
    strengths = weights / (float(weights.max(initial=0)) or 1.0)
    rows, keys = strengths.shape
    labeled = max(rows, keys) <= LABELED
    left, top = (110, 90) if labeled else (0, 0)
    cell = min(18.0, (WIDTH - left) / keys, 560 / rows)
    image = png_of(_alpha(_shrunk(strengths)))
    width, height = keys * cell, rows * cell
    shapes = [
        f'<rect class="mu-fill-ground" x="{left}" y="{top}" width="{width:.1f}" height="{height:.1f}"/>',
        f'<image href="{image}" x="{left}" y="{top}" width="{width:.1f}" height="{height:.1f}" '
        'preserveAspectRatio="none" image-rendering="pixelated"/>',
    ]
    shapes += [
        f'<rect class="mu-fill-sink" x="{left + sink * cell:.1f}" y="{top}" width="{cell:.1f}" '
        f'height="{height:.1f}"/>'
        for sink in sinks
    ]
    if labeled:
        source = attention.queries if attention.steps is None else attention.steps
        for place, name in enumerate(source.labels()):
            shapes.append(svg_text(left - 6, top + (place + 0.7) * cell, shown(name, 12), "end"))
        for place, name in enumerate(attention.keys.labels()):
            x = left + (place + 0.6) * cell
            shapes.append(svg_text(x, top - 6, shown(name, 12), "start", f"rotate(-60 {x:.1f} {top - 6})"))
    return svg_element(left + width + 60, top + height, label, shapes)


def _side(share: float, signed: bool) -> str:
    return "unsigned" if not signed else "supports" if share >= 0 else "against"


def svg_element(width: float, height: float, label: str, shapes: list[str]) -> Markup:
    """Return an ``<svg>`` of shapes that holds nothing unescaped, said also in words."""
    return Markup(
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img" '
        f'aria-label="{escape(shown(label))}">{"".join(shapes)}</svg>'
    )


def svg_text(x: float, y: float, words: str, anchor: str, transform: str = "") -> str:
    """Return a ``<text>`` whose words are escaped."""
    turn = f' transform="{transform}"' if transform else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turn}>{escape(words)}</text>'


def _shrunk(strengths: Float[np.ndarray, "rows keys"]) -> Float[np.ndarray, "rows keys"]:
    """Return at most 256 cells a side, each the largest of its block."""
    block = -(-max(strengths.shape) // MOST_CELLS)
    if block == 1:
        return strengths
    padding = [(0, -length % block) for length in strengths.shape]
    padded = np.pad(strengths, padding)
    rows, keys = (length // block for length in padded.shape)
    return padded.reshape(rows, block, keys, block).max(axis=(1, 3))


def png_of(pixels: UInt8[np.ndarray, "rows keys 4"]) -> str:
    """Return red, green, blue and opacity as the address of a PNG that an ``<image>`` can hold."""
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


def _alpha(strengths: Float[np.ndarray, "rows keys"]) -> UInt8[np.ndarray, "rows keys 4"]:
    """Return one color whose opacity is the strength, so that it stands on any ground."""
    pixels: UInt8[np.ndarray, "rows keys 4"] = np.empty((*strengths.shape, 4), dtype=np.uint8)
    pixels[..., :3] = (0x1F, 0x8F, 0xB0)
    pixels[..., 3] = np.rint(255 * np.clip(strengths, 0, 1))
    return pixels


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
