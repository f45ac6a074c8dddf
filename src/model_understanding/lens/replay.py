"""Run what a model does after its last block on other hidden states, with the model's own operations.

Between the last block and the logits lie a final norm, sometimes a projection or a pooler, the head, soft
caps and scales: modules and bare arithmetic, different in every architecture. None of it is looked up by
name. A function mode notes each operation that follows from the last block's output during one forward, and
the notes are played again with other hidden states in its place. Played with the last block's own output
they must give the model's own logits, else the model is refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from model_understanding.errors import UnsupportedModelError

HINT = "Use compute_saliency or compute_attention: neither reads inner layers through the head."


@dataclass(frozen=True, slots=True)
class _Noted:
    """Stands for a value that follows from the last block's output, by its number."""

    number: int


@dataclass(frozen=True, slots=True)
class _Operation:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    results: Any


class Tail(TorchFunctionMode):
    """Notes what a model does after its last block, while that forward runs, and does it again.

    Args:
        model: The model, already guarded.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self._name = type(model).__name__
        self._fixed = {id(value) for value in (*model.parameters(), *model.buffers())}
        self._numbers: dict[int, int] = {}
        self._held: list[Tensor] = []  # while the forward runs: a freed tensor's id would be used again
        self._operations: list[_Operation] = []
        self._states: Tensor | None = None
        self._answer: int | None = None
        self._side_path = False

    def begin(self, states: Tensor) -> None:
        """Note what follows from now on.

        Args:
            states: The last block's output, the very tensor that the model goes on with.
        """
        self._states = states
        self._number_of(states)

    def finish(self, logits: Tensor) -> None:
        """Say what the forward ended in, and stop noting.

        Args:
            logits: The model's logits.

        Raises:
            UnsupportedModelError: They do not follow from the last block's output alone.
        """
        self._answer = self._numbers.get(id(logits))
        self._numbers, self._held, self._states = {}, [], None
        if self._answer is None:
            raise UnsupportedModelError(
                f"The way from the last block of {self._name} to its logits cannot be followed.", hint=HINT
            )
        if self._side_path:
            raise UnsupportedModelError(
                f"The logits of {self._name} do not follow from its last block alone: other hidden states "
                "enter after it.",
                hint=HINT,
            )

    def __call__(self, states: Float[Tensor, "batch tokens width"]) -> Tensor:
        """Return the logits that the model would give, were these the last block's output.

        Args:
            states: Hidden states, of the last block's own shape.
        """
        values: dict[int, Any] = {0: states.clone()}  # the model may go on in place
        last_use = self._last_uses()
        for place, operation in enumerate(self._operations):
            arguments, keywords = _filled((operation.arguments, operation.keywords), values)
            _assign(operation.results, operation.function(*arguments, **keywords), values)
            for number in last_use.get(place, ()):
                values.pop(number, None)
        assert self._answer is not None
        return values[self._answer]

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
    ) -> Any:
        keywords = keywords or {}
        if self._states is None:
            return function(*arguments, **keywords)
        inputs: tuple[Any, Any] = _mapped((arguments, keywords), self._noted)
        results = function(*arguments, **keywords)
        if any(isinstance(leaf, _Noted) for leaf in _leaves(inputs)):
            self._side_path |= any(self._is_side_path(leaf) for leaf in _leaves(inputs))
            changes = results is None or any(isinstance(leaf, Tensor) for leaf in _leaves(results))
            if changes:
                kept = _mapped(results, lambda leaf: _Noted(self._number_of(leaf)))
                self._operations.append(_Operation(function, *inputs, kept))
        return results

    def _noted(self, leaf: Tensor) -> Any:
        number = self._numbers.get(id(leaf))
        return leaf if number is None else _Noted(number)

    def _number_of(self, leaf: Tensor) -> int:
        if id(leaf) not in self._numbers:
            self._numbers[id(leaf)] = len(self._numbers)
            self._held.append(leaf)
        return self._numbers[id(leaf)]

    def _is_side_path(self, leaf: Any) -> bool:
        """Return whether a value is hidden states that did not pass through the last block."""
        if not isinstance(leaf, Tensor) or not leaf.is_floating_point() or leaf.ndim < 3:
            return False
        is_mask = bool(((leaf == 0) | (leaf == 1)).all())
        return not is_mask and leaf.numel() > 1 and id(leaf) not in self._fixed

    def _last_uses(self) -> dict[int, list[int]]:
        """Return which values are needed no more after each operation, so that they need not be held."""
        last: dict[int, int] = {}
        for place, operation in enumerate(self._operations):
            for leaf in _leaves((operation.arguments, operation.keywords, operation.results)):
                if isinstance(leaf, _Noted):
                    last[leaf.number] = place
        uses: dict[int, list[int]] = {}
        for number, place in last.items():
            if number != self._answer:
                uses.setdefault(place, []).append(number)
        return uses


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, tuple | list):
        return [leaf for item in value for leaf in _leaves(item)]
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, slice):
        return _leaves((value.start, value.stop, value.step))
    return [value]


def _mapped(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """Return nested arguments with each tensor changed."""
    return _rebuilt(value, lambda leaf: change(leaf) if isinstance(leaf, Tensor) else leaf)


def _filled(value: Any, values: dict[int, Any]) -> Any:
    """Return nested arguments with each noted place filled."""
    return _rebuilt(value, lambda leaf: values[leaf.number] if isinstance(leaf, _Noted) else leaf)


def _rebuilt(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, torch.Size):
        return value
    if isinstance(value, tuple | list):
        items = [_rebuilt(item, change) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict):
        return {key: _rebuilt(item, change) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(*(_rebuilt(part, change) for part in (value.start, value.stop, value.step)))
    return change(value)


def _assign(place: Any, result: Any, values: dict[int, Any]) -> None:
    """Keep what an operation gave under the numbers that were noted for it."""
    if isinstance(place, _Noted):
        values[place.number] = result
    elif isinstance(place, tuple | list):
        for item, part in zip(place, result, strict=True):
            _assign(item, part, values)
