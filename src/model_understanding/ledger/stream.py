"""The cuts of a ledger: what enters each block, and what its sublayers add to the residual stream.

Nothing is found by name. Blocks are those of ``model/blocks.py``. Inside a block, every operation is followed
from the states that enter it: what linear maps compute of them is a sublayer's work, until an addition joins
it with the stream again. It is attention if attention weights have taken part in it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor, nn

from model_understanding.finite_backward import products
from model_understanding.finite_backward.calls import Call
from model_understanding.model.blocks import Block, entering_argument
from model_understanding.model.operations import ADDITIONS, MULTIPLICATIONS
from model_understanding.text.encoding import Encoding

_MAPS = products.NAMES - MULTIPLICATIONS - products.SQUARES - {"addcmul", "lerp"}
"""What may be a linear map of the stream."""


class Origin(IntEnum):
    """What a tensor inside a block is computed from."""

    STREAM = 0
    """The states that entered the block and what was added to them, at most normalized."""
    JOINED = 1
    """Several sublayers' work, each of which was noted."""
    WRITTEN = 2
    """A sublayer's work without attention."""
    ATTENDED = 3
    """A sublayer's work with attention."""


@dataclass(frozen=True, slots=True)
class Residual:
    """The name of the states that enter a block; after the last block, of its output."""

    layer: int


@dataclass(frozen=True, slots=True)
class Join:
    """The name of what a sublayer adds to the stream."""

    layer: int
    index: int
    reads_attention: bool


class StreamWatch:
    """Notes the states of each block and what is added to them, in one forward pass.

    Args:
        blocks: The model's blocks.
        encoding: The texts of the forward pass.
        noted: Where tensors are noted by name.
        joins: Of each call that joins sublayers with the stream, which operands they are; where the other
            run has filled it, nothing need be followed again.
    """

    def __init__(
        self,
        blocks: tuple[Block, ...],
        encoding: Encoding,
        noted: dict[Any, Tensor],
        joins: dict[int, list[tuple[int, Join]]],
    ) -> None:
        self._blocks = blocks
        self._tokens = encoding.ids.shape
        self._noted = noted
        self._calls: dict[nn.Module, int] = {}
        self._running: list[int | None] = []
        self._joins = joins
        self._is_known = bool(joins)
        self._seen = 0
        self._joins_of_block = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Register the hooks on blocks.

        Yields:
            Nothing.
        """
        handles: list[Any] = []
        try:
            for module in dict.fromkeys(block.module for block in self._blocks):
                handles.append(module.register_forward_pre_hook(self._enter, with_kwargs=True))
                handles.append(module.register_forward_hook(self._leave, always_call=True))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def around(self, call: Call, run: Callable[[Call], Any]) -> Any:
        """Run a call that depends on the text, and note what it adds to the stream."""
        if not self._running or self._running[-1] is None:
            return run(call)
        self._seen += 1
        if self._is_known:
            joins = self._joins.get(self._seen)
            return run(call) if joins is None else self._noting(joins, call, run)
        name = call.name
        origins = [origin for tensor in call.tensors() if (origin := _origin(tensor)) is not None]
        if name in ADDITIONS and len(origins) == 2 and len(call.arguments) == 2:
            return self._added(call, run)
        origin = max(origins)
        if origin is Origin.STREAM and name in _MAPS:
            origin = Origin.WRITTEN
        result = run(call)
        if _is_attention(name, result, self._tokens):
            origin = Origin.ATTENDED
        for tensor in result if isinstance(result, list | tuple) else (result,):
            if isinstance(tensor, Tensor) and tensor.requires_grad:
                tensor._origin = max(origin, getattr(tensor, "_origin", origin))  # pyright: ignore
        return result

    def _added(self, call: Call, run: Callable[[Call], Any]) -> Any:
        """Run an addition, and note what it joins with the stream."""
        first, second = call.arguments
        pair = _origin(first), _origin(second)
        is_whole = first.shape == second.shape and self._is_states(first)
        lowest, highest = min(pair), max(pair)  # pyright: ignore[reportArgumentType]
        origin, places = highest, ()
        if is_whole and lowest is Origin.STREAM:
            origin = Origin.STREAM
            places = tuple(place for place in (0, 1) if pair[place] in (Origin.WRITTEN, Origin.ATTENDED))
        elif is_whole and (lowest, highest) == (Origin.WRITTEN, Origin.ATTENDED):
            origin, places = Origin.JOINED, (0, 1)  # sublayers side by side
        joins: list[tuple[int, Join]] = []
        for place in places:
            name = Join(self._running[-1] or 0, self._joins_of_block, pair[place] is Origin.ATTENDED)
            joins.append((place, name))
            self._joins_of_block += 1
        if joins:
            self._joins[self._seen] = joins
        result = self._noting(joins, call, run)
        result._origin = origin
        return result

    def _noting(self, joins: list[tuple[int, Join]], call: Call, run: Callable[[Call], Any]) -> Any:
        first, second = call.arguments
        copied = None
        for place, name in joins:
            joined = call.arguments[place]
            if place == 0 and call.is_in_place:
                joined = copied = first.clone()
            self._noted[name] = joined
        if copied is None:
            return run(call)
        total = run(Call(torch.add, (copied, second), call.keywords))
        return run(Call(Tensor.copy_, (first, total), {}))

    def _is_states(self, tensor: Tensor) -> bool:
        """Return whether a tensor has the size of the states, in whatever order of axes."""
        return tensor.ndim in (2, 3) and tensor.shape[:-1].numel() == self._tokens.numel()

    def _enter(self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        call = self._calls.get(module, 0)
        self._calls[module] = call + 1
        layer = next(
            (i for i, block in enumerate(self._blocks) if block.module is module and block.call == call), None
        )
        self._running.append(layer)
        name, states = entering_argument(module, arguments, keywords)
        if layer is None or states is None or not states.requires_grad:
            return None
        self._joins_of_block = 0
        self._noted[Residual(layer)] = states
        # A copy, because some blocks add to their states in place.
        entering = states.clone()
        entering._origin = Origin.STREAM  # pyright: ignore[reportAttributeAccessIssue]
        if name is None:
            return (entering, *arguments[1:]), keywords
        return arguments, {**keywords, name: entering}

    def _leave(self, module: nn.Module, arguments: Any, output: Any) -> Any:
        layer = self._running.pop()
        if layer is None or layer != len(self._blocks) - 1:
            return None
        values = output if isinstance(output, list | tuple) else (output,)
        states = next(
            (value for value in values if isinstance(value, Tensor) and self._is_states(value)), None
        )
        if states is None:
            return None
        self._noted[Residual(layer + 1)] = states
        return None


def _origin(value: Any) -> Origin | None:
    """Return what a tensor is computed from; what nothing was seen to compute is a sublayer's work."""
    if not isinstance(value, Tensor):
        return None
    return getattr(value, "_origin", Origin.WRITTEN if value.requires_grad else None)


def _is_attention(name: str, result: Any, tokens: torch.Size) -> bool:
    """Return whether an operation is a fused attention kernel or the softmax of attention scores."""
    if name == "scaled_dot_product_attention":
        return True
    if name != "softmax" or not isinstance(result, Tensor) or result.ndim < 3:
        return False
    is_plane = tokens[1] in result.shape[1:-1] and result.shape[-1] >= tokens[1]
    return is_plane and (result.ndim > 3 or result.shape[0] not in tokens)
