"""A runner that counts in place of running: what a method's own code will ask of the model.

Batches, prefixes and products are formed by the code that forms them in a run; only the model itself is
left out. Values are 1 on the text itself and 0 on every variant, gradients and logits are 0. Where a method
goes on until something is small enough, a rehearsal says at once that it is, or never.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from model_understanding.errors import InputError
from model_understanding.model.embeddings import EmbeddingSwap
from model_understanding.model.metering import Meter, count_backward, count_forward, count_memory, metered
from model_understanding.passes.gradients import Gradients, GradientSum, product_ranges
from model_understanding.passes.memory_estimate import pass_bytes
from model_understanding.passes.runner import Runner
from model_understanding.text.encoding import Encoding
from model_understanding.text.max_length import longest_input

Result = TypeVar("Result")


class Rehearsal(Runner):
    """Counts what is asked of a runner; only the embedding table is read.

    Args:
        runner: The runner that would run.
        longest: Whether adaptive methods go on to their limits, or stop as soon as they may.
        likeliest: The class or token that stands in for the model's answer.
    """

    def __init__(self, runner: Runner, *, longest: bool, likeliest: int = 0) -> None:
        self.__dict__.update(runner.__dict__)
        self._actual = runner
        self._likeliest = likeliest
        self._longest = longest
        self._pass = (0, 0, 0)  # rows, tokens and positions with logits of the forward under way

    @property
    def is_causal(self) -> bool:
        """Whether the model is causal; measured by the runner that would run, once for a model."""
        return self._actual.is_causal

    def at_layer(self, layer: int | None) -> "Rehearsal":
        """Return the rehearsal of the runner at a layer, whose blocks that runner finds."""
        actual = self._actual.at_layer(layer)
        return Rehearsal(actual, longest=self._longest, likeliest=self._likeliest)

    def embed(self, encoding: Encoding, table_rows: Tensor | None = None) -> Tensor:
        """Return the table's rows; at a layer count a forward and return what differs as they do."""
        if self.layer is None:
            return super().embed(encoding, table_rows)
        rows, tokens = encoding.ids.shape
        count_memory(lambda: pass_bytes(self, rows, tokens))
        count_forward(rows * tokens)
        start = encoding.ids[..., None].float() if table_rows is None else -1 - table_rows[..., :1].float()
        return start.expand(-1, -1, self._width)

    def gradients(self, encoding: Encoding, targets: Any, **options: Any) -> Gradients:
        """Count a forward and its backward passes; a rule that sees no backward would complain."""
        return super().gradients(encoding, targets, **{**options, "rule": nullcontext})

    def generate(self, prompt: Any, inputs: dict[str, list[int]], **options: Any) -> list[int]:
        """Return stand-ins for what the model will say: one token, or as many as it may."""
        limit = longest_input(self.model, self.tokenizer)
        room = options["max_new_tokens"] if self._longest else 1
        ordinary = prompt.ids[~prompt.special]
        stand_in = int(ordinary[-1]) if len(ordinary) else 0
        return [stand_in] * (room if limit is None else min(room, limit - len(prompt)))

    @property
    def _width(self) -> int:
        """Numbers in an embedding; at a layer, in a hidden state."""
        if self.layer is not None:
            return self.config.get_text_config().hidden_size
        one = torch.zeros((1, 1), dtype=torch.long, device=self.device)
        return super().embed(Encoding((), {"input_ids": one})).shape[-1]

    def forward(self, encoding: Encoding, keep_from: int = 0) -> None:
        """Note the forward that would run."""
        rows, tokens = encoding.ids.shape
        self._pass = (rows, tokens, tokens - keep_from if self.is_language_model else 1)
        count_memory(lambda: pass_bytes(self, *self._pass))

    def logits_of(self, outputs: Any, encoding: Encoding, keep_from: int) -> Tensor:
        """Return logits by which the stand-in is the likeliest."""
        rows, _, positions = self._pass
        text_config = self.config.get_text_config()
        classes = text_config.vocab_size if self.is_language_model else text_config.num_labels
        answer = torch.arange(classes, device=self.device) == min(self._likeliest, classes - 1)
        return answer.float().expand(rows, positions, classes)

    @contextmanager
    def cut(self, encoding: Encoding, given: Tensor | None) -> Iterator[EmbeddingSwap]:
        """Yield as the leaf 1 for rows that are the text itself and 0 for those with other embeddings."""
        rows, tokens = encoding.ids.shape
        is_text = torch.ones(rows, device=self.device)
        if given is not None:
            with metered(None):
                own = self.embed(encoding).to(given.dtype)
            is_text = (own == given).flatten(1).all(1).float()
        yield EmbeddingSwap(is_text[:, None, None].expand(rows, tokens, self._width))

    def read(self, logits: Tensor, first: int, entries: Any, rows: Any) -> Tensor:
        """Read nothing: there is no need to form log-probabilities of zeros."""
        return logits.new_zeros((len(rows), max(len(row) for row in rows)))

    def custom_answer(self, target: Any, outputs: None) -> Tensor:
        """Answer in place of the caller's function, for there are no outputs."""
        return torch.zeros((), device=self.device, requires_grad=True)

    def add_to(
        self,
        found: GradientSum,
        values: Tensor,
        leaf: Tensor,
        encoding: Encoding,
        numbers: Sequence[int],
        split: object = None,
        *,
        gradients: bool,
    ) -> None:
        """Add the values, and count the backwards that the targets' gradients would take."""
        rows, tokens, width = leaf.shape
        found.add_values(values + leaf[:, :1, 0], encoding.ids.shape[1], width if gradients else 0)
        if not gradients:
            return
        ranges = product_ranges(len(numbers), rows, tokens, self.device)
        at_once = max(end - start for start, end in ranges)
        count_memory(lambda: pass_bytes(self, *self._pass, at_once, len(numbers)))
        for start, end in ranges:
            count_backward((end - start) * rows * tokens)


def rehearsed(runner: Runner, call: Callable[[Runner], Result], *, longest: bool) -> tuple[Meter, Result]:
    """Return what a call would run, and what it returned: the form of a run, its numbers mean nothing.

    Args:
        runner: The runner that would run.
        call: Does with a runner what will be done.
        longest: Whether adaptive methods go on to their limits, or stop as soon as they may.

    Returns:
        The counts with the memory of the largest pass, and the call's result.
    """
    for likeliest in (0, 1):
        meter = Meter(settles=not longest)
        try:
            with metered(meter), np.errstate(all="ignore"):
                return meter, call(Rehearsal(runner, longest=longest, likeliest=likeliest))
        except InputError:
            if likeliest:  # the first may just have been what the answer is contrasted with
                raise
    raise AssertionError("unreachable")
