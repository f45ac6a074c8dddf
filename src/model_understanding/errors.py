"""Every error this package raises on purpose.

ModelUnderstandingError
├── InputError              what the caller passed cannot be used: a text, a target, a layer, a file
├── LoadingError            a model or tokenizer could not be loaded
│   └── UnsafeModelError    loading it would run code or a kernel the caller did not ask for
├── UnsupportedModelError   this architecture cannot be explained this way without a wrong number
├── NumericalError          logits, gradients or scores are not finite, or a self-check failed
├── StoppedError            the caller's progress function stopped the run
└── MissingExtraError       an optional dependency is not installed

Each has two parts: a message (what was given and what is allowed) and a hint (what to do).
``str(error)`` joins both; the command line prints the hint on its own line.
"""

from functools import partial
from typing import Any


class ModelUnderstandingError(Exception):
    """Base class of this package's errors: a message and a hint.

    Args:
        message: What was given and what is allowed.
        hint: What to do about it.

    >>> print(InputError("The text is empty.", hint="Pass at least one character."))
    The text is empty. Pass at least one character.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are copied, and sent between processes, as a call with positional arguments only.
        return partial(type(self), hint=self.hint), (self.message,), self.__dict__

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"


class InputError(ModelUnderstandingError, ValueError):
    """What the caller passed cannot be used."""


class LoadingError(ModelUnderstandingError):
    """A model or tokenizer could not be loaded."""


class UnsafeModelError(LoadingError):
    """Loading this model would run code, a pickle or a kernel that the caller did not ask for."""


class UnsupportedModelError(ModelUnderstandingError):
    """This architecture cannot be explained this way without a wrong number."""


class NumericalError(ModelUnderstandingError):
    """Logits, gradients or scores are not finite, or a self-check failed."""


class StoppedError(ModelUnderstandingError):
    """The caller's progress function returned ``False``; the run stopped and changed nothing."""


class MissingExtraError(ModelUnderstandingError, ImportError):
    """An optional dependency is not installed."""
