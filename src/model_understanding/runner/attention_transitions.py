"""The transition of a layer, from its tokens to those below, as each method defines it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.runner.attention_blocks import AttentionBlock, BlockCapture
from model_understanding.runner.attention_capture import AttentionKeeper, CapturedAttention
from model_understanding.runner.attention_flow import (
    FlowCapture,
    Transition,
    rows_of,
    shares_of,
    with_residual,
)
from model_understanding.runner.attention_layer import CELLS_AT_ONCE, blocks_of, precise
from model_understanding.runner.attention_reducers import Axis, Reducer, Rows
from model_understanding.runner.attention_values import MixingLayer
from model_understanding.runner.encoding import Encoding
from model_understanding.runner.finite import require_finite
from model_understanding.runner.state import guarded

if TYPE_CHECKING:
    from model_understanding.runner.runner import Runner


class RolloutCapture(FlowCapture):
    """``½ A + ½ I``, heads joined, rows summing to 1.

    Args:
        runner: The model's runner.
        tokens: Length of the text.
        heads: ``mean`` or ``max``.
    """

    def __init__(self, runner: "Runner", tokens: int, heads: str = "mean") -> None:
        super().__init__(runner, tokens, "rollout")
        self.heads = heads

    def mixed(self, layer: MixingLayer) -> None:
        """Receive a layer."""
        self.last_layer = layer
        weights, heads = layer.weights, self.heads
        self.add(weights, lambda rows: with_residual(rows_of(weights, rows, heads), rows))


class ValueWeightedCapture(FlowCapture):
    """``½ N + ½ I`` with ``N_qk ∝ mean_heads weight_qk ‖value_k · projection‖``, rows summing to 1."""

    def __init__(self, runner: "Runner", tokens: int) -> None:
        super().__init__(runner, tokens, "value_weighted")

    def completed(self, block: AttentionBlock) -> None:
        """Receive a layer."""
        weights, norms = block.layer.weights, norms_of(block)
        self.add(weights, lambda rows: with_residual(rows_of(weights, rows, "mean", norms), rows))


class GradientWeightedCapture(FlowCapture):
    """``I + mean_heads max(0, gradient ⊙ weights)``.

    The gradient of a target with respect to a weight is ``⟨gradient of the mixture_q, value_k⟩``: only the
    mixtures are differentiated, and fused kernels stay fused.
    """

    cut_at = 0
    needs_value = True
    adds_identity = True

    def __init__(self, runner: "Runner", tokens: int) -> None:
        super().__init__(runner, tokens, "gradient_weighted")
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


class InformationFlowCapture(FlowCapture):
    """Shares of what each token contributes to the sum of residual and attention, by proximity."""

    with_residual = True

    def __init__(self, runner: "Runner", tokens: int) -> None:
        super().__init__(runner, tokens, "information_flow")

    def completed(self, block: AttentionBlock) -> None:
        """Receive a layer."""
        self.add(block.layer.weights, lambda rows: _proximities(block, rows))


def _proximities(block: AttentionBlock, queries: Sequence[int]) -> Float[Tensor, "rows tokens"]:
    """Return ``max(0, ‖y‖₁ − ‖y − z‖₁)`` of each contribution z to each sum y, as shares of their sum."""
    assert block.total is not None
    assert block.residual is not None
    assert block.gain is not None
    tokens, width = block.total.shape
    gain = block.gain.expand(tokens, width)
    found = block.total.new_zeros((len(queries), tokens))
    for part in blocks_of(block.layer.weights, queries):
        last = part.first + part.weights.shape[-1]
        size = max(1, CELLS_AT_ONCE // ((last - part.first) * width))
        for head in range(len(block.projection)):
            written = block.transformed_values(head, slice(part.first, last))
            for start in range(0, len(part.rows), size):
                rows = part.rows[start : start + size]
                # |y| − |y − z| is min(t, 2|y| − t) with t = z · sign(y): nothing large cancels.
                size_of_sums = block.total[rows].abs()[:, None]
                toward = part.weights[0, head, start : start + size, :, None] * written
                toward.mul_((gain[rows] * block.total[rows].sign())[:, None])
                near = torch.minimum(toward, 2 * size_of_sums - toward).sum(-1)
                place = slice(part.place + start, part.place + start + len(rows))
                found[place, part.first : last] += near.clamp(min=0)
    chosen = list(queries)
    toward = block.residual[chosen] * block.total[chosen].sign()
    kept = torch.minimum(toward, 2 * block.total[chosen].abs() - toward).sum(-1)
    place = torch.arange(len(chosen))
    found[place, chosen] += kept.clamp(min=0)
    identity = torch.zeros_like(found)
    identity[place, chosen] = 1
    return shares_of(found, identity)


def norms_of(block: AttentionBlock) -> Float[Tensor, "heads tokens"]:
    """Return ``‖value_k · projection‖`` of each head and key."""
    heads = range(len(block.projection))
    return torch.stack([block.transformed_values(head).norm(dim=-1) for head in heads])


class NormCapture(BlockCapture):
    """The mode that keeps ``weight_qk ‖value_k · projection‖`` of the layers asked for."""

    def __init__(self, runner: "Runner", tokens: int, keeper: AttentionKeeper) -> None:
        super().__init__(runner, tokens)
        self.keeper = keeper

    def completed(self, block: AttentionBlock) -> None:
        """Receive a layer."""
        assert self.keeper is not None
        if self.keeper.wants(block.layer.number):
            self.keeper.take(block.layer.number, block.layer.weights, norms_of(block)[None, :, None])


def captured_norms(
    runner: "Runner",
    text: Encoding,
    layers: Axis,
    heads: Axis,
    queries: Sequence[int] | None,
    tokens: int,
    reducer: Reducer | None = None,
) -> CapturedAttention:
    """Return the weights of one text times their transformed values' norms.

    Args:
        runner: The runner.
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
    capture = NormCapture(runner, length, keeper)
    with guarded(runner.model, gradients=False):
        with capture:
            outputs = runner.forward(text, length - 1 if runner.is_language_model else 0)
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
