"""Attention weighted by the norm of the transformed values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.attention.capture.mode import AttentionKeeper, CapturedAttention
from model_understanding.attention.capture.projections import AttentionBlock, BlockCapture
from model_understanding.attention.capture.reducers import Axis, Reducer, Rows
from model_understanding.attention.flow import FlowCapture, rows_of, with_residual
from model_understanding.model.finite import require_finite
from model_understanding.model.guard import guarded
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding


class ValueWeightedCapture(FlowCapture):
    """``½ N + ½ I`` with ``N_qk ∝ mean_heads weight_qk ‖value_k · projection‖``, rows summing to 1."""

    def __init__(self, model: Model, tokens: int) -> None:
        super().__init__(model, tokens, "value_weighted")

    def completed(self, block: AttentionBlock) -> None:
        """Receive a layer."""
        weights, norms = block.layer.weights, norms_of(block)
        self.add(weights, lambda rows: with_residual(rows_of(weights, rows, "mean", norms), rows))


def norms_of(block: AttentionBlock) -> Float[Tensor, "heads tokens"]:
    """Return ``‖value_k · projection‖`` of each head and key."""
    heads = range(len(block.projection))
    return torch.stack([block.transformed_values(head).norm(dim=-1) for head in heads])


class NormCapture(BlockCapture):
    """The mode that keeps ``weight_qk ‖value_k · projection‖`` of the layers asked for."""

    def __init__(self, model: Model, tokens: int, keeper: AttentionKeeper) -> None:
        super().__init__(model, tokens)
        self.keeper = keeper

    def completed(self, block: AttentionBlock) -> None:
        """Receive a layer."""
        assert self.keeper is not None
        if self.keeper.wants(block.layer.number):
            self.keeper.take(block.layer.number, block.layer.weights, norms_of(block)[None, :, None])


def captured_norms(
    model: Model,
    text: Encoding,
    layers: Axis,
    heads: Axis,
    queries: Sequence[int] | None,
    tokens: int,
    reducer: Reducer | None = None,
) -> CapturedAttention:
    """Return the weights of one text times their transformed values' norms.

    Args:
        model: The model.
        text: One text, without padding.
        layers: Layers to keep, or ``mean`` or ``max`` over all.
        heads: Heads to keep, likewise, of the norms.
        queries: Positions of the rows; all where left out.
        tokens: Keys in the result; those beyond the text are 0.
        reducer: What to keep of a layer's rows, of a text of just so many tokens; all where left out.
    """
    length = text.ids.shape[1]
    chosen = range(tokens) if queries is None else queries
    inside = [query for query in chosen if query < length]
    keeper = AttentionKeeper(layers=layers, heads=heads, queries=inside, reducer=reducer or Rows())
    capture = NormCapture(model, length, keeper)
    with guarded(model.module, gradients=False):
        with capture:
            outputs = model.forward(text, length - 1 if model.is_language_model else 0)
        require_finite(outputs.logits, "logits")
        capture.require_complete()
    found = keeper.captured()
    if reducer is not None:
        return found
    places = [place for place, query in enumerate(chosen) if query < length]
    weights = found.weights.new_zeros((*found.weights.shape[:3], len(chosen), tokens))
    mask = found.mask.new_zeros((1, len(chosen), tokens))
    weights[..., places, :length] = found.weights
    mask[:, places, :length] = found.mask
    return CapturedAttention(weights, mask)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueWeighted:
    r"""The length of the vector that each key adds to a query, head by head.

    ``‖ A_qk f(x_k) ‖``, ``f(x) = (x W_V + b_V) W_O`` with the head's part of the output projection. A sink
    that takes most of the weight and gives almost nothing is small here. Costs one forward, plus
    O(heads · tokens · width²) for the norms; O(tokens · width) memory a head.

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
    ) -> CapturedAttention:
        """Return the norms of the layers, heads and queries asked for, ``(B, L, H, Q, T)``."""
        if reducer is not None:  # one text: what is kept of several cannot be padded
            tokens = encoding.ids.shape[1]
            return captured_norms(model, encoding, layers, heads, queries, tokens, reducer)
        rows = [
            captured_norms(model, encoding.row(number), layers, heads, queries, encoding.ids.shape[1])
            for number in range(len(encoding))
        ]
        return CapturedAttention(
            torch.cat([row.weights for row in rows]), torch.cat([row.mask for row in rows])
        )
