"""Replay a model's final layers, from its last block to the logits, on other hidden states.

Between the last block and the logits lie a final norm, sometimes a projection or a pooler, the head, soft
caps and scales: modules and bare arithmetic, different in every architecture. None of it is found by name.
A function mode records each operation that follows from the last block's output during one forward pass, and
the record is replayed with other hidden states in its place. Replayed with the last block's own output it
must reproduce the model's logits, else the model is refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from model_understanding.errors import UnsupportedModelError

HINT = "Use compute_saliency (the command explain): it does not read inner layers through the head."


@dataclass(frozen=True, slots=True)
class _Recorded:
    """Stands for a recorded value: one that follows from the last block's output."""

    index: int


@dataclass(frozen=True, slots=True)
class _Operation:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    results: Any


class FinalLayers(TorchFunctionMode):
    """Records what a model computes after its last block in one forward pass, and replays it.

    Args:
        model: The model, already guarded.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self._name = type(model).__name__
        self._fixed = {id(value) for value in (*model.parameters(), *model.buffers())}
        self._indices: dict[int, int] = {}
        self._alive: list[Tensor] = []  # during the forward pass: a freed tensor's id would be used again
        self._operations: list[_Operation] = []
        self._states: Tensor | None = None
        self._answer: int | None = None
        self._side_path = False

    def begin(self, states: Tensor) -> None:
        """Record what follows from now on.

        Args:
            states: The last block's output, the very tensor that the model continues with.
        """
        self._states = states
        self._index_of(states)

    def finish(self, logits: Tensor) -> None:
        """Stop recording.

        Args:
            logits: The model's logits.

        Raises:
            UnsupportedModelError: They do not follow from the last block's output alone.
        """
        self._answer = self._indices.get(id(logits))
        self._indices, self._alive, self._states = {}, [], None
        if self._answer is None:
            raise UnsupportedModelError(
                f"Could not trace the logits of {self._name} back to its last block.", hint=HINT
            )
        if self._side_path:
            raise UnsupportedModelError(
                f"The logits of {self._name} do not depend on its last block alone: other hidden states "
                "enter after it.",
                hint=HINT,
            )

    def __call__(self, states: Float[Tensor, "batch tokens width"]) -> Tensor:
        """Return the logits that the model would give, were these the last block's output.

        Args:
            states: Hidden states, of the last block's own shape.
        """
        values: dict[int, Any] = {0: states.clone()}  # the model may continue in place
        last_uses = self._last_uses()
        for step, operation in enumerate(self._operations):
            arguments, keywords = _filled((operation.arguments, operation.keywords), values)
            _assign(operation.results, operation.function(*arguments, **keywords), values)
            for index in last_uses.get(step, ()):
                values.pop(index, None)
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
        inputs: tuple[Any, Any] = _mapped((arguments, keywords), self._recorded)
        results = function(*arguments, **keywords)
        if any(isinstance(leaf, _Recorded) for leaf in _leaves(inputs)):
            self._side_path |= any(self._is_side_path(leaf) for leaf in _leaves(inputs))
            has_effect = results is None or any(isinstance(leaf, Tensor) for leaf in _leaves(results))
            if has_effect:
                recorded = _mapped(results, lambda leaf: _Recorded(self._index_of(leaf)))
                self._operations.append(_Operation(function, *inputs, recorded))
        return results

    def _recorded(self, leaf: Tensor) -> Any:
        index = self._indices.get(id(leaf))
        return leaf if index is None else _Recorded(index)

    def _index_of(self, leaf: Tensor) -> int:
        if id(leaf) not in self._indices:
            self._indices[id(leaf)] = len(self._indices)
            self._alive.append(leaf)
        return self._indices[id(leaf)]

    def _is_side_path(self, leaf: Any) -> bool:
        """Return whether a value is hidden states that did not pass through the last block."""
        if not isinstance(leaf, Tensor) or not leaf.is_floating_point() or leaf.ndim < 3:
            return False
        is_mask = bool(((leaf == 0) | (leaf == 1)).all())
        return not is_mask and leaf.numel() > 1 and id(leaf) not in self._fixed

    def _last_uses(self) -> dict[int, list[int]]:
        """Return which values are used for the last time by each operation, so that they can be freed."""
        last: dict[int, int] = {}
        for step, operation in enumerate(self._operations):
            for leaf in _leaves((operation.arguments, operation.keywords, operation.results)):
                if isinstance(leaf, _Recorded):
                    last[leaf.index] = step
        uses: dict[int, list[int]] = {}
        for index, step in last.items():
            if index != self._answer:
                uses.setdefault(step, []).append(index)
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
    """Return nested arguments with each recorded value filled in."""
    return _rebuilt(value, lambda leaf: values[leaf.index] if isinstance(leaf, _Recorded) else leaf)


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


def _assign(recorded: Any, result: Any, values: dict[int, Any]) -> None:
    """Keep what an operation gave as the values that were recorded for it."""
    if isinstance(recorded, _Recorded):
        values[recorded.index] = result
    elif isinstance(recorded, tuple | list):
        for item, part in zip(recorded, result, strict=True):
            _assign(item, part, values)
