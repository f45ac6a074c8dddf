"""Run rows of a batch in parts that fit, and in smaller ones where they do not."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch

from model_understanding.errors import NumericalError
from model_understanding.model.memory import Memory

Result = TypeVar("Result")
_log = logging.getLogger("model_understanding")
_told: ContextVar[list[str] | None] = ContextVar("model_understanding_memory", default=None)


@contextmanager
def cautions_of_memory() -> Iterator[list[str]]:
    """Yield a list that gets what a reader may want to know of memory that ran out in the body."""
    found: list[str] = []
    token = _told.set(found)
    try:
        yield found
    finally:
        _told.reset(token)


def tell(caution: str) -> None:
    """Log what was done because memory ran out, and note it for the result."""
    _log.warning(caution)
    found = _told.get()
    if found is not None and caution not in found:
        found.append(caution)


def packed(
    run: Callable[[int, int], Result],
    count: int,
    positions_each: int,
    memory: Memory,
    *,
    gradients: bool = False,
    tokens: int | None = None,
    logits: int = 1,
) -> list[Result]:
    """Run ``count`` rows in batches; halve the batch where memory runs out, and go on.

    Args:
        run: Runs the rows from a start to an end (exclusive) as one batch.
        count: How many rows there are.
        positions_each: Positions of one of them, those of each target counted.
        memory: Says how many positions fit; it learns from what did not.
        gradients: Whether a graph is kept.
        tokens: Tokens of a row; the same as its positions where left out.
        logits: Positions of a row whose logits are computed.

    Returns:
        What each batch gave, in order.

    Raises:
        NumericalError: Not even one row fits.
    """
    tokens = positions_each if tokens is None else tokens
    found: list[Result] = []
    start, most = 0, count
    while start < count:
        room = memory.positions_at_once(tokens, gradients=gradients, logits=logits)
        size = max(1, min(room // max(positions_each, 1), most))
        end = min(start + size, count)
        try:
            found.append(run(start, end))
        except RuntimeError as error:  # torch.OutOfMemoryError is one; a CPU's is plain
            if not is_out_of_memory(error):
                raise
            if end - start == 1:
                raise NumericalError(
                    f"There is not enough memory for one text of {tokens} tokens.",
                    hint="Use a shorter text, a smaller number type, or another device.",
                ) from error
            most = (end - start) // 2
            memory.learn((end - start) * tokens, gradients=gradients)
            tell(f"Out of memory with {end - start} texts at once; going on with {most}.")
            continue
        start = end
    return found


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error says that memory ran out.

    >>> is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    True
    """
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in said or "out of memory" in said
