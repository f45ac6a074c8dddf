"""Catch what an attention layer mixes: its values, and the mixture it hands on.

A fused kernel receives the values. Eager code multiplies them by the softmax's result: the product is
recognized by its operand, which is that result or a rearrangement of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.attention.capture.layer import AttentionLayer, precise
from model_understanding.attention.capture.mode import FUSED, AttentionCapture
from model_understanding.errors import UnsupportedModelError
from model_understanding.model.model import Model

_MIXTURE_TOLERANCE = 1e-4  # of the largest value; 16-bit products round more
_PRODUCTS = ("matmul", "__matmul__", "bmm", "einsum")


@dataclass(slots=True, eq=False)
class MixingLayer:
    """A layer of one text: weights, values, and the mixture of values that leaves it.

    Args:
        number: Its index.
        weights: Its weights.
        values: Values, one set for each head.
        result: ``Σ_k weight_qk value_k`` as the model computed it; part of the graph where there is one.
        arranged: Brings the result, or its gradient, into the order heads × tokens × width.
    """

    number: int
    weights: AttentionLayer
    values: Float[Tensor, "heads tokens width"]
    result: Tensor
    arranged: Callable[[Tensor], Float[Tensor, "heads tokens width"]]

    @property
    def mixture(self) -> Float[Tensor, "heads tokens width"]:
        """The mixture of values that leaves each head at each token."""
        return self.arranged(self.result.detach())


class ValueCapture(AttentionCapture):
    """The mode, for one text: completes each attention layer with its values and its mixture.

    Args:
        model: The model.
        tokens: Length of the text.

    Raises:
        UnsupportedModelError: The model has no attention; or, during the forward, the values of a layer
            are not found.
    """

    def __init__(self, model: Model, tokens: int) -> None:
        super().__init__(model, tokens)
        self._open: tuple[int, AttentionLayer] | None = None
        self._same: list[Tensor] = []  # the softmax's result and its rearrangements

    def wants(self, number: int) -> bool:
        """Return whether a layer is to be looked at."""
        return True

    def take(self, number: int, layer: AttentionLayer) -> None:
        """Receive a layer's weights; the values follow."""
        self._require_closed()
        self._open = (number, layer)

    def mixed(self, layer: MixingLayer) -> None:
        """Receive a layer with its values and its mixture."""

    def entering(self, number: int, values: Tensor, token_axis: int) -> Tensor:
        """Return the values that the model shall mix in place of its own; here its own."""
        return values

    def leaving(self, number: int, mixture: Tensor) -> Tensor:
        """Return what the model shall go on with in place of a mixture; the same values."""
        return mixture

    def require_complete(self) -> None:
        """Raise unless every layer of the model was seen, with its values."""
        self._require_closed()
        super().require_complete()

    def _require_closed(self) -> None:
        if self._open is not None:
            raise self.refusal(self._open[0], "the values that its weights mix were not found")

    def refusal(self, number: int, why: str) -> UnsupportedModelError:
        """Return the error of a layer whose parts are not found."""
        return UnsupportedModelError(
            f"Attention layer {number} of {self.model_name} cannot be taken apart: {why}.",
            hint="Use kind='raw', or an attribution method that does not need attention.",
        )

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
    ) -> Any:
        keywords = keywords or {}
        if function is FUSED:
            return self._fused(arguments, keywords)
        if self._open is not None and self._same:
            place = self._operand(arguments)
            if place is not None and function.__name__ in _PRODUCTS:
                return self._product(function, arguments, keywords, place)
            result = super().__torch_function__(function, types, arguments, keywords)
            if place is not None and self._is_rearranged(result):
                self._same.append(result)
            return result
        return super().__torch_function__(function, types, arguments, keywords)

    def _take_softmax(self, scores: Tensor, probabilities: Tensor) -> None:
        super()._take_softmax(scores, probabilities)
        if self._open is not None:
            self._same = [probabilities]

    def _operand(self, arguments: Sequence[Any]) -> int | None:
        """Return which argument is the softmax's result."""
        if len(arguments) > 1 and isinstance(arguments[1], list | tuple):
            arguments = (arguments[0], *arguments[1])
        for place, argument in enumerate(arguments):
            if any(argument is one for one in self._same):
                return place
        return None

    def _is_rearranged(self, result: Any) -> bool:
        return (
            isinstance(result, Tensor)
            and result.ndim in (3, 4)
            and result.shape[-2] == self.tokens
            and result.shape[-1] in (self.tokens, self.tokens + 1)
        )

    def _fused(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        before = self.seen
        self._take_fused(*arguments, **keywords)
        if self._open is None or self.seen == before:
            return FUSED(*arguments, **keywords)
        number = self._open[0]
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        given = dict(zip(names, arguments, strict=False)) | keywords
        value = self.entering(number, given["value"], 2)
        given["value"] = value
        result = self.leaving(number, FUSED(**given))
        self._close(value.detach(), result, self._arranged)
        return result

    def _product(self, function: Any, arguments: tuple[Any, ...], keywords: Any, place: int) -> Any:
        assert self._open is not None
        number = self._open[0]
        if function.__name__ == "einsum":
            equation = str(arguments[0]).replace(" ", "")
            operands = list(arguments[1] if isinstance(arguments[1], list | tuple) else arguments[1:])
            inputs, _, output = equation.partition("->")
            names = inputs.split(",")
            if place != 1 or len(names) != 2 or len(names[0]) != 4:
                raise self.refusal(number, f"its values are mixed by the equation {equation!r}")
            batch, head, query, key = names[0]
            width = next((letter for letter in names[1] if letter not in names[0]), "")
            if sorted(names[1]) != sorted(batch + head + key + width) or sorted(output) != sorted(
                batch + head + query + width
            ):
                raise self.refusal(number, f"its values are mixed by the equation {equation!r}")
            operands[1] = self.entering(number, operands[1], names[1].index(key))
            result = self.leaving(number, torch.einsum(equation, *operands))
            values = torch.einsum(f"{names[1]}->{batch}{head}{key}{width}", operands[1].detach())
            rearrangement = f"{output}->{head}{query}{width}"

            def arranged(result: Tensor) -> Tensor:
                return torch.einsum(rearrangement, result)

        else:
            weights, values = arguments[0], arguments[1] if len(arguments) > 1 else None
            if place != 0 or not isinstance(values, Tensor) or values.shape[-2] != weights.shape[-1]:
                raise self.refusal(number, "its weights are no left factor of its values")
            values = self.entering(number, values, values.ndim - 2)
            result = self.leaving(number, function(weights, values, **keywords))
            arranged, values = self._arranged, values.detach()
        self._close(values, result, arranged)
        return result

    def _arranged(self, result: Tensor) -> Float[Tensor, "heads tokens width"]:
        return result.reshape(self.head_count, self.tokens, -1)

    def _for_each_head(self, values: Tensor) -> Float[Tensor, "heads tokens width"]:
        """Return the values of one text with those that several heads share repeated."""
        values = values.reshape(-1, *values.shape[-2:])
        return values.repeat_interleave(max(1, self.head_count // len(values)), dim=0)

    def _close(self, values: Tensor, result: Tensor, arranged: Callable[[Tensor], Tensor]) -> None:
        assert self._open is not None
        number, weights = self._open
        self._open, self._same = None, []
        values = self._for_each_head(values)
        layer = MixingLayer(number, weights, values, result, arranged)
        if layer.mixture.shape != values.shape:
            raise self.refusal(number, f"its values have the shape {tuple(values.shape)}")
        if not _mixes_as_said(layer):
            raise self.refusal(number, "its weights times its values are not what it hands on")
        self.mixed(layer)


def _mixes_as_said(layer: MixingLayer) -> bool:
    """Return whether the last row of weights, times the values, is what the model computed."""
    tokens = layer.values.shape[1]
    block = layer.weights.block(0, [tokens - 1])
    values = precise(layer.values[:, block.first : block.first + block.weights.shape[-1]])
    expected, found = (block.weights[0] @ values)[:, 0], precise(layer.mixture[:, -1])
    rounding = max(_MIXTURE_TOLERANCE, 4 * torch.finfo(layer.result.dtype).eps)
    return bool((found - expected).abs().amax() <= rounding * values.abs().amax())
