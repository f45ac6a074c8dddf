"""Value zeroing: how far each output of a block moves when a token's values are zeroed in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers import Cache

from model_understanding.attention.capture.layer import row_blocks
from model_understanding.attention.capture.mode import AttentionCapture
from model_understanding.attention.capture.parts import LayerValues
from model_understanding.attention.capture.reader import AttentionReader, Depth
from model_understanding.attention.capture.reducers import Axis
from model_understanding.attention.capture.weights import CapturedAttention
from model_understanding.attention.flow import (
    FlowReader,
    LayerMatrix,
    flow_map,
    normalized_rows,
    require_mean_heads,
)
from model_understanding.model.attention_layout import Sides, Stack
from model_understanding.model.blocks import module_list_members
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding

_RERUN_TOLERANCE = 1e-3  # of the largest state: 16-bit models round


class ValueZeroingReader(FlowReader):
    """How far each output of a block moves when a token's values are zeroed in it, as shares.

    Each block is run again for each token, on the input it had, with that token's values zeroed.
    """

    name = "value_zeroing"

    def __init__(self, model: Model, sides: Sides) -> None:
        super().__init__(model, sides)
        self.block_reruns = self.tokens + 1
        self._attended: LayerValues | None = None  # the layer whose block is still running
        self._layers_before: list[int] = []  # layers seen when each running block began

    def module_hooks(self) -> Iterator[Any]:
        """Register hooks before and after each block; yield their handles."""
        for child in module_list_members(self.model.module):
            yield child.register_forward_pre_hook(self._begin_block)
            yield child.register_forward_hook(self._end_block, with_kwargs=True)

    def read_values(self, values: LayerValues) -> None:
        """Receive a layer; its block is still running."""
        self._require_rerun()
        super().read_values(values)
        self._attended = values

    def matrices(self, value: Tensor | None) -> list[LayerMatrix]:
        """Return the relevance matrices, first layer first."""
        self._require_rerun()
        return super().matrices(value)

    def _require_rerun(self) -> None:
        if self._attended is not None:
            raise self.refusal(self._attended.layer, "it is not part of a block that can be run again")

    def _begin_block(self, module: torch.nn.Module, arguments: Any) -> None:
        if not self.is_paused:
            self._layers_before.append(self.layers_seen)

    def _end_block(
        self, module: torch.nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any
    ) -> None:
        if self.is_paused or self._layers_before.pop() == self.layers_seen or self._attended is None:
            return
        if self._layers_before:  # a part of a block whose parts are a list too (T5)
            return
        layer, self._attended = self._attended, None
        with self.paused(), torch.no_grad():
            distances = self._distances(layer.layer, module, arguments, keywords, output)
            distances = torch.where(_allowed(layer, self.tokens), distances, 0)
        identity = torch.eye(self.tokens, device=distances.device, dtype=distances.dtype)
        shares = normalized_rows(distances, identity).float()
        self._matrices.append(lambda queries: shares[list(queries)])

    def _distances(
        self,
        layer: int,
        module: torch.nn.Module,
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        output: Any,
    ) -> Float[Tensor, "tokens tokens"]:
        # A cache would hold the keys of the first run; without one they are computed again.
        arguments = tuple(None if isinstance(value, Cache) else value for value in arguments)
        keywords = {name: None if isinstance(value, Cache) else value for name, value in keywords.items()}

        def run(token: int | None) -> Tensor:
            reader = _ZeroedValues(self.model, self.sides, token)
            reader.layers_seen = self.layers_seen - 1  # the block's own layer comes again
            with AttentionCapture(reader):
                states = self._states(module.forward(*arguments, **keywords))
            if not reader.has_attended:
                raise self.refusal(layer, "its block does not attend as before when it is run again")
            return states

        before = self._states(output)
        if not torch.allclose(run(None), before, rtol=0, atol=_RERUN_TOLERANCE * float(before.abs().amax())):
            raise self.refusal(layer, "its block gives another output when it is run again")
        columns = [
            1 - torch.nn.functional.cosine_similarity(before, run(token), dim=-1, eps=1e-300)
            for token in range(self.tokens)
        ]
        return torch.stack(columns, dim=1).clamp(min=0)

    def _states(self, output: Any) -> Float[Tensor, "tokens width"]:
        states = output if isinstance(output, Tensor) else output[0]
        return states.detach().double().reshape(self.tokens, -1)


class _ZeroedValues(AttentionReader):
    """Reads a block that is run again with one token's values zeroed for every head, or with none."""

    depth = Depth.VALUES

    def __init__(self, model: Model, sides: Sides, token: int | None) -> None:
        super().__init__(model, sides)
        self.token = token
        self.has_attended = False

    def replace_values(self, layer: int, values: Tensor, token_axis: int) -> Tensor:
        """Return the values with one token's zeroed."""
        if self.token is None:
            return values
        values = values.clone()
        values.select(token_axis, self.token).zero_()
        return values

    def read_values(self, values: LayerValues) -> None:
        """Receive a layer; nothing is kept."""
        self.has_attended = True


def _allowed(layer: LayerValues, tokens: int) -> Bool[Tensor, "tokens tokens"]:
    """Return which keys each query may attend to."""
    rows = []
    for block in row_blocks(layer.weights, range(tokens)):
        missing = (block.first_key, tokens - block.end_key)
        rows.append(torch.nn.functional.pad(block.allowed, missing)[0])
    return torch.cat(rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueZeroing:
    r"""What share of each layer's tokens comes from each token below, by what its values change.

    ``M_ik ∝ 1 − cos(x̃_i, x̃_i^{¬k})``: a block's output, and its output when the value vectors of token k
    are zeroed in it, all heads; rows sum to 1. Layers multiply; the residual stream is part of a block's
    output, so no identity is added. One forward pass, and each block again for every token and once as a
    check: tokens + 2 forward passes in all; O(tokens²) memory per layer.

    Args:
        start_layer: The lowest layer followed; if it is also the chosen layer, one layer alone.

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
        stack: Stack | None = None,
    ) -> CapturedAttention:
        """Return the map up to each chosen layer, ``(B, L, 1, Q, T)``."""
        require_mean_heads(heads, self.name)
        return flow_map(model, encoding, layers, queries, self.start_layer, ValueZeroingReader, stack)
