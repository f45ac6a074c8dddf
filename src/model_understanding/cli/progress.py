"""Shows the steps of a command on stderr: a progress bar on a terminal, one line per step elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from model_understanding.cli.console import message_console

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress, ProgressColumn, TaskID

    from model_understanding.results import Report

_STEP_LINES = 3  # of the screen, which the steps need below the beginning of a report


class Steps:
    """The steps of a command, shown while they run.

    Args:
        keep: Whether finished steps stay on the screen; without a terminal, whether steps are printed.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self._console = message_console()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._step = ""
        self._counted_from: float | None = None
        self._preview: RenderableType | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

            self._progress = _progress_below(
                lambda: self._preview,
                SpinnerColumn(finished_text="✓"),
                TextColumn("{task.description}", markup=False),
                _share_column(),
                TimeElapsedColumn(),
                console=self._console,
                transient=not self._keep,
            )
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            if error is None:
                self._finish()
            elif self._task is not None:
                self._progress.remove_task(self._task)
            self._progress.stop()

    def __call__(self, step: str, share: float | None = None) -> None:
        """Show the current step, and how much of it is done.

        Args:
            step: The step, in words. A different step ends the one before.
            share: From 0 to 1, or ``None`` if it is not known.
        """
        from model_understanding.tokens import visible_text

        if step != self._step:
            self._finish()
            self._step = step
            if self._progress is not None:
                self._task = self._progress.add_task(visible_text(step), total=None)
            elif self._keep:
                self._console.print(f"{visible_text(step)} …", soft_wrap=True)
        if share is not None and self._progress is not None and self._task is not None:
            self._progress.update(self._task, total=1.0, completed=share)

    @property
    def is_shown(self) -> bool:
        """Whether there is a terminal that shows what changes."""
        return self._progress is not None

    def describe(self, step: str, words: str, share: float | None = None) -> None:
        """Show the current step with words that change while it runs.

        Args:
            step: The step.
            words: What is shown for it now.
            share: How much of it is done, from 0 to 1; ``None`` if that is not known.
        """
        self(step, share)
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=words)

    def count(self, step: str, done: int, total: int) -> None:
        """Show how many of the texts are done, and how long the others will take at this pace.

        Args:
            step: What is done with each, in words: ``Explaining``.
            done: How many are done.
            total: How many there are.
        """
        if self._progress is None:
            return
        if self._counted_from is None:
            self._counted_from = time.monotonic()
            self(step, 0.0)
        left = (time.monotonic() - self._counted_from) / done * (total - done) if done else None
        words = f"{step}: {done} of {total}" + ("" if left is None else f", {duration(left)} left")
        assert self._task is not None
        self._progress.update(self._task, description=words, total=1.0, completed=done / total)

    def measuring(self) -> Any:
        """Return a ``progress`` argument that shows each part, how much it runs, and how long it will take.

        Returns:
            A function, or ``False`` without a terminal.
        """
        if self._progress is None:
            return False
        begun = 0.0

        def follow(done: int, total: int | None, part: str) -> None:
            nonlocal begun
            if done == 0 or part != self._step:
                begun = time.monotonic()
                self(part)
            if not total:
                return
            left = (time.monotonic() - begun) / done * (total - done) if done else None
            words = f"{part}: {total:,} tokens" + ("" if left is None else f", {duration(left)} left")
            self.describe(part, words, done / total)

        return follow

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the progress bar off the screen while something else is printed."""
        if self._progress is None:
            yield
            return
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    def following(self, step: str) -> Any:
        """Return a ``progress`` argument for a visualizer, which shows what runs, and how much of it is done.

        The answer and the colored text stand above it as soon as they are known. All of it is taken off the
        screen at the end, when the whole report is printed.

        Args:
            step: What runs first.

        Returns:
            A function, or ``False`` without a terminal.
        """
        from model_understanding.show.progress import DELAY, delayed

        if self._progress is None:
            return False
        long = delayed(lambda done, total: self(self._step, done / total if total else None), DELAY)

        def follow(done: int, total: int | None, part: str = step, report: "Report | None" = None) -> None:
            if report is not None and self._preview is None:
                self._show(report)
            if part != self._step:
                self(part)
            long(done, total)

        return follow

    def _show(self, report: "Report") -> None:
        """Show the answer and the colored text of a report above the steps."""
        from rich.console import Console
        from rich.text import Text

        from model_understanding.show.terminal.report import print_beginning

        # Printing to the console of the steps would take a picture of these, too.
        shown = self._console
        console = Console(
            file=StringIO(),
            width=shown.width,
            force_terminal=True,
            color_system=shown.color_system,  # pyright: ignore[reportArgumentType]
            legacy_windows=False,
            highlight=False,
            markup=False,
            emoji=False,
        )
        print_beginning(report, console)
        lines = console.file.getvalue().split("\n")  # pyright: ignore[reportAttributeAccessIssue]
        self._preview = Text.from_ansi("\n".join(lines[: max(shown.height - _STEP_LINES, 1)]))

    def _finish(self) -> None:
        if self._progress is None or self._task is None:
            return
        if self._keep:
            self._progress.update(self._task, total=1.0, completed=1.0)
        else:
            self._progress.remove_task(self._task)
        self._task = None


def duration(seconds: float) -> str:
    """Return a length of time in its largest unit.

    >>> duration(31), duration(70), duration(5000)
    ('31 s', '1 min', '1 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.0f} h"


def _share_column() -> "ProgressColumn":
    """Return the column with a bar: drawn only while the share done is known and below 1."""
    from rich.console import RenderableType
    from rich.progress import BarColumn, Task
    from rich.text import Text

    class ShareColumn(BarColumn):
        def render(self, task: Task) -> RenderableType:  # pyright: ignore[reportIncompatibleMethodOverride]
            return Text("") if task.total is None or task.finished else super().render(task)

    return ShareColumn(bar_width=24)


def _progress_below(
    preview: "Callable[[], RenderableType | None]", *columns: Any, **options: Any
) -> "Progress":
    """Return a display of tasks with something else above them, where there is something."""
    from rich.progress import Progress

    class ProgressBelow(Progress):
        def get_renderables(self) -> "Iterable[RenderableType]":
            above = preview()
            yield from () if above is None else (above,)
            yield from super().get_renderables()

    return ProgressBelow(*columns, **options)
