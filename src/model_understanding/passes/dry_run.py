"""A runner that counts in place of running: what a method's own code will ask of the model.

Batches, prefixes and products are formed by the code that forms them in a run; only the model itself is
left out. Values are 1 on the text itself and 0 on every variant, gradients and logits are 0. Where a method
goes on until something is small enough, a dry run assumes that it is, at once or never.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from model_understanding.errors import InputError
from model_understanding.model.embeddings import EmbeddingSwap
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
from model_understanding.text.max_length import longest_input

Result = TypeVar("Result")


class DryModel(Model):
    """Notes each forward pass that would run, and gives logits by which one class or token is likeliest.

    Args:
        actual: The model that would run.
        likeliest: The class or token that stands in for the model's answer.
    """

    def __init__(self, actual: Model, likeliest: int) -> None:
        self.__dict__.update(actual.__dict__)
        self._actual = actual
        self._likeliest = likeliest
        self.last_pass = (0, 0, 0)
        """Rows, tokens, and positions with logits of the forward pass noted last."""

    @property
    def actual(self) -> Model:
        """The model that would run, with which things are measured once for a model."""
        return self._actual

    def forward(self, encoding: Encoding, keep_from: int = 0) -> None:
        """Note the forward pass that would run."""
        rows, tokens = encoding.ids.shape
        self.last_pass = (rows, tokens, tokens - keep_from if self.is_language_model else 1)
        count_memory(lambda: pass_bytes(self, *self.last_pass))

    def logits_of(self, outputs: Any, encoding: Encoding, keep_from: int) -> Tensor:
        """Return logits by which the stand-in is the likeliest."""
        rows, _, positions = self.last_pass
        text_config = self.config.get_text_config()
        classes = text_config.vocab_size if self.is_language_model else text_config.num_labels
        answer = torch.arange(classes, device=self.device) == min(self._likeliest, classes - 1)
        return answer.float().expand(rows, positions, classes)


class DryRun(Runner):
    """Counts what is asked of a runner; only the embedding table is read.

    Args:
        runner: The runner that would run.
        longest: Whether adaptive methods go on to their limits, or stop as soon as they may.
        likeliest: The class or token that stands in for the model's answer.
    """

    model: DryModel

    def __init__(self, runner: Runner, *, longest: bool, likeliest: int = 0) -> None:
        self.__dict__.update(runner.__dict__)
        self.model = DryModel(runner.model, likeliest)
        self._longest = longest

    def embed(self, encoding: Encoding, table_rows: Tensor | None = None) -> Tensor:
        """Return the table's rows; at a layer count a forward pass and return what differs as they do."""
        if self.layer is None:
            return super().embed(encoding, table_rows)
        rows, tokens = encoding.ids.shape
        count_memory(lambda: pass_bytes(self.model, rows, tokens))
        count_forward(rows * tokens)
        start = encoding.ids[..., None].float() if table_rows is None else -1 - table_rows[..., :1].float()
        return start.expand(-1, -1, self._width)

    def gradients(self, encoding: Encoding, targets: Any, **options: Any) -> Gradients:
        """Count a forward and its backward passes; a rule that sees no backward pass would complain."""
        return super().gradients(encoding, targets, **{**options, "rule": nullcontext})

    def generate(self, prompt: Any, inputs: dict[str, list[int]], **options: Any) -> list[int]:
        """Return stand-ins for what the model will say: one token, or as many as it may."""
        limit = longest_input(self.model.module, self.model.tokenizer)
        room = options["max_new_tokens"] if self._longest else 1
        ordinary = prompt.ids[~prompt.special]
        stand_in = int(ordinary[-1]) if len(ordinary) else 0
        return [stand_in] * (room if limit is None else min(room, limit - len(prompt)))

    @property
    def _width(self) -> int:
        """Numbers in an embedding; at a layer, in a hidden state."""
        if self.layer is not None:
            return self.model.config.get_text_config().hidden_size
        one = torch.zeros((1, 1), dtype=torch.long, device=self.model.device)
        return super().embed(Encoding((), {"input_ids": one})).shape[-1]

    @contextmanager
    def _cut(self, encoding: Encoding, embeddings: Tensor | None) -> Iterator[EmbeddingSwap]:
        """Yield as the leaf 1 for rows that are the text itself and 0 for those with other embeddings."""
        rows, tokens = encoding.ids.shape
        is_text = torch.ones(rows, device=self.model.device)
        if embeddings is not None:
            with counted_by(None):
                own = self.embed(encoding).to(embeddings.dtype)
            is_text = (own == embeddings).flatten(1).all(1).float()
        yield EmbeddingSwap(is_text[:, None, None].expand(rows, tokens, self._width))

    def _read(self, logits: Tensor, first: int, entries: Any, rows: Any) -> Tensor:
        """Read nothing: there is no need to form log-probabilities of zeros."""
        return logits.new_zeros((len(rows), max(len(row) for row in rows)))

    def _custom_answer(self, target: Any, outputs: None) -> Tensor:
        """Answer in place of the caller's function, for there are no outputs."""
        return torch.zeros((), device=self.model.device, requires_grad=True)

    def _add(
        self,
        total: GradientSum,
        values: Tensor,
        leaf: Tensor,
        encoding: Encoding,
        indices: Sequence[int],
        split: object = None,
        *,
        gradients: bool,
    ) -> None:
        """Add the values, and count the backward passes that the targets' gradients would take."""
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
    """Return what a call would run, and what it returned: values are placeholders.

    Args:
        runner: The runner that would run.
        call: Does with a runner what will be done.
        longest: Whether adaptive methods go on to their limits, or stop as soon as they may.

    Returns:
        The counts with the memory of the largest pass, and the call's result.
    """
    for likeliest in (0, 1):
        meter = PassCounter(settles=not longest)
        try:
            with counted_by(meter), np.errstate(all="ignore"):
                return meter, call(DryRun(runner, longest=longest, likeliest=likeliest))
        except InputError:
            if likeliest:  # the first may just have been what the answer is contrasted with
                raise
    raise AssertionError("unreachable")
