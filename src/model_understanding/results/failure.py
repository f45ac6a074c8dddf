"""What a list of results holds for a text that could not be explained."""

from dataclasses import dataclass
from typing import Self

from model_understanding.errors import ModelUnderstandingError
from model_understanding.results.rendering import Displayed


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Failure(Displayed):
    """Stands in a list of results for a text that could not be explained; it is false.

    Args:
        message: What went wrong.
        hint: What to do about it.

    >>> bool(Failure(message="The text is empty.", hint="Pass at least one character."))
    False
    """

    message: str
    hint: str = ""

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Return the failure that an error stands for."""
        if isinstance(error, ModelUnderstandingError):
            return cls(message=error.message, hint=error.hint)
        return cls(message=f"Unexpected {type(error).__name__}: {error}".rstrip(": "))
