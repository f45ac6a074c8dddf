"""Attention weights in few bytes: quantized, without masked cells, deflated, within a byte budget."""

import base64
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from model_understanding.results import AttentionMap

# A page of 144 heads stays under 2 MB at 128 tokens and under 8 MB at 512.
_BYTES_AT_128_TOKENS = 1_620_000
_MAX_BYTES = 5_000_000
_LEVELS = (255, 127, 63)  # quantization levels to try if all weights are stored …
_KEPT = (64, 32, 16, 8, 4, 2, 1)  # … or numbers of weights per row
_MAX_KEYS = 65_536  # differences of key positions are stored in 16 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """How much of the weights a page stores.

    Args:
        levels: Number of quantization levels.
        kept: Number of weights stored per row, the largest; 0 for all.
    """

    levels: int
    kept: int = 0


def byte_budget(maps: tuple[AttentionMap, ...], most: int | None = None) -> int:
    """Return the number of bytes of base64 for the attention of a page: more for longer texts."""
    longest = max((max(len(m.queries), len(m.keys)) for m in maps), default=0)
    return min(
        _MAX_BYTES if most is None else most, max(_BYTES_AT_128_TOKENS, _BYTES_AT_128_TOKENS * longest // 128)
    )


def distinct_maps(maps: tuple[AttentionMap, ...]) -> tuple[AttentionMap, ...]:
    """Return the maps of a report without means over heads that another map contains."""
    return tuple(
        attention
        for attention in maps
        if not any(_contains(other, attention) for other in maps if other is not attention)
    )


def _contains(whole: AttentionMap, part: AttentionMap) -> bool:
    """Return whether a map is the mean over the heads of another."""
    if (
        (whole.map, whole.stack) != (part.map, part.stack)
        or part.heads != "mean"
        or isinstance(whole.heads, str)
        or len(whole.heads) < 2
    ):
        return False
    if isinstance(part.layers, str) or isinstance(whole.layers, str) or not {*part.layers} <= {*whole.layers}:
        return False
    if part.mask.shape != whole.mask.shape or part.places is not None or whole.places is not None:
        return False
    indices = [whole.layers.index(layer) for layer in part.layers]
    means = whole.weights[indices].mean(axis=1, keepdims=True)
    rounding = 1e-4 * float(np.abs(part.weights).max(initial=0))  # of files, see results/packed_arrays.py
    return np.allclose(means, part.weights, rtol=1e-4, atol=rounding)


def encoded_weights(attention: AttentionMap, budget: int) -> dict[str, Any]:
    """Return the weights of a map in as much detail as its budget allows.

    Args:
        attention: The map.
        budget: Maximum number of bytes of base64.

    Returns:
        ``Weights`` of the payload's schema.
    """
    weights = attention.weights
    signed = bool((weights < 0).any())
    scale = max(1.0, float(np.abs(weights).max(initial=0)))
    for detail in _details(attention, budget, scale, signed):
        encoded = _encoded(attention, detail, scale, signed)
        if sum(map(len, encoded["blocks"])) <= budget:
            return encoded
    return _encoded(attention, _coarsest(attention), scale, signed)


def _encoded(attention: AttentionMap, detail: Detail, scale: float, signed: bool) -> dict[str, Any]:
    """Return the weights with the given detail."""
    weights = attention.weights
    means = bool(detail.kept and weights.shape[1] > 1)
    blocks, errors, shares = [], [], []
    for layer in weights:
        block, error, share = _block(
            _with_mean(layer) if means else layer, attention.mask, detail, scale, signed
        )
        blocks.append(block)
        errors.append(error)
        shares.append(share)
    return {
        "kind": "top" if detail.kept else "dense",
        "levels": detail.levels,
        "scale": scale,
        "signed": signed,
        "error": float(f"{max(errors):.2g}"),
        "kept": detail.kept or weights.shape[-1],
        "share": round(float(np.mean(shares)), 4),
        "means": means,
        "blocks": blocks,
    }


def encoded_mask(mask: Bool[np.ndarray, "queries keys"]) -> dict[str, Any]:
    """Return the mask: full, causal, or bit by bit."""
    rows, keys = mask.shape
    if mask.all():
        return {"kind": "full", "offset": 0, "data": ""}
    offset = int(mask[0].sum()) - 1
    if np.array_equal(mask, np.tril(np.ones((rows, keys), dtype=bool), offset)):
        return {"kind": "causal", "offset": offset, "data": ""}
    return {"kind": "bits", "offset": 0, "data": deflated(np.packbits(mask).tobytes())}


def deflated(data: bytes) -> str:
    """Return bytes as raw deflate in base64."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    return base64.b64encode(compressor.compress(data) + compressor.flush()).decode("ascii")


def quantized(
    weights: Float[np.ndarray, " cells"], levels: int, scale: float, signed: bool
) -> UInt8[np.ndarray, " cells"]:
    """Return weights as quantized square roots, so that small weights keep more precision.

    Args:
        weights: The weights.
        levels: Number of levels from 0 to the scale.
        scale: The largest absolute weight.
        signed: Whether weights can be negative: then 128 is zero, with half the levels on either side.

    Returns:
        ``round(levels · √(|weight| / scale))``, added to or subtracted from 128 if signed.
    """
    steps = levels // 2 if signed else levels
    sizes = np.rint(steps * np.sqrt(np.abs(weights) / scale))
    return (128 + np.sign(weights) * sizes if signed else sizes).astype(np.uint8)


def restored(
    quantized_weights: UInt8[np.ndarray, " cells"], levels: int, scale: float, signed: bool
) -> Float[np.ndarray, " cells"]:
    """Return the weights that the page restores from quantized weights."""
    steps = levels // 2 if signed else levels
    centered = quantized_weights.astype(np.float64) - (128 if signed else 0)
    return np.sign(centered) * scale * (centered / steps) ** 2


def _details(attention: AttentionMap, budget: int, scale: float, signed: bool) -> Iterator[Detail]:
    """Yield the details to try, from the finest, without those that a sample of one layer rules out."""
    count, heads, _, keys = attention.weights.shape
    cells = int(attention.mask.sum()) * heads * count
    details = [Detail(levels=levels) for levels in _LEVELS if cells <= 6 * budget]
    details += [Detail(levels=255, kept=kept) for kept in _KEPT if kept < min(keys, _MAX_KEYS)]
    sample = attention.weights[0, : max(1, heads // 4)]
    for detail in details:
        if len(sample) == count * heads:  # the sample is everything
            yield detail
            continue
        block, *_ = _block(sample, attention.mask, detail, scale, signed)
        if len(block) * count * heads / len(sample) <= 1.15 * budget:
            yield detail


def _coarsest(attention: AttentionMap) -> Detail:
    """Return the detail of a map that does not fit the budget."""
    keys = len(attention.keys)
    return Detail(levels=255, kept=1) if 1 < keys < _MAX_KEYS else Detail(levels=_LEVELS[-1])


def _block(
    planes: Float[np.ndarray, "heads queries keys"],
    mask: Bool[np.ndarray, "queries keys"],
    detail: Detail,
    scale: float,
    signed: bool,
) -> tuple[str, float, float]:
    """Return the bytes of a layer, the largest error of the stored weights, and their share of the total."""
    if not detail.kept:
        cells = planes[:, mask].ravel()
        levels = quantized(cells, detail.levels, scale, signed)
        error = float(np.abs(cells - restored(levels, detail.levels, scale, signed)).max(initial=0))
        return deflated(levels.tobytes()), error, 1.0
    sizes = np.where(mask, np.abs(planes), -1)
    keys = np.sort(np.argpartition(-sizes, detail.kept - 1, axis=-1)[..., : detail.kept], axis=-1)
    cells = np.where(np.take_along_axis(sizes, keys, -1) >= 0, np.take_along_axis(planes, keys, -1), 0)
    levels = quantized(cells, detail.levels, scale, signed)
    error = float(np.abs(cells - restored(levels, detail.levels, scale, signed)).max(initial=0))
    steps = np.diff(keys, axis=-1, prepend=0).astype("<u2")
    total = float(np.where(mask, np.abs(planes), 0).sum())
    share = float(np.abs(cells).sum()) / total if total else 1.0
    return deflated(steps.tobytes() + levels.tobytes()), error, share


def _with_mean(planes: Float[np.ndarray, "heads queries keys"]) -> Float[np.ndarray, "planes queries keys"]:
    return np.concatenate([planes, planes.mean(axis=0, keepdims=True)])
