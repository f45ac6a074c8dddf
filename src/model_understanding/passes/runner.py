"""Run a model over texts: the values of targets and their gradients, which methods and metrics use."""

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, Self

from jaxtyping import Bool, Float
from torch import Tensor

from model_understanding.loading import LoadedModel
from model_understanding.model.blocks import Block
from model_understanding.model.embeddings import embeddings_of, replaced_embeddings
from model_understanding.model.finite import require_finite
from model_understanding.model.generation import generated_ids
from model_understanding.model.guard import found_once, guarded
from model_understanding.model.hidden_states import block_of_layer, replaced_states, states_at_block
from model_understanding.model.lookups import EmbeddingHook
from model_understanding.model.metering import count_forward
from model_understanding.model.model import Model
from model_understanding.model.offloading import require_whole, watched_gradients
from model_understanding.passes.fit_in_memory import run_in_parts
from model_understanding.passes.gradients import Gradients, GradientSum, concatenated_rows, jacobian_rows
from model_understanding.passes.lm_head_gradient import HeadGradients, head_gradients_of, recorded_head_input
from model_understanding.passes.predicted_targets import PredictedTargets
from model_understanding.passes.prefix_plan import prefixes_of
from model_understanding.passes.target_values import (
    CustomTarget,
    Entry,
    TargetRows,
    Targets,
    custom_value,
    entries_of,
    for_each_row,
    read_values,
)
from model_understanding.text.encoding import Encoding

BackwardRule = Callable[[], AbstractContextManager[Any]]
"""Makes a context for a forward pass that modifies its backward pass."""


class Runner:
    """Runs one loaded model, and leaves it unchanged.

    Args:
        loaded: The model, its tokenizer, its task and their provenance; or a ``Model`` made from them.
    """

    def __init__(self, loaded: LoadedModel | Model) -> None:
        self.model = loaded if isinstance(loaded, Model) else Model(loaded)
        self.recompute: bool | None = None
        """Whether blocks are recomputed in the backward pass to save memory; ``None``: where necessary."""
        self.layer: int | None = None
        """The block whose input replaces the embeddings; ``None`` for the embedding table's output."""
        self.shared: dict[bytes, dict[Any, Any]] | None = None
        """Measurements on texts that methods and metrics share, by text; ``None``: each has its own."""
        self._block: Block | None = None
        self._passes_gradients = False

    @property
    def is_language_model(self) -> bool:
        """Whether the model predicts next tokens, not classes."""
        return self.model.is_language_model

    def at_layer(self, layer: int | None) -> Self:
        """Return a runner of the same model whose embeddings are the hidden states that enter a block.

        Methods then read, replace and differentiate the block's input instead of the embeddings.

        Args:
            layer: The block's index, negative from the end; ``None`` for the embedding table's output.

        Returns:
            A view of this runner, which shares all measurements of the model.

        Raises:
            InputError: There is no such layer.
            UnsupportedModelError: The model's blocks cannot be located, or other paths bypass the block.
        """
        if layer == self.layer:
            return self
        view = copy.copy(self)
        view._block, view.layer = (None, None) if layer is None else block_of_layer(self.model, layer)
        return view

    def sharing(self) -> Self:
        """Return a runner of the same model whose methods and metrics share what they measure on a text.

        Where they need the same variant of the text, it runs once.
        """
        view = copy.copy(self)
        view.shared = {}
        return view

    def shared_on(self, encoding: Encoding) -> dict[Any, Any]:
        """Return the measurements on one text that are shared, to be read and added to."""
        if self.shared is None:
            return {}
        return self.shared.setdefault(encoding.ids.cpu().numpy().tobytes(), {})

    def release(self, encoding: Encoding) -> None:
        """Forget the shared measurements on a text whose report is done."""
        if self.shared is not None:
            self.shared.pop(encoding.ids.cpu().numpy().tobytes(), None)

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
            embeddings: Values that replace the embeddings (see ``embed``), ``(B, T, D)``.
            keep: Tokens that the attention mask leaves visible, ``(B, T)``; default: all.

        Returns:
            Values in 32-bit precision or better, ``(B, N)``.
        """
        run = partial(self._run, gradients=False)
        with guarded(self.model.module, gradients=False):
            parts = run_in_parts(self.model, run, encoding, targets, embeddings, keep, gradients=False)
        return concatenated_rows(parts).values

    def gradients(
        self,
        encoding: Encoding,
        targets: Targets,
        *,
        embeddings: Float[Tensor, "batch tokens width"] | None = None,
        rule: BackwardRule = nullcontext,
    ) -> Gradients:
        """Return the value of each target and its gradient with respect to the embeddings.

        One forward pass serves all targets that share a prefix, and their gradients are computed together
        as a batched vector–Jacobian product.

        Args:
            encoding: The texts; one text is repeated for each row of ``embeddings``.
            targets: N targets for all rows, N for each row, or a function of the model's outputs.
            embeddings: Values that replace the embeddings (see ``embed``), ``(B, T, D)``.
            rule: Makes a context for the forward pass that modifies the backward pass.

        Returns:
            Values ``(B, N)`` and gradients ``(B, N, T, D)``, both in 32-bit precision or better.
        """
        module = self.model.module
        found_once(require_whole, module)
        run = partial(self._run, gradients=True, rule=rule)
        watch = nullcontext() if self._passes_gradients else watched_gradients(module)
        with guarded(module, gradients=True), watch:
            parts = run_in_parts(
                self.model, run, encoding, targets, embeddings, None, gradients=True, recompute=self.recompute
            )
        self._passes_gradients = True
        return concatenated_rows(parts)

    def embed(
        self, encoding: Encoding, table_rows: Float[Tensor, "batch tokens width"] | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        """Return the embeddings of the texts; at a layer, the hidden states that enter it.

        Args:
            encoding: The texts.
            table_rows: Values that replace the embedding table's output, ``(B, T, D)``.
        """
        if self._block is not None:
            return states_at_block(self.model, self._block, encoding, table_rows)
        if table_rows is not None:
            return table_rows
        with guarded(self.model.module, gradients=False):
            return embeddings_of(self.model, encoding.ids)

    def generate(self, prompt: Encoding, **options: Any) -> list[int]:
        """Return the ids that the model generates after a prompt; see ``generation.generated_ids``."""
        with guarded(self.model.module, gradients=False):
            return generated_ids(self.model, prompt, **options)

    def hooked(
        self, encoding: Encoding, embeddings: Tensor | None, *, gradients: bool
    ) -> AbstractContextManager[EmbeddingHook]:
        """Hook the place where this runner's embeddings enter the model, for one forward pass, if needed.

        Args:
            encoding: The texts of the forward pass.
            embeddings: Values that replace the embeddings (see ``embed``).
            gradients: Whether what enters the model becomes a leaf of the graph.
        """
        if embeddings is None and not gradients:
            return nullcontext(EmbeddingHook())
        if self._block is None:
            return replaced_embeddings(self.model, encoding.ids, embeddings, encoding.source_length)
        return replaced_states(self.model.module, self._block, encoding.ids, embeddings)

    # The parts of a pass.

    def _run(
        self,
        encoding: Encoding,
        targets: Targets,
        embeddings: Tensor | None,
        keep: Tensor | None,
        *,
        gradients: bool,
        rule: BackwardRule = nullcontext,
    ) -> Gradients:
        """Return the value of each target for each row of a batch that fits, and its gradient if requested.

        Returns:
            Values ``(B, N)`` and gradients ``(B, N, T, D)``, with T = 0 if they are not requested.
        """
        variants = embeddings if embeddings is not None else keep
        if variants is not None:
            encoding = encoding.repeated(len(variants))
        if keep is not None:
            encoding = replace(encoding, inputs={**encoding.inputs, "attention_mask": keep.long()})
        if callable(targets):
            return self._run_custom(encoding, targets, embeddings, gradients=gradients, rule=rule)
        predicted = targets if isinstance(targets, PredictedTargets) and variants is None else None
        predicted = None if predicted is None or predicted.is_known else predicted
        rows: TargetRows = [] if predicted else for_each_row(targets, len(encoding))
        entries = predicted.entries() if predicted else entries_of(rows)
        total = GradientSum()
        for length, group in prefixes_of(self.model, encoding, entries, gradients=gradients):
            part = encoding.prefix(length)
            replacement = None if embeddings is None else embeddings[:, :length]
            first = min(entry.position for entry in group)
            indices = sorted({entry.target for entry in group})
            shares_head = gradients and self.is_language_model and len(indices) > 1
            with (
                self.hooked(part, replacement, gradients=gradients) as hook,
                recorded_head_input(self.model.module, enabled=shares_head) as head_input,
                rule(),
            ):
                # A sentence encoder then reads a text that several rows share once.
                outputs = self.model.run(part, first, distinct=replacement is None and not gradients)
            logits = self.model.logits_of(outputs, part, first)
            count_forward(part.ids.numel())
            if predicted:  # only one position is read, so this is the only forward pass
                predicted.resolve(logits)
                rows = predicted
                group = entries_of(rows)
            values = self._read(logits, first, group, rows)
            del logits, outputs  # they are large, and the graph keeps what it needs of them
            head_gradients = None
            if shares_head:
                assert hook.leaf is not None
                head_gradients = head_gradients_of(head_input, values, hook.leaf, group, indices)
            self._add(total, values, hook.leaf, encoding, indices, head_gradients, gradients=gradients)
        return total.result

    def _run_custom(
        self,
        encoding: Encoding,
        target: CustomTarget,
        embeddings: Tensor | None,
        *,
        gradients: bool,
        rule: BackwardRule,
    ) -> Gradients:
        """Run a function of the model's outputs on one text at a time, as the caller's function expects."""
        parts = []
        for row in range(len(encoding)):
            text = encoding.row(row)
            replacement = None if embeddings is None else embeddings[row : row + 1, : text.ids.shape[1]]
            with self.hooked(text, replacement, gradients=gradients) as hook, rule():
                outputs = self.model.run(text, 0)
                value = self._custom_value(target, outputs)
            self.model.logits_of(outputs, text, 0)
            count_forward(text.ids.numel())
            values = custom_value(value, gradients=gradients)
            total = GradientSum()
            self._add(total, values, hook.leaf, encoding, [0], gradients=gradients)
            parts.append(total.result)
        return concatenated_rows(parts)

    # The parts that a dry run replaces.

    def _read(self, logits: Tensor, first: int, entries: Sequence[Entry], rows: TargetRows) -> Tensor:
        """Return the value of each row's targets, read from logits that start at position ``first``."""
        return read_values(logits, first, entries, rows, self.model.output_activation)

    def _custom_value(self, target: CustomTarget, outputs: Any) -> Any:
        """Return the value of the caller's function for the model's outputs."""
        return target(outputs)

    def _add(
        self,
        total: GradientSum,
        values: Tensor,
        leaf: Tensor | None,
        encoding: Encoding,
        indices: Sequence[int],
        head_gradients: HeadGradients | None = None,
        *,
        gradients: bool,
    ) -> None:
        """Add the values of one forward pass, and the gradients of the targets that it serves."""
        if not gradients:
            total.add_values(values, encoding.ids.shape[1], 0)
            return
        assert leaf is not None
        total.add_values(values, encoding.ids.shape[1], leaf.shape[-1])
        self.model.memory.measure(values, leaf)
        for part, rows in jacobian_rows(values[:, list(indices)], leaf, head_gradients):
            require_finite(rows, "gradients")
            total.add_rows(indices[part], rows)
