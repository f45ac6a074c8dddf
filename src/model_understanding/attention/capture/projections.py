"""Find an attention layer's output projection, and the residual stream that it writes to.

Nothing is found by name. The projection is the one linear map whose input equals the outputs of all heads
side by side; the residual is what entered the layer's block, at the addition that joins it with what the
projection gave. Between the two may stand what is linear for a given text: scaling by a number, an RMS
norm with its statistics constant, the output of a parallel branch. Anything else is refused by name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from model_understanding.attention.capture.layer import precise
from model_understanding.attention.capture.parts import LayerParts, LayerValues
from model_understanding.attention.capture.reader import AttentionReader, Depth
from model_understanding.model.blocks import module_list_members
from model_understanding.model.operations import ADDITIONS, COPIES, LINEAR_MAPS, MULTIPLICATIONS, is_number

_NORM_TOLERANCE = 1e-3  # of the norm's largest output; 16-bit norms round more


@dataclass(slots=True, eq=False)
class _Search:
    """What is known of a layer whose parts are being looked for.

    Args:
        of_values: The layer.
        flat_outputs: The outputs of its heads side by side, flattened.
        parts: The layer with its projection, once that is found.
        projected: What the projection gave.
        traces: The tensors that this became, and its factor in each.
    """

    of_values: LayerValues
    flat_outputs: Tensor
    parts: LayerParts | None = None
    projected: Tensor | None = None
    traces: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def traced(self, arguments: Sequence[Any]) -> tuple[int, Tensor] | None:
        """Return which argument of an operation is traced, and its factor."""
        for position, argument in enumerate(arguments):
            for tensor, gain in self.traces:
                if argument is tensor:
                    return position, gain
        return None


class ProjectionFinder:
    """Completes each layer of a text with its projection, from the operations that follow its output.

    Args:
        reader: Receives the completed layers.
    """

    def __init__(self, reader: AttentionReader) -> None:
        self._reader = reader
        self._tokens = reader.queries
        self._with_residual = reader.depth >= Depth.RESIDUAL
        self._search: _Search | None = None
        self._entered: list[Tensor] = []  # what entered each block that is running

    def module_hooks(self) -> Iterator[Any]:
        """Register hooks on norms and blocks where the residual is needed; yield their handles."""
        if not self._with_residual:
            return
        module = self._reader.model.module
        for part in module.modules():
            if "norm" in type(part).__name__.lower():
                yield part.register_forward_hook(self._trace_norm)
        for member in module_list_members(module):
            yield member.register_forward_pre_hook(self._enter_block, with_kwargs=True)
            yield member.register_forward_hook(self._leave_block, always_call=True)

    def begin(self, of_values: LayerValues) -> None:
        """Look for the parts of a layer; those of the layer before must be found."""
        self.finish()
        self._search = _Search(of_values, of_values.head_outputs[0].transpose(0, 1).flatten())

    def finish(self) -> None:
        """Hand the layer to the reader: whatever uses its outputs has run.

        Raises:
            UnsupportedModelError: A part of it was not found.
        """
        search, self._search = self._search, None
        if search is None:
            return
        layer = search.of_values.layer
        if search.parts is None:
            raise self._reader.refusal(layer, "no output projection takes its heads' outputs unchanged")
        if self._with_residual and search.parts.total is None:
            raise self._reader.refusal(layer, "the sum of its output and its block's input was not found")
        self._reader.read_parts(search.parts)

    def observe(self, function: Any, arguments: Sequence[Any], keywords: dict[str, Any], result: Any) -> None:
        """Follow an operation that the model has run."""
        search, name = self._search, function.__name__
        if search is None or not isinstance(result, Tensor):
            return
        if name in LINEAR_MAPS:
            self._compare_with_projection(search, name, arguments, keywords, result)
            return
        traced = search.traced(arguments)
        if traced is None or search.projected is None:
            return
        position, gain = traced
        other = arguments[1 - position] if len(arguments) > 1 and position < 2 else None
        if name in ADDITIONS:
            self._add(search, result, other, gain)
        elif position == 0 and name in COPIES and result.numel() == search.projected.numel():
            search.traces.append((result, gain))
        elif name in MULTIPLICATIONS and other is not None and is_number(other):
            search.traces.append((result, gain * other))

    def _compare_with_projection(
        self, search: _Search, name: str, arguments: Any, keywords: Any, result: Tensor
    ) -> None:
        operands = _linear_operands(name, arguments, keywords)
        if operands is None:
            return
        given, weight = operands
        size = search.flat_outputs.numel()
        if given.numel() != size or weight.shape[-1] * self._tokens != size:
            return
        if not torch.equal(given.detach().flatten(), search.flat_outputs):
            return
        if search.parts is not None:
            raise self._reader.refusal(
                search.of_values.layer, "more than one linear map takes its heads' outputs (an adapter?)"
            )
        heads = weight.detach().T.reshape(search.of_values.head_outputs.shape[1], -1, weight.shape[0])
        search.parts = LayerParts(search.of_values, heads)
        if self._with_residual:
            search.projected = precise(result.detach()).clone().reshape(self._tokens, -1)
            search.traces = [(result, search.projected.new_ones((1, 1)))]

    def _add(self, search: _Search, result: Tensor, other: Any, gain: Tensor) -> None:
        assert search.parts is not None
        assert search.projected is not None
        if search.parts.total is not None or not isinstance(other, Tensor):
            return
        if any(other is entered for entered in self._entered):
            residual = precise(other.detach()).reshape(self._tokens, -1).clone()
            search.parts.residual, search.parts.gain = residual, gain
            search.parts.total = residual + gain * search.projected
        elif other.shape == result.shape:  # a parallel branch joins before the residual
            search.traces.append((result, gain))

    def _trace_norm(self, module: nn.Module, arguments: Any, output: Any) -> None:
        search = self._search
        if search is None or search.projected is None or not isinstance(output, Tensor):
            return
        traced = search.traced(arguments)
        if traced is None:
            return
        # An RMS norm is x ⊙ w · s(x): its weights w show on a vector of ones, its scale s by a fit.
        width = search.projected.shape[-1]
        ones = torch.ones((1, width), dtype=output.dtype, device=output.device)
        weights = precise(module.forward(ones).detach())
        actual = precise(output.detach()).reshape(self._tokens, -1)
        unscaled = traced[1] * search.projected * weights
        scale = (actual * unscaled).sum(-1, keepdim=True) / unscaled.square().sum(-1, keepdim=True)
        error = (actual - unscaled * scale).abs().amax()
        if error <= max(_NORM_TOLERANCE, 4 * torch.finfo(output.dtype).eps) * actual.abs().amax():
            search.traces.append((output, traced[1] * weights * scale))

    def _enter_block(self, module: nn.Module, arguments: Any, keywords: dict[str, Any]) -> None:
        tensors = [value for value in (*arguments, *keywords.values()) if isinstance(value, Tensor)]
        self._entered.append(keywords.get("hidden_states", tensors[0] if tensors else torch.empty(0)))

    def _leave_block(self, module: nn.Module, arguments: Any, output: Any) -> None:
        self._entered.pop()


def _linear_operands(
    name: str, arguments: Any, keywords: Any
) -> tuple[Tensor, Float[Tensor, "output input"]] | None:
    """Return what a linear map is applied to, and its matrix as ``linear`` takes it, if it is one."""
    if name == "linear":
        given = arguments[0] if arguments else keywords["input"]
        return given, arguments[1] if len(arguments) > 1 else keywords["weight"]
    if name == "addmm":
        return arguments[1], arguments[2].T
    if name == "einsum":
        operands = [*arguments[1]] if isinstance(arguments[1], list | tuple) else [*arguments[1:]]
        names = str(arguments[0]).replace(" ", "").partition("->")[0].split(",")
        if len(operands) != 2 or names[0][-2:] != names[1][-2:]:
            return None
        return operands[0], operands[1].reshape(operands[1].shape[0], -1)
    given, weight = arguments[0], arguments[1]
    return (given, weight.T) if weight.ndim == 2 else None
