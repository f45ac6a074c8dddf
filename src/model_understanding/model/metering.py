"""Counts the passes of a run, and reports its progress.

Every pass through a model is counted where it happens. A dry run (``passes.dry_run``) runs a method's own
code with a model that only counts, which gives the cost of a run in advance.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from model_understanding.errors import StoppedError

Result = TypeVar("Result")
Progress = Callable[[int, int | None], Any]
"""Called between batches with the token positions done and their total; returning ``False`` stops the run."""


@dataclass(slots=True, eq=False)
class PassCounter:
    """Counts the passes of a run.

    Args:
        forwards: Forward passes of the model.
        backwards: Backward passes to the embeddings; one pass serves all targets of a batch.
        positions: Token positions of all forward passes, rows × tokens.
        backward_positions: Token positions of all backward passes, rows × tokens × targets.
        peak_bytes: Estimated memory of the largest pass; known in a dry run only.
        on_pass: Called after each pass.
        assume_converged: In a dry run, whether adaptive methods converge at once or never; ``None`` in a
            real run.
        outer: The counter of the run that this run is a part of, which counts its passes as well.
    """

    forwards: int = 0
    backwards: int = 0
    positions: int = 0
    backward_positions: int = 0
    peak_bytes: int = 0
    on_pass: Callable[[], None] | None = field(default=None, repr=False)
    assume_converged: bool | None = None
    outer: "PassCounter | None" = field(default=None, repr=False)

    @property
    def done(self) -> int:
        """Token positions of all forward and backward passes."""
        return self.positions + self.backward_positions

    def with_outer(self) -> "Iterator[PassCounter]":
        """Yield the counter and those of the runs that its run is a part of."""
        counter: PassCounter | None = self
        while counter is not None:
            yield counter
            counter = counter.outer


# The counter of the current run; runs inside the caller's progress function have their own.
_COUNTER: ContextVar[PassCounter | None] = ContextVar("model_understanding_pass_counter", default=None)


@contextmanager
def counted_by(counter: PassCounter | None) -> Iterator[None]:
    """Count the passes of the body with a counter, or count none."""
    token = _COUNTER.set(counter)
    try:
        yield
    finally:
        _COUNTER.reset(token)


@contextmanager
def counting() -> Iterator[PassCounter]:
    """Yield a counter of the body's passes, which the enclosing counter counts as well."""
    outer = _COUNTER.get()
    counter = PassCounter(assume_converged=outer.assume_converged if outer else None, outer=outer)
    with counted_by(counter):
        yield counter


def count_forward(positions: int) -> None:
    """Count a finished forward pass.

    Args:
        positions: Its token positions, rows × tokens.
    """
    for counter in _counters():
        counter.forwards += 1
        counter.positions += positions
        _notify(counter)


def count_backward(positions: int) -> None:
    """Count a finished backward pass.

    Args:
        positions: Its token positions, rows × tokens × targets.
    """
    for counter in _counters():
        counter.backwards += 1
        counter.backward_positions += positions
        _notify(counter)


def _counters() -> Iterator[PassCounter]:
    counter = _COUNTER.get()
    return iter(()) if counter is None else counter.with_outer()


def is_dry_run() -> bool:
    """Return whether passes are only counted, not run."""
    counter = _COUNTER.get()
    return counter is not None and counter.assume_converged is not None


def converged(measured: Any) -> Any:
    """Return whether an adaptive method has converged.

    Args:
        measured: What was measured in this run: a bool, or one for each quantity that must converge.

    Returns:
        The measured value; in a dry run the value that the dry run assumes.
    """
    counter = _COUNTER.get()
    if counter is None or counter.assume_converged is None:
        return measured
    return np.full_like(np.asarray(measured), counter.assume_converged)


def count_memory(size: Callable[[], int]) -> None:
    """Record the estimated memory of a pass, in a dry run.

    Args:
        size: Returns the number of bytes.
    """
    if not is_dry_run():
        return
    needed = size()
    for counter in _counters():
        counter.peak_bytes = max(counter.peak_bytes, needed)


def _notify(counter: PassCounter) -> None:
    if counter.on_pass is not None:
        counter.on_pass()


def run_with_progress(
    run: Callable[[], Result], progress: Progress, total: Callable[[], int | None]
) -> Result:
    """Call a function and report its progress.

    ``progress(done, total)`` is called with 0 before the first pass, after each pass, and with
    ``done == total`` at the end. ``done`` never decreases. ``total`` stays the same until the last call,
    where an adaptive method that stopped early makes it smaller; it is ``None`` until then if it is not
    known in advance.

    Args:
        run: The function to call.
        progress: The caller's progress function; ``None`` for no reports.
        total: Returns the token positions of all passes, if they are known in advance.

    Returns:
        The result of ``run``.

    Raises:
        StoppedError: ``progress`` returned ``False``.
    """
    expected = total()
    counter = PassCounter()

    def report() -> None:
        # The end is reported below; a batch that is repeated because memory ran out is no progress.
        if expected is None or counter.done < expected:
            try:
                _call(progress, counter.done, expected)
            except Exception as error:
                raise _CallbackError(error) from error

    _call(progress, 0, expected)
    counter.on_pass = report
    result = _run_counted(run, counter)
    end = counter.done if expected is None else min(counter.done, expected)
    _call(progress, end, end)
    return result


class _CallbackError(BaseException):
    """Carries an exception of the caller's function past all handlers of the model's own errors."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def _run_counted(run: Callable[[], Result], counter: PassCounter) -> Result:
    try:
        with counted_by(counter):
            return run()
    except _CallbackError as wrapper:
        original = wrapper.error
    raise original  # outside of the handler, so that it keeps its own cause and context


def _call(progress: Progress, done: int, total: int | None) -> None:
    with counted_by(None):  # passes that the callback itself runs are not part of this run
        proceed = progress(done, total)
    if isinstance(proceed, bool | np.bool_) and not proceed:
        of_total = "" if total is None else f" of {total}"
        raise StoppedError(
            f"The run was stopped after {done}{of_total} token positions because progress returned False.",
            hint="Return None or True to continue.",
        )
