"""Results to JSON and back: one codec for every result type.

A result is an object with ``type`` and its fields; arrays are nested lists with as many digits as are
needed to restore each value exactly, and null for a score that was not measured. The outermost object has
``schema``. NaN and infinity are rejected. In a file, large arrays are packed (``packed_arrays.py``).
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints

import numpy as np

from model_understanding.errors import InputError, NumericalError
from model_understanding.results.packed_arrays import PACKED_FROM, is_packed, packed, unpacked
from model_understanding.tokens import Tokens

SCHEMA = 1
_HINT = "Pass a file that Report.save('x.json') or to_json wrote."
_TYPES: dict[str, type] = {"Tokens": Tokens}


class JsonResult:
    """A result that converts to JSON and back."""

    __slots__ = ()

    ROUNDED: ClassVar[frozenset[str]] = frozenset()
    """Fields whose large arrays are rounded when they are packed into a file."""

    EMPTY: ClassVar[dict[str, str]] = {}
    """Arrays with elements that have no value, and the property that says which have one: others are null."""

    def __init_subclass__(cls, *, abstract: bool = False, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if not abstract:
            _TYPES[cls.__name__] = cls

    def require_possible(self) -> None:
        """Raise ValueError if a file's values are such as no model gives; their types have been checked."""

    def to_json(self, *, indent: int | None = None, pack: bool = False, exact: bool = False) -> str:
        """Return the result as JSON text.

        Args:
            indent: Spaces per level, or ``None`` for a single line.
            pack: Whether to write arrays of 4,096 numbers or more as compressed bytes, as ``save`` does;
                attention weights are then rounded.
            exact: Whether packed attention weights keep every digit.

        Returns:
            An object with ``schema``, ``type`` and the fields.

        Raises:
            NumericalError: A value is not finite.
        """
        try:
            store = (_packed_exactly if exact else _packed) if pack else None
            content = {"schema": SCHEMA, **_plain(self, store)}
            return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=indent)
        except ValueError as error:
            raise NumericalError(
                f"{type(self).__name__} has a value that is not finite.",
                hint="Load the model with dtype='float32' and try again.",
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain lists, numbers and strings."""
        return {"schema": SCHEMA, **_plain(self)}

    @classmethod
    def from_json(cls, text: str, *, arrays: Callable[[str], np.ndarray] | None = None) -> Self:
        """Restore a result from ``to_json``.

        Args:
            text: JSON text.
            arrays: Returns an array by its name, where the text refers to arrays beside it.

        Returns:
            The result, equal to the one saved.

        Raises:
            InputError: The text is not a result of this type, or its schema is not supported.
        """
        result = result_from_json(text, arrays)
        if not isinstance(result, cls):
            raise InputError(
                f"The JSON holds {type(result).__name__}, not {cls.__name__}.",
                hint=f"Call {type(result).__name__}.from_json instead.",
            )
        return result


def result_from_json(text: str, arrays: Callable[[str], np.ndarray] | None = None) -> Any:
    """Restore a result of any type from its JSON text.

    Args:
        text: What ``to_json`` returned.
        arrays: Returns an array by its name, where the text refers to arrays beside it.

    Returns:
        The result.

    Raises:
        InputError: The text is not JSON or not a result, or its schema is not supported.
    """

    def with_arrays(content: dict[str, Any]) -> Any:
        refers = arrays is not None and content.keys() == {"type", "name"} and content["type"] == "array"
        return arrays(str(content["name"])) if arrays is not None and refers else content

    try:
        data = json.loads(text, object_hook=with_arrays)
    except (ValueError, RecursionError) as error:
        raise InputError(f"Invalid JSON: {error}.", hint=_HINT) from error
    return result_from_dict(data)


def result_from_dict(data: Any) -> Any:
    """Restore a result of any type from the output of ``to_dict``; arrays can also be numpy arrays.

    Args:
        data: The fields of the result with its type and schema.

    Returns:
        The result.

    Raises:
        InputError: It is not a result, or its schema is not supported.
    """
    if not _is_result(data):
        raise InputError(f"The JSON is not a result. Types: {', '.join(sorted(_TYPES))}.", hint=_HINT)
    schema = data.pop("schema", None)
    if schema != SCHEMA:
        raise InputError(
            f"Unsupported schema {schema!r}: this version of model-understanding reads schema {SCHEMA}.",
            hint="Compute and save the result again with this version.",
        )
    try:
        return _restored(data)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        reason = str(error).rstrip(".")
        raise InputError(f"The JSON is not a valid result: {reason}.", hint=_HINT) from error


def json_beside(result: Any, arrays: dict[str, np.ndarray]) -> str:
    """Return a result as JSON text that refers to arrays by their names.

    Args:
        result: The result.
        arrays: Some of its own arrays, by the names under which they are stored beside the text.
    """
    names = {id(array): name for name, array in arrays.items()}

    def store(array: np.ndarray, rounded: bool) -> dict[str, Any] | None:
        name = names.get(id(array))
        return _packed(array, rounded=False) if name is None else {"type": "array", "name": name}

    return json.dumps({"schema": SCHEMA, **_plain(result, store)}, ensure_ascii=False, allow_nan=False)


def split_arrays(result: Any) -> tuple[str, dict[str, np.ndarray]]:
    """Return a result as JSON text without its arrays, and the arrays."""
    values = {field.name: getattr(result, field.name) for field in fields(result)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    content = {name: _plain(value) for name, value in values.items() if name not in arrays}
    header = {"schema": SCHEMA, "type": type(result).__name__, **content}
    return json.dumps(header, ensure_ascii=False, allow_nan=False), arrays


Store = Callable[[np.ndarray, bool], Any]
"""Returns what stands for an array, or ``None`` for a list; told whether the array may be rounded."""


def _packed(array: np.ndarray, rounded: bool) -> dict[str, Any] | None:
    return packed(array, rounded=rounded) if array.size >= PACKED_FROM else None


def _packed_exactly(array: np.ndarray, rounded: bool) -> dict[str, Any] | None:
    return _packed(array, rounded=False)


def _plain(value: Any, store: Store | None = None, rounded: bool = False) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        lossy, empty = getattr(value, "ROUNDED", ()), getattr(value, "EMPTY", {})
        content = {
            field.name: _plain(getattr(value, field.name), store, field.name in lossy)
            for field in fields(value)
        }
        for name, mask in empty.items():
            if isinstance(content[name], list):  # packed arrays have no null
                _clear(content[name], getattr(value, mask))
        return {"type": type(value).__name__, **content}
    if isinstance(value, np.ndarray):
        if store is not None and (stored := store(value, rounded)) is not None:
            return stored
        if value.dtype == np.float32:  # shortest decimals that restore a float32
            return value.astype(str).astype(np.float64).tolist()
        return value.tolist()
    if isinstance(value, np.generic):
        return _plain(np.asarray(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item, store) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item, store) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return repr(value)  # a parameter of a method can be any object


def _clear(rows: list[list[Any]], has_value: np.ndarray) -> None:
    """Set the elements of a matrix that have no value to null."""
    for row, column in zip(*np.nonzero(~has_value), strict=True):
        rows[row][column] = None


def _filled(value: Any) -> Any:
    """Return the rows of a matrix with 0 in place of null."""
    if not isinstance(value, list):
        return value
    return [
        [0.0 if cell is None else cell for cell in row] if isinstance(row, list) else row for row in value
    ]


def _nulls(rows: list[list[Any]]) -> np.ndarray:
    return np.array([[cell is None for cell in row] for row in rows], dtype=bool)


def _is_result(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str) and value["type"] in _TYPES


def _restored(data: dict[str, Any]) -> Any:
    """Build a result from its fields, each checked against its declared type."""
    kind = _TYPES[data["type"]]
    hints, empty = _hints(kind), getattr(kind, "EMPTY", {})
    content = {}
    for name, value in data.items():
        if name == "type":
            continue
        if name not in hints:
            raise ValueError(f"{kind.__name__} has no field {name!r}")
        if name in getattr(kind, "EMPTY", {}) and isinstance(value, list):
            value = [
                [0.0 if x is None else x for x in row] if isinstance(row, list) else row for row in value
            ]
        content[name] = _as_declared(value, hints[name], f"{kind.__name__}.{name}")
    result = kind(**content)
    for name, mask in empty.items():
        if isinstance(data.get(name), list) and (_nulls(data[name]) & getattr(result, mask)).any():
            raise ValueError(f"{kind.__name__}.{name} is null where there must be a number")
    if isinstance(result, JsonResult):
        result.require_possible()
    return result


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _as_declared(value: Any, hint: Any, name: str) -> Any:
    """Return the value of a field, restored if it is a result.

    Raises:
        ValueError: It does not have the declared type.
    """
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and type(None) in parts:
            return None
        named = _TYPES[value["type"]] if isinstance(value, dict) and _is_result(value) else None
        declared = [part for part in parts if part is not type(None)]
        (first, *others) = [part for part in declared if part is named] or declared
        return value if type(value) in others and _is_finite(value) else _as_declared(value, first, name)
    if origin is tuple and isinstance(value, list):
        return tuple(_as_declared(item, parts[0], name) for item in value)
    if origin is Mapping and isinstance(value, dict) and parts[1] is not Any:
        return {parts[0](key): _as_declared(item, parts[1], name) for key, item in value.items()}
    if hasattr(hint, "array_type"):
        if isinstance(value, list | np.ndarray) or is_packed(value):
            return _array(value, hint, name)
    elif hint in _TYPES.values():
        if _is_result(value) and _TYPES[value["type"]] is hint:
            return _restored(value)
    elif (
        (origin is Literal and value in parts)
        or (
            hint is float
            and isinstance(value, int | float)
            and not isinstance(value, bool)
            and _is_finite(value)
        )
        or (hint is int and isinstance(value, int) and not isinstance(value, bool))
        or (
            (hint in (str, bool) or origin in (dict, Mapping))
            and isinstance(value, origin or hint)
            and _is_finite(value)
        )
    ):
        return value
    raise ValueError(f"{name} has the invalid value {_short(value)}")


def _array(value: list[Any] | np.ndarray | dict[str, Any], hint: Any, name: str) -> np.ndarray:
    array = unpacked(value) if isinstance(value, dict) else np.asarray(value)
    allowed = {"Float": "fiu", "Int": "iu", "Bool": "b"}[hint.dtype.__name__]
    if array.size and array.dtype.kind not in allowed:
        raise ValueError(f"{name} has the invalid value {_short(value)}")
    with np.errstate(over="ignore"):
        if array.dtype.kind == "f" and not np.isfinite(array.astype(np.float32)).all():
            raise ValueError(f"{name} has a value that is not finite")
    return array


def _is_finite(value: Any) -> bool:
    """Return whether every number in a value of JSON is finite."""
    if isinstance(value, dict):
        return all(_is_finite(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_finite(item) for item in value)
    return not isinstance(value, float) or math.isfinite(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
