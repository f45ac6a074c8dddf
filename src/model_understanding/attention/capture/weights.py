"""Attention weights of a plain forward pass, exact and reduced layer by layer.

No layers × heads × tokens² array is ever held unless it was requested.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model_understanding.attention.capture.layer import LayerWeights, RowBlock, row_blocks
from model_understanding.attention.capture.mode import captured_forward
from model_understanding.attention.capture.reader import AttentionReader
from model_understanding.attention.capture.reducers import Axis, Reduced, Reducer, Rows, TopKeys, choose_heads
from model_understanding.errors import InputError
from model_understanding.model.attention_layout import Sides, Stack, sides_of
from model_understanding.model.guard import guarded
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding


class CapturedAttention(NamedTuple):
    """Attention weights, and which cells may be attended to in any layer kept.

    A reducer's result takes the place of the last two axes.

    Args:
        weights: The weights; a reduced axis has length 1.
        mask: Which of them some head of some layer could fill.
        keys: Positions of the keys, where each row kept others (``TopKeys``); −1 beyond a row's last weight.
        rest: How far the model's weights of a row are below a sum of 1, on average over the rows, heads and
            layers read: what a learned sink takes.
    """

    weights: Float[Tensor, "batch layers heads queries keys"]
    mask: Bool[Tensor, "batch queries keys"]
    keys: Int[Tensor, "batch layers heads queries count"] | None = None
    rest: float = 0.0


def capture_attention(
    model: Model,
    encoding: Encoding,
    layers: Axis,
    heads: Axis,
    queries: Sequence[int] | None = None,
    reducer: Reducer | None = None,
    stack: Stack | None = None,
) -> CapturedAttention:
    """Return attention weights of a plain forward pass, exact and reduced layer by layer.

    Args:
        model: The model.
        encoding: The texts.
        layers: Indices of layers, or ``mean`` or ``max`` over all of them.
        heads: Indices of heads, likewise.
        queries: Positions of the rows to keep; all where left out.
        reducer: What to keep of a layer's rows (``reducers``); all of them where left out.
        stack: Which stack of an encoder–decoder.

    Returns:
        Weights ``(B, L, H, Q, K)`` and the cells that may be attended to ``(B, Q, K)``; a reducer's result
        takes the place of the last two axes.

    Raises:
        UnsupportedModelError: This model's attention cannot be read exactly.
    """
    sides = sides_of(encoding, stack)
    kept = KeptLayers(
        layers=layers,
        heads=heads,
        queries=range(sides.queries) if queries is None else queries,
        reducer=reducer or Rows(),
    )
    with guarded(model.module, gradients=False):
        captured_forward(_WeightReader(model, sides, kept), encoding)
    return kept.captured()


class KeptLayers:
    """Reduces layers of weights as they come, and keeps what is left of them.

    Args:
        layers: Layers to keep, or ``mean`` or ``max`` over all.
        heads: Heads to keep, likewise.
        queries: Positions of the rows.
        reducer: What to keep of a layer's rows.

    Raises:
        InputError: The reducer keeps other keys in each layer, and layers are to be joined.
    """

    def __init__(self, layers: Axis, heads: Axis, queries: Sequence[int], reducer: Reducer) -> None:
        if isinstance(layers, str) and isinstance(reducer, TopKeys):
            raise InputError(
                f"layers={layers!r} cannot join the largest weights of a row: their keys differ between "
                "layers.",
                hint="Choose layers by their index.",
            )
        self.layers, self.heads, self.queries = layers, heads, queries
        self._reducer = reducer
        self._kept: list[Reduced] = []
        self._joined = 0
        self._rests: list[tuple[Tensor, Tensor]] = []  # of each block: sum over its rows, and their number

    def keep(self, weights: LayerWeights, factors: Tensor | None = None) -> None:
        """Reduce and keep the next layer.

        Args:
            weights: Its weights.
            factors: What the weights of each head and key are multiplied by, ``(batch, heads, 1, keys)``.
        """

        def blocks() -> Iterator[RowBlock]:
            for block in row_blocks(weights, self.queries):
                rows = block.weights
                if factors is not None:
                    rows = rows * factors[..., block.first_key : block.end_key]
                chosen = choose_heads(rows, self.heads)
                if factors is None:
                    self._measure_rest(rows if isinstance(self.heads, str) else chosen, block.allowed)
                yield block._replace(weights=chosen)

        batch, _, _, keys = weights.shape
        heads = 1 if isinstance(self.heads, str) else len(self.heads)
        reduced = self._reducer(blocks(), (batch, heads, len(self.queries), keys))
        self._joined += 1
        if not self._kept or not isinstance(self.layers, str):
            self._kept.append(reduced)
            return
        so_far = self._kept[0]
        joined = reduced.weights.to(so_far.weights.device)  # layers may lie on several devices
        if self.layers == "mean":
            joined = so_far.weights + (joined - so_far.weights) / self._joined
        else:
            joined = torch.maximum(so_far.weights, joined)
        self._kept[0] = Reduced(joined, so_far.mask | reduced.mask.to(so_far.mask.device))

    def captured(self) -> CapturedAttention:
        """Return what was kept, layers in the caller's order."""
        order: Sequence[int] = [0]
        if not isinstance(self.layers, str):  # layers came in the model's order
            ordered = sorted(set(self.layers))
            order = [ordered.index(layer) for layer in self.layers]
        device = self._kept[0].weights.device
        chosen = [self._kept[index] for index in order]
        mask = chosen[0].mask
        for other in chosen[1:]:
            mask = mask | other.mask.to(device)
        keys = [reduced.keys.to(device) for reduced in chosen if reduced.keys is not None]
        return CapturedAttention(
            torch.stack([reduced.weights.to(device) for reduced in chosen], dim=1),
            mask,
            torch.stack(keys, dim=1) if keys else None,
            self._rest(),
        )

    def _measure_rest(self, rows: Float[Tensor, "batch heads rows keys"], allowed: Tensor) -> None:
        has_keys = allowed.any(dim=-1)[:, None].expand(rows.shape[:3])  # padding attends to nothing
        self._rests.append((((1 - rows.sum(dim=-1)) * has_keys).sum(), has_keys.sum()))

    def _rest(self) -> float:
        count = sum(int(count) for _, count in self._rests)
        return sum(float(rest) for rest, _ in self._rests) / max(count, 1)


class _WeightReader(AttentionReader):
    """Keeps what was requested of each layer's weights."""

    only_reads = True

    def __init__(self, model: Model, sides: Sides, kept: KeptLayers) -> None:
        super().__init__(model, sides)
        self.layers = None if isinstance(kept.layers, str) else kept.layers
        self._kept = kept

    def read_weights(self, layer: int, weights: LayerWeights, scores: Tensor | None) -> None:
        """Reduce and keep a layer."""
        self._kept.keep(weights)
