"""Recognize attention in the middle of a plain forward pass, whatever computes it.

A function mode, alive for one forward pass and in this thread only, sees every attention layer that the
model computes: a fused ``scaled_dot_product_attention`` (then only the requested rows are recomputed from
its own queries, keys and mask) or the softmax of eager code (then its result is read). Each layer goes to a
reader (``reader.py``) before the next one is computed.

Where a reader needs a layer's values, a fused kernel receives them. Eager code multiplies them by the
softmax's result: the product is recognized by its operand, which is that result or a rearrangement of it.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from model_understanding.attention.capture.layer import (
    EagerWeights,
    FusedWeights,
    LayerWeights,
    masked_below,
    precise,
)
from model_understanding.attention.capture.parts import LayerValues, ToHeads
from model_understanding.attention.capture.projections import ProjectionFinder
from model_understanding.attention.capture.reader import AttentionReader, Depth
from model_understanding.attention.capture.recognition import (
    FUSED,
    SOFTMAX,
    Plane,
    SameAttention,
    attention_softmax,
    axis_of_softmax,
    by_heads,
    fused_arguments,
    fused_heads,
)
from model_understanding.attention.capture.record import Recorder, recorded_text
from model_understanding.errors import UnsupportedModelError
from model_understanding.model.metering import count_forward
from model_understanding.model.operations import PRODUCTS
from model_understanding.text.encoding import Encoding

_OUTPUT_TOLERANCE = 1e-4  # of the largest value; 16-bit products round more


def captured_forward(
    reader: AttentionReader, encoding: Encoding, keep_from: int | None = None
) -> tuple[Any, Tensor]:
    """Run a forward pass of the reader's model and hand its attention layers to the reader.

    Args:
        reader: Receives the layers.
        encoding: The texts.
        keep_from: The first position whose logits are needed; the last one where left out.

    Returns:
        The module's outputs (``None`` in a dry run, which runs nothing), and the logits among them.

    Raises:
        UnsupportedModelError: Some layer was not seen, or not in the expected shape.
        NumericalError: The logits are not finite.
    """
    text = recorded_text(reader, encoding) if keep_from is None else None
    if keep_from is None:
        keep_from = encoding.ids.shape[1] - 1 if reader.model.is_language_model else 0
    if text is not None and not text.is_kept_for(reader):
        recorder = Recorder(reader.model, reader.sides)
        try:
            text.keep(recorder, *_run(recorder, encoding, keep_from))
        except UnsupportedModelError:
            text.give_up(reader)
    if text is not None and text.is_kept_for(reader):
        return text.read_by(reader)
    return _run(reader, encoding, keep_from)


def _run(reader: AttentionReader, encoding: Encoding, keep_from: int) -> tuple[Any, Tensor]:
    """Run a forward pass and hand its layers to the reader."""
    model = reader.model
    capture = AttentionCapture(reader, len(encoding))
    with model.own_failures(encoding), capture:
        outputs = model.forward(encoding, 0 if reader.layout.needs_all_logits else keep_from)
    for _ in range(1 + reader.block_reruns):
        count_forward(encoding.ids.numel())
    logits = model.logits_of(outputs, encoding, keep_from)
    if outputs is not None:
        capture.require_complete()
    return outputs, logits


@dataclass(slots=True, eq=False)
class _PendingLayer:
    """A layer whose weights were computed, and whose values are not found yet.

    Args:
        layer: Its index.
        weights: Its weights.
        copies: In eager code the softmax's result and its rearrangements.
    """

    layer: int
    weights: LayerWeights
    copies: list[Tensor]

    def position_in(self, arguments: Sequence[Any]) -> int | None:
        """Return which argument of an operation is the softmax's result."""
        if len(arguments) > 1 and isinstance(arguments[1], list | tuple):
            arguments = (arguments[0], *arguments[1])
        for position, argument in enumerate(arguments):
            if any(argument is copy for copy in self.copies):
                return position
        return None


Operation = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]
"""Runs an operation of the model on its arguments."""


def _plain(function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    return function(*arguments, **keywords)


class AttentionCapture(TorchFunctionMode):
    """The mode: recognizes attention layers, counts them and hands them to a reader.

    Args:
        reader: Receives the layers, taken apart as far as its ``depth`` says.
        texts: How many texts run.
        run: Runs the model's operations, where another mode sees them first and calls ``operation``.
    """

    def __init__(self, reader: AttentionReader, texts: int = 1, run: Operation = _plain) -> None:
        super().__init__()
        self._run = run
        self._batch = texts if any(site.shares_axis for site in reader.layout.sites) else None
        self._repeats = SameAttention()
        self._reader = reader
        self._sides = reader.sides
        self._planes = {reader.sides.of(site.stack).plane for site in reader.layout.sites}
        self._unexpected: str | None = None
        self._pending: _PendingLayer | None = None
        self._projections = ProjectionFinder(reader) if reader.depth >= Depth.PROJECTION else None
        self._handles = ExitStack()

    def __enter__(self) -> Self:
        finder = self._projections
        for handle in (*self._reader.module_hooks(), *(finder.module_hooks() if finder else ())):
            self._handles.callback(handle.remove)
        super().__enter__()
        return self

    def __exit__(self, *arguments: Any) -> None:
        self._handles.close()
        super().__exit__(*arguments)

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
    ) -> Any:
        return self.operation(function, arguments, keywords or {})

    def awaits(self, function: Any) -> bool:
        """Return whether an operation may be a part of attention."""
        return function is FUSED or function in SOFTMAX or self._pending is not None

    def operation(self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Run an operation of the model, and read the layer that it is a part of.

        Args:
            function: The torch function.
            arguments: Its positional arguments.
            keywords: Its keyword arguments.

        Returns:
            What the model continues with.
        """
        if self._reader.is_paused:
            return function(*arguments, **keywords)
        if function is FUSED:
            result = self._fused_attention(arguments, keywords)
        else:
            result = self._other_operation(function, arguments, keywords)
        if self._projections is not None:
            self._projections.observe(function, arguments, keywords, result)
        return result

    def require_complete(self) -> None:
        """Raise unless every layer of the model was seen in the expected shape, with all its parts."""
        if self._projections is not None:
            self._projections.finish()
        self._require_values()
        expected, seen = len(self._reader.layout.sites), self._reader.layers_seen
        if self._unexpected or seen != expected:
            why = self._unexpected or f"expected {expected} attention layers, found {seen}"
            raise UnsupportedModelError(
                f"Could not read the attention of {self._reader.model_name} exactly: {why}.",
                hint="Load the model with attn_implementation='sdpa' or 'eager' if it is not. "
                "Some architectures are not supported.",
            )

    # Recognizing a layer's weights.

    def _other_operation(self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Run anything but a fused kernel; read a softmax, and follow its result to the values."""
        pending = self._pending
        position = pending.position_in(arguments) if pending and pending.copies else None
        if pending is not None and position is not None and function.__name__ in (*PRODUCTS, "einsum"):
            return self._weighted_values(pending, function, arguments, keywords, position)
        result = self._run(function, arguments, keywords)
        if function in SOFTMAX:
            self._read_softmax(arguments, keywords, result)
        if pending is not None and position is not None and self._is_rearranged(result):
            pending.copies.append(result)
        return result

    def _read_softmax(
        self, arguments: tuple[Any, ...], keywords: dict[str, Any], probabilities: Tensor
    ) -> None:
        scores = arguments[0] if arguments else keywords["input"]
        axis = axis_of_softmax(arguments, keywords)
        attention = attention_softmax(scores, axis, self._planes, self._batch)
        layer = self._next_layer(*attention) if attention else None
        if attention is None or layer is None:
            return
        heads, keys = attention[0], self._reader.keys
        is_allowed = by_heads(scores.detach(), heads)[..., :keys] > masked_below(scores.dtype)
        of_heads = by_heads(probabilities.detach(), heads)[..., :keys]
        weights = EagerWeights(of_heads, is_allowed.any(dim=1))
        self._read_weights(layer, weights, scores, [probabilities])

    def _read_weights(
        self, layer: int, weights: LayerWeights, scores: Tensor | None, copies: list[Tensor]
    ) -> None:
        if self._reader.depth is Depth.WEIGHTS:
            self._reader.read_weights(layer, weights, scores)
            return
        self._require_values()
        self._pending = _PendingLayer(layer, weights, copies)

    def _next_layer(self, heads: int, plane: Plane) -> int | None:
        """Count a layer of some heads; return its index if it is to be read."""
        reader = self._reader
        sites, index = reader.layout.sites, reader.layers_seen
        site = sites[index] if index < len(sites) else None
        expected = site or (sites[-1] if sites else None)
        if expected is not None and plane != self._sides.of(expected.stack).plane:
            return None  # attention of a form that is not read, whose size is by chance that of another stack
        reader.layers_seen += 1
        if site is None or not reader.layout.reads(site):
            return None
        if heads != site.heads:
            self._unexpected = f"expected {site.heads} heads in layer {site.layer}, found {heads}"
            return None
        return site.layer if reader.layers is None or site.layer in reader.layers else None

    def _is_rearranged(self, result: Any) -> bool:
        return (
            isinstance(result, Tensor)
            and result.ndim in (3, 4)
            and result.shape[-2] == self._reader.queries
            and result.shape[-1] in (self._reader.keys, self._reader.keys + 1)
        )

    def _fused_weights(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> FusedWeights:
        """Return the weights of a fused kernel's arguments."""
        query, key = query.detach(), key.detach()
        attention = fused_heads(query, key, self._planes)
        heads = attention[0] if attention else query.shape[1]
        if query.shape[1] != heads:
            query = query.reshape(query.shape[0], heads, 1, -1)
            attn_mask = None if attn_mask is None else attn_mask[:, :1, :1]
        factor = query.shape[-1] ** -0.5 if scale is None else scale
        return FusedWeights(query, key, attn_mask, is_causal, factor)

    # Finding a layer's values and its output.

    def _fused_attention(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Run a fused kernel, and read the layer that it computes."""
        given = fused_arguments(arguments, keywords)
        query, key = given["query"], given["key"]
        if self._repeats.is_again(given):
            return self._run(FUSED, arguments, keywords)
        attention = fused_heads(query, key, self._planes)
        if not attention and query.ndim == 4 and self._reader.layout.tokens is None:
            self._unexpected = f"queries have the shape {tuple(query.shape)} and keys {tuple(key.shape)}"
        layer = self._next_layer(*attention) if attention else None
        if layer is None:
            return self._run(FUSED, arguments, keywords)
        weights = self._fused_weights(**given)
        self._read_weights(layer, weights, None, [])
        if self._pending is None:
            return self._run(FUSED, arguments, keywords)
        given["value"] = self._reader.replace_values(layer, given["value"], 2)
        to_heads = self._by_shape(weights)
        output = self._reader.replace_output(layer, self._run(FUSED, (), given), to_heads)
        self._close(self._pending, given["value"].detach(), output, to_heads)
        return _handed_on(output)

    def _weighted_values(
        self, pending: _PendingLayer, function: Any, arguments: tuple[Any, ...], keywords: Any, position: int
    ) -> Any:
        """Run eager code's product of weights and values, and read the layer that it completes."""
        layer, reader = pending.layer, self._reader
        if function.__name__ == "einsum":
            operands = list(arguments[1] if isinstance(arguments[1], list | tuple) else arguments[1:])
            equation = str(arguments[0]).replace(" ", "")
            axes = _einsum_axes(equation) if position == 1 else None
            if axes is None:
                raise reader.refusal(layer, f"its weights multiply its values by the equation {equation!r}")
            to_heads, values_by_head, key_axis = axes
            operands[1] = reader.replace_values(layer, operands[1], key_axis)
            output = reader.replace_output(
                layer, self._run(torch.einsum, (equation, *operands), {}), to_heads
            )
            values = torch.einsum(values_by_head, operands[1].detach())
        else:
            weights, values = arguments[0], arguments[1] if len(arguments) > 1 else None
            if position != 0 or not isinstance(values, Tensor) or values.shape[-2] != weights.shape[-1]:
                raise reader.refusal(layer, "its weights are not the left factor of its values")
            to_heads = self._by_shape(pending.weights)
            values = reader.replace_values(layer, values, values.ndim - 2)
            output = reader.replace_output(layer, self._run(function, (weights, values), keywords), to_heads)
            values = values.detach()
        self._close(pending, values, output, to_heads)
        return _handed_on(output)

    def _by_shape(self, weights: LayerWeights) -> ToHeads:
        batch, heads, queries, _ = weights.shape
        return lambda output: output.reshape(batch, heads, queries, -1)

    def _close(self, pending: _PendingLayer, values: Tensor, output: Tensor, to_heads: ToHeads) -> None:
        """Hand a layer with its values to the reader, unless its outputs alone were needed."""
        self._pending = None
        if self._reader.depth < Depth.VALUES:
            return
        values = _for_each_head(values, *pending.weights.shape[:2])
        read = LayerValues(pending.layer, pending.weights, values, output, to_heads)
        expected = (*values.shape[:2], self._reader.queries, values.shape[-1])
        if values.shape[2] != self._reader.keys or read.head_outputs.shape != expected:
            raise self._reader.refusal(read.layer, f"its values have the shape {tuple(values.shape)}")
        if not _is_weighted_sum(read):
            raise self._reader.refusal(read.layer, "its output is not its weights times its values")
        if self._projections is not None:
            self._projections.begin(read)
        self._reader.read_values(read)

    def _require_values(self) -> None:
        if self._pending is not None:
            raise self._reader.refusal(
                self._pending.layer, "the values that its weights multiply were not found"
            )


def _handed_on(output: Tensor) -> Tensor:
    """Return what the model continues with: a copy of a leaf, because some models add to it in place."""
    return output.clone() if output.is_leaf and output.requires_grad else output


def _einsum_axes(equation: str) -> tuple[ToHeads, str, int] | None:
    """Read an equation that multiplies weights by values.

    Returns:
        What arranges its result by heads, the equation that does so with the values, and the values' axis
        of keys; ``None`` for an equation of another kind.
    """
    inputs, _, output = equation.partition("->")
    names = inputs.split(",")
    if len(names) != 2 or len(names[0]) != 4:
        return None
    batch, head, query, key = names[0]
    width = next((letter for letter in names[1] if letter not in names[0]), "")
    arranged = batch + head + query + width
    if sorted(names[1]) != sorted(batch + head + key + width) or sorted(output) != sorted(arranged):
        return None
    order = tuple(output.index(letter) for letter in arranged)
    values_by_head = f"{names[1]}->{batch}{head}{key}{width}"
    return (lambda result: result.permute(order)), values_by_head, names[1].index(key)


def _for_each_head(values: Tensor, texts: int, heads: int) -> Float[Tensor, "batch heads keys width"]:
    """Return the values by texts and heads, those that several heads share repeated."""
    values = values.reshape(texts, -1, *values.shape[-2:])
    repeats = max(1, heads // values.shape[1])
    return values.contiguous() if repeats == 1 else values.repeat_interleave(repeats, dim=1)


def _is_weighted_sum(read: LayerValues) -> bool:
    """Return whether the last row of each text's weights, times its values, is what the model computed."""
    last = read.weights.shape[2] - 1
    block = read.weights.block(0, [last])
    values = precise(read.values[:, :, block.first_key : block.end_key])
    expected = (block.weights.to(values.dtype) @ values)[:, :, 0]
    errors = (precise(read.head_outputs[:, :, -1]) - expected).abs().amax(dim=(1, 2))
    rounding = max(_OUTPUT_TOLERANCE, 4 * torch.finfo(read.output.dtype).eps)
    return bool((errors <= rounding * values.abs().amax(dim=(1, 2, 3))).all())
