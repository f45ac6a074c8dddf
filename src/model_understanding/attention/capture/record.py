"""The attention layers of one text, kept so that several readers share one forward pass.

A report reads the same text's attention for maps, for their rollout and for head scores. Nothing is kept of a
text whose weights of all heads would not fit into a report: there each reader has its own forward pass.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from model_understanding.attention.capture.parts import LayerParts, LayerValues
from model_understanding.attention.capture.reader import AttentionReader, Depth
from model_understanding.model.attention_layout import Sides, Stack
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding

MOST_WEIGHTS = 3_200_000  # of all layers and heads


class RecordedText:
    """One text whose attention layers are kept from the first forward pass that reads them.

    Args:
        model: The model.
        encoding: The text.
    """

    def __init__(self, model: Model, encoding: Encoding) -> None:
        self._model = model
        self._encoding = encoding
        self._passes: dict[Stack | None, tuple[Recorder, Any, Tensor]] = {}

    def serves(self, reader: AttentionReader, encoding: Encoding) -> bool:
        """Return whether a reader of a text can be given what is kept, or will be.

        Args:
            reader: The reader.
            encoding: Its text.
        """
        return (
            reader.only_reads
            and reader.model is self._model
            and len(encoding) == 1
            and torch.equal(encoding.ids, self._encoding.ids)
            and not torch.is_grad_enabled()
            and _fits(reader)
            and (not self.is_kept_for(reader) or self._passes[reader.sides.stack][0].layout == reader.layout)
            and (RecordedText, reader.layout) not in self._model.measured
        )

    def is_kept_for(self, reader: AttentionReader) -> bool:
        """Return whether a forward pass has run that kept the layers of a reader's stack."""
        return reader.sides.stack in self._passes

    def keep(self, recorder: "Recorder", outputs: Any, logits: Tensor) -> None:
        """Keep the layers of a forward pass.

        Args:
            recorder: What received them.
            outputs: The module's outputs.
            logits: The logits that were needed.
        """
        self._passes[recorder.sides.stack] = recorder, outputs, logits

    def give_up(self, reader: AttentionReader) -> None:
        """Note that this model's layers cannot be taken apart as far as the recorder does."""
        self._model.measured[RecordedText, reader.layout] = True

    def read_by(self, reader: AttentionReader) -> tuple[Any, Tensor]:
        """Hand the layers to a reader; return the module's outputs, and its logits.

        Args:
            reader: The reader.
        """
        recorder, outputs, logits = self._passes[reader.sides.stack]
        for of_values, parts in recorder.recorded:
            if reader.layers is not None and of_values.layer not in reader.layers:
                continue
            if reader.depth is Depth.WEIGHTS:
                reader.read_weights(of_values.layer, of_values.weights, None)
            else:
                reader.read_values(of_values)
                if reader.depth is Depth.PROJECTION:
                    reader.read_parts(parts)
        return outputs, logits


class Recorder(AttentionReader):
    """Keeps every layer of a text, with its values and its output projection."""

    depth = Depth.PROJECTION

    def __init__(self, model: Model, sides: Sides) -> None:
        super().__init__(model, sides)
        self.recorded: list[tuple[LayerValues, LayerParts]] = []

    def read_parts(self, parts: LayerParts) -> None:
        """Receive a layer."""
        self.recorded.append((parts.of_values, parts))


_TEXT: ContextVar[RecordedText | None] = ContextVar("model_understanding_recorded_text", default=None)


@contextmanager
def recorded_once(model: Model, encoding: Encoding) -> Iterator[None]:
    """Let what reads a text's attention in the body share one forward pass.

    Args:
        model: The model.
        encoding: The text.
    """
    token = _TEXT.set(RecordedText(model, encoding))
    try:
        yield
    finally:
        _TEXT.reset(token)


def recorded_text(reader: AttentionReader, encoding: Encoding) -> RecordedText | None:
    """Return the record that can serve a reader, if there is one.

    Args:
        reader: The reader.
        encoding: Its text.
    """
    text = _TEXT.get()
    return text if text is not None and text.serves(reader, encoding) else None


def _fits(reader: AttentionReader) -> bool:
    heads = sum(site.heads for site in reader.layout.sites if site.stack == reader.layout.stack)
    return heads * reader.queries * reader.keys <= MOST_WEIGHTS
