"""The parts of one attention layer besides its weights: values, outputs, projection, residual stream."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from model_understanding.attention.capture.layer import LayerWeights, precise

ToHeads = Callable[[Tensor], Float[Tensor, "batch heads queries width"]]
"""Arranges what an attention layer computed, or its gradient, by heads: a view where that is possible."""


@dataclass(slots=True, eq=False)
class LayerValues:
    """An attention layer with its values and its outputs, of one text or of several of one length.

    Args:
        layer: The layer's index.
        weights: Its weights.
        values: Values, one set for each head.
        output: ``Σ_k weight_qk value_k`` as the model computed it; part of the graph where there is one.
        to_heads: Arranges the output, or its gradient, by heads.
    """

    layer: int
    weights: LayerWeights
    values: Float[Tensor, "batch heads keys width"]
    output: Tensor
    to_heads: ToHeads

    @property
    def head_outputs(self) -> Float[Tensor, "batch heads queries width"]:
        """What each head gives at each query, without a graph."""
        return self.by_head(self.output.detach())

    def by_head(self, output: Tensor) -> Float[Tensor, "batch heads queries width"]:
        """Return the output, or something of its shape, by heads."""
        return self.to_heads(output)


@dataclass(slots=True, eq=False)
class LayerParts:
    """An attention layer of one text with its output projection and, if requested, the residual stream.

    Args:
        of_values: Weights, values and outputs.
        projection: Each head's part of the output projection, from its values to the model's width.
        residual: What entered the block.
        gain: What the attention's part of the sum is multiplied by at each position.
        total: The sum ``residual + gain ⊙ (Σ_heads output · projection + bias)``.
    """

    of_values: LayerValues
    projection: Float[Tensor, "heads width model"]
    residual: Float[Tensor, "tokens model"] | None = None
    gain: Float[Tensor, "#tokens #model"] | None = None
    total: Float[Tensor, "tokens model"] | None = None

    def transformed_values(self, head: int, keys: slice = slice(None)) -> Float[Tensor, "keys model"]:
        """Return ``value_k · projection`` of a head: what it writes where its weight on a key is 1."""
        return precise(self.of_values.values[0, head, keys]) @ precise(self.projection[head])
