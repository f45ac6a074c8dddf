"""Run one model: the contract on which methods, maps and metrics stand."""

import copy
import inspect
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Self

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from model_understanding.attention.capture.mode import Axis, CapturedAttention, capture_attention
from model_understanding.attention.capture.reducers import Reducer
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.loading import LoadedModel
from model_understanding.model import causality
from model_understanding.model.batching import packed
from model_understanding.model.blocks import Block, BlockStack, find_blocks
from model_understanding.model.embeddings import EmbeddingSwap, embedding_table, swapped_embeddings
from model_understanding.model.finite import first_broken_layer, require_finite
from model_understanding.model.generation import generated_ids
from model_understanding.model.guard import end_pooling, guarded
from model_understanding.model.hidden_states import carried_states, found_layer, swapped_states
from model_understanding.model.memory import Memory
from model_understanding.model.metering import count_forward
from model_understanding.model.offloading import require_whole, watched_gradients
from model_understanding.passes.fit_in_memory import run_in_parts
from model_understanding.passes.gradients import Gradients, GradientSum, joined_rows, rows_of_jacobian
from model_understanding.passes.lm_head_gradient import SplitDirections
from model_understanding.passes.target_passes import BackwardRule, run_targets
from model_understanding.passes.target_values import CustomTarget as CustomTarget
from model_understanding.passes.target_values import Entry, Link, TargetRows, read_values
from model_understanding.passes.target_values import Targets as Targets
from model_understanding.targets import classification
from model_understanding.targets.names import CAUSAL_LM
from model_understanding.text.encoding import Encoding, batch_of
from model_understanding.text.max_length import check_length
from model_understanding.tokens import Tokens


class Runner:
    """Runs one loaded model without leaving a trace on it.

    Args:
        loaded: The model, its tokenizer, its task and where they come from.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.model = loaded.model
        self.tokenizer = loaded.tokenizer
        self.config: Any = loaded.model.config
        self.device = loaded.device
        self.accepted = inspect.signature(self.model.forward).parameters
        """The inputs that the model's forward takes, by name."""
        self._is_causal: bool | None = None
        self._passes_gradients = False
        self.memory = Memory(self.model, self.device)
        self.recompute: bool | None = None
        """Whether blocks run again in the backward pass, to hold less: where needed, always or never."""
        self.layer: int | None = None
        self._stack: BlockStack | None = None

    def at_layer(self, layer: int | None) -> Self:
        """Return a runner of the same model whose embeddings are the hidden states that enter a block.

        What methods do at the embedding table's output — differentiate, ask for the values, put others in
        their place — they then do at the block's input.

        Args:
            layer: The block, from 0, or from −1 at the end; ``None`` for the embedding table's output.

        Returns:
            A view of this runner; what was measured about the model is shared.

        Raises:
            InputError: There is no such layer.
            UnsupportedModelError: The model's blocks cannot be told, or a block's input is not all that
                the model knows of the text there.
        """
        if layer == self.layer:
            return self
        if layer is not None:
            self._stack, layer = found_layer(self, self._stack, layer)
        view = copy.copy(self)
        view.layer = layer
        return view

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The model's blocks in the order in which they run, found by running it once.

        Raises:
            UnsupportedModelError: They cannot be told.
        """
        self._stack = self._stack or find_blocks(self)
        return self._stack.blocks

    @property
    def is_language_model(self) -> bool:
        """Whether the model predicts next tokens rather than classes."""
        return self.loaded.task == CAUSAL_LM

    @property
    def link(self) -> Link:
        """How this model's logits become probabilities."""
        if self.is_language_model:
            return "softmax"
        return classification.LINKS[classification.problem_of(self.config)]  # pyright: ignore[reportReturnType]

    @property
    def is_causal(self) -> bool:
        """Whether each logit depends on no later token; measured once, not read from the configuration."""
        if self._is_causal is None:
            self._is_causal = causality.is_causal(self)
        return self._is_causal

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
        check_length(self.model, self.tokenizer, len(tokens))
        rows = getattr(embedding_table(self.model), "num_embeddings", None)
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
                f"{type(self.model).__name__} cannot take texts of different lengths in one batch.",
                hint="Run texts of one length together.",
            )
        return batch_of(encodings, padding_id or 0)

    @property
    def pads_exactly(self) -> bool:
        """Whether padding on the right leaves this model's answers as they are."""
        # XLNet reads its answer from the last position, padded or not.
        return self.config.model_type != "xlnet"

    def logits(self, encoding: Encoding, *, keep_from: int = 0) -> Float[Tensor, "batch positions classes"]:
        """Return the logits of a plain forward, from one position on; a classifier's stand at position 0."""
        tokens = encoding.ids.shape[1]

        def run(start: int, end: int) -> Tensor:
            part = encoding if end - start == len(encoding) else encoding.rows(start, end)
            logits = self.logits_of(self.forward(part, keep_from), part, keep_from)
            count_forward(part.ids.numel())
            return logits

        with guarded(self.model, gradients=False):
            parts = packed(run, len(encoding), tokens, self.memory, logits=tokens - keep_from)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def values(
        self,
        encoding: Encoding,
        targets: Targets,
        *,
        embeddings: Float[Tensor, "batch tokens width"] | None = None,
        keep: Bool[Tensor, "batch tokens"] | None = None,
    ) -> Float[Tensor, "batch targets"]:
        """Return the value of each target for each text.

        Args:
            encoding: The texts; one text is repeated for each row of ``embeddings`` or ``keep``.
            targets: N targets for all rows, N for each row, or a function of the model's outputs.
            embeddings: Values to use in place of the embeddings (see ``embed``), ``(B, T, D)``.
            keep: Tokens that may be attended to, ``(B, T)``; all where left out.

        Returns:
            Values in 32-bit precision, ``(B, N)``.
        """
        with guarded(self.model, gradients=False):
            return self._in_parts(encoding, targets, embeddings, keep, gradients=False).values

    def gradients(
        self,
        encoding: Encoding,
        targets: Targets,
        *,
        embeddings: Float[Tensor, "batch tokens width"] | None = None,
        rule: BackwardRule = nullcontext,
    ) -> Gradients:
        """Return the value of each target and its gradient with respect to the embeddings.

        One forward serves all targets that share a prefix; the targets' gradients are taken together as
        one batched vector–Jacobian product.

        Args:
            encoding: The texts; one text is repeated for each row of ``embeddings``.
            targets: N targets for all rows, N for each row, or a function of the model's outputs.
            embeddings: Values to use in place of the embeddings (see ``embed``), ``(B, T, D)``.
            rule: Makes a context for the forward that changes what the backward will see.

        Returns:
            Values ``(B, N)`` and gradients ``(B, N, T, D)``, both in 32-bit precision.
        """
        require_whole(self.model)
        with guarded(self.model, gradients=True):
            with nullcontext() if self._passes_gradients else watched_gradients(self.model):
                found = self._in_parts(encoding, targets, embeddings, None, gradients=True, rule=rule)
            self._passes_gradients = True
            return found

    def _in_parts(
        self,
        encoding: Encoding,
        targets: Targets,
        embeddings: Tensor | None,
        keep: Tensor | None,
        *,
        gradients: bool,
        rule: BackwardRule = nullcontext,
    ) -> Gradients:
        """Run a batch in as few parts as fit."""
        run = partial(run_targets, self, gradients=gradients, rule=rule)
        return joined_rows(run_in_parts(self, run, encoding, targets, embeddings, keep, gradients=gradients))

    def embed(
        self, encoding: Encoding, table_rows: Float[Tensor, "batch tokens width"] | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        """Return what the embedding table gives for the texts; at a layer, the hidden states that enter it.

        Args:
            encoding: The texts.
            table_rows: Values to start from in place of the embedding table's, ``(B, T, D)``.
        """
        if self.layer is not None and self._stack is not None:
            return carried_states(self, self._stack.blocks[self.layer], encoding, table_rows)
        if table_rows is not None:
            return table_rows
        with guarded(self.model, gradients=False):
            return embedding_table(self.model)(encoding.ids).detach()

    def capture(
        self,
        encoding: Encoding,
        layers: Axis,
        heads: Axis,
        queries: Sequence[int] | None = None,
        reducer: Reducer | None = None,
    ) -> CapturedAttention:
        """Return attention weights of a plain forward, exact and reduced layer by layer.

        Args:
            encoding: The texts.
            layers: Indices of layers, or ``mean`` or ``max`` over all of them.
            heads: Indices of heads, likewise.
            queries: Positions of the rows to keep; all where left out.
            reducer: What to keep of a layer's rows (``attention_reducers``); all of them where left out.

        Returns:
            Weights ``(B, L, H, Q, T)`` and the cells that may be attended to ``(B, Q, T)``; a reducer's
            result stands in place of the last two axes.

        Raises:
            UnsupportedModelError: This model's attention cannot be caught exactly.
        """
        with guarded(self.model, gradients=False):
            return capture_attention(self, encoding, layers, heads, queries, reducer)

    def generate(self, prompt: Tokens, inputs: dict[str, list[int]], **options: Any) -> list[int]:
        """Return the ids that the model puts after a prompt; see ``generation.generated_ids``."""
        with guarded(self.model, gradients=False):
            return generated_ids(self, self.encode(prompt, inputs), **options)

    # What a pass consists of (``target_passes``); a rehearsal counts in place of each.

    def cut(self, encoding: Encoding, given: Tensor | None) -> AbstractContextManager[EmbeddingSwap]:
        """Cut the graph for one forward, where this runner's embeddings enter the model."""
        if self.layer is None or self._stack is None:
            return swapped_embeddings(self.model, encoding.ids, given)
        return swapped_states(self.model, self._stack.blocks[self.layer], encoding.ids, given)

    def forward(self, encoding: Encoding, keep_from: int = 0) -> Any:
        """Run the model on real ids, computing only the logits that are needed."""
        options: dict[str, Any] = {"return_dict": True}
        if "use_cache" in self.accepted:
            options["use_cache"] = False
        if "use_mems" in self.accepted:
            options["use_mems"] = False
        if self.is_language_model and "logits_to_keep" in self.accepted and keep_from > 0:
            options["logits_to_keep"] = encoding.ids.shape[1] - keep_from
        with end_pooling(self.config, len(encoding)):
            return self.model(**encoding.inputs, **options)

    def logits_of(self, outputs: Any, encoding: Encoding, keep_from: int) -> Tensor:
        """Return logits as ``(batch, positions, classes)``, their first position being ``keep_from``."""
        logits = outputs.logits
        if self.is_language_model:
            wanted = encoding.ids.shape[1] - keep_from
            logits = logits[:, -wanted:] if logits.shape[1] > wanted else logits
        else:
            logits = logits[:, None]
        require_finite(logits, "logits", lambda: first_broken_layer(self.model, encoding.inputs))
        return logits

    def read(self, logits: Tensor, first: int, entries: Sequence[Entry], rows: TargetRows) -> Tensor:
        """Return the value of each row's targets from logits, of which the first stands at a position."""
        return read_values(logits, first, entries, rows, self.link)

    def custom_answer(self, target: CustomTarget, outputs: Any) -> Any:
        """Return what the caller's function says of the model's outputs."""
        return target(outputs)

    def add_to(
        self,
        found: GradientSum,
        values: Tensor,
        leaf: Tensor,
        encoding: Encoding,
        numbers: Sequence[int],
        split: SplitDirections | None = None,
        *,
        gradients: bool,
    ) -> None:
        """Add the values that one forward gave, and the gradients of the targets that it served."""
        found.add_values(values, encoding.ids.shape[1], leaf.shape[-1] if gradients else 0)
        if not gradients:
            return
        self.memory.measure(values, leaf)
        for chosen, rows in rows_of_jacobian(values[:, list(numbers)], leaf, split):
            require_finite(rows, "gradients")
            found.add_rows(numbers[chosen], rows)
