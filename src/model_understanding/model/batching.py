"""Batches that fit into memory, and smaller ones where they do not."""

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
    """Yield a list that collects what a reader may want to know of memory that ran out in the body."""
    cautions: list[str] = []
    token = _cautions.set(cautions)
    try:
        yield cautions
    finally:
        _cautions.reset(token)


def note_out_of_memory(caution: str) -> None:
    """Log what was done because memory ran out, and note it for the result."""
    _log.warning(caution)
    cautions = _cautions.get()
    if cautions is not None and caution not in cautions:
        cautions.append(caution)


class Batches:
    """Ranges of rows, one after the other, each as large as memory is expected to hold.

    Where a body may run out of memory, it runs under ``halving()``: the batch is then repeated in smaller
    ones.

    Args:
        count: How many rows there are.
        positions_each: Positions of one of them, those of each target counted.
        memory: Says how many positions fit; it learns from what did not.
        gradients: Whether a graph is kept.
        tokens: Tokens of a row; the same as its positions where left out.
        logits: Positions of a row whose logits are computed.

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
        self._most = count
        self._start = self._end = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        while self._end < self._count:
            self._start = self._end
            room = self._memory.positions_at_once(
                self._tokens, gradients=self._gradients, logits=self._logits
            )
            size = max(1, min(room // self._positions_each, self._most))
            self._end = min(self._start + size, self._count)
            yield self._start, self._end

    @contextmanager
    def halving(self) -> Iterator[None]:
        """Run the body on the current batch; where memory runs out, go on with batches of half the size.

        Yields:
            Nothing.

        Raises:
            NumericalError: Not even one row fits.
        """
        try:
            yield
        except RuntimeError as error:  # torch.OutOfMemoryError is one; a CPU's is plain
            if not is_out_of_memory(error):
                raise
            rows = self._end - self._start
            if rows == 1:
                raise NumericalError(
                    f"There is not enough memory for one text of {self._tokens} tokens.",
                    hint="Use a shorter text, a smaller dtype, or another device.",
                ) from error
            self._most = rows // 2
            self._memory.learn(rows * self._tokens, gradients=self._gradients)
            note_out_of_memory(f"Out of memory with {rows} texts at once; going on with {self._most}.")
            self._end = self._start  # this batch again, in smaller ones


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error says that memory ran out.

    >>> is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    True
    """
    message = str(error)
    is_allocation = "allocate memory" in message or "out of memory" in message
    return is_allocation or isinstance(error, torch.OutOfMemoryError)
