"""Attention weighted by the norm of the transformed values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.attention.capture.mode import captured_forward
from model_understanding.attention.capture.parts import LayerParts
from model_understanding.attention.capture.reader import AttentionReader, Depth
from model_understanding.attention.capture.reducers import Axis, Reducer, Rows
from model_understanding.attention.capture.weights import CapturedAttention, KeptLayers
from model_understanding.attention.flow import FlowReader, joined_heads, with_residual
from model_understanding.model.attention_layout import Sides, Stack, sides_of
from model_understanding.model.guard import guarded
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding


class ValueWeightedReader(FlowReader):
    """``½ N + ½ I`` with ``N_qk ∝ mean_heads weight_qk ‖value_k · projection‖``, rows summing to 1."""

    depth = Depth.PROJECTION
    name = "value_weighted"

    def read_parts(self, parts: LayerParts) -> None:
        """Receive a layer."""
        weights, norms = parts.of_values.weights, norms_of(parts)
        self.add(
            weights, lambda queries: with_residual(joined_heads(weights, queries, "mean", norms), queries)
        )


def norms_of(parts: LayerParts) -> Float[Tensor, "heads tokens"]:
    """Return ``‖value_k · projection‖`` of each head and key."""
    heads = range(len(parts.projection))
    return torch.stack([parts.transformed_values(head).norm(dim=-1) for head in heads])


class _NormReader(AttentionReader):
    """Keeps ``weight_qk ‖value_k · projection‖`` of the chosen layers."""

    depth = Depth.PROJECTION
    only_reads = True

    def __init__(self, model: Model, sides: Sides, kept: KeptLayers) -> None:
        super().__init__(model, sides)
        self._kept = kept

    def read_parts(self, parts: LayerParts) -> None:
        """Receive a layer."""
        layer = parts.of_values
        if isinstance(self._kept.layers, str) or layer.layer in self._kept.layers:
            self._kept.keep(layer.weights, norms_of(parts)[None, :, None])


def captured_norms(
    model: Model,
    text: Encoding,
    layers: Axis,
    heads: Axis,
    queries: Sequence[int] | None,
    plane: tuple[int, int],
    reducer: Reducer | None = None,
    stack: Stack | None = None,
) -> CapturedAttention:
    """Return the weights of one text times their transformed values' norms.

    Args:
        model: The model.
        text: One text, without padding.
        layers: Layers to keep, or ``mean`` or ``max`` over all.
        heads: Heads to keep, likewise, of the norms.
        queries: Positions of the rows; all where left out.
        plane: Queries and keys in the result; those beyond the text are 0.
        reducer: What to keep of a layer's rows, of a text of just so many tokens; all where left out.
        stack: Which stack of an encoder–decoder.
    """
    sides = sides_of(text, stack)
    positions = range(plane[0]) if queries is None else queries
    inside = [query for query in positions if query < sides.queries]
    kept = KeptLayers(layers=layers, heads=heads, queries=inside, reducer=reducer or Rows())
    with guarded(model.module, gradients=False):
        captured_forward(_NormReader(model, sides, kept), text)
    captured = kept.captured()
    if reducer is not None:
        return captured
    rows = [row for row, query in enumerate(positions) if query < sides.queries]
    weights = captured.weights.new_zeros((*captured.weights.shape[:3], len(positions), plane[1]))
    mask = captured.mask.new_zeros((1, len(positions), plane[1]))
    weights[..., rows, : sides.keys] = captured.weights
    mask[:, rows, : sides.keys] = captured.mask
    return CapturedAttention(weights, mask)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueWeighted:
    r"""The length of the vector that each key adds to a query, head by head.

    ``‖ A_qk f(x_k) ‖``, ``f(x) = (x W_V + b_V) W_O`` with the head's part of the output projection. An
    attention sink that takes most of the weight and adds almost nothing is small here. Costs one forward
    pass, plus O(heads · tokens · width²) for the norms; O(tokens · width) memory per head.

    Raises:
        UnsupportedModelError: The values or the output projection of a layer cannot be found.

    Reference:
        Kobayashi et al. (2020), "Attention is Not Only a Weight: Analyzing Transformers with Vector
        Norms", equation 5. ``head="mean"`` and ``"max"`` are those of the heads' norms; layers are not
        normalized.

    >>> ValueWeighted().name
    'value_weighted'
    """

    name: ClassVar[str] = "value_weighted"
    reference: ClassVar[str] = "Kobayashi et al. 2020"
    streamed: ClassVar[bool] = True

    def __call__(
        self,
        model: Model,
        encoding: Encoding,
        layers: Axis,
        heads: Axis,
        queries: Sequence[int] | None = None,
        reducer: Reducer | None = None,
        stack: Stack | None = None,
    ) -> CapturedAttention:
        """Return the norms of the chosen layers, heads and queries, ``(B, L, H, Q, K)``."""
        plane = sides_of(encoding, stack).plane
        if reducer is not None:  # one text: reduced rows of several cannot be padded
            return captured_norms(model, encoding, layers, heads, queries, plane, reducer, stack)
        texts = [
            captured_norms(model, encoding.row(row), layers, heads, queries, plane, stack=stack)
            for row in range(len(encoding))
        ]
        return CapturedAttention(
            torch.cat([text.weights for text in texts]), torch.cat([text.mask for text in texts])
        )
