"""An attention map alone as a file: JSON, or NumPy's archive for what is large."""

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from model_understanding.errors import InputError
from model_understanding.results.files import array_in, names_in, reading, write_atomically
from model_understanding.results.serialization import (
    JsonResult,
    result_from_dict,
    result_from_json,
    split_arrays,
)

SUFFIXES = (".json", ".npz")
_HEADER = "attention"


def save(attention: JsonResult, path: str | os.PathLike[str]) -> Path:
    """Write a map; see ``AttentionMap.save``."""
    target = Path(path).expanduser()
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"Cannot save {target.name!r}: its suffix is {suffix or 'missing'}.",
            hint=f"Use one of {', '.join(SUFFIXES)}; plot_attention draws pictures.",
        )
    if suffix == ".json":  # half a character, which UTF-8 cannot hold, as JSON's own escape
        content = (attention.to_json(indent=1) + "\n").encode("utf-8", "backslashreplace")
    else:
        header, arrays = split_arrays(attention)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{_HEADER: np.array(header)}, **arrays)  # pyright: ignore[reportArgumentType]
        content = buffer.getvalue()
    write_atomically(target, content)
    return target


def read(path: str | os.PathLike[str]) -> Any:
    """Return the result in a file that ``save`` wrote."""
    source = Path(path).expanduser()
    with reading("an attention map", source, "AttentionMap.save"):
        if source.suffix.lower() != ".npz":
            return result_from_json(source.read_text(encoding="utf-8"))
        names = names_in(source)
        header = json.loads(str(array_in(source, _HEADER)))
        return result_from_dict(header | {name: array_in(source, name) for name in names - {_HEADER}})
