"""Run a text without each attention head: exact, the heads of a layer as rows of one batch.

A first forward pass over the text takes every layer apart (``capture/projections.py``): its output projection
is found by structure, and takes the heads' outputs side by side. So setting a head's output to zero sets its
part of the projection's input to zero.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.attention.capture.layer import precise
from model_understanding.attention.capture.mode import captured_forward
from model_understanding.attention.capture.parts import LayerParts, ToHeads
from model_understanding.attention.capture.reader import AttentionReader, Depth
from model_understanding.model.attention_layout import Sides, Stack, sides_of
from model_understanding.model.batching import Batches
from model_understanding.model.guard import guarded
from model_understanding.model.model import Model
from model_understanding.passes.prefix_plan import prefixes_of
from model_understanding.passes.target_values import (
    CustomTarget,
    Entry,
    custom_value,
    entries_of,
    read_values,
)
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding

_LAYOUT_TOLERANCE = 1e-3  # of the largest value: kernels of other shapes round otherwise


def ablation_effects(
    model: Model,
    encoding: Encoding,
    targets: Sequence[Target] | CustomTarget,
    *,
    uses_mean: bool = False,
    stack: Stack | None = None,
) -> Float[np.ndarray, "layers heads"]:
    """Return the target's value on a text minus its value without each head.

    Args:
        model: The model.
        encoding: One text.
        targets: One target, or a function of the model's outputs.
        uses_mean: Whether a head's output is set to its mean over the text's tokens instead of to zero.
        stack: Which stack of an encoder–decoder.

    Returns:
        Effects ``(L, H)`` in the target's unit.

    Raises:
        UnsupportedModelError: A layer's output projection is not found, or does not take the heads' outputs
            unchanged.
    """
    with guarded(model.module, gradients=False):
        if callable(targets):
            return _effects(model, encoding, targets, None, uses_mean, stack)
        parts = prefixes_of(model, encoding, entries_of([targets]), gradients=False)
        effects = [
            _effects(model, encoding.prefix(length), targets, entries, uses_mean, stack)
            for length, entries in parts
        ]
        return np.sum(effects, axis=0)


def _effects(
    model: Model,
    text: Encoding,
    targets: Sequence[Target] | CustomTarget,
    entries: list[Entry] | None,
    uses_mean: bool,
    stack: Stack | None,
) -> Float[np.ndarray, "layers heads"]:
    tokens, sides = text.ids.shape[1], sides_of(text, stack)
    keep_from = min(entry.position for entry in entries) if entries else 0
    whole = _WholeText(model, sides)

    def value(reader: AttentionReader, rows: Encoding) -> Float[np.ndarray, " rows"]:
        outputs, logits = captured_forward(reader, rows, keep_from)
        if callable(targets):
            return custom_value(targets(outputs), gradients=False)[:, 0].double().cpu().numpy()
        count = len(rows)
        of_rows = [_in_row(entry, row) for row in range(count) for entry in entries or ()]
        values = read_values(logits, keep_from, of_rows, [targets] * count, model.output_activation)
        return values[:, 0].double().cpu().numpy()

    def value_without(layer: int, outputs: _HeadOutputs, heads: range) -> Float[np.ndarray, " rows"]:
        reader = _WithoutHeads(model, sides, layer, heads, outputs, uses_mean=uses_mean)
        values = value(reader, text.repeated(len(heads)))
        reader.require_ablated()
        return values

    (before,) = value(whole, text)
    layers, head_count = whole.layout.layers, whole.layout.common_heads()
    effects = np.zeros((len(layers), head_count))
    for row, (layer, outputs) in enumerate(zip(layers, whole.head_outputs, strict=True)):
        after: list[Float[np.ndarray, " rows"]] = []
        batches = Batches(head_count, tokens, model.memory, logits=tokens - keep_from)
        for start, end in batches:
            # A function of the outputs was written for those of one text.
            rows = 1 if callable(targets) else end - start
            with batches.halving():
                groups = [range(first, first + rows) for first in range(start, end, rows)]
                after += [value_without(layer, outputs, heads) for heads in groups]
        effects[row] = before - np.concatenate(after)
    return effects


def _in_row(entry: Entry, row: int) -> Entry:
    return replace(entry, row=row)


class _HeadOutputs:
    """What is kept of a layer: each head's output averaged over the tokens, and at the last token."""

    def __init__(self, outputs: Float[Tensor, "heads tokens width"]) -> None:
        self.mean = precise(outputs).mean(dim=1)
        self.last = precise(outputs[:, -1])


class _AblationReader(AttentionReader):
    """Words the errors of a layer whose heads cannot be ablated."""

    failure = "Could not ablate single heads of attention layer {layer} of {model}"
    hint = "Use a head score that reads attention alone, such as entropy or sink."


class _WholeText(_AblationReader):
    """Reads the text as it is, and requires each layer's output projection."""

    depth = Depth.PROJECTION

    def __init__(self, model: Model, sides: Sides) -> None:
        super().__init__(model, sides)
        self.head_outputs: list[_HeadOutputs] = []

    def read_parts(self, parts: LayerParts) -> None:
        """Receive a layer with its projection."""
        self.head_outputs.append(_HeadOutputs(parts.of_values.head_outputs[0]))


class _WithoutHeads(_AblationReader):
    """Ablates one head of a layer in each row of a batch.

    Args:
        model: The model.
        sides: How many tokens the text has, and the stack.
        layer: The layer.
        heads: The head that each row lacks.
        outputs: The heads' outputs of the text alone.
        uses_mean: Whether a head's output is set to its mean instead of to zero.
    """

    depth = Depth.OUTPUTS

    def __init__(
        self,
        model: Model,
        sides: Sides,
        layer: int,
        heads: Sequence[int],
        outputs: _HeadOutputs,
        *,
        uses_mean: bool,
    ) -> None:
        super().__init__(model, sides)
        self.layers = (layer,)
        self._layer = layer
        self._heads = list(heads)
        self._outputs = outputs
        self._uses_mean = uses_mean
        self._is_done = False

    def replace_output(self, layer: int, output: Tensor, to_heads: ToHeads) -> Tensor:
        """Return the heads' outputs, each row's ablated head replaced."""
        changed = output.clone(memory_format=torch.contiguous_format)
        by_head = to_heads(changed)  # a view
        self._require_layout(by_head)
        mean = self._outputs.mean[self._heads].to(changed)
        replacement = mean if self._uses_mean else changed.new_zeros(1, 1)
        by_head[list(range(len(self._heads))), self._heads] = replacement[:, None]
        self._is_done = True
        return changed

    def require_ablated(self) -> None:
        """Raise unless the layer lost its heads."""
        if not self._is_done:
            raise self.refusal(self._layer, "the outputs of its heads were not found in a batch")

    def _require_layout(self, by_head: Tensor) -> None:
        """Raise where the outputs of a batch are not arranged as those of the text alone were."""
        width = self._outputs.last.shape[-1]
        expected_shape = (len(self._heads), self.layout.heads_of(self._layer), self.queries, width)
        if tuple(by_head.shape) == expected_shape:
            expected = self._outputs.last.to(by_head.device)
            error = (precise(by_head[:, :, -1]) - expected).abs().amax()
            rounding = max(_LAYOUT_TOLERANCE, 16 * torch.finfo(by_head.dtype).eps)
            if error <= rounding * expected.abs().amax().clamp(min=1e-12):
                return
        raise self.refusal(self._layer, "the outputs of its heads in a batch are not those of the text alone")
