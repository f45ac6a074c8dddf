"""Progress bars: in the terminal by rich, in a notebook as HTML without widgets."""

import inspect
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from model_understanding.errors import InputError
from model_understanding.show.display import in_notebook

EXPLAINING = "Explaining"
TESTING = "Testing the scores"
READING = "Reading attention and layers"
"""The parts of a report, in the order in which they run."""

Progress = Callable[[int, int | None], Any]  # called with the finished and the total number of positions
DELAY = 1.0  # seconds after which an automatic bar appears
_INTERVAL = 0.1  # seconds between two updates in a notebook


@contextmanager
def progress_bar(
    choice: Any, part: str = EXPLAINING, report: Any = None, *, is_first: bool = False
) -> Iterator[Progress | None]:
    """Turn the ``progress`` argument of a caller into a function that reports progress.

    Args:
        choice: A function, which gets the part and the report as well if it has parameters of these names;
            without a parameter ``part`` it is called for the first part only. ``True`` for a bar; ``False``
            for none; ``None`` for a bar in a notebook if the run takes long.
        part: What runs.
        report: The report so far, if there is one.
        is_first: Whether a part of another name is the first one.

    Yields:
        A function of the finished and the total number of token positions, or ``None``.

    Raises:
        InputError: The argument is none of these.
    """
    if choice is not None and not isinstance(choice, bool) and not callable(choice):
        raise InputError(
            f"progress must be True, False, None or a function. Got {choice!r}.",
            hint="Pass for example progress=lambda done, total: print(done, total).",
        )
    if callable(choice):
        taken = _keywords_of(choice, {"part": part, "report": report})
        yield partial(choice, **taken) if is_first or part == EXPLAINING or "part" in taken else None
    elif choice or (choice is None and in_notebook()):
        bar = _notebook_bar if in_notebook() else _terminal_bar
        with bar(0.0 if choice else DELAY, part) as tell:
            yield tell
    else:
        yield None


def _keywords_of(function: Callable[..., Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return those of some values that a function has parameters for."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some functions of C have none that can be read
        return {}
    return {name: value for name, value in values.items() if name in parameters}


@contextmanager
def _terminal_bar(delay: float, part: str) -> Iterator[Progress]:
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn(part),
        progress.BarColumn(),
        progress.TaskProgressColumn("[progress.percentage]{task.percentage:>3.0f} %"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield delayed(lambda done, total: bar.update(task, completed=done, total=total), delay)


@contextmanager
def _notebook_bar(delay: float, part: str) -> Iterator[Progress]:
    from IPython.display import HTML, display  # type: ignore[import-not-found]

    handle: Any = None
    last = 0.0

    def draw(done: int, total: int | None) -> None:
        nonlocal handle, last
        now = time.monotonic()
        if handle is None:
            handle = display(HTML(bar_html(done, total, part)), display_id=True)
        elif done == total or now - last >= _INTERVAL:
            handle.update(HTML(bar_html(done, total, part)))
        else:
            return
        last = now

    try:
        yield delayed(draw, delay)
    finally:
        if handle is not None:
            handle.update(HTML(""))  # remove the bar


def delayed(report: Progress, delay: float) -> Progress:
    """Return a function that reports progress only after some seconds.

    Args:
        report: The function to call then.
        delay: The number of seconds.
    """
    start = time.monotonic()

    def report_after_delay(done: int, total: int | None) -> None:
        if time.monotonic() - start >= delay:
            report(done, total)

    return report_after_delay


def bar_html(done: int, total: int | None, part: str = EXPLAINING) -> str:
    """Return a progress bar as HTML without scripts or styles; what runs is said after the first part.

    >>> bar_html(3, 12)
    '<progress value="3" max="12"></progress> 25 %'
    >>> bar_html(3, 12, "Testing the scores")
    '<progress value="3" max="12"></progress> Testing the scores 25 %'
    """
    words = "" if part == EXPLAINING else f" {part}"
    if not total:
        return f"<progress></progress>{words}"
    share = f"{done / total:.0%}".replace("%", " %")
    return f'<progress value="{done}" max="{total}"></progress>{words} {share}'
