"""Rotary frequencies that depend on the text's length, which transformers keeps from one pass to the next.

Dynamic scaling (NTK) takes the frequencies of the longest text so far, longrope those of the last text. Our
passes start from the frequencies that the model has for a short text, so that no result depends on what ran
before, and leave those that they found.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

_FREQUENCIES = "inv_freq"
_ORIGINAL = f"original_{_FREQUENCIES}"
_LONGEST = "max_seq_len_cached"


def length_dependent_rotaries(module: torch.nn.Module) -> list[Any]:
    """Return the modules whose rotary frequencies follow the text's length."""
    return [part for part in module.modules() if any(map(_follows_length, _types(part)))]


def _types(part: torch.nn.Module) -> list[Any]:
    types = getattr(part, "rope_type", None)
    return list(types.values()) if isinstance(types, dict) else [types]


def _follows_length(rope_type: object) -> bool:
    return isinstance(rope_type, str) and ("dynamic" in rope_type or rope_type == "longrope")


@contextmanager
def original_frequencies(rotaries: Sequence[Any]) -> Iterator[None]:
    """Run the body from the frequencies of a short text, then restore those before.

    Args:
        rotaries: Modules that ``length_dependent_rotaries`` returned.

    Yields:
        Nothing.
    """
    before = [(part, dict(part.__dict__), dict(part._buffers)) for part in rotaries]
    try:
        for part in rotaries:
            _reset(part)
        yield
    finally:
        for part, attributes, buffers in before:
            part.__dict__.clear()
            part.__dict__.update(attributes)
            part._buffers.clear()
            part._buffers.update(buffers)


def _reset(part: Any) -> None:
    """Give a module fresh buffers with its original frequencies; the ones before stay untouched."""
    for name, buffer in list(part._buffers.items()):
        if name.endswith(_FREQUENCIES) and not name.endswith(_ORIGINAL) and buffer is not None:
            prefix = name.removesuffix(_FREQUENCIES)
            original = getattr(part, prefix + _ORIGINAL, None)
            part._buffers[name] = (buffer if original is None else original.to(buffer)).clone()
    longest = getattr(part, "original_max_seq_len", None)
    for name in [name for name in part.__dict__ if name.endswith(_LONGEST)] if longest is not None else ():
        setattr(part, name, longest)
