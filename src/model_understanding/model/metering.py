"""What a run costs: counted while it runs, and known before it by rehearsing it.

Every pass through a model is counted where it happens. A rehearsal runs a method with a model that
counts in place of running, so what it foretells is what the method's own code asks for.
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
"""Called between batches with the token positions done and all there will be; ``False`` stops the run."""


@dataclass(slots=True, eq=False)
class PassCounter:
    """Counts the passes of a run.

    Args:
        forwards: Forwards of the model.
        backwards: Backward passes to the embeddings; one pass serves the targets of a batch together.
        positions: Token positions run forward.
        backward_positions: Token positions run backward, those of each target counted.
        peak_bytes: The most memory that one pass is thought to hold; rehearsals tell.
        tell: Called after each pass.
        settles: For a rehearsal, whether what adaptive methods wait for is reached at once or never.
    """

    forwards: int = 0
    backwards: int = 0
    positions: int = 0
    backward_positions: int = 0
    peak_bytes: int = 0
    tell: Callable[[], None] | None = field(default=None, repr=False)
    settles: bool | None = None

    @property
    def done(self) -> int:
        """Token positions run, forward and backward."""
        return self.positions + self.backward_positions


# Of the run in this thread; runs inside a caller's own progress function count for themselves.
_METER: ContextVar[PassCounter | None] = ContextVar("model_understanding_meter", default=None)


@contextmanager
def counted_by(meter: PassCounter | None) -> Iterator[None]:
    """Count the passes of the body, in this thread, or count none."""
    token = _METER.set(meter)
    try:
        yield
    finally:
        _METER.reset(token)


@contextmanager
def counting() -> Iterator[PassCounter]:
    """Yield a meter of the body's passes, which count for what the body is part of as well."""
    outer, meter = _METER.get(), PassCounter()
    with counted_by(meter):
        yield meter
    if outer is not None:
        outer.forwards += meter.forwards
        outer.backwards += meter.backwards
        outer.positions += meter.positions
        outer.backward_positions += meter.backward_positions


def count_forward(positions: int) -> None:
    """Count a forward that is done.

    Args:
        positions: Its token positions, rows × tokens.
    """
    meter = _METER.get()
    if meter is not None:
        meter.forwards += 1
        meter.positions += positions
        _told(meter)


def count_backward(positions: int) -> None:
    """Count a backward pass that is done.

    Args:
        positions: Its token positions, rows × tokens × targets.
    """
    meter = _METER.get()
    if meter is not None:
        meter.backwards += 1
        meter.backward_positions += positions
        _told(meter)


def is_dry_run() -> bool:
    """Return whether passes are counted in place of being run."""
    meter = _METER.get()
    return meter is not None and meter.settles is not None


def converged(observed: Any) -> Any:
    """Return whether what an adaptive method waits for is reached.

    Args:
        observed: What the run shows, for each thing waited for.

    Returns:
        The same in a run; in a rehearsal as it has been told to answer.
    """
    meter = _METER.get()
    if meter is None or meter.settles is None:
        return observed
    return np.full_like(np.asarray(observed), meter.settles)


def count_memory(size: Callable[[], int]) -> None:
    """Note in a rehearsal what a pass is thought to hold.

    Args:
        size: Says how many bytes.
    """
    meter = _METER.get()
    if meter is not None and meter.settles is not None:
        meter.peak_bytes = max(meter.peak_bytes, size())


def _told(meter: PassCounter) -> None:
    if meter.tell is not None:
        meter.tell()


def run_with_progress(
    run: Callable[[], Result], progress: Progress, total: Callable[[], int | None]
) -> Result:
    """Run something and tell a caller how far it is.

    ``progress(done, total)`` is called with 0 before the first pass, after each pass, and with
    ``done == total`` at the end. ``done`` never falls. ``total`` stays the same until the last call,
    where an adaptive method that stopped early makes it smaller; it is ``None`` until then where the
    method cannot be dry_run.

    Args:
        run: What to run.
        progress: Whom to tell.
        total: Foretells the token positions of all passes.

    Returns:
        What ``run`` returned.

    Raises:
        StoppedError: ``progress`` returned ``False``.
    """
    expected = total()
    meter = PassCounter()

    def tell() -> None:
        # The end is told at the end; a batch that ran out of memory and is repeated is no progress.
        if expected is None or meter.done < expected:
            try:
                _ask(progress, meter.done, expected)
            except Exception as error:
                raise _FromCaller(error) from error

    _ask(progress, 0, expected)
    meter.tell = tell
    found = _unwrapped(run, meter)
    end = meter.done if expected is None else min(meter.done, expected)
    _ask(progress, end, end)
    return found


class _FromCaller(BaseException):
    """Carries what a caller's function raised past everything that handles the model's own errors."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def _unwrapped(run: Callable[[], Result], meter: PassCounter) -> Result:
    try:
        with counted_by(meter):
            return run()
    except _FromCaller as carrier:
        raised = carrier.error
    raise raised  # out here it keeps the cause and context that the caller gave it


def _ask(progress: Progress, done: int, total: int | None) -> None:
    with counted_by(None):  # what the caller runs in there is not this run's
        answer = progress(done, total)
    if isinstance(answer, bool | np.bool_) and not answer:
        of_all = "" if total is None else f" of {total}"
        raise StoppedError(
            f"The run was stopped after {done}{of_all} token positions, because progress returned False.",
            hint="Return None or True to go on.",
        )
