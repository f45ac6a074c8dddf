"""Value zeroing: how far each output of a block moves when a token's values are zeroed in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import Cache

from model_understanding.attention.capture.layer import blocks_of
from model_understanding.attention.capture.mode import CapturedAttention
from model_understanding.attention.capture.reducers import Axis
from model_understanding.attention.capture.values import MixingLayer
from model_understanding.attention.flow import FlowCapture, flow_map, require_mean_heads, shares_of
from model_understanding.model.blocks import module_list_members
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding

_RERUN_TOLERANCE = 1e-3  # of the largest state: 16-bit models round


class ValueZeroingCapture(FlowCapture):
    """How far each output of a block moves when a token's values are zeroed in it, as shares.

    Each block is run again for each token, on the input it had, with that token's values zeroed.
    """

    def __init__(self, model: Model, tokens: int) -> None:
        super().__init__(model, tokens, "value_zeroing")
        self.reruns = tokens + 1
        self._waiting: list[MixingLayer] = []
        self._seen_before: list[int] = []  # layers seen when each running block began
        self._paused = False

    def __enter__(self) -> Self:
        for child in module_list_members(self.model.module):
            for handle in (
                child.register_forward_pre_hook(self._begins),
                child.register_forward_hook(self._ran, with_kwargs=True),
            ):
                self.hooks.callback(handle.remove)
        super().__enter__()
        return self

    def mixed(self, layer: MixingLayer) -> None:
        """Receive a layer; its block is still running."""
        self._require_none_waiting()
        self.last_layer = layer
        self._waiting.append(layer)

    def require_complete(self) -> None:
        """Raise unless every layer was seen, in a block that can be run again."""
        self._require_none_waiting()
        super().require_complete()

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
    ) -> Any:
        if self._paused:
            return function(*arguments, **(keywords or {}))
        return super().__torch_function__(function, types, arguments, keywords)

    def _require_none_waiting(self) -> None:
        if self._waiting:
            raise self.refusal(self._waiting[0].number, "it is in no block that can be run again")

    def _begins(self, module: torch.nn.Module, arguments: Any) -> None:
        if not self._paused:
            self._seen_before.append(self.seen)

    def _ran(
        self, module: torch.nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any
    ) -> None:
        if self._paused or self._seen_before.pop() == self.seen or not self._waiting:
            return
        layer = self._waiting.pop()
        self._paused = True  # what is computed here is no part of the model's forward
        try:
            with torch.no_grad():
                matrix = self._distances(module, arguments, keywords, output)
                reachable = [block.allowed[0] for block in _whole_rows(layer, self.tokens)]
        finally:
            self._paused = False
        matrix = torch.where(torch.cat(reachable), matrix, 0)
        identity = torch.eye(self.tokens, device=matrix.device, dtype=matrix.dtype)
        shares = shares_of(matrix, identity).float()
        self.looks_ahead = self.looks_ahead or layer.weights.looks_ahead
        self.found.append(lambda rows: shares[list(rows)])

    def _distances(
        self, module: torch.nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any
    ) -> Float[Tensor, "tokens tokens"]:
        # A cache would hold the keys of the first run; without one they are computed again.
        arguments = tuple(None if isinstance(one, Cache) else one for one in arguments)
        keywords = {name: None if isinstance(one, Cache) else one for name, one in keywords.items()}

        def run(token: int | None) -> Tensor:
            again = _ZeroedValues(self.model, self.tokens, token)
            with again:
                states = self._states(module.forward(*arguments, **keywords))
            if not again.has_mixed:
                raise self.refusal(self.seen - 1, "its block does not attend as before when it is run again")
            return states

        before = self._states(output)
        if not torch.allclose(run(None), before, rtol=0, atol=_RERUN_TOLERANCE * float(before.abs().amax())):
            raise self.refusal(self.seen - 1, "its block gives something else when it is run again")
        columns = [
            1 - torch.nn.functional.cosine_similarity(before, run(token), dim=-1, eps=1e-300)
            for token in range(self.tokens)
        ]
        return torch.stack(columns, dim=1).clamp(min=0)

    def _states(self, output: Any) -> Float[Tensor, "tokens width"]:
        states = output if isinstance(output, Tensor) else output[0]
        return states.detach().double().reshape(self.tokens, -1)


class _ZeroedValues(FlowCapture):
    """The mode under which a block is run again: one token's values are 0, for every head, or none are."""

    def __init__(self, model: Model, tokens: int, token: int | None) -> None:
        super().__init__(model, tokens, "value_zeroing")
        self.token = token
        self.has_mixed = False

    def entering(self, number: int, values: Tensor, token_axis: int) -> Tensor:
        """Return the values with one token's zeroed."""
        if self.token is None:
            return values
        values = values.clone()
        values.select(token_axis, self.token).zero_()
        return values

    def mixed(self, layer: MixingLayer) -> None:
        """Receive a layer; nothing is kept."""
        self.has_mixed = True


def _whole_rows(layer: MixingLayer, tokens: int) -> Any:
    for block in blocks_of(layer.weights, range(tokens)):
        missing = (block.first, tokens - block.first - block.weights.shape[-1])
        yield block._replace(allowed=torch.nn.functional.pad(block.allowed, missing))


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueZeroing:
    r"""What share of each layer's tokens comes from each token below, by what is lost without its values.

    ``M_ik ∝ 1 − cos(x̃_i, x̃_i^{¬k})``: a block's output, and its output when the value vectors of token k
    are zeroed in it, all heads; rows sum to 1. Layers multiply; the residual stream is part of a block's
    output, so no identity is added. One forward, and each block again for every token and once as a
    check: tokens + 2 forwards in all; O(tokens²) memory a layer.

    Args:
        start_layer: The lowest layer followed; with the layer asked for the same, one layer alone.

    Raises:
        InputError: Layers are joined, or heads chosen.
        UnsupportedModelError: A layer's values are not found, or its block cannot be run again.

    Reference:
        Mohebbi et al. (2023), "Quantifying Context Mixing in Transformers", equations 5 to 7 and the
        rollout of section 5.

    >>> ValueZeroing().name
    'value_zeroing'
    """

    name: ClassVar[str] = "value_zeroing"
    reference: ClassVar[str] = "Mohebbi et al. 2023"

    start_layer: int = 0

    def __call__(
        self,
        model: Model,
        encoding: Encoding,
        layers: Axis,
        heads: Axis,
        queries: Sequence[int] | None = None,
    ) -> CapturedAttention:
        """Return the map up to each layer asked for, ``(B, L, 1, Q, T)``."""
        require_mean_heads(heads, self.name)
        return flow_map(model, encoding, layers, queries, self.start_layer, self.name, ValueZeroingCapture)
