"""Large arrays inside JSON: compressed bytes in base64, a tenth of a list of numbers."""

import base64
import binascii
import math
import zlib
from typing import Any

import numpy as np

PACKED_FROM = 4096
"""Arrays of at least this many numbers are packed; shorter ones stay lists that can be read."""

_LEVELS = 8192  # of the matrices of every layer or head: off by at most 0.006 % of the largest weight
_MOST_BYTES = 2 << 30
_DTYPES = ("|b1", "|u1", "<u2", "<i2", "<f4", "<f8", "<i8")


def packed(array: np.ndarray, *, rounded: bool = False) -> dict[str, Any]:
    """Return an array as an object of JSON.

    Args:
        array: Numbers or booleans of any shape.
        rounded: Whether to round several matrices to 8,192 evenly spaced levels, which makes them a third
            as large: values are then ``data × step``, off by at most half a step. A single matrix, which
            terminal and figures print, keeps every digit.

    Returns:
        ``type``, ``dtype``, ``shape``, ``step`` (of rounded values) and ``data``: the bytes, first bytes of
        all elements first, compressed by zlib, in base64.

    >>> unpacked(packed(np.array([[[0.0, 0.25]], [[0.5, 1.0]]], np.float32), rounded=True)).tolist()
    [[[0.0, 0.25]], [[0.5, 1.0]]]
    """
    step = None
    if rounded and _has_several_matrices(array):
        lowest, highest = float(array.min(initial=0)), float(array.max(initial=0))
        step = max(highest, -lowest) / _LEVELS or 1.0
        array = np.rint(array.astype(np.float64) / step).astype(np.uint16 if lowest >= 0 else np.int16)
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    planes = np.frombuffer(array.tobytes(), np.uint8).reshape(-1, array.dtype.itemsize).T
    return {
        "type": "array",
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        **({} if step is None else {"step": step}),
        "data": base64.b64encode(zlib.compress(planes.tobytes())).decode("ascii"),
    }


def rounded_floats(array: np.ndarray) -> np.ndarray:
    """Return several matrices rounded to multiples of a power of two: they compress to a third of their size.

    Args:
        array: Floats, rounded to about as many levels as in JSON; small arrays and a single matrix stay as
            they are.
    """
    largest = float(np.abs(array).max(initial=0))
    if array.size < PACKED_FROM or not _has_several_matrices(array) or largest == 0:
        return array
    step = 2.0 ** round(math.log2(largest / _LEVELS))
    return (np.rint(array.astype(np.float64) / step) * step).astype(array.dtype)


def _has_several_matrices(array: np.ndarray) -> bool:
    return math.prod(array.shape[:-2]) > 1


def is_packed(value: Any) -> bool:
    """Return whether a value of JSON is a packed array."""
    return isinstance(value, dict) and value.get("type") == "array"


def unpacked(value: dict[str, Any]) -> np.ndarray:
    """Return the array that ``packed`` turned into an object.

    Args:
        value: The object.

    Returns:
        The array; of float32 if it was rounded.

    Raises:
        ValueError: The object is damaged, or describes more data than it holds.
    """
    dtype, shape, data, step = (value.get(name) for name in ("dtype", "shape", "data", "step"))
    if dtype not in _DTYPES or not isinstance(data, str) or not isinstance(shape, list):
        raise ValueError(f"a packed array needs dtype (one of {', '.join(_DTYPES)}), shape and data")
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"a packed array has the invalid shape {shape}")
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > _MOST_BYTES:
        raise ValueError(f"a packed array of shape {shape} is larger than {_MOST_BYTES >> 30} GB")
    try:
        unzip = zlib.decompressobj()
        content = unzip.decompress(base64.b64decode(data, validate=True), size + 1)  # no more than announced
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"a packed array is damaged ({error})") from error
    if len(content) != size:
        raise ValueError(f"a packed array of shape {shape} has {len(content)} bytes in place of {size}")
    width = np.dtype(dtype).itemsize
    planes = np.frombuffer(content, np.uint8).reshape(width, -1).T
    array = np.frombuffer(planes.tobytes(), dtype).reshape(shape)
    if step is None:
        return array
    if isinstance(step, bool) or not isinstance(step, int | float) or not math.isfinite(step):
        raise ValueError(f"a packed array has the invalid step {step!r}")
    return (array * np.float64(step)).astype(np.float32)
