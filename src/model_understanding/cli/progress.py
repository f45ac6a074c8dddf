"""Says on stderr what is going on: a moving bar on a terminal, one line a step elsewhere."""

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from model_understanding.cli.console import message_console

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Steps:
    """The steps of a command, shown while they run.

    Args:
        keep: Whether finished steps stay on the screen, and are told where there is no terminal.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self._console = message_console()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._text = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            from model_understanding.cli.share_bar import ShareBar

            self._progress = Progress(
                SpinnerColumn(finished_text="✓"),
                TextColumn("{task.description}", markup=False),
                ShareBar(bar_width=24),
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

    def __call__(self, text: str, share: float | None = None) -> None:
        """Say what is being done now, and how far it is.

        Args:
            text: The step, in words. Another text ends the step before.
            share: From 0 to 1, or ``None`` where that is not known.
        """
        from model_understanding.tokens import visible_text

        if text != self._text:
            self._finish()
            self._text = text
            if self._progress is not None:
                self._task = self._progress.add_task(visible_text(text), total=None)
            elif self._keep:
                self._console.print(f"{visible_text(text)} …", soft_wrap=True)
        if share is not None and self._progress is not None and self._task is not None:
            self._progress.update(self._task, total=1.0, completed=share)

    def following(self, text: str) -> Any:
        """Return what a visualizer takes as ``progress``: a step that shows its share where it is long.

        Args:
            text: The step.

        Returns:
            A function, or ``False`` where there is no terminal.
        """
        from model_understanding.show.progress import LONG, late

        if self._progress is None:
            return False
        return late(lambda done, total: self(text, done / total if total else None), LONG)

    def _finish(self) -> None:
        if self._progress is None or self._task is None:
            return
        if self._keep:
            self._progress.update(self._task, total=1.0, completed=1.0)
        else:
            self._progress.remove_task(self._task)
        self._task = None
