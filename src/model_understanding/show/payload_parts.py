"""What the pages of a report and of a comparison share: numbers, and JSON for a script."""

import json
from typing import Any

import numpy as np
import regex

SCHEMA = 1
_UNSAFE = regex.compile(r"[<>&\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]")


def script_json(payload: dict[str, Any]) -> str:
    r"""Return a payload as JSON that may stand in a page's script element.

    What could end the element or hide (``<``, ``>``, ``&``, controls, direction overrides, line
    separators, halves of characters) is written as ``\u…``.
    """
    text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: _json_escape(match.group()), text)


def decimals(values: np.ndarray) -> Any:
    """Return 32-bit floats as the shortest decimals that restore each."""
    return np.asarray(values, dtype=np.float32).astype(str).astype(np.float64).tolist()


def decimal(value: object) -> float:
    """Return a number as the shortest decimal that restores it as a 32-bit float."""
    return float(str(np.float32(value)))  # type: ignore[arg-type]


def _json_escape(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
