"""Results to JSON and back: one codec for every result type.

A result is an object with ``type`` and its fields; arrays are nested lists with as many digits as
restore each value exactly. The outermost object carries ``schema``. NaN and infinity are refused.
"""

import json
from dataclasses import fields, is_dataclass
from typing import Any, Self

import numpy as np

from model_understanding.errors import InputError, NumericalError
from model_understanding.tokens import Tokens

SCHEMA = 1
_TYPES: dict[str, type] = {"Tokens": Tokens}


class JsonResult:
    """A result that turns into JSON and back."""

    __slots__ = ()

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        _TYPES[cls.__name__] = cls

    def to_json(self, *, indent: int | None = None) -> str:
        """Return the result as JSON text.

        Args:
            indent: Spaces a level, or ``None`` for one line.

        Returns:
            An object with ``schema``, ``type`` and the fields.

        Raises:
            NumericalError: A value is not finite.
        """
        try:
            return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=indent)
        except ValueError as error:
            raise NumericalError(
                f"{type(self).__name__} holds a value that is not finite.",
                hint="Load the model with dtype='float32' and try again.",
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain lists, numbers and strings."""
        return {"schema": SCHEMA, **_plain(self)}

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Restore a result from ``to_json``.

        Args:
            text: JSON text.

        Returns:
            The result, equal to the one saved.

        Raises:
            InputError: The text is not a result of this type in a schema this version reads.
        """
        result = result_from_json(text)
        if not isinstance(result, cls):
            raise InputError(
                f"The JSON holds {type(result).__name__}, not {cls.__name__}.",
                hint=f"Call {type(result).__name__}.from_json instead.",
            )
        return result


def result_from_json(text: str) -> Any:
    """Restore a result of any type from its JSON text.

    Args:
        text: What ``to_json`` returned.

    Returns:
        The result.

    Raises:
        InputError: The text is not JSON, not a result, or of a schema this version does not read.
    """
    hint = "Pass a file that Report.save('x.json') or to_json wrote."
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"This is not JSON: {error}.", hint=hint) from error
    if not isinstance(data, dict) or data.get("type") not in _TYPES:
        raise InputError(f"This JSON is not a result. Types: {', '.join(sorted(_TYPES))}.", hint=hint)
    if data.pop("schema", None) != SCHEMA:
        raise InputError(
            f"This result is not of schema {SCHEMA}, the only one this version reads.",
            hint="Save it again with this version of model-understanding.",
        )
    try:
        return _restored(data)
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(f"This JSON is not a whole result: {error}.", hint=hint) from error


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        content = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"type": type(value).__name__, **content}
    if isinstance(value, np.ndarray):
        if value.dtype == np.float32:  # shortest decimals that restore a float32, not a float64
            return value.astype(str).astype(np.float64).tolist()
        return value.tolist()
    if isinstance(value, np.generic):
        return _plain(np.asarray(value))
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_restored(item) for item in value) if _holds_results(value) else value
    if not isinstance(value, dict):
        return value
    if value.get("type") in _TYPES:
        content = {name: _restored(item) for name, item in value.items() if name != "type"}
        return _TYPES[value["type"]](**content)
    return {key: _restored(item) for key, item in value.items()}


def _holds_results(values: list[Any]) -> bool:
    return any(isinstance(item, dict) for item in values)
