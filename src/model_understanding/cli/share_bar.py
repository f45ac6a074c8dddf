"""A progress bar for what has a known length."""

from rich.console import RenderableType
from rich.progress import BarColumn, Task
from rich.text import Text


class ShareBar(BarColumn):
    """A bar while the share done is known and not all; nothing for a step that cannot tell."""

    def render(self, task: Task) -> RenderableType:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the bar of one step."""
        return Text("") if task.total is None or task.finished else super().render(task)
