"""Attention as the model computed it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from model_understanding.attention.capture.reducers import Axis, Reducer
from model_understanding.attention.capture.weights import CapturedAttention, capture_attention
from model_understanding.model.attention_layout import Stack
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    r"""The weights of the attention softmax, ``softmax(q·k / √d + mask)``, of each layer and head.

    Reference:
        Vaswani et al. (2017), "Attention Is All You Need", equation 1. Learned biases, soft-caps and
        sinks of later models are included as the model applies them.

    >>> Raw().name
    'raw'
    """

    name: ClassVar[str] = "raw"
    reference: ClassVar[str] = "Vaswani et al. 2017"
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
        """Return the weights of the chosen layers, heads and queries, or what the reducer keeps of them."""
        return capture_attention(model, encoding, layers, heads, queries, reducer, stack)
