"""Turns what was typed after an option into a value: methods and their fields, metrics, indices."""

import dataclasses
import difflib
import types
from collections.abc import Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from model_understanding.errors import InputError, ModelUnderstandingError
from model_understanding.registry import CHOICES, METHODS, METRICS

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def parse_method(name: str, settings: Sequence[str]) -> Any:
    """Return a method with its settings.

    Args:
        name: A method's name; or ``default`` or ``fast``, which stand for a method once the model is known.
        settings: ``FIELD=VALUE`` as typed; one per value for a field that takes several values.

    Returns:
        The method object with its fields set; ``default`` and ``fast`` as they are.

    Raises:
        InputError: The method or a field is unknown, or a value is invalid.
    """
    if name in CHOICES:
        if settings:
            raise InputError(
                f"--set {settings[0]!r} needs a specific method, and {name!r} depends on the model.",
                hint=f"Name the method with --method: {', '.join(dict.fromkeys(CHOICES[name].values()))}.",
            )
        return name
    method_type = METHODS.load(name)
    field_types = method_fields(method_type)
    values = {}
    for setting in settings:
        field, equals, text = setting.partition("=")
        if not equals or not field:
            raise InputError(
                f"Invalid --set {setting!r}. Expected FIELD=VALUE.", hint=_fields_hint(name, field_types)
            )
        if field not in field_types:
            close = difflib.get_close_matches(field, field_types, n=1, cutoff=0.5)
            raise InputError(
                f"The method {name!r} has no field {field!r}.",
                hint=f"Did you mean {close[0]!r}?" if close else _fields_hint(name, field_types),
            )
        value = _parse_value(text, field_types[field], field)
        # A field that takes several values is set again for each of them.
        values[field] = (*values.get(field, ()), *value) if isinstance(value, tuple) else value
    try:
        return method_type(**values)
    except ModelUnderstandingError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Invalid settings of the method {name!r}: {error}", hint=_fields_hint(name, field_types)
        ) from error


def parse_methods(names: str) -> tuple[str, ...]:
    """Return the names of several methods.

    Args:
        names: Names separated by commas, or ``all``.

    Raises:
        InputError: A method is unknown.

    >>> parse_methods("saliency, occlusion")
    ('saliency', 'occlusion')
    """
    if names == "all":
        return METHODS.names()
    parsed = tuple(name.strip() for name in names.split(","))
    for name in parsed:
        if name not in CHOICES:
            METHODS.load(name)
    return parsed


def parse_metrics(names: str | None) -> tuple[str, ...]:
    """Return the names of several metrics.

    Args:
        names: Names separated by commas, ``all``, or nothing.

    Raises:
        InputError: A metric is unknown.

    >>> parse_metrics("deletion, insertion")
    ('deletion', 'insertion')
    """
    if names is None:
        return ()
    parsed = METRICS.names() if names == "all" else tuple(name.strip() for name in names.split(","))
    for name in parsed:
        METRICS.load(name)
    return parsed


def parse_indices(text: str, option: str, allowed: str, example: str) -> list[int]:
    """Return indices separated by commas.

    Args:
        text: Indices as typed.
        option: The option, for the message: ``--layer``.
        allowed: What it takes, for the message.
        example: A value that it takes, for the hint.

    Raises:
        InputError: Something else was typed.

    >>> parse_indices("0, -1", "--positions", "token positions", "-1")
    [0, -1]
    """
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(
            f"Invalid {option} {text!r}. Allowed: {allowed}.", hint=f"For example: {option} {example}"
        ) from error


def method_fields(method_type: type) -> dict[str, Any]:
    """Return the fields of a method that can be set, and their types."""
    hints = get_type_hints(method_type)
    return {field.name: hints[field.name] for field in dataclasses.fields(method_type) if field.init}


def type_in_words(kind: Any) -> str:
    """Return what a field accepts on the command line; types that only Python can pass are omitted.

    >>> type_in_words(Literal["l1", "l2"]), type_in_words(int | None), type_in_words(str | bytearray)
    ('l1|l2', 'int|none', 'text')
    """
    if get_origin(kind) is Literal:
        return "|".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return "|".join(type_in_words(part) for part in get_args(kind) if _can_be_typed(part))
    if get_origin(kind) is tuple:
        return f"{type_in_words(get_args(kind)[0])} (repeatable)"
    if kind is type(None):
        return "none"
    return {bool: "true|false", str: "text"}.get(kind, getattr(kind, "__name__", str(kind)))


def _can_be_typed(kind: Any) -> bool:
    """Return whether a value of a type can be given on the command line."""
    return get_origin(kind) is Literal or kind in (bool, int, float, str, type(None))


def _fields_hint(name: str, field_types: dict[str, Any]) -> str:
    if not field_types:
        return f"The method {name!r} has no fields. Drop --set."
    fields = ", ".join(f"{field}={type_in_words(kind)}" for field, kind in field_types.items())
    return f"Fields of {name}: {fields}."


def _parse_value(text: str, kind: Any, field: str) -> Any:
    """Return the text as a value of the field's type; of a union, the first type that fits."""
    for part in get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,):
        try:
            return _convert(text, part)
        except (ValueError, KeyError, TypeError):
            continue
    raise InputError(f"Invalid value {field}={text!r}.", hint=f"{field} takes {type_in_words(kind)}.")


def _convert(text: str, kind: Any) -> Any:
    if get_origin(kind) is Literal:
        return {str(choice): choice for choice in get_args(kind)}[text]
    if kind is type(None):
        return {"none": None}[text.lower()]
    if kind is bool:
        return _BOOLEANS[text.lower()]
    if get_origin(kind) is tuple:
        return (_convert(text, get_args(kind)[0]),)
    if kind in (int, float, str):
        return kind(text)
    raise TypeError(f"{kind} cannot be given on the command line")
