"""One call of a torch function, as the function mode sees it."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

PROPERTIES = frozenset({"__get__", "size", "dim", "numel", "__len__", "requires_grad_", "is_floating_point"})
"""Names of what asks a tensor for a property, or for a view of it (``T``)."""
_IN_PLACE = {"__iadd__", "__isub__", "__imul__", "__itruediv__", "__idiv__", "__ipow__", "__imatmul__"}


class Call:
    """A call of a torch function, whose arguments are looked through once.

    Args:
        function: The function.
        arguments: Its positional arguments.
        keywords: Its keyword arguments.
    """

    __slots__ = ("_settings", "_tensors", "arguments", "depends", "function", "keywords", "name")

    def __init__(self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self.function = function
        self.arguments = arguments
        self.keywords = keywords
        self.name = name_of(function)
        """The name that ``torch.matmul``, ``Tensor.matmul`` and others like them share."""
        self._tensors: list[Tensor] = []
        self._settings: list[Any] = []
        _look_through(arguments, self._tensors, self._settings)
        if keywords:
            _look_through(keywords.values(), self._tensors, self._settings)
        self.depends = False
        """Whether an operand depends on the text."""
        for tensor in self._tensors:
            if tensor.requires_grad:
                self.depends = True
                break

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """Return an argument by its position or, where it is a keyword, by its name."""
        if len(self.arguments) > position:
            return self.arguments[position]
        return self.keywords.get(name, default)

    def tensors(self) -> list[Tensor]:
        """Return every tensor operand, in the order in which ``with_tensors`` replaces them."""
        return self._tensors

    def settings(self) -> list[Any]:
        """Return the numbers and words among the arguments, which both runs must share."""
        return self._settings

    def run(self) -> Any:
        """Call the function."""
        return self.function(*self.arguments, **self.keywords)

    def value(self) -> Any:
        """Call the function outside of the graph."""
        with torch.no_grad():
            result = self.run()
        if isinstance(result, Tensor):
            return result.detach() if result.requires_grad else result
        return mapped(result, lambda value: value.detach() if value.requires_grad else value)

    def with_tensors(self, tensors: Sequence[Tensor]) -> Any:
        """Call the function with other tensors in place of its own."""
        rest = iter(tensors)

        def other(_: Tensor) -> Tensor:
            return next(rest)

        arguments = mapped(self.arguments, other)
        return self.function(*arguments, **mapped(self.keywords, other))

    @property
    def is_in_place(self) -> bool:
        """Whether it overwrites its first operand."""
        return _has_mark(self.name) or self.keywords.get("inplace") is True

    @property
    def overwrites(self) -> bool:
        """Whether it overwrites its first operand, or a part of it."""
        return self.is_in_place or self.name == "__setitem__"

    def out_of_place(self) -> "Call":
        """Return the call that computes the same values and overwrites nothing."""
        if self.keywords.get("inplace"):
            return Call(self.function, self.arguments, {**self.keywords, "inplace": False})
        name = self.name
        plain = f"__{name[3:]}" if name in _IN_PLACE else name.removesuffix("_")
        function = getattr(Tensor, plain, None) or getattr(torch, plain)
        return Call(function, self.arguments, self.keywords)


@cache
def _has_mark(name: str) -> bool:
    return (name.endswith("_") and not name.endswith("__")) or name in _IN_PLACE


def name_of(function: Any) -> str:
    """Return the name of a torch function."""
    return getattr(function, "__name__", None) or type(function).__name__


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors in a nested result."""
    found: list[Tensor] = []
    _look_through((value,), found, [])
    return found


def _look_through(values: Iterable[Any], tensors: list[Tensor], settings: list[Any]) -> None:
    """Add the tensors in nested arguments to one list, the numbers and words to another."""
    for value in values:
        if isinstance(value, Tensor):
            tensors.append(value)
        elif isinstance(value, (int, float, str)):
            settings.append(value)
        elif isinstance(value, (list, tuple)):
            _look_through(value, tensors, settings)
        elif isinstance(value, slice):
            settings += [value.start, value.stop, value.step]
        elif isinstance(value, dict):
            _look_through(value.values(), tensors, settings)


def mapped(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """Return nested arguments or results with every tensor changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {name: mapped(item, change) for name, item in value.items()}
    if not isinstance(value, list | tuple) or isinstance(value, torch.Size):
        return value
    items = [mapped(item, change) for item in value]
    if isinstance(value, list):
        return items
    is_named = type(value).__module__ == "torch.return_types"
    return type(value)(items) if is_named else tuple(items)  # pyright: ignore[reportCallIssue]
