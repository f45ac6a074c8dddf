"""One text that cannot be explained must not take the others with it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeVar

from model_understanding.checks import one_of
from model_understanding.errors import LoadingError, MissingExtraError, ModelUnderstandingError, StoppedError
from model_understanding.results import Failure

Errors = Literal["raise", "skip"]
Result = TypeVar("Result")
_NOT_OF_ONE_TEXT = (StoppedError, MissingExtraError, LoadingError)


def skips(errors: Errors) -> bool:
    """Return whether texts that cannot be explained are skipped.

    Raises:
        InputError: ``errors`` is something else.
    """
    return one_of(errors, "errors", ("raise", "skip")) == "skip"


def isolated(
    call: Callable[[Sequence[int]], dict[int, Result]], members: Sequence[int], errors: Errors
) -> dict[int, Result | Failure]:
    """Run texts together; where that fails, in halves, until those that cannot be explained are alone.

    Args:
        call: Returns the results of some texts by their index.
        members: The indices of the texts.
        errors: ``"skip"`` returns a ``Failure`` for a text that fails; ``"raise"`` raises its error.

    >>> isolated(lambda texts: {text: 1 / text for text in texts}, [1, 2, 0], "skip")[2]
    0.5
    """
    try:
        return {**call(members)}
    except _NOT_OF_ONE_TEXT:
        raise
    except Exception as error:
        if errors == "raise":
            raise
        if len(members) == 1:
            return {members[0]: Failure.of(error)}
    half = len(members) // 2
    return isolated(call, members[:half], errors) | isolated(call, members[half:], errors)


def attempted(call: Callable[[], Result], errors: Errors, index: int = 0, count: int = 1) -> Result | Failure:
    """Return what a call about one text returns, or the failure of that text.

    Args:
        call: The call.
        errors: As ``isolated`` takes it.
        index: Index of the text; an error that is raised names it if there are several texts.
        count: The number of texts.
    """
    try:
        return isolated(lambda _: {index: call()}, [index], errors)[index]
    except ModelUnderstandingError as error:
        if count == 1 or isinstance(error, _NOT_OF_ONE_TEXT):
            raise
        raise type(error)(f"Text {index + 1} of {count}: {error.message}", hint=error.hint) from error


def readable(texts: Sequence[Result | Failure]) -> list[Result]:
    """Return what did not fail."""
    return [text for text in texts if not isinstance(text, Failure)]


def in_place(texts: Sequence[object], results: Iterable[Result]) -> list[Result | Failure]:
    """Return the results of the texts that did not fail before, with the failures in their places.

    >>> in_place(["one", Failure(message="Empty."), "three"], [1, 3])
    [1, <Failure: Empty.>, 3]
    """
    remaining = iter(results)
    return [text if isinstance(text, Failure) else next(remaining) for text in texts]
