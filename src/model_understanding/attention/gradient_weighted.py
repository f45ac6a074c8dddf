"""Attention weighted by its gradient, accumulated over the layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.attention.capture.layer import precise, row_blocks
from model_understanding.attention.capture.parts import LayerValues
from model_understanding.attention.capture.reducers import Axis
from model_understanding.attention.capture.weights import CapturedAttention
from model_understanding.attention.flow import FlowReader, LayerMatrix, flow_map, require_mean_heads
from model_understanding.model.attention_layout import Sides, Stack
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding


class GradientWeightedReader(FlowReader):
    """``I + mean_heads max(0, gradient ⊙ weights)``.

    The gradient of a target with respect to a weight is ``⟨gradient of the head's output_q, value_k⟩``: only
    the outputs are differentiated, and fused kernels stay fused.
    """

    name = "gradient_weighted"
    stacks = (None, "encoder", "decoder")
    takes_batches = True
    per_target = True
    adds_identity = True

    def __init__(self, model: Model, sides: Sides) -> None:
        super().__init__(model, sides)
        self.leaf_layer = 0
        self._layers: list[LayerValues] = []

    def read_values(self, values: LayerValues) -> None:
        """Receive a layer."""
        super().read_values(values)
        self._layers.append(values)

    def matrices(self, value: Tensor | None) -> list[LayerMatrix]:
        """Return the relevance matrices for a target's value."""
        assert value is not None
        gradients = self._output_gradients(value)
        self.last_gradient = gradients[-1]
        return [
            self._matrix(layer, precise(gradient))
            for layer, gradient in zip(self._layers, gradients, strict=True)
        ]

    def _output_gradients(self, value: Tensor) -> list[Float[Tensor, "batch heads tokens width"]]:
        """Return the gradient of a value with respect to what each layer's heads give."""
        gradients = torch.autograd.grad(
            value, [layer.output for layer in self._layers], retain_graph=True, allow_unused=True
        )
        return [
            torch.zeros_like(layer.head_outputs) if gradient is None else layer.by_head(gradient)
            for layer, gradient in zip(self._layers, gradients, strict=True)
        ]

    def _matrix(self, layer: LayerValues, gradient: Tensor) -> LayerMatrix:
        def rows(queries: Sequence[int]) -> Tensor:
            relevance = gradient.new_zeros((len(gradient), len(queries), self.tokens))
            for block in row_blocks(layer.weights, queries):
                keys = slice(block.first_key, block.end_key)
                values = precise(layer.values[:, :, keys])
                slopes = gradient[:, :, block.rows] @ values.transpose(-1, -2)
                rows = slice(block.start, block.start + len(block.rows))
                relevance[:, rows, keys] = (slopes * block.weights).clamp(min=0).mean(dim=1)
            return relevance

        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientWeighted:
    r"""How relevant each token below is to each token of a layer, for the model's most likely answer.

    ``R ← R + Ā R``, ``Ā = mean_heads max(0, ∇A ⊙ A)``, ``R`` below the start the identity. Gradients are of
    the logit of the likeliest class or next token, or of their sum where there is one at each position.
    ``∇A_qk`` is the inner product of the gradient at the head's output with the value, so no weights enter
    the graph: one forward and one backward pass, O(layers · Q · tokens²) for Q rows.

    Args:
        start_layer: The lowest layer followed; if it is also the chosen layer, one layer alone.

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
        stack: Stack | None = None,
    ) -> CapturedAttention:
        """Return the map up to each chosen layer, ``(B, L, 1, Q, T)``."""
        require_mean_heads(heads, self.name)
        return flow_map(model, encoding, layers, queries, self.start_layer, GradientWeightedReader, stack)
