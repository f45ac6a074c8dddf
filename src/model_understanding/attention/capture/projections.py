"""Take attention layers apart: values, output projection, and the residual stream they write to.

Nothing is found by name. The projection is the one linear map whose input equals the mixtures of all heads
side by side; the residual is what entered the layer's block, at the addition that joins it with what the
projection gave. Between the two may stand what is linear for a given text: scaling by a number, an RMS
norm with its statistics held, the output of a parallel branch. Anything else is refused by name.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from model_understanding.attention.capture.layer import precise
from model_understanding.attention.capture.values import MixingLayer, ValueCapture
from model_understanding.model.blocks import module_list_members
from model_understanding.model.model import Model

_LINEAR_MAPS = ("linear", "addmm", "einsum", "matmul", "__matmul__", "mm")
_ADDITIONS = ("add", "__add__", "__radd__", "add_", "__iadd__")
_MULTIPLICATIONS = ("mul", "__mul__", "__rmul__", "mul_", "__imul__")
# What rearranges or copies a tensor and leaves its numbers as they are, in evaluation mode.
_COPIES = (
    *("dropout", "dropout_", "view", "reshape", "transpose", "permute", "contiguous", "clone", "to"),
    *("flatten", "unflatten", "squeeze", "unsqueeze", "type", "type_as", "float", "view_as", "__getitem__"),
)
_NORM_TOLERANCE = 1e-3  # of the norm's largest output; 16-bit norms round more


@dataclass(slots=True, eq=False)
class AttentionBlock:
    """A layer of one text with its projection and, where asked for, the residual stream.

    Args:
        layer: Weights, values and mixture.
        projection: Each head's part of the output projection, from its values to the model's width.
        residual: What entered the block.
        gain: What the attention's part of the sum is multiplied by at each position.
        total: The sum ``residual + gain ⊙ (Σ_heads mixture · projection + bias)``.
    """

    layer: MixingLayer
    projection: Float[Tensor, "heads width model"]
    residual: Float[Tensor, "tokens model"] | None = None
    gain: Float[Tensor, "#tokens #model"] | None = None
    total: Float[Tensor, "tokens model"] | None = None

    def transformed_values(self, head: int, keys: slice = slice(None)) -> Float[Tensor, "keys model"]:
        """Return ``value_k · projection`` of a head: what it writes where its weight on a key is 1."""
        return precise(self.layer.values[head, keys]) @ precise(self.projection[head])


class BlockCapture(ValueCapture):
    """The mode, for one text: completes each attention layer with its projection and its residual.

    Args:
        model: The model.
        tokens: Length of the text.

    Raises:
        UnsupportedModelError: The model has no attention; or, during the forward, a part of a layer is
            not found.
    """

    with_residual: ClassVar[bool] = False
    """Whether the residual stream is needed."""

    def __init__(self, model: Model, tokens: int) -> None:
        super().__init__(model, tokens)
        self._layer: MixingLayer | None = None
        self._flat: Tensor | None = None
        self._block: AttentionBlock | None = None
        self._output: Tensor | None = None
        self._traces: list[tuple[Tensor, Tensor]] = []  # tensors the output became, and its gain in each
        self._entered: list[Tensor] = []  # what entered each block that is running
        self.hooks = ExitStack()

    def completed(self, block: AttentionBlock) -> None:
        """Receive a layer with all its parts."""

    def __enter__(self) -> Self:
        if self.with_residual:
            norms = [
                module for module in self.model.module.modules() if "norm" in type(module).__name__.lower()
            ]
            handles = [module.register_forward_hook(self._normed) for module in norms]
            for child in module_list_members(self.model.module):
                handles.append(child.register_forward_pre_hook(self._enter_block, with_kwargs=True))
                handles.append(child.register_forward_hook(self._leave_block, always_call=True))
            for handle in handles:
                self.hooks.callback(handle.remove)
        super().__enter__()
        return self

    def __exit__(self, *arguments: Any) -> None:
        self.hooks.close()
        super().__exit__(*arguments)

    def mixed(self, layer: MixingLayer) -> None:
        """Receive a layer with its values; the projection follows."""
        self._finish()
        self._layer = layer
        self._flat = layer.mixture.transpose(0, 1).flatten()

    def require_complete(self) -> None:
        """Raise unless every layer of the model was seen, with all its parts."""
        self._finish()
        super().require_complete()

    def _finish(self) -> None:
        """Close the layer before: whatever consumes its mixtures has run."""
        if self._layer is None:
            return
        if self._block is None:
            raise self.refusal(
                self._layer.number, "no output projection takes the heads' mixtures as they are"
            )
        if self.with_residual and self._block.total is None:
            raise self.refusal(
                self._layer.number, "the sum of its output with what entered its block was not found"
            )
        block, self._block, self._layer = self._block, None, None
        self._traces, self._output, self._flat = [], None, None
        self.completed(block)

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
    ) -> Any:
        keywords = keywords or {}
        traced = self._trace_of(arguments) if self._traces else None
        result = super().__torch_function__(function, types, arguments, keywords)
        if self._layer is None or not isinstance(result, Tensor):
            return result
        name = function.__name__
        if name in _LINEAR_MAPS:
            self._look_for_projection(name, arguments, keywords, result)
        elif traced is not None and self._output is not None:
            place, gain = traced
            other = arguments[1 - place] if len(arguments) > 1 and place < 2 else None
            if name in _ADDITIONS:
                self._added(result, other, gain)
            elif place == 0 and name in _COPIES and result.numel() == self._output.numel():
                self._traces.append((result, gain))
            elif name in _MULTIPLICATIONS and other is not None and _is_number(other):
                self._traces.append((result, gain * other))
        return result

    def _look_for_projection(self, name: str, arguments: Any, keywords: Any, result: Tensor) -> None:
        assert self._layer is not None
        assert self._flat is not None
        if name == "einsum":
            operands = [*arguments[1]] if isinstance(arguments[1], list | tuple) else [*arguments[1:]]
            names = str(arguments[0]).replace(" ", "").partition("->")[0].split(",")
            if len(operands) != 2 or names[0][-2:] != names[1][-2:]:
                return
            given, weight = operands[0], operands[1].reshape(operands[1].shape[0], -1)
        elif name == "addmm":
            given, weight = arguments[1], arguments[2].T
        elif name != "linear":
            given, weight = arguments[0], arguments[1]
            if weight.ndim != 2:
                return
            weight = weight.T
        else:
            given = arguments[0] if arguments else keywords["input"]
            weight = arguments[1] if len(arguments) > 1 else keywords["weight"]
        if given.numel() != self._flat.numel() or weight.shape[-1] * self.tokens != self._flat.numel():
            return
        if not torch.equal(given.detach().flatten(), self._flat):
            return
        if self._block is not None:
            raise self.refusal(
                self._layer.number, "more than one linear map takes the heads' mixtures (an adapter?)"
            )
        heads = weight.detach().T.reshape(self.head_count, -1, weight.shape[0])
        self._block = AttentionBlock(self._layer, heads)
        if self.with_residual:
            self._output = precise(result.detach()).clone().reshape(self.tokens, -1)
            self._traces = [(result, self._output.new_ones((1, 1)))]

    def _trace_of(self, arguments: Sequence[Any]) -> tuple[int, Tensor] | None:
        for place, argument in enumerate(arguments):
            for tensor, gain in self._traces:
                if argument is tensor:
                    return place, gain
        return None

    def _added(self, result: Tensor, other: Any, gain: Tensor) -> None:
        assert self._block is not None
        assert self._output is not None
        if self._block.total is not None or not isinstance(other, Tensor):
            return
        if any(other is entered for entered in self._entered):
            residual = precise(other.detach()).reshape(self.tokens, -1).clone()
            self._block.residual, self._block.gain = residual, gain
            self._block.total = residual + gain * self._output
        elif other.shape == result.shape:  # a parallel branch joins before the residual
            self._traces.append((result, gain))

    def _normed(self, module: nn.Module, arguments: Any, output: Any) -> None:
        traced = self._trace_of(arguments) if self._traces else None
        if traced is None or self._output is None or not isinstance(output, Tensor):
            return
        # An RMS norm is x ⊙ w · s(x): its weights w show on a vector of ones, its scale s by a fit.
        width = self._output.shape[-1]
        ones = torch.ones((1, width), dtype=output.dtype, device=output.device)
        weights = precise(module.forward(ones).detach())
        scaled = traced[1] * self._output
        found = precise(output.detach()).reshape(self.tokens, -1)
        unscaled = scaled * weights
        scale = (found * unscaled).sum(-1, keepdim=True) / unscaled.square().sum(-1, keepdim=True)
        error = (found - unscaled * scale).abs().amax()
        if error <= max(_NORM_TOLERANCE, 4 * torch.finfo(output.dtype).eps) * found.abs().amax():
            self._traces.append((output, traced[1] * weights * scale))

    def _enter_block(self, module: nn.Module, arguments: Any, keywords: dict[str, Any]) -> None:
        given = [one for one in (*arguments, *keywords.values()) if isinstance(one, Tensor)]
        self._entered.append(keywords.get("hidden_states", given[0] if given else torch.empty(0)))

    def _leave_block(self, module: nn.Module, arguments: Any, output: Any) -> None:
        self._entered.pop()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, Tensor) and value.numel() == 1)
