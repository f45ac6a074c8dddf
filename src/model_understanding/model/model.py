"""A loaded model: its module, tokenizer and configuration, and forward passes of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial, wraps
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.errors import InputError, ModelUnderstandingError, UnsupportedModelError
from model_understanding.loading import LoadedModel
from model_understanding.loading.wrappers import config_of, dtype_of, input_embeddings, virtual_tokens
from model_understanding.model.batching import Batches, is_out_of_memory
from model_understanding.model.failures import translated_failures
from model_understanding.model.finite import first_broken_layer, require_finite
from model_understanding.model.guard import found_once, guarded, pass_settings
from model_understanding.model.memory import Memory
from model_understanding.model.metering import count_forward
from model_understanding.model.outputs import (
    EACH_TOKEN,
    NEXT_TOKEN,
    TWO_SEQUENCES,
    configured_classes,
    logits_at,
    module_inputs,
    positions_of,
    span_logits,
)
from model_understanding.model.own_copy import OwnCopy
from model_understanding.model.own_module import (
    LogitsPlace,
    found_logits,
    is_own_module,
    probe_inputs,
    with_classes,
)
from model_understanding.model.rotary import length_dependent_rotaries, original_frequencies
from model_understanding.model.signature import (
    accepted_inputs,
    innermost,
    is_of_transformers,
    required_inputs,
)
from model_understanding.results import Provenance
from model_understanding.targets.classification import OutputActivation, output_activation
from model_understanding.targets.names import (
    FEATURE_EXTRACTION,
    MULTIPLE_CHOICE,
    QUESTION_ANSWERING,
    SEQ2SEQ_LM,
    SEQUENCE_CLASSIFICATION,
    SIMILARITY,
)
from model_understanding.text.cautions import cautions_about
from model_understanding.text.encoding import Encoding, batch_of
from model_understanding.text.max_length import check_length, longest_input, longest_output
from model_understanding.tokens import Tokens

Result = TypeVar("Result")
_FOUND_BY_SHAPE = frozenset({SEQUENCE_CLASSIFICATION, *EACH_TOKEN}) - {SEQ2SEQ_LM}
"""Tasks for which the logits of a module of the user's own are located by their shape."""


class Model:
    """A loaded model that can be run.

    Args:
        loaded: The module, its tokenizer, its task and their provenance.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.own_copy = OwnCopy(loaded.model)
        self.module: Any = self.own_copy.module
        """Our own copy of the caller's module, with the same weights."""
        self.tokenizer = loaded.tokenizer
        self.output_tokenizer = loaded.output_tokenizer or loaded.tokenizer
        """The tokenizer of what a language model writes."""
        self.config: Any = config_of(self.module)
        self.task = loaded.task
        self.device = loaded.device
        self.dtype = dtype_of(self.module)
        self.accepted = accepted_inputs(self.module)
        """The inputs that the module takes, or passes on to a model inside it, and its own names for them."""
        self._module_config = self.config
        self._is_own = is_own_module(self.module)
        self.memory = Memory(self.module, self.device)
        self.rotaries = length_dependent_rotaries(self.module)
        self.measured: dict[Any, Any] = {}
        """Results of measurements that ran the model (``measured_once``)."""
        self._logits_place = LogitsPlace("logits")
        if self._is_own and self.task in _FOUND_BY_SHAPE:
            self._logits_place, classes = self._found_logits()
            self.config = with_classes(self.config, classes, self.task)

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs: locks, hooks and measurements are made again."""
        return {"loaded": self.loaded}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Model.__init__(self, state["loaded"])

    @property
    def actual(self) -> "Model":
        """The model itself; in a dry run, the model that would run."""
        return self

    @property
    def name(self) -> str:
        """The name of the module's class, for messages."""
        return type(self.module).__name__

    @property
    def is_language_model(self) -> bool:
        """Whether the logits at a position predict the token after it, with an encoder or without."""
        return self.task in NEXT_TOKEN

    @property
    def output_activation(self) -> OutputActivation:
        """The function that turns the model's logits into probabilities."""
        if self.task == SEQUENCE_CLASSIFICATION:
            return output_activation(self.config)
        is_score = self.task in (MULTIPLE_CHOICE, SIMILARITY, FEATURE_EXTRACTION)
        return "identity" if is_score else "softmax"

    @property
    def reads_two_sequences(self) -> bool:
        """Whether a text has two sequences: an encoder's and a decoder's, or two texts that are compared."""
        return self.task in TWO_SEQUENCES

    def class_count(self, tokens: int) -> int:
        """Return the number of classes that the logits have at each position.

        Args:
            tokens: Number of tokens of the text; the classes of question answering are its tokens.
        """
        return (
            tokens
            if self.task == QUESTION_ANSWERING
            else int(configured_classes(self.task, self.config) or 1)
        )

    def token_id(self, kind: str) -> int | None:
        """Return the id of the tokenizer's mask or padding token; of both, where outputs have another one.

        Args:
            kind: ``mask`` or ``pad``.
        """
        token, other = (
            getattr(each, f"{kind}_token_id", None) for each in (self.tokenizer, self.output_tokenizer)
        )
        return token if token == other else None

    @property
    def common_ids(self) -> int:
        """Number of ids that can be read wherever the model reads ids: by its encoder and by its decoder."""
        size = getattr(self.config.get_text_config(), "vocab_size", None) or len(self.tokenizer)
        if self.task != SEQ2SEQ_LM:
            return size
        rows = getattr(input_embeddings(self.module), "num_embeddings", None) or size
        return min(size, rows, self.class_count(0))

    def logit_positions(self, tokens: int) -> int:
        """Return the number of positions at which a text of so many tokens has logits."""
        return positions_of(self.task, tokens)

    @property
    def pads_exactly(self) -> bool:
        """Whether padding on the right leaves the model's outputs unchanged."""
        # XLNet pools the last position, even if it is padding.
        return self.config.model_type != "xlnet"

    @property
    def generates(self) -> bool:
        """Whether transformers' ``generate`` runs this model: its ``forward`` is not the user's own."""
        is_usual = not self._is_own or is_of_transformers(innermost(self.module.forward))
        return is_usual and hasattr(self.module, "generate")

    @cached_property
    def longest_input(self) -> int | None:
        """The maximum number of tokens of a text, or ``None`` for no limit."""
        limit = longest_input(self.module, self.config, self.tokenizer)
        return None if limit is None else limit - virtual_tokens(self.module)

    @property
    def longest_output(self) -> int | None:
        """The maximum number of tokens that an encoder–decoder's decoder reads, or ``None`` for no limit."""
        return longest_output(self.config)

    def encode(
        self,
        tokens: Tokens,
        inputs: dict[str, list[int]] | None = None,
        *,
        prompt_length: int | None = None,
        source_length: int | None = None,
        cautions: Sequence[str] = (),
    ) -> Encoding:
        """Return the model's inputs for the tokens of one text.

        Args:
            tokens: The tokens.
            inputs: The tokenizer's inputs; default: the tokens' ids.
            prompt_length: Number of tokens that are the prompt.
            source_length: Number of tokens that are the first of two sequences.
            cautions: Warnings about how the text was read, besides those about its tokens.

        Returns:
            An encoding of one text on the model's device.

        Raises:
            InputError: The text is longer than the model allows, or an id is outside its vocabulary.
        """
        values = dict(inputs or {"input_ids": tokens.ids.tolist()})
        values["attention_mask"] = [1] * len(tokens)
        length = len(tokens) if source_length is None else source_length
        check_length(self.name, self.longest_input, length)
        if source_length is not None:
            is_output = self.is_language_model
            limit, what = (self.longest_output, "output") if is_output else (self.longest_input, "text")
            check_length(self.name, limit, len(tokens) - source_length, what)
        rows = getattr(found_once(input_embeddings, self.module), "num_embeddings", None)
        _check_vocabulary(values["input_ids"][:source_length], rows)
        if source_length is not None and self.is_language_model:
            _check_vocabulary(values["input_ids"][source_length:], self.class_count(len(tokens)))
        tensors = {
            name: torch.as_tensor(np.array([ids]), device=self.device)
            for name, ids in values.items()
            if name in self.accepted
        }
        parts = [tokens]
        if prompt_length is not None:  # a warning about the prompt is the same with and without what follows
            parts = [tokens.select(range(prompt_length)), tokens.select(range(prompt_length, len(tokens)))]
        about = (caution for part in parts for caution in cautions_about(part, self.tokenizer))
        return Encoding((tokens,), tensors, prompt_length, (*cautions, *about), source_length)

    def provenance(self, encoding: Encoding, seconds: float | None = None) -> Provenance:
        """Return the origin of a result about a text, with the warnings about how the text was read.

        Args:
            encoding: The text.
            seconds: Wall time of the computation.
        """
        origin = self.loaded.provenance
        return replace(origin, seconds=seconds, cautions=(*origin.cautions, *encoding.cautions))

    def batch(self, encodings: Sequence[Encoding]) -> Encoding:
        """Return several texts as one batch, padded where their lengths differ.

        Raises:
            UnsupportedModelError: The lengths differ, and the model has no padding token or does not ignore
                padding.
        """
        lengths = {(encoding.ids.shape[1], encoding.source_length) for encoding in encodings}
        padding_id = getattr(self.config.get_text_config(), "pad_token_id", None)
        has_two = encodings[0].source_length is not None
        if len(lengths) > 1 and (padding_id is None or not self.pads_exactly or has_two):
            raise UnsupportedModelError(
                f"{self.name} cannot run texts of different lengths in one batch.",
                hint="Pass texts of equal length, or one text at a time.",
            )
        return batch_of(encodings, padding_id or 0)

    def forward(self, encoding: Encoding, keep_from: int = 0, **options: Any) -> Any:
        """Run the module, which must be guarded, and compute only the logits that are needed.

        Args:
            encoding: The texts.
            keep_from: The first position whose logits are needed.
            **options: More options, for modules that take them.

        Returns:
            The module's outputs.
        """
        options |= {"use_cache": False, "use_mems": False}
        if self.is_language_model and keep_from > 0:
            options["logits_to_keep"] = encoding.ids.shape[1] - keep_from
        return self.call(encoding.inputs, source_length=encoding.source_length, **options)

    def run(self, encoding: Encoding, keep_from: int = 0, **options: Any) -> Any:
        """Run the module as ``forward`` does where nothing but its embeddings is replaced.

        Args:
            encoding: The texts.
            keep_from: The first position whose logits are needed.
            **options: More options, for modules that take them.

        Raises:
            InputError: The module itself fails on a text of this length.
            UnsupportedModelError: The device cannot compute in the type of its weights.
        """
        with translated_failures(self.name, encoding.ids.shape[1], self.dtype, self.device):
            return self.forward(encoding, keep_from, **options)

    @contextmanager
    def own_failures(self, encoding: Encoding) -> Iterator[None]:
        """Translate what the body raises as ``run`` does where the module fails without it, too.

        The body runs the module with hooks. Where it fails, the module runs once more, without them: a fault
        of the hooks is not taken for one of the module.

        Args:
            encoding: The texts that the body runs.

        Yields:
            Nothing.

        Raises:
            InputError: The module itself fails on a text of this length.
            UnsupportedModelError: The device cannot compute in the type of its weights.
        """
        try:
            yield
        except ModelUnderstandingError:
            raise
        except Exception as error:  # a module may raise anything
            if not (isinstance(error, RuntimeError) and is_out_of_memory(error)):
                with guarded(self.module, gradients=False):
                    self.run(encoding)
            raise

    def call(self, inputs: Mapping[str, Tensor], *, source_length: int | None = None, **options: Any) -> Any:
        """Call the module, which must be guarded, with those inputs and options that it takes.

        Args:
            inputs: The inputs, by the tokenizer's names.
            source_length: Number of leading tokens that are the first of two sequences.
            **options: Options of transformers models.

        Returns:
            What the module returns.
        """
        accepted, config = self.accepted, self._module_config
        named = module_inputs(self.task, inputs, source_length)
        given = {accepted[name]: value for name, value in {**named, **options}.items() if name in accepted}
        if not self._is_own:
            given["return_dict"] = True
        rows = len(inputs["input_ids"])
        with pass_settings(self.module, config, rows), original_frequencies(self.rotaries):
            return self.module(**given)

    def logits_in(self, outputs: Any) -> Tensor:
        """Return the logits in what the module returned."""
        if self.task == QUESTION_ANSWERING:
            return span_logits(outputs, self.name)
        return self._logits_place.find(outputs)

    def broken_layer(self, inputs: Mapping[str, Tensor], source_length: int | None = None) -> str | None:
        """Run the module once more and return the first layer whose output is not finite, if there is one."""
        return first_broken_layer(self.module, lambda: self.call(inputs, source_length=source_length))

    def logits_of(
        self, outputs: Any, encoding: Encoding, keep_from: int
    ) -> Float[Tensor, "batch positions classes"]:
        """Return the logits of a forward pass from position ``keep_from`` on.

        Raises:
            NumericalError: The logits are not finite.
        """
        tokens, virtual = encoding.ids.shape[1], virtual_tokens(self.module)
        logits = logits_at(self.task, self.logits_in(outputs), keep_from, tokens, virtual)
        require_finite(logits, "logits", lambda: self.broken_layer(encoding.inputs, encoding.source_length))
        return logits

    def logits(self, encoding: Encoding, *, keep_from: int = 0) -> Float[Tensor, "batch positions classes"]:
        """Return the logits of the texts from a position on; those of a classifier are at position 0."""
        tokens = encoding.ids.shape[1]
        parts: list[Tensor] = []
        positions = self.logit_positions(tokens - keep_from)
        batches = Batches(len(encoding), tokens, self.memory, logits=positions)
        with guarded(self.module, gradients=False):
            for start, end in batches:
                with batches.halving():
                    part = encoding if end - start == len(encoding) else encoding.rows(start, end)
                    parts.append(self.logits_of(self.run(part, keep_from), part, keep_from))
                    count_forward(part.ids.numel())
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _found_logits(self) -> tuple[LogitsPlace, int]:
        """Run a module of the user's own once; return where its logits are, and how many classes it has."""
        inputs = probe_inputs(self.tokenizer, self.accepted, self.device)
        find = partial(
            found_logits,
            inputs=inputs,
            name=self.name,
            missing=required_inputs(self.module) - {self.accepted[name] for name in inputs},
            renames_mask=self.accepted.get("attention_mask", "attention_mask") != "attention_mask",
            task=self.task,
            classes=configured_classes(self.task, self.config),
        )

        def run(changed: Mapping[str, Tensor]) -> Any:
            return self.call(changed, use_cache=False, logits_to_keep=changed["input_ids"].shape[1])

        with guarded(self.module, gradients=False):
            try:
                return find(run)
            except InputError as error:
                if not isinstance(error.__cause__, TypeError):
                    raise
            # It does not pass on what the model inside it would take: it gets the tokenizer's inputs alone.
            self.accepted = {name: self.accepted[name] for name in inputs}
            return find(run)


def _check_vocabulary(ids: Sequence[int], rows: int | None) -> None:
    """Raise InputError where an id is outside of the vocabulary, whose size may be unknown."""
    highest = max(ids)
    if rows is not None and highest >= rows:
        raise InputError(
            f"The text has the token id {highest}, but the model's vocabulary has only {rows} tokens.",
            hint=f"Use the tokenizer that belongs to this model, or pass ids from 0 to {rows - 1}.",
        )


def measured_once(measure: Callable[..., Result]) -> Callable[..., Result]:
    """Cache the result of a measurement on the model; dry runs measure the actual model.

    Args:
        measure: Runs the model to measure a property of it. Its first argument is the model, further ones
            must be hashable.
    """

    @wraps(measure)
    def cached(model: Model, *arguments: Any) -> Result:
        measured = model.actual.measured
        key = (measure, *arguments)
        if key not in measured:
            measured[key] = measure(model.actual, *arguments)
        return measured[key]

    return cached
