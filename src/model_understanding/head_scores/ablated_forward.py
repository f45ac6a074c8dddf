"""Run a text without each attention head: exact, the heads of a layer as rows of one batch.

A first forward over the text takes every layer apart (``attention_blocks``): its output projection is found
by structure, and takes the heads' mixtures side by side. So a head's mixture put to zero is its part of the
projection's input put to zero.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.attention.capture.layer import AttentionLayer, precise
from model_understanding.attention.capture.projections import AttentionBlock, BlockCapture
from model_understanding.attention.capture.values import ValueCapture
from model_understanding.errors import UnsupportedModelError
from model_understanding.model.batching import Batches
from model_understanding.model.guard import guarded
from model_understanding.model.metering import count_forward
from model_understanding.passes.prefix_plan import prefixes_of
from model_understanding.passes.runner import CustomTarget, Model
from model_understanding.passes.target_values import Entry, custom_value, entries_of, read_values
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding

_LAYOUT_TOLERANCE = 1e-3  # of the largest value: kernels of other shapes round otherwise


def ablation_effects(
    model: Model,
    encoding: Encoding,
    targets: Sequence[Target] | CustomTarget,
    *,
    uses_mean: bool = False,
) -> Float[np.ndarray, "layers heads"]:
    """Return the target's value on a text minus its value without each head.

    Args:
        model: The model.
        encoding: One text.
        targets: One target, or a function of the model's outputs.
        uses_mean: Whether a head is put to its mean over the text's tokens instead of to zero.

    Returns:
        Effects ``(L, H)`` in the target's unit.

    Raises:
        UnsupportedModelError: A layer's output projection is not found, or it does not take the heads'
            mixtures as they are.
    """
    tokens = encoding.ids.shape[1]
    with guarded(model.module, gradients=False):
        if callable(targets):
            return _effects(model, encoding, targets, None, uses_mean)
        parts = prefixes_of(model, entries_of([targets]), tokens, gradients=False)
        found = [
            _effects(model, encoding.prefix(length), targets, entries, uses_mean) for length, entries in parts
        ]
        return np.sum(found, axis=0)


def _effects(
    model: Model,
    text: Encoding,
    targets: Sequence[Target] | CustomTarget,
    entries: list[Entry] | None,
    uses_mean: bool,
) -> Float[np.ndarray, "layers heads"]:
    tokens = text.ids.shape[1]
    keep_from = min(entry.position for entry in entries) if entries else 0
    whole = _WholeHeads(model, tokens)

    def value(mode: ValueCapture, rows: Encoding) -> Float[np.ndarray, " rows"]:
        with mode:
            outputs = model.forward(rows, keep_from)
        mode.require_complete()
        count_forward(rows.ids.numel())
        logits = model.logits_of(outputs, rows, keep_from)
        if callable(targets):
            return custom_value(targets(outputs), gradients=False)[:, 0].double().cpu().numpy()
        count = len(rows)
        asked = [_moved(entry, row) for row in range(count) for entry in entries or ()]
        read = read_values(logits, keep_from, asked, [targets] * count, model.output_activation)
        return read[:, 0].double().cpu().numpy()

    (before,) = value(whole, text)
    effects = np.zeros((whole.layer_count, whole.head_count))
    for layer, parts in enumerate(whole.found):
        after: list[Float[np.ndarray, " rows"]] = []
        batches = Batches(whole.head_count, tokens, model.memory, logits=tokens - keep_from)
        for start, end in batches:
            # A function of the outputs was written for those of one text.
            rows = 1 if callable(targets) else end - start
            with batches.halving():
                groups = [range(first, first + rows) for first in range(start, end, rows)]
                after += [
                    value(
                        _WithoutHeads(model, tokens, layer, heads, parts, uses_mean=uses_mean),
                        text.repeated(rows),
                    )
                    for heads in groups
                ]
        effects[layer] = before - np.concatenate(after)
    return effects


def _moved(entry: Entry, row: int) -> Entry:
    return Entry(row, entry.target, entry.position, entry.index, entry.against, entry.weight)


class _HeadParts:
    """What is kept of a layer: each head's mean mixture, and its mixture at the last token."""

    def __init__(self, mixture: Float[Tensor, "heads tokens width"]) -> None:
        self.mean = precise(mixture).mean(dim=1)
        self.last = precise(mixture[:, -1])


class _WholeHeads(BlockCapture):
    """The mode of the text as it is: requires each layer's output projection."""

    def __init__(self, model: Model, tokens: int) -> None:
        super().__init__(model, tokens)
        self.found: list[_HeadParts] = []

    def completed(self, block: AttentionBlock) -> None:
        """Receive a layer with its projection."""
        self.found.append(_HeadParts(block.layer.mixture))

    def refusal(self, number: int, why: str) -> UnsupportedModelError:
        """Return the error of a layer whose heads cannot be taken away one by one."""
        return _refusal(self, number, why)


class _WithoutHeads(ValueCapture):
    """The mode of a batch in which each row lacks one head of a layer."""

    def __init__(
        self,
        model: Model,
        tokens: int,
        layer: int,
        heads: Sequence[int],
        parts: _HeadParts,
        *,
        uses_mean: bool,
    ) -> None:
        super().__init__(model, tokens)
        self.layer = layer
        self.heads = list(heads)
        self.parts = parts
        self.uses_mean = uses_mean
        self._order: tuple[int, ...] | None = None
        self._is_done = False

    def wants(self, number: int) -> bool:
        """Return whether this is the layer that loses heads."""
        return number == self.layer

    def take(self, number: int, layer: AttentionLayer) -> None:
        """Receive the layer; its mixture follows."""
        self._open = (number, layer)

    def leaving(self, number: int, mixture: Tensor) -> Tensor:
        """Return the mixtures with each row's head replaced."""
        changed = mixture.clone(memory_format=torch.contiguous_format)
        if self._order is not None:
            rows = changed.permute(self._order)  # a view
        else:
            rows = changed.view(len(self.heads), self.head_count, self.tokens, -1)
        self._check_layout(rows)
        places = range(len(self.heads))
        stand_in = self.parts.mean[self.heads].to(changed) if self.uses_mean else changed.new_zeros(1, 1)
        rows[list(places), self.heads] = stand_in[:, None]
        self._is_done = True
        return changed

    def require_complete(self) -> None:
        """Raise unless the layer lost its heads."""
        super().require_complete()
        if not self._is_done:
            raise self.refusal(self.layer, "its heads' mixtures were not found in a batch")

    def refusal(self, number: int, why: str) -> UnsupportedModelError:
        """Return the error of a layer whose heads cannot be taken away one by one."""
        return _refusal(self, number, why)

    def _check_layout(self, rows: Tensor) -> None:
        """Refuse a batch whose mixtures do not lie as those of the text alone did."""
        width = self.parts.last.shape[-1]
        expected_shape = (len(self.heads), self.head_count, self.tokens, width)
        if tuple(rows.shape) == expected_shape:
            expected = self.parts.last.to(rows.device)
            apart = (precise(rows[:, :, -1]) - expected).abs().amax()
            rounding = max(_LAYOUT_TOLERANCE, 16 * torch.finfo(rows.dtype).eps)
            if apart <= rounding * expected.abs().amax().clamp(min=1e-12):
                return
        raise self.refusal(self.layer, "the heads' mixtures of a batch are not those of the text alone")

    def _product(self, function: Any, arguments: tuple[Any, ...], keywords: Any, place: int) -> Any:
        if function.__name__ == "einsum":
            inputs, _, output = str(arguments[0]).replace(" ", "").partition("->")
            names = inputs.partition(",")[0]
            width = next((letter for letter in output if letter not in names), "")
            wanted = names[:3] + width
            if len(names) == 4 and sorted(wanted) == sorted(output):
                self._order = tuple(output.index(letter) for letter in wanted)
        return super()._product(function, arguments, keywords, place)

    def _close(self, values: Tensor, result: Tensor, arranged: Any) -> None:
        self._open, self._same = None, []  # the layer was taken apart when the text ran alone


def _refusal(capture: ValueCapture, number: int, why: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"The heads of attention layer {number} of {capture.model_name} cannot be taken away one by one: "
        f"{why}.",
        hint="Use a head score that reads attention alone, such as entropy or sink.",
    )
