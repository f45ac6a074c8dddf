"""Value zeroing: how far each token moves when another one gives it no value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from model_understanding.runner import Encoding, Runner
from model_understanding.runner.attention_capture import CapturedAttention
from model_understanding.runner.attention_flow import flow_map, require_mean_heads
from model_understanding.runner.attention_reducers import Axis
from model_understanding.runner.attention_value_zeroing import ValueZeroingCapture


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueZeroing:
    r"""What share of each layer's tokens comes from each token below, by what is lost without its values.

    ``M_ik ∝ 1 − cos(x̃_i, x̃_i^{¬k})``: a block's output, and its output when the value vectors of token k
    are zeroed in it, all heads; rows sum to 1. Layers multiply; the residual stream is part of a block's
    output, so no identity is added. One forward, and each block again for every token and once as a
    check: tokens + 2 forwards in all; O(tokens²) memory a layer.

    Args:
        start_layer: The lowest layer followed; with the layer asked for the same, one layer alone.

    Raises:
        InputError: Layers are joined, or heads chosen.
        UnsupportedModelError: A layer's values are not found, or its block cannot be run again.

    Reference:
        Mohebbi et al. (2023), "Quantifying Context Mixing in Transformers", equations 5 to 7 and the
        rollout of section 5.

    >>> ValueZeroing().name
    'value_zeroing'
    """

    name: ClassVar[str] = "value_zeroing"
    reference: ClassVar[str] = "Mohebbi et al. 2023"

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
        return flow_map(runner, encoding, layers, queries, self.start_layer, self.name, ValueZeroingCapture)
