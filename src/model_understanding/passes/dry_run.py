"""Dry run: a runner that counts passes instead of running the model.

Batches, prefixes and products are formed by the same code as in a real run; only the model is not called.
Values are placeholders: 1 for the text itself, 0 for every variant; gradients and logits are 0. Adaptive
methods are assumed to converge at once or never.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from model_understanding.errors import InputError
from model_understanding.model.lookups import EmbeddingHook
from model_understanding.model.metering import (
    PassCounter,
    count_backward,
    count_forward,
    count_memory,
    counted_by,
)
from model_understanding.model.model import Model
from model_understanding.passes.gradients import Gradients, GradientSum, product_ranges
from model_understanding.passes.memory_estimate import pass_bytes
from model_understanding.passes.runner import Runner
from model_understanding.text.encoding import Encoding

Result = TypeVar("Result")


class DryModel(Model):
    """Records each forward pass that would run, and returns placeholder logits.

    Args:
        actual: The model that would run.
        predicted: The class or token with the highest placeholder logit.
    """

    def __init__(self, actual: Model, predicted: int) -> None:
        self.__dict__.update(actual.__dict__)
        self._actual = actual
        self._predicted = predicted
        self.last_pass = (0, 0, 0)
        """Rows, tokens, and positions with logits of the last forward pass."""

    @property
    def actual(self) -> Model:
        """The model that would run; measurements are made on it."""
        return self._actual

    def forward(self, encoding: Encoding, keep_from: int = 0, **options: Any) -> None:
        """Record a forward pass that would run."""
        rows, tokens = encoding.ids.shape
        self.last_pass = (rows, tokens, self.logit_positions(tokens - keep_from))
        count_memory(lambda: pass_bytes(self, *self.last_pass))

    def logits_of(self, outputs: Any, encoding: Encoding, keep_from: int) -> Tensor:
        """Return logits that are 1 for the placeholder prediction and 0 elsewhere."""
        rows, _, positions = self.last_pass
        classes = self.class_count(encoding.ids.shape[1])
        is_predicted = torch.arange(classes, device=self.device) == min(self._predicted, classes - 1)
        return is_predicted.float().expand(rows, positions, classes)


class DryRun(Runner):
    """A runner that counts its passes; only the embedding table is read.

    Args:
        runner: The runner that would run.
        longest: Whether adaptive methods and generation run to their limits, or stop as early as possible.
        predicted: The class or token that the model is assumed to predict.
    """

    model: DryModel

    def __init__(self, runner: Runner, *, longest: bool, predicted: int = 0) -> None:
        self.__dict__.update(runner.__dict__)
        self.model = DryModel(runner.model, predicted)
        self.shared = None if runner.shared is None else {}  # placeholders are no measurements
        self._longest = longest

    def embed(self, encoding: Encoding, table_rows: Tensor | None = None) -> Tensor:
        """Return the table's rows; at a layer, count a forward pass and return placeholders."""
        if self.layer is None:
            return super().embed(encoding, table_rows)
        rows, tokens = encoding.ids.shape
        count_memory(lambda: pass_bytes(self.model, rows, tokens))
        count_forward(rows * tokens)
        states = encoding.ids[..., None].float() if table_rows is None else -1 - table_rows[..., :1].float()
        return states.expand(-1, -1, self._width)

    def gradients(self, encoding: Encoding, targets: Any, **options: Any) -> Gradients:
        """Count forward and backward passes; without the rule, which expects to see a forward pass."""
        return super().gradients(encoding, targets, **{**options, "rule": nullcontext})

    def generate(self, prompt: Encoding, **options: Any) -> list[int]:
        """Return a placeholder continuation: one token, or as many as are allowed."""
        tokens, source = prompt.tokens[0], prompt.source_length
        limit = self.model.longest_input if source is None else self.model.longest_output
        room = options["max_new_tokens"] if self._longest else 1
        ordinary = tokens.ids[~tokens.special]
        placeholder = min(int(ordinary[-1]), self.model.common_ids - 1) if len(ordinary) else 0
        return [placeholder] * (room if limit is None else min(room, limit - len(tokens) + (source or 0)))

    @property
    def _width(self) -> int:
        """Width of an embedding; at a layer, of a hidden state."""
        if self.layer is not None:
            return self.model.config.get_text_config().hidden_size
        ids = torch.zeros((1, 1), dtype=torch.long, device=self.model.device)
        return super().embed(Encoding((), {"input_ids": ids})).shape[-1]

    @contextmanager
    def hooked(
        self, encoding: Encoding, embeddings: Tensor | None, *, gradients: bool
    ) -> Iterator[EmbeddingHook]:
        """Yield a hook whose leaf is 1 for rows that are the text itself and 0 for variants."""
        rows, tokens = encoding.ids.shape
        is_text = torch.ones(rows, device=self.model.device, dtype=torch.float32)
        if embeddings is not None:
            with counted_by(None):
                unchanged = self.embed(encoding).to(embeddings.dtype)
            is_text = (unchanged == embeddings).flatten(1).all(1).float()
        width = self._width if gradients else 1
        yield EmbeddingHook(is_text[:, None, None].expand(rows, tokens, width))

    def _read(self, logits: Tensor, first: int, entries: Any, rows: Any) -> Tensor:
        """Return zeros, without computing log-probabilities of placeholder logits."""
        return logits.new_zeros((len(rows), max(len(row) for row in rows)))

    def _custom_value(self, target: Any, outputs: None) -> Tensor:
        """Return zero instead of calling the caller's function, since there are no outputs."""
        return torch.zeros((), device=self.model.device, dtype=torch.float32, requires_grad=True)

    def _add(
        self,
        total: GradientSum,
        values: Tensor,
        leaf: Tensor | None,
        encoding: Encoding,
        indices: Sequence[int],
        head_gradients: object = None,
        *,
        gradients: bool,
    ) -> None:
        """Add the values, and count the backward passes that the targets' gradients would need."""
        assert leaf is not None
        rows, tokens, width = leaf.shape
        total.add_values(values + leaf[:, :1, 0], encoding.ids.shape[1], width if gradients else 0)
        if not gradients:
            return
        ranges = product_ranges(len(indices), rows, tokens, self.model.device)
        at_once = max(end - start for start, end in ranges)
        count_memory(lambda: pass_bytes(self.model, *self.model.last_pass, at_once, len(indices)))
        for start, end in ranges:
            count_backward((end - start) * rows * tokens)


def dry_run(runner: Runner, call: Callable[[Runner], Result], *, longest: bool) -> tuple[PassCounter, Result]:
    """Return the passes that a call would run, and its result, whose values are placeholders.

    Args:
        runner: The runner that would run.
        call: The function to call with the runner.
        longest: Whether adaptive methods and generation run to their limits, or stop as early as possible.

    Returns:
        The counts, with the memory of the largest pass, and the call's result.
    """
    for predicted in (0, 1):
        counter = PassCounter(assume_converged=not longest)
        try:
            with counted_by(counter), np.errstate(all="ignore"):
                return counter, call(DryRun(runner, longest=longest, predicted=predicted))
        except InputError:
            if predicted:  # class or token 0 may be the contrast, which the prediction must not equal
                raise
    raise AssertionError("unreachable")
