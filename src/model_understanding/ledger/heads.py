"""The cuts of a ledger through attention heads: what each head computes of its values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from model_understanding.attention.capture.mode import AttentionCapture, captured_forward
from model_understanding.attention.capture.parts import ToHeads
from model_understanding.attention.capture.reader import AttentionReader, Depth
from model_understanding.errors import ModelUnderstandingError
from model_understanding.finite_backward.calls import Call
from model_understanding.model.attention_layout import sides_of
from model_understanding.model.guard import guarded
from model_understanding.model.model import Model, measured_once
from model_understanding.model.probes import probe_texts, unchanged_modules
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True)
class HeadOutputs:
    """The name of the outputs of a layer's heads."""

    layer: int


class HeadReader(AttentionReader):
    """Notes the outputs of every layer's heads.

    Args:
        model: The model.
        encoding: The texts.
        noted: Where tensors are noted by name.
    """

    depth = Depth.OUTPUTS
    failure = "Could not read the heads of attention layer {layer} of {model}"

    def __init__(self, model: Model, encoding: Encoding, noted: dict[Any, Tensor]) -> None:
        super().__init__(model, sides_of(encoding, None))
        self._noted = noted
        self.arranged: dict[int, ToHeads] = {}
        """What arranges each layer's outputs by heads."""

    def replace_output(self, layer: int, output: Tensor, to_heads: ToHeads) -> Tensor:
        """Note a layer's outputs, and change nothing."""
        self._noted[HeadOutputs(layer)] = output
        self.arranged[layer] = to_heads
        return output


class HeadWatch:
    """Notes the outputs of every layer's heads, in one forward pass of both runs' mode.

    Args:
        model: The model.
        encoding: The texts of the forward pass.
        noted: Where tensors are noted by name.
    """

    def __init__(self, model: Model, encoding: Encoding, noted: dict[Any, Tensor]) -> None:
        reader = HeadReader(model, encoding, noted)
        self._capture = AttentionCapture(reader, len(encoding), self._run_operation)
        self._run: Callable[[Call], Any] | None = None
        self.arranged = reader.arranged
        """What arranges each layer's outputs by heads."""
        self.require_complete = self._capture.require_complete

    def around(self, call: Call, run: Callable[[Call], Any]) -> Any:
        """Run a call that depends on the text, and note it if heads compute it."""
        if not self._capture.awaits(call.function):
            return run(call)
        self._run = run
        return self._capture.operation(call.function, call.arguments, call.keywords)

    def _run_operation(self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        assert self._run is not None
        return self._run(Call(function, arguments, keywords))


@measured_once
def why_unread(model: Model) -> str | None:
    """Return why a model's heads cannot be read one by one; ``None`` if they can."""
    probe = probe_texts(model)[0]
    try:
        with guarded(model.module, gradients=False), unchanged_modules(model.module):
            reader = HeadReader(model, probe, {})
            captured_forward(reader, probe)
            reader.layout.common_heads()
    except ModelUnderstandingError as error:
        return error.message
    return None
