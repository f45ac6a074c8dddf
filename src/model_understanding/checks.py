"""Checks of what a caller passes: an index, a number, one of several names, a former argument name."""

import math
import warnings
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import wraps
from inspect import signature
from numbers import Real
from operator import index
from typing import Any, ParamSpec, TypeVar

from model_understanding.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")


def index_in(value: Any, count: int, what: str, owner: str = "the model") -> int:
    """Return an index counted from 0.

    Args:
        value: The index; counted from the end where negative.
        count: How many there are.
        what: What is counted, as ``layer``.
        owner: What has them, as ``the model``.

    Raises:
        InputError: There is no such index.

    >>> index_in(-1, 12, "layer")
    11
    """
    if not is_whole(value) or not -count <= index(value) < count:
        raise InputError(
            f"There is no {what} {value!r}: {owner} has {count}.",
            hint=f"Pass an index from 0 to {count - 1}, or from -{count} to -1 counting from the end.",
        )
    return index(value) % count


def whole_number(
    value: Any, name: str, least: int = 1, most: int | None = None, *, example: int | None = None
) -> int:
    """Return a whole number within its range.

    Args:
        value: The number.
        name: The parameter's name, for the message.
        least: The least allowed.
        most: The most allowed; no limit where left out.
        example: A value for the hint; the least allowed where left out.

    Raises:
        InputError: The value is no whole number, or out of its range.

    >>> whole_number(3, "draws")
    3
    """
    if not is_whole(value) or index(value) < least or (most is not None and index(value) > most):
        allowed = f"{least} or more" if most is None else f"from {least} to {most}"
        raise InputError(
            f"{name} must be a whole number, {allowed}. Got {value!r}.",
            hint=f"Pass {name}={least if example is None else example}.",
        )
    return index(value)


def real_number(
    value: Any, name: str, least: float = 0.0, *, exclusive: bool = False, example: float | None = None
) -> float:
    """Return a finite number that is at least, or above, a lower limit.

    Args:
        value: The number.
        name: The parameter's name, for the message.
        least: The lower limit.
        exclusive: Whether the limit itself is not allowed.
        example: A value for the hint; the lower limit where left out.

    Raises:
        InputError: The value is no finite number, or below the limit.

    >>> real_number(0.5, "noise")
    0.5
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or value < least or (exclusive and value == least):
        allowed = f"above {least:g}" if exclusive else f"{least:g} or more"
        raise InputError(
            f"{name} must be a finite number, {allowed}. Got {value!r}.",
            hint=f"Pass {name}={least if example is None else example}.",
        )
    return float(value)


def one_of(value: Any, name: str, allowed: Iterable[str]) -> str:
    """Return a name that is one of those allowed.

    Args:
        value: The name.
        name: The parameter's name, for the message.
        allowed: The names.

    Raises:
        InputError: It is none of them.

    >>> one_of("l2", "norm", ("l1", "l2"))
    'l2'
    """
    names = tuple(allowed)
    if not isinstance(value, str) or value not in names:
        raise InputError(
            f"Unknown {name} {value!r}. Allowed: {', '.join(names)}.", hint=f"Pass {name}={names[0]!r}."
        )
    return value


def takes_former_names(**former: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take keyword arguments by their former names, with a ``FutureWarning``.

    Args:
        **former: ``former name="name"``.

    Returns:
        The decorator.

    >>> @takes_former_names(count="number")
    ... def double(*, number: int) -> int:
    ...     return 2 * number
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     double(count=2), str(caught[0].message)
    (4, 'double: the argument count is now called number.')
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*arguments: P.args, **options: P.kwargs) -> R:
            for old, new in former.items():
                if old in options and new not in options:
                    warnings.warn(
                        f"{function.__name__}: the argument {old} is now called {new}.",
                        FutureWarning,
                        stacklevel=2,
                    )
                    options[new] = options.pop(old)
            return function(*arguments, **options)

        return call

    return decorate


def names_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function refuse an unknown keyword argument with a list of those that it takes.

    Args:
        function: The function; it takes no ``**options`` of its own.

    Returns:
        The function, which raises InputError for an unknown keyword argument.

    >>> @names_arguments
    ... def double(number: int, *, times: int = 2) -> int:
    ...     return times * number
    >>> double(3, time=4)
    Traceback (most recent call last):
    ...
    model_understanding.errors.InputError: double has no argument 'time'. Allowed: times. Pass times=….
    """
    parameters = signature(function).parameters
    names = [name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]

    @wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        for name in options:
            if name not in parameters:
                close = get_close_matches(name, names, 1)
                raise InputError(
                    f"{function.__name__} has no argument {name!r}. Allowed: {', '.join(names)}.",
                    hint=f"Pass {close[0]}=…." if close else f"Leave {name} out.",
                )
        return function(*arguments, **options)

    return call


def is_whole(value: Any) -> bool:
    """Return whether a value is an integer of any kind (numpy's too), and no ``bool``."""
    return hasattr(value, "__index__") and not isinstance(value, bool)
