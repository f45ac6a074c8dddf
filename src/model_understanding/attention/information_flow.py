"""Information flow routes: attention and residual by the proximity of contributions to their sum."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.attention.capture.layer import CELLS_AT_ONCE, blocks_of
from model_understanding.attention.capture.mode import CapturedAttention
from model_understanding.attention.capture.projections import AttentionBlock
from model_understanding.attention.capture.reducers import Axis
from model_understanding.attention.flow import (
    FlowCapture,
    flow_map,
    require_mean_heads,
    shares_of,
)
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding


class InformationFlowCapture(FlowCapture):
    """Shares of what each token contributes to the sum of residual and attention, by proximity."""

    with_residual = True

    def __init__(self, model: Model, tokens: int) -> None:
        super().__init__(model, tokens, "information_flow")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class InformationFlow:
    r"""What share of each layer's tokens comes from each token below, by how near it is to the sum.

    ``M_ik ∝ Σ_heads max(0, ‖y_i‖₁ − ‖y_i − z_ik‖₁)``, where ``y_i = x_i + Σ_k z_ik + bias`` is the residual
    stream after attention and ``z_ik = A_ik f(x_k)`` what a head adds from a key; on the diagonal the
    residual ``x_i`` itself has such a term too; rows sum to 1. Layers multiply. The feed-forward part of a
    block stays at its position and changes no share. One forward; O(heads · tokens² · width) a layer,
    rows that nothing flows through are left out.

    Args:
        start_layer: The lowest layer followed; with the layer asked for the same, one layer alone.

    Raises:
        InputError: Layers are joined, or heads chosen.
        UnsupportedModelError: A layer's values, output projection or residual sum cannot be found.

    Reference:
        Ferrando & Voita (2024), "Information Flow Routes: Automatically Interpreting Language Models at
        Scale", section 2.2, with the proximity of Ferrando et al. (2022), "Measuring the Mixing of
        Contextual Information in the Transformer", equation 8. We depart: every edge is kept, none is
        below a threshold; a norm after the attention is linear with its statistics held; ``y`` is taken
        before a norm that follows the sum, and without a parallel branch.

    >>> InformationFlow().name
    'information_flow'
    """

    name: ClassVar[str] = "information_flow"
    reference: ClassVar[str] = "Ferrando & Voita 2024"

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
        return flow_map(model, encoding, layers, queries, self.start_layer, self.name, InformationFlowCapture)
