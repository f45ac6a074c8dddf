"""What an attention map must offer."""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from model_understanding.attention.capture.reducers import Axis, Reducer
from model_understanding.attention.capture.weights import CapturedAttention
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding


class AttentionMapMethod(Protocol):
    """Turns a text into weights from queries to keys.

    A map that can read an encoder–decoder also takes ``stack``, by name: which of its stacks to read.
    """

    name: ClassVar[str]
    reference: ClassVar[str]

    def __call__(
        self,
        model: Model,
        encoding: Encoding,
        layers: Axis,
        heads: Axis,
        queries: Sequence[int] | None,
        **options: Any,
    ) -> CapturedAttention:
        """Return the weights of the chosen layers, heads and queries."""
        ...


@runtime_checkable
class StreamedAttentionMap(Protocol):
    """A map whose layers are reduced as they come, so that a long text needs no tokens² memory."""

    streamed: ClassVar[bool]

    def __call__(
        self,
        model: Model,
        encoding: Encoding,
        layers: Axis,
        heads: Axis,
        queries: Sequence[int] | None,
        reducer: Reducer | None = None,
        **options: Any,
    ) -> CapturedAttention:
        """Return what the reducer keeps of the chosen layers, heads and queries."""
        ...
