"""Method and metric settings from the command line."""

import dataclasses
import difflib
import types
from collections.abc import Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from model_understanding.errors import InputError, ModelUnderstandingError
from model_understanding.registry import CHOICES, METHODS

_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def chosen_method(name: str, settings: Sequence[str]) -> Any:
    """Return the method that was asked for.

    Args:
        name: A method's name; or ``default`` or ``fast``, which stand for one once the model is known.
        settings: ``field=value``, as they were typed; once for each value of a field that takes several.

    Returns:
        The method object with its fields set; ``default`` and ``fast`` as they are.

    Raises:
        InputError: The method or a field is unknown, or a value does not fit.
    """
    if name in CHOICES:
        if settings:
            raise InputError(
                f"--set {settings[0]!r} sets a field of one method, and {name!r} chooses one for the model.",
                hint=f"Name it with --method: {', '.join(dict.fromkeys(CHOICES[name].values()))}.",
            )
        return name
    method_type = METHODS.load(name)
    allowed = method_fields(method_type)
    values = {}
    for setting in settings:
        field, equals, value = setting.partition("=")
        if not equals or not field:
            raise InputError(
                f"--set {setting!r} is not of the form field=value.", hint=_fields_hint(name, allowed)
            )
        if field not in allowed:
            close = difflib.get_close_matches(field, allowed, n=1, cutoff=0.5)
            raise InputError(
                f"The method {name!r} has no field {field!r}.",
                hint=f"Did you mean {close[0]!r}?" if close else _fields_hint(name, allowed),
            )
        found = _value(value, allowed[field], field)
        # A field of several values is set again for each of them.
        values[field] = (*values.get(field, ()), *found) if isinstance(found, tuple) else found
    try:
        return method_type(**values)
    except ModelUnderstandingError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The method {name!r} refuses this: {error}", hint=_fields_hint(name, allowed)
        ) from error


def method_fields(method_type: type) -> dict[str, Any]:
    """Return the fields of a method that can be set, and the type of each."""
    hints = get_type_hints(method_type)
    return {field.name: hints[field.name] for field in dataclasses.fields(method_type) if field.init}


def type_in_words(kind: Any) -> str:
    """Return what a field takes; kinds that only Python can give, as arrays, are left out.

    >>> type_in_words(Literal["l1", "l2"]), type_in_words(int | None), type_in_words(str | bytearray)
    ('l1|l2', 'int|none', 'text')
    """
    if get_origin(kind) is Literal:
        return "|".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return "|".join(type_in_words(part) for part in get_args(kind) if _is_writable(part))
    if get_origin(kind) is tuple:
        return f"{type_in_words(get_args(kind)[0])} (again for each)"
    if kind is type(None):
        return "none"
    return {bool: "true|false", str: "text"}.get(kind, getattr(kind, "__name__", str(kind)))


def _is_writable(kind: Any) -> bool:
    """Return whether a value of a kind can be written on the command line."""
    return get_origin(kind) is Literal or kind in (bool, int, float, str, type(None))


def _fields_hint(name: str, allowed: dict[str, Any]) -> str:
    if not allowed:
        return f"The method {name!r} has no fields: leave --set out."
    return f"Its fields: {', '.join(f'{field}={type_in_words(kind)}' for field, kind in allowed.items())}."


def _value(text: str, kind: Any, field: str) -> Any:
    """Return the text as a value of the field's type; the first of several types that fits."""
    for part in get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,):
        try:
            return _as(part, text)
        except (ValueError, KeyError, TypeError):
            continue
    raise InputError(f"{field}={text!r} does not fit.", hint=f"{field} takes {type_in_words(kind)}.")


def _as(kind: Any, text: str) -> Any:
    if get_origin(kind) is Literal:
        return {str(choice): choice for choice in get_args(kind)}[text]
    if kind is type(None):
        return {"none": None}[text.lower()]
    if kind is bool:
        return _WORDS[text.lower()]
    if get_origin(kind) is tuple:
        return (_as(get_args(kind)[0], text),)
    if kind in (int, float, str):
        return kind(text)
    raise TypeError(f"{kind} cannot be written on the command line")


def chosen_metrics(words: str | None) -> tuple[str, ...]:
    """Return the metrics that are named.

    Args:
        words: Names separated by commas, ``all``, or nothing.

    Raises:
        InputError: There is no such metric.

    >>> chosen_metrics("deletion, insertion")
    ('deletion', 'insertion')
    """
    from model_understanding.registry import METRICS

    if words is None:
        return ()
    names = METRICS.names() if words == "all" else tuple(name.strip() for name in words.split(","))
    for name in names:
        METRICS.load(name)
    return tuple(names)
