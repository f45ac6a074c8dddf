"""Attention weighted by what it moves: the norm of each weighted, transformed value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from model_understanding.runner import Encoding, Runner
from model_understanding.runner.attention_capture import CapturedAttention
from model_understanding.runner.attention_reducers import Axis, Reducer
from model_understanding.runner.attention_transitions import captured_norms


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueWeightedAttention:
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

    >>> ValueWeightedAttention().name
    'value_weighted'
    """

    name: ClassVar[str] = "value_weighted"
    reference: ClassVar[str] = "Kobayashi et al. 2020"
    streamed: ClassVar[bool] = True

    def __call__(
        self,
        runner: Runner,
        encoding: Encoding,
        layers: Axis,
        heads: Axis,
        queries: Sequence[int] | None = None,
        reducer: Reducer | None = None,
    ) -> CapturedAttention:
        """Return the norms of the layers, heads and queries asked for, ``(B, L, H, Q, T)``."""
        if reducer is not None:  # one text: what is kept of several cannot be padded
            tokens = encoding.ids.shape[1]
            return captured_norms(runner, encoding, layers, heads, queries, tokens, reducer)
        rows = [
            captured_norms(runner, encoding.row(number), layers, heads, queries, encoding.ids.shape[1])
            for number in range(len(encoding))
        ]
        return CapturedAttention(
            torch.cat([row.weights for row in rows]), torch.cat([row.mask for row in rows])
        )
