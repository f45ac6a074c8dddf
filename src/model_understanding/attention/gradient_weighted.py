"""Attention weighted by its gradient, accumulated over the layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.attention.capture.layer import blocks_of, precise
from model_understanding.attention.capture.mode import CapturedAttention
from model_understanding.attention.capture.reducers import Axis
from model_understanding.attention.capture.values import MixingLayer
from model_understanding.attention.flow import (
    FlowCapture,
    Transition,
    flow_map,
    require_mean_heads,
)
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding


class GradientWeightedCapture(FlowCapture):
    """``I + mean_heads max(0, gradient ⊙ weights)``.

    The gradient of a target with respect to a weight is ``⟨gradient of the mixture_q, value_k⟩``: only the
    mixtures are differentiated, and fused kernels stay fused.
    """

    cut_at = 0
    needs_value = True
    adds_identity = True

    def __init__(self, model: Model, tokens: int) -> None:
        super().__init__(model, tokens, "gradient_weighted")
        self.layers: list[MixingLayer] = []

    def mixed(self, layer: MixingLayer) -> None:
        """Receive a layer."""
        self.last_layer = layer
        self.looks_ahead = self.looks_ahead or layer.weights.looks_ahead
        self.layers.append(layer)

    def mixture_gradients(self, value: Tensor) -> list[Float[Tensor, "heads tokens width"]]:
        """Return the gradient of a value with respect to each layer's mixture."""
        found = torch.autograd.grad(
            value, [layer.result for layer in self.layers], retain_graph=True, allow_unused=True
        )
        return [
            torch.zeros_like(layer.mixture) if gradient is None else layer.arranged(gradient)
            for layer, gradient in zip(self.layers, found, strict=True)
        ]

    def transitions(self, value: Tensor | None) -> list[Transition]:
        """Return the layers' transitions for a target's value."""
        assert value is not None
        return [
            self._transition(layer, precise(gradient))
            for layer, gradient in zip(self.layers, self.mixture_gradients(value), strict=True)
        ]

    def _transition(self, layer: MixingLayer, gradient: Tensor) -> Transition:
        def rows(queries: Sequence[int]) -> Tensor:
            found = gradient.new_zeros((len(queries), self.tokens))
            for block in blocks_of(layer.weights, queries):
                last = block.first + block.weights.shape[-1]
                values = precise(layer.values[:, block.first : last])
                slopes = gradient[:, block.rows] @ values.transpose(-1, -2)
                place = slice(block.place, block.place + len(block.rows))
                found[place, block.first : last] = (slopes * block.weights[0]).clamp(min=0).mean(dim=0)
            return found

        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientWeighted:
    r"""How relevant each token below is to each token of a layer, for one answer of the model.

    ``R ← R + Ā R``, ``Ā = mean_heads max(0, ∇A ⊙ A)``, ``R`` below the start the identity. The answer is
    the logit of the likeliest class, or of the likeliest next token. ``∇A_qk`` is the inner product of the
    mixture's gradient with the value, so no weights enter the graph: one forward and one backward,
    O(layers · Q · tokens²) for Q rows.

    Args:
        start_layer: The lowest layer followed; with the layer asked for the same, one layer alone.

    Raises:
        InputError: Layers are joined, or heads chosen.
        UnsupportedModelError: The values of a layer cannot be found.

    Reference:
        Chefer, Gur, Wolf (2021), "Generic Attention-Model Explainability for Interpreting Bi-Modal and
        Encoder-Decoder Transformers", equations 5 and 6.

    >>> GradientWeighted().name
    'gradient_weighted'
    """

    name: ClassVar[str] = "gradient_weighted"
    reference: ClassVar[str] = "Chefer et al. 2021"

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
        return flow_map(
            model, encoding, layers, queries, self.start_layer, self.name, GradientWeightedCapture
        )
