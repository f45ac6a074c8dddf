"""Information flow routes: attention and residual by the proximity of contributions to their sum."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.attention.capture.layer import CELLS_AT_ONCE, row_blocks
from model_understanding.attention.capture.parts import LayerParts
from model_understanding.attention.capture.reader import Depth
from model_understanding.attention.capture.reducers import Axis
from model_understanding.attention.capture.weights import CapturedAttention
from model_understanding.attention.flow import FlowReader, flow_map, normalized_rows, require_mean_heads
from model_understanding.model.attention_layout import Stack
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding


class InformationFlowReader(FlowReader):
    """Shares of what each token contributes to the sum of residual and attention, by proximity."""

    depth = Depth.RESIDUAL
    name = "information_flow"

    def read_parts(self, parts: LayerParts) -> None:
        """Receive a layer."""
        self.add(parts.of_values.weights, lambda queries: _proximities(parts, queries))


def _proximities(parts: LayerParts, queries: Sequence[int]) -> Float[Tensor, "rows tokens"]:
    """Return ``max(0, ‖y‖₁ − ‖y − z‖₁)`` of each contribution z to each sum y, as shares of their sum."""
    assert parts.total is not None
    assert parts.residual is not None
    assert parts.gain is not None
    tokens, width = parts.total.shape
    gain = parts.gain.expand(tokens, width)
    proximities = parts.total.new_zeros((len(queries), tokens))
    for block in row_blocks(parts.of_values.weights, queries):
        keys = slice(block.first_key, block.end_key)
        size = max(1, CELLS_AT_ONCE // ((block.end_key - block.first_key) * width))
        for head in range(len(parts.projection)):
            written = parts.transformed_values(head, keys)
            for start in range(0, len(block.rows), size):
                positions = block.rows[start : start + size]
                sums = parts.total[positions]
                # |y| − |y − z| is min(t, 2|y| − t) with t = z · sign(y): nothing large cancels.
                toward = block.weights[0, head, start : start + size, :, None] * written
                toward.mul_((gain[positions] * sums.sign())[:, None])
                near = torch.minimum(toward, 2 * sums.abs()[:, None] - toward).sum(-1)
                rows = slice(block.start + start, block.start + start + len(positions))
                proximities[rows, keys] += near.clamp(min=0)
    positions = list(queries)
    toward = parts.residual[positions] * parts.total[positions].sign()
    near = torch.minimum(toward, 2 * parts.total[positions].abs() - toward).sum(-1)
    diagonal = torch.arange(len(positions)), positions
    proximities[diagonal] += near.clamp(min=0)
    identity = torch.zeros_like(proximities)
    identity[diagonal] = 1
    return normalized_rows(proximities, identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class InformationFlow:
    r"""What share of each layer's tokens comes from each token below, by how near it is to the sum.

    ``M_ik ∝ Σ_heads max(0, ‖y_i‖₁ − ‖y_i − z_ik‖₁)``, where ``y_i = x_i + Σ_k z_ik + bias`` is the residual
    stream after attention and ``z_ik = A_ik f(x_k)`` what a head adds from a key; on the diagonal the
    residual ``x_i`` itself has such a term too; rows sum to 1. Layers multiply. The feed-forward part of a
    block stays at its position and changes no share. One forward pass; O(heads · tokens² · width) per layer,
    without the rows that nothing flows through.

    Args:
        start_layer: The lowest layer followed; if it is also the chosen layer, one layer alone.

    Raises:
        InputError: Layers are joined, or heads chosen.
        UnsupportedModelError: A layer's values, output projection or residual sum cannot be found.

    Reference:
        Ferrando & Voita (2024), "Information Flow Routes: Automatically Interpreting Language Models at
        Scale", section 2.2, with the proximity of Ferrando et al. (2022), "Measuring the Mixing of
        Contextual Information in the Transformer", equation 8. Differences: every edge is
        kept, there is no threshold; a norm after the attention is linear, its statistics constant; ``y`` is
        taken before a norm that follows the sum, and without a parallel branch.

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
        stack: Stack | None = None,
    ) -> CapturedAttention:
        """Return the map up to each chosen layer, ``(B, L, 1, Q, T)``."""
        require_mean_heads(heads, self.name)
        return flow_map(model, encoding, layers, queries, self.start_layer, InformationFlowReader, stack)
