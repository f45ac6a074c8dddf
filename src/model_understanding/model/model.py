"""A model that can be run: its module, tokenizer and configuration, and one forward pass of it."""

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.loading import LoadedModel
from model_understanding.model.batching import Batches
from model_understanding.model.embeddings import embedding_table
from model_understanding.model.finite import first_broken_layer, require_finite
from model_understanding.model.guard import end_pooling, guarded
from model_understanding.model.memory import Memory
from model_understanding.model.metering import count_forward
from model_understanding.targets.classification import OutputActivation, output_activation
from model_understanding.targets.names import CAUSAL_LM
from model_understanding.text.encoding import Encoding, batch_of
from model_understanding.text.max_length import check_length
from model_understanding.tokens import Tokens

Result = TypeVar("Result")


class Model:
    """A loaded model as everything that runs it sees it.

    Args:
        loaded: The module, its tokenizer, its task and where they come from.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.module = loaded.model
        self.tokenizer = loaded.tokenizer
        self.config: Any = loaded.model.config
        self.device = loaded.device
        self.accepted = inspect.signature(self.module.forward).parameters
        """The inputs that the module's forward takes, by name."""
        self.memory = Memory(self.module, self.device)
        self.measured: dict[Any, Any] = {}
        """What was found out about the model by running it (``measured_once``)."""

    @property
    def actual(self) -> "Model":
        """The model that really runs; another one where a dry run stands in for it."""
        return self

    @property
    def name(self) -> str:
        """The module's class, for messages."""
        return type(self.module).__name__

    @property
    def is_language_model(self) -> bool:
        """Whether the model predicts next tokens rather than classes."""
        return self.loaded.task == CAUSAL_LM

    @property
    def output_activation(self) -> OutputActivation:
        """What turns this model's logits into probabilities."""
        return "softmax" if self.is_language_model else output_activation(self.config)

    @property
    def pads_exactly(self) -> bool:
        """Whether padding on the right leaves this model's answers as they are."""
        # XLNet reads its answer from the last position, padded or not.
        return self.config.model_type != "xlnet"

    def encode(
        self, tokens: Tokens, inputs: dict[str, list[int]] | None = None, *, prompt_length: int | None = None
    ) -> Encoding:
        """Turn tokens into the model's inputs.

        Args:
            tokens: The tokens, as ``tokenize`` and its kin give them.
            inputs: The tokenizer's inputs; made from the tokens' ids where left out.
            prompt_length: How many tokens are a prompt.

        Returns:
            An encoding of one text on the model's device.

        Raises:
            InputError: The text is longer than the model allows, or has ids beyond its vocabulary.
        """
        values = dict(inputs or {"input_ids": tokens.ids.tolist()})
        values["attention_mask"] = [1] * len(tokens)
        check_length(self.module, self.tokenizer, len(tokens))
        rows = getattr(embedding_table(self.module), "num_embeddings", None)
        highest = max(values["input_ids"])
        if rows is not None and highest >= rows:
            raise InputError(
                f"The tokenizer gives id {highest}, but the model's vocabulary has {rows} tokens.",
                hint="Use the tokenizer that belongs to this model.",
            )
        tensors = {
            name: torch.tensor([ids], device=self.device)
            for name, ids in values.items()
            if name in self.accepted
        }
        return Encoding((tokens,), tensors, prompt_length)

    def batch(self, encodings: Sequence[Encoding]) -> Encoding:
        """Return several texts as one batch, padded where their lengths differ.

        Raises:
            UnsupportedModelError: Padding would be needed and the model has no padding token, by which
                alone it finds the end of a text.
        """
        lengths = {encoding.ids.shape[1] for encoding in encodings}
        padding_id = getattr(self.config.get_text_config(), "pad_token_id", None)
        if len(lengths) > 1 and (padding_id is None or not self.pads_exactly):
            raise UnsupportedModelError(
                f"{self.name} cannot take texts of different lengths in one batch.",
                hint="Run texts of one length together.",
            )
        return batch_of(encodings, padding_id or 0)

    def forward(self, encoding: Encoding, keep_from: int = 0) -> Any:
        """Run the module, already guarded, on real ids, computing only the logits that are needed.

        Args:
            encoding: The texts.
            keep_from: The first position whose logits are needed.

        Returns:
            The module's outputs.
        """
        options: dict[str, Any] = {"return_dict": True}
        if "use_cache" in self.accepted:
            options["use_cache"] = False
        if "use_mems" in self.accepted:
            options["use_mems"] = False
        if self.is_language_model and "logits_to_keep" in self.accepted and keep_from > 0:
            options["logits_to_keep"] = encoding.ids.shape[1] - keep_from
        with end_pooling(self.config, len(encoding)):
            return self.module(**encoding.inputs, **options)

    def logits_of(
        self, outputs: Any, encoding: Encoding, keep_from: int
    ) -> Float[Tensor, "batch positions classes"]:
        """Return the logits among a forward's outputs, their first position being ``keep_from``.

        Raises:
            NumericalError: They are not finite.
        """
        logits = outputs.logits
        if self.is_language_model:
            positions = encoding.ids.shape[1] - keep_from
            logits = logits[:, -positions:] if logits.shape[1] > positions else logits
        else:
            logits = logits[:, None]
        require_finite(logits, "logits", lambda: first_broken_layer(self.module, encoding.inputs))
        return logits

    def logits(self, encoding: Encoding, *, keep_from: int = 0) -> Float[Tensor, "batch positions classes"]:
        """Return the logits of a plain forward pass from a position on; a classifier's are at position 0."""
        tokens = encoding.ids.shape[1]
        parts: list[Tensor] = []
        batches = Batches(len(encoding), tokens, self.memory, logits=tokens - keep_from)
        with guarded(self.module, gradients=False):
            for start, end in batches:
                with batches.halving():
                    part = encoding if end - start == len(encoding) else encoding.rows(start, end)
                    parts.append(self.logits_of(self.forward(part, keep_from), part, keep_from))
                    count_forward(part.ids.numel())
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def measured_once(measure: Callable[..., Result]) -> Callable[..., Result]:
    """Make a function of a model measure each model once, with the model itself where a dry run asks.

    Args:
        measure: Runs the model to find something out; its first argument is the model, others are hashable.
    """

    @wraps(measure)
    def recall(model: Model, *arguments: Any) -> Result:
        measured = model.actual.measured
        key = (measure, *arguments)
        if key not in measured:
            measured[key] = measure(model.actual, *arguments)
        return measured[key]

    return recall
