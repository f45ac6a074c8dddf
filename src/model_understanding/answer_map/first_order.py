"""What hiding each token would do to first order, by one backward pass for each part of the answer.

A gate g multiplies the attention that every later position pays to a token, before it is normalized; hiding
the token is g = 0. ``log p(g = 1) − log p(g = 0) ≈ ∂ log p / ∂g`` at 1, summed over all layers and heads: the
gradient with respect to what is added to the scores of its key.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from model_understanding.answer_map.removal import HiddenTokens
from model_understanding.attention.capture.recognition import (
    FUSED,
    SOFTMAX,
    axis_of_softmax,
    fused_arguments,
)
from model_understanding.errors import UnsupportedModelError
from model_understanding.model.guard import guarded
from model_understanding.model.metering import count_backward, count_forward
from model_understanding.passes.checkpointing import block_context, recomputed_blocks
from model_understanding.perturbation.cached_positions import run_after, shared_prefix

_log = logging.getLogger("model_understanding")


def first_order_effects(
    hidden: HiddenTokens, spans: Sequence[tuple[int, int]]
) -> Float[np.ndarray, "spans tokens"] | None:
    """Return what hiding each token would do to some parts of the answer, to first order.

    Blocks are recomputed in the backward pass, so that the graph of one is in memory at a time.

    Args:
        hidden: The text with its cached keys and values.
        spans: First token and token after the last one of each part, counted in the answer.

    Returns:
        Effects on the sum of each part's values; ``None`` where the model's attention is not found.
    """
    try:
        with guarded(hidden.model.module, gradients=True), recomputed_blocks(hidden.model.module):
            return np.concatenate(list(_by_batch(hidden, spans)))
    except (UnsupportedModelError, _NoAttentionError) as error:
        _log.info("Sentences of %s cannot be screened to first order: %s", hidden.model.name, error)
        return None


def first_order_cost(hidden: HiddenTokens, spans: int) -> int:
    """Return the number of positions of these passes, forward and backward.

    Args:
        hidden: The text with its cached keys and values.
        spans: Number of parts of the answer.
    """
    return 2 * spans * (hidden.ids.shape[1] - hidden.start)


class _NoAttentionError(Exception):
    """No attention over all positions was found."""


def _by_batch(hidden: HiddenTokens, spans: Sequence[tuple[int, int]]) -> Any:
    length, start = hidden.ids.shape[1], hidden.start
    lowest = max(start, hidden.prompt_length - 1)
    steps, shared = hidden.steps_after(lowest), shared_prefix(hidden.cache, start)
    batches = hidden.batches(len(spans), start, gradients=True)
    for begin, end in batches:
        with batches.halving():
            gates = torch.zeros(end - begin, length, device=hidden.ids.device, requires_grad=True)
            ids = hidden.ids[:, start:].expand(end - begin, -1)
            token = block_context.set(partial(_gated, gates))  # for what is recomputed
            try:
                with (mode := _Gates(gates)):
                    outputs = run_after(hidden.model, ids, start, lowest, shared)
            finally:
                block_context.reset(token)
            if not mode.is_used:
                raise _NoAttentionError("no attention over all positions ran")
            values = hidden.read(outputs, ids, steps, length - lowest)
            count_forward(ids.numel())
            first = int(steps[0])
            parts = [values[row, a - first : b - first].sum() for row, (a, b) in enumerate(spans[begin:end])]
            (gradient,) = torch.autograd.grad(torch.stack(parts).sum(), gates)
            count_backward(ids.numel())
            found = gradient.double().cpu().numpy()
        yield np.pad(found, ((0, 0), (0, 1)))  # nothing attends to the last token


@contextmanager
def _gated(gates: Tensor, _: nn.Module) -> Iterator[None]:
    with _Gates(gates):
        yield


class _Gates(TorchFunctionMode):
    """Adds the logarithms of the gates to the scores of every attention over all positions.

    Args:
        gates: One number for each row and position.
    """

    def __init__(self, gates: Float[Tensor, "rows positions"]) -> None:
        super().__init__()
        self._gates = gates
        self.is_used = False

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), keywords: Any = None
    ) -> Any:
        """Run an operation, with gates if it is attention."""
        keywords = keywords or {}
        if function is FUSED:
            return self._fused(fused_arguments(arguments, keywords))
        if function in SOFTMAX:
            scores, *others = arguments or (keywords.pop("input"),)
            last = axis_of_softmax(arguments, keywords) in (-1, scores.ndim - 1)
            if last and scores.ndim in (3, 4):
                for extra in (0, 1):  # a learned sink competes in the softmax (GPT-OSS)
                    if self._has_all(scores[..., : scores.shape[-1] - extra]):
                        gates = torch.nn.functional.pad(self._like(scores), (0, extra))
                        return function(scores + gates, *others, **keywords)
        return function(*arguments, **keywords)

    def _fused(self, given: dict[str, Any]) -> Tensor:
        query, mask = given["query"], given.get("attn_mask")
        if self._has_all(given["key"].mT) and not given.get("is_causal"):
            gates = self._like(query)
            if mask is None:
                mask = gates
            elif mask.dtype == torch.bool:
                mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill(~mask, -torch.inf) + gates
            else:
                mask = mask + gates
            given = {**given, "attn_mask": mask}
        return FUSED(**given)

    def _has_all(self, scores: Tensor) -> bool:
        """Return whether scores, or transposed keys, are of all positions."""
        is_all = scores.shape[-1] == self._gates.shape[1] and scores.shape[0] % len(self._gates) == 0
        self.is_used |= is_all
        return is_all

    def _like(self, values: Tensor) -> Tensor:
        """Return the gates with axes for heads and queries; texts and heads may share an axis."""
        gates = self._gates.to(values.dtype)
        if values.ndim == 4:
            return gates[:, None, None]
        return gates.repeat_interleave(len(values) // len(gates), dim=0)[:, None]
