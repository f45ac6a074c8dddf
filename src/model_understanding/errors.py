"""Every error this package raises on purpose.

ModelUnderstandingError
├── InputError              what the caller passed cannot be used: a text, a target, a layer, a file
├── LoadingError            a model or tokenizer could not be loaded
│   └── UnsafeModelError    loading it would run code or a kernel the caller did not ask for
├── UnsupportedModelError   this architecture cannot be explained this way without a wrong number
├── NumericalError          logits, gradients or scores are not finite, or a self-check failed
├── StoppedError            the caller's progress function said to stop
└── MissingExtraError       an optional dependency is not installed

Each carries two parts: what was wrong (with what was given and what is allowed), and a hint that
says what to do. ``str(error)`` holds both; the command line prints the hint on a line of its own.
"""


class ModelUnderstandingError(Exception):
    """The root of this package's errors: a message, and a hint that says what to do.

    Args:
        message: What was given, and what is allowed.
        hint: What the caller can do about it.

    >>> print(InputError("The text is empty.", hint="Pass at least one character."))
    The text is empty. Pass at least one character.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

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
    """The caller's progress function returned ``False``: nothing was finished, nothing was changed."""


class MissingExtraError(ModelUnderstandingError, ImportError):
    """An optional dependency is not installed."""
