"""Run many variants of a text in batches that fit, and in smaller ones where they do not."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from model_understanding.errors import NumericalError

Result = TypeVar("Result")
POSITIONS_AT_ONCE = 4096  # variants × tokens in one batch
_log = logging.getLogger("model_understanding")


def packed(run: Callable[[int, int], Result], count: int, positions_each: int) -> list[Result]:
    """Run ``count`` variants in batches; halve the batch where memory runs out, and go on.

    Args:
        run: Runs the variants from a start to an end (exclusive) as one batch.
        count: How many variants there are.
        positions_each: Token positions of one of them.

    Returns:
        What each batch gave, in order.

    Raises:
        NumericalError: Not even one variant fits.
    """
    size = max(1, POSITIONS_AT_ONCE // max(positions_each, 1))
    found: list[Result] = []
    start = 0
    while start < count:
        end = min(start + size, count)
        try:
            found.append(run(start, end))
        except RuntimeError as error:  # torch.OutOfMemoryError is one; a CPU's is plain
            if not _is_out_of_memory(error):
                raise
            if size == 1:
                raise NumericalError(
                    f"There is not enough memory for one variant of {positions_each} token positions.",
                    hint="Use a shorter text, a smaller number type, or another device.",
                ) from error
            size = max(1, (end - start) // 2)
            _log.warning("Out of memory with %d variants at once; going on with %d.", end - start, size)
            continue
        start = end
    return found


def _is_out_of_memory(error: RuntimeError) -> bool:
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in said or "out of memory" in said
