"""A bar for a long run: in the terminal by rich, in a notebook as HTML that needs no widgets."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from model_understanding.errors import InputError
from model_understanding.show.display import in_notebook

Tell = Callable[[int, int | None], Any]
LONG = 1.0  # seconds after which an unasked bar appears
_BETWEEN = 0.1  # seconds between two drawings in a notebook


@contextmanager
def shown_progress(choice: Any) -> Iterator[Tell | None]:
    """Turn what a caller passed as ``progress`` into a function to tell.

    Args:
        choice: A function, which is told as it is; ``True`` for a bar; ``False`` for none; ``None`` for a
            bar in a notebook, where the run turns out long.

    Yields:
        What to call with the token positions done and all there will be; nothing where nobody looks.

    Raises:
        InputError: It is none of these.
    """
    if choice is not None and not isinstance(choice, bool) and not callable(choice):
        raise InputError(
            f"progress is True, False, None or a function. Got {choice!r}.",
            hint="Pass for example progress=lambda done, total: print(done, total).",
        )
    if callable(choice):
        yield choice
    elif choice or (choice is None and in_notebook()):
        drawn = _notebook_bar if in_notebook() else _terminal_bar
        with drawn(0.0 if choice else LONG) as tell:
            yield tell
    else:
        yield None


@contextmanager
def _terminal_bar(wait: float) -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("Explaining"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield late(lambda done, total: bar.update(task, completed=done, total=total), wait)


@contextmanager
def _notebook_bar(wait: float) -> Iterator[Tell]:
    from IPython.display import HTML, display  # type: ignore[import-not-found]

    handle: Any = None
    last = 0.0

    def draw(done: int, total: int | None) -> None:
        nonlocal handle, last
        now = time.monotonic()
        if handle is None:
            handle = display(HTML(bar_html(done, total)), display_id=True)
        elif done == total or now - last >= _BETWEEN:
            handle.update(HTML(bar_html(done, total)))
        else:
            return
        last = now

    try:
        yield late(draw, wait)
    finally:
        if handle is not None:
            handle.update(HTML(""))  # the result says all there is to say


def late(tell: Tell, wait: float) -> Tell:
    """Return a function that tells nothing in the first seconds of a run.

    Args:
        tell: What to tell then.
        wait: How many seconds.
    """
    started = time.monotonic()

    def told(done: int, total: int | None) -> None:
        if time.monotonic() - started >= wait:
            tell(done, total)

    return told


def bar_html(done: int, total: int | None) -> str:
    """Return a bar as HTML without scripts or styles of its own.

    >>> bar_html(3, 12)
    '<progress value="3" max="12"></progress> 25 %'
    """
    if not total:
        return "<progress></progress>"
    return f'<progress value="{done}" max="{total}"></progress> {done / total:.0%}'.replace("%", " %")
