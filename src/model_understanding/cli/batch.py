"""Several texts in one command: those that fail are named and counted, the others are answered."""

from dataclasses import dataclass, field

import typer

from model_understanding.cli.columns import SourceText
from model_understanding.cli.console import print_message
from model_understanding.cli.options import OnErrorName
from model_understanding.errors import InputError
from model_understanding.results import Failure

SOME_FAILED = 3  # exit code: some texts failed, the others were answered


@dataclass(slots=True)
class Failures:
    """The texts of a command that failed.

    Args:
        count: How many texts there are.
        on_error: What to do with a text that fails.
    """

    count: int
    on_error: OnErrorName = OnErrorName.SKIP
    _failed: list[tuple[SourceText, Failure]] = field(default_factory=list[tuple[SourceText, Failure]])
    _has_answer: bool = False

    def answered(self) -> None:
        """Note that a text was answered: the request as such can be met, so failures are those of texts."""
        if not self._has_answer:
            self._has_answer = True
            for source, failure in self._failed:
                self._name(source, failure)

    def add(self, source: SourceText, failure: Failure) -> None:
        """Name a text that failed, and go on.

        Args:
            source: The text.
            failure: Why.

        Raises:
            InputError: It is the only text, or the command is to stop.
        """
        if self.count == 1:
            raise InputError(failure.message, hint=failure.hint)
        if self.on_error is OnErrorName.STOP:
            raise InputError(f"{source.source}: {failure.message}", hint=failure.hint)
        self._failed.append((source, failure))
        if self._has_answer:
            self._name(source, failure)

    def finish(self) -> None:
        """Count the texts that failed, and end the command with an exit code of its own if there are any.

        Raises:
            InputError: All texts failed for one reason: it is the request's, not a text's.
        """
        if not self._failed:
            return
        reasons = {(failure.message, failure.hint) for _, failure in self._failed}
        if not self._has_answer and len(reasons) == 1:
            ((message, hint),) = reasons
            raise InputError(message, hint=hint)
        self.answered()
        print_message(f"{len(self._failed)} of {self.count} texts failed.", label="error", style="bold red")
        raise typer.Exit(SOME_FAILED)

    def _name(self, source: SourceText, failure: Failure) -> None:
        print_message(f"{source.source}: {failure}", label="failed", style="bold red")
