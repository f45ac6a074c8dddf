"""Large arrays inside JSON: compressed bytes in base64, a tenth of a list of numbers."""

import base64
import binascii
import math
import zlib
from typing import Any

import numpy as np

PACKED_FROM = 4096
"""Arrays of at least this many numbers are packed; shorter ones stay lists that can be read."""

_LEVELS = (
    65535  # of a single matrix, which is printed to 0.1 %: off by at most 0.0008 % of its largest weight
)
_LEVELS_OF_MANY = 16383  # of the matrices of every layer or head, a fifth smaller: off by at most 0.003 %
_MOST_BYTES = 2 << 30
_DTYPES = ("|b1", "|u1", "<u2", "<i2", "<f4", "<f8", "<i8")


def packed(array: np.ndarray, *, rounded: bool = False) -> dict[str, Any]:
    """Return an array as an object of JSON.

    Args:
        array: Numbers or booleans of any shape.
        rounded: Whether to round to evenly spaced levels, which halves the size: values are then
            ``data × step``, off by at most half a step. There are 65,535 levels for a single matrix, 16,383
            for several.

    Returns:
        ``type``, ``dtype``, ``shape``, ``step`` (of rounded values) and ``data``: the bytes, first bytes of
        all elements first, compressed by zlib, in base64.

    >>> unpacked(packed(np.array([0.0, 0.25, 1.0], np.float32), rounded=True)).round(4).tolist()
    [0.0, 0.25, 1.0]
    """
    step = None
    if rounded:
        lowest, highest = float(array.min(initial=0)), float(array.max(initial=0))
        levels = _levels(array) if lowest >= 0 else _levels(array) // 2
        step = max(highest, -lowest) / levels or 1.0
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
    """Return numbers rounded to multiples of a power of two, which compress to a third of their size.

    Args:
        array: Floats; large arrays are rounded to about as many levels as in JSON, others stay as they are.
    """
    largest = float(np.abs(array).max(initial=0))
    if array.size < PACKED_FROM or largest == 0:
        return array
    step = 2.0 ** math.ceil(math.log2(largest / _levels(array)))
    return (np.rint(array.astype(np.float64) / step) * step).astype(array.dtype)


def _levels(array: np.ndarray) -> int:
    return _LEVELS_OF_MANY if math.prod(array.shape[:-2]) > 1 else _LEVELS


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
