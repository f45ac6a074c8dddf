"""The parts of a report that it can do without: what cannot be computed becomes a warning."""

from collections.abc import Callable
from typing import TypeVar

from model_understanding.errors import InputError, ModelUnderstandingError, StoppedError

Part = TypeVar("Part")
Missing = TypeVar("Missing")

_LONGEST = 300  # characters of an error that is not ours


class ReportParts:
    """Computes parts of a report one after another, and notes those that cannot be computed."""

    def __init__(self) -> None:
        self._missing: dict[str, str] = {}

    def get(
        self, name: str, compute: Callable[[], Part], instead: Missing, *, is_requested: bool = False
    ) -> Part | Missing:
        """Return a part, or what stands in its place.

        Args:
            name: What the part is called, in the plural or without an article.
            compute: Computes it.
            instead: What the report holds if it cannot be computed.
            is_requested: Whether the caller chose its settings, so that a mistake in them is an error.

        Raises:
            StoppedError: The caller's progress function stopped the run.
            InputError: The caller's settings of the part cannot be used.
        """
        try:
            part = compute()
        except StoppedError:
            raise
        except ModelUnderstandingError as error:
            if is_requested and isinstance(error, InputError):
                raise
            self.note(name, error.message)
        except Exception as error:  # the rest of the report stands without it
            text = f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(": ")
            self.note(name, text[:_LONGEST])
        else:
            self._missing.pop(name, None)  # a dry run may have failed where the run did not
            return part
        return instead

    def lacks(self, name: str) -> bool:
        """Return whether a part is missing."""
        return name in self._missing

    def note(self, name: str, reason: str) -> None:
        """Note that a part is missing.

        Args:
            name: What it is called.
            reason: Why, as a sentence.
        """
        self._missing[name] = reason

    @property
    def cautions(self) -> tuple[str, ...]:
        """A warning for each reason, with the parts that are missing for it."""
        reasons = dict.fromkeys(self._missing.values())
        names = {reason: [name for name, why in self._missing.items() if why == reason] for reason in reasons}
        return tuple(f"This report has no {' and no '.join(names[reason])}: {reason}" for reason in reasons)
