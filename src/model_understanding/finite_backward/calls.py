"""One call of a torch function, as the function mode sees it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

PROPERTIES = frozenset({"__get__", "size", "dim", "numel", "__len__", "requires_grad_", "is_floating_point"})
"""Names of what asks a tensor for a property, or for a view of it (``T``)."""
_IN_PLACE = {"__iadd__", "__isub__", "__imul__", "__itruediv__", "__idiv__", "__ipow__", "__imatmul__"}


@dataclass(slots=True)
class Call:
    """A call of a torch function.

    Args:
        function: The function.
        arguments: Its positional arguments.
        keywords: Its keyword arguments.
    """

    function: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    name: str = field(init=False)
    """The name that ``torch.matmul``, ``Tensor.matmul`` and others like them share."""

    def __post_init__(self) -> None:
        self.name = name_of(self.function)

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """Return an argument by its position or, where it is a keyword, by its name."""
        if len(self.arguments) > position:
            return self.arguments[position]
        return self.keywords.get(name, default)

    def tensors(self) -> list[Tensor]:
        """Return every tensor operand, in the order in which ``with_tensors`` replaces them."""
        found: list[Tensor] = []
        for value in (*self.arguments, *self.keywords.values()):
            _add_tensors(value, found)
        return found

    @property
    def depends(self) -> bool:
        """Whether an operand depends on the text."""
        return depends_on_text(self.arguments) or depends_on_text(self.keywords)

    def settings(self) -> list[Any]:
        """Return the numbers and words among the arguments, which both runs must share."""
        found: list[Any] = []
        for value in (*self.arguments, *self.keywords.values()):
            _add_settings(value, found)
        return found

    def run(self) -> Any:
        """Call the function."""
        return self.function(*self.arguments, **self.keywords)

    def value(self) -> Any:
        """Call the function outside of the graph."""
        with torch.no_grad():
            return self.with_tensors([tensor.detach() for tensor in self.tensors()])

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
        name = self.name
        has_mark = name.endswith("_") and not name.endswith("__")
        return has_mark or name in _IN_PLACE or self.keywords.get("inplace") is True

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


def name_of(function: Any) -> str:
    """Return the name of a torch function."""
    return getattr(function, "__name__", type(function).__name__)


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors in a nested result."""
    found: list[Tensor] = []
    _add_tensors(value, found)
    return found


def _add_tensors(value: Any, found: list[Tensor]) -> None:
    if isinstance(value, Tensor):
        found.append(value)
    elif isinstance(value, list | tuple):
        for item in value:
            _add_tensors(item, found)
    elif isinstance(value, dict):
        for item in value.values():
            _add_tensors(item, found)


def depends_on_text(value: Any) -> bool:
    """Return whether a tensor in nested arguments depends on the text."""
    if isinstance(value, Tensor):
        return value.requires_grad
    if isinstance(value, list | tuple):
        return any(map(depends_on_text, value))
    return isinstance(value, dict) and any(map(depends_on_text, value.values()))


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


def _add_settings(value: Any, found: list[Any]) -> None:
    if isinstance(value, bool | int | float | str):
        found.append(value)
    elif isinstance(value, list | tuple):
        for item in value:
            _add_settings(item, found)
    elif isinstance(value, slice):
        found += [value.start, value.stop, value.step]
    elif isinstance(value, dict):
        _add_settings([*value.values()], found)
