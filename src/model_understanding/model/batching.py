"""Batches sized to the available memory, and halved where memory still runs out."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

from model_understanding.errors import NumericalError
from model_understanding.model.memory import Memory

_log = logging.getLogger("model_understanding")
_cautions: ContextVar[list[str] | None] = ContextVar("model_understanding_memory", default=None)


@contextmanager
def memory_cautions() -> Iterator[list[str]]:
    """Yield a list that collects the warnings about memory that ran out in the body."""
    cautions: list[str] = []
    token = _cautions.set(cautions)
    try:
        yield cautions
    finally:
        _cautions.reset(token)


def note_out_of_memory(caution: str) -> None:
    """Log that memory ran out and what was done about it, and add it to the result's warnings."""
    _log.warning(caution)
    cautions = _cautions.get()
    if cautions is not None and caution not in cautions:
        cautions.append(caution)


class Batches:
    """Consecutive ranges of rows, each as large as memory is expected to hold.

    Code that may run out of memory runs under ``halving()``, which repeats the batch in smaller ones.

    Args:
        count: Number of rows.
        positions_each: Token positions of one row, counted once per target where there are several.
        memory: Estimates how many positions fit, and is corrected where they did not.
        gradients: Whether the autograd graph is kept.
        tokens: Tokens of a row; default: ``positions_each``.
        logits: Number of positions of a row whose logits are computed.

    >>> list(Batches(3, 10, Memory(torch.nn.Linear(1, 1), torch.device("cpu"))))
    [(0, 3)]
    """

    def __init__(
        self,
        count: int,
        positions_each: int,
        memory: Memory,
        *,
        gradients: bool = False,
        tokens: int | None = None,
        logits: int = 1,
    ) -> None:
        self._count = count
        self._positions_each = max(positions_each, 1)
        self._memory = memory
        self._gradients = gradients
        self._tokens = positions_each if tokens is None else tokens
        self._logits = logits
        self._largest = count
        self._start = self._end = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        while self._end < self._count:
            self._start = self._end
            room = self._memory.positions_at_once(
                self._tokens, gradients=self._gradients, logits=self._logits
            )
            size = max(1, min(room // self._positions_each, self._largest))
            self._end = min(self._start + size, self._count)
            yield self._start, self._end

    @contextmanager
    def halving(self) -> Iterator[None]:
        """Run the body on the current batch; if memory runs out, continue with batches of half the size.

        Yields:
            Nothing.

        Raises:
            NumericalError: Not even one row fits.
        """
        try:
            yield
        except RuntimeError as error:  # torch.OutOfMemoryError is a subclass; a CPU raises a plain one
            if not is_out_of_memory(error):
                raise
            rows = self._end - self._start
            if rows == 1:
                raise NumericalError(
                    f"Not enough memory for a single text of {self._tokens} tokens.",
                    hint="Use a shorter text, a smaller dtype or another device.",
                ) from error
            self._largest = rows // 2
            self._memory.halve_limit(rows * self._tokens, gradients=self._gradients)
            note_out_of_memory(f"Out of memory with {rows} texts per batch; continuing with {self._largest}.")
            self._end = self._start  # repeat this batch in smaller ones


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error means that memory ran out.

    >>> is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    True
    """
    message = str(error)
    is_allocation = "allocate memory" in message or "out of memory" in message
    return is_allocation or isinstance(error, torch.OutOfMemoryError)
