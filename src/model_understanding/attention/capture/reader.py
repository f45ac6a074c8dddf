"""What receives the attention layers of a forward pass."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, ClassVar

from torch import Tensor

from model_understanding.attention.capture.layer import LayerWeights
from model_understanding.attention.capture.parts import LayerParts, LayerValues, ToHeads
from model_understanding.errors import UnsupportedModelError
from model_understanding.model.attention_layout import Sides, attention_layout
from model_understanding.model.model import Model


class Depth(IntEnum):
    """How far each attention layer is taken apart."""

    WEIGHTS = 0
    """Its weights, of any number of texts."""
    OUTPUTS = 1
    """Also where its outputs are computed, which may be replaced."""
    VALUES = 2
    """Its values and outputs, checked against its weights; of one text, or of several without padding."""
    PROJECTION = 3
    """Of one text: also its output projection."""
    RESIDUAL = 4
    """Also the residual stream that it writes to."""


class AttentionReader:
    """Receives the attention layers of one forward pass, one after another.

    A reader says by its ``depth`` how far layers are taken apart, and overrides the ``read_…`` method of
    that depth. It may also replace what the model computes.

    Args:
        model: The model.
        sides: How many tokens the text has, and which stack of an encoder–decoder is read.

    Raises:
        UnsupportedModelError: The model has no attention.
    """

    depth: ClassVar[Depth] = Depth.WEIGHTS
    failure: ClassVar[str] = "Could not decompose attention layer {layer} of {model}"
    """What an error says first of a layer whose parts are not found."""
    hint: ClassVar[str] = "Use kind='raw', or an attribution method that does not need attention."
    only_reads: ClassVar[bool] = False
    """Whether it changes nothing in a pass without gradients, so that it may share another reader's pass."""
    layers: Collection[int] | None = None
    """The layers to read, by the model's own index; all where ``None``."""
    block_reruns = 0
    """How often each block is run again, each time as costly as a forward pass."""

    def __init__(self, model: Model, sides: Sides) -> None:
        self.model = model
        self.sides = sides
        self.queries, self.keys = sides.plane
        self.layout = attention_layout(model, sides.stack)
        """Which layers attend; layers are called by the model's own index."""
        self.layers_seen = 0
        """How many attention layers the forward pass has come to, as the mode counts them."""
        self.is_paused = False
        """Whether what runs now is not part of the model's own forward pass."""

    def read_weights(self, layer: int, weights: LayerWeights, scores: Tensor | None) -> None:
        """Receive a layer's weights; of eager code with the scores that its softmax was given."""

    def read_values(self, values: LayerValues) -> None:
        """Receive a layer with its values and outputs."""

    def read_parts(self, parts: LayerParts) -> None:
        """Receive a layer with its projection, and its residual stream if requested."""

    def replace_values(self, layer: int, values: Tensor, token_axis: int) -> Tensor:
        """Return the values that the model shall use in place of its own; here its own."""
        return values

    def replace_output(self, layer: int, output: Tensor, to_heads: ToHeads) -> Tensor:
        """Return the output that the model shall continue with in place of its own; here its own."""
        return output

    def module_hooks(self) -> Iterable[Any]:
        """Register the hooks on modules that the forward pass needs; return their handles."""
        return ()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let what runs inside go unnoticed by the mode."""
        self.is_paused = True
        try:
            yield
        finally:
            self.is_paused = False

    @property
    def model_name(self) -> str:
        """The model's class and what computes its attention, for errors."""
        implementation = getattr(self.model.config, "_attn_implementation", None)
        return f"{self.model.name} (implementation {implementation!r})"

    def refusal(self, layer: int, why: str) -> UnsupportedModelError:
        """Return the error of a layer whose parts are not found."""
        failure = self.failure.format(layer=layer, model=self.model_name)
        return UnsupportedModelError(f"{failure}: {why}.", hint=self.hint)
