"""Information flow routes: what each token contributes to the residual stream, layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from model_understanding.runner import Encoding, Runner
from model_understanding.runner.attention_capture import CapturedAttention
from model_understanding.runner.attention_flow import flow_map, require_mean_heads
from model_understanding.runner.attention_reducers import Axis
from model_understanding.runner.attention_transitions import InformationFlowCapture


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
        runner: Runner,
        encoding: Encoding,
        layers: Axis,
        heads: Axis,
        queries: Sequence[int] | None = None,
    ) -> CapturedAttention:
        """Return the map up to each layer asked for, ``(B, L, 1, Q, T)``."""
        require_mean_heads(heads, self.name)
        return flow_map(
            runner, encoding, layers, queries, self.start_layer, self.name, InformationFlowCapture
        )
