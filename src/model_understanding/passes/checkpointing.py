"""Activation checkpointing: keep only the inputs of each block, and recompute the block in the backward pass.

Most of a long text's graph is inside its blocks. They run under ``torch.utils.checkpoint`` while the context
is open; the model is restored afterwards. A modified backward pass applies to recomputed blocks as well, in
whatever thread the backward pass runs.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from model_understanding.errors import UnsupportedModelError
from model_understanding.model.blocks import checkpointed_modules

BlockContext = Callable[[nn.Module], AbstractContextManager[None]]

block_context: ContextVar[BlockContext | None] = ContextVar("model_understanding_block", default=None)
"""The context in which the current forward pass's blocks are recomputed; set by what modifies the pass."""


@contextmanager
def recomputed_blocks(model: nn.Module) -> Iterator[None]:
    """Run a model's blocks under activation checkpointing, forward and backward.

    Args:
        model: The model, already guarded: without dropout, a block computes the same twice.

    Yields:
        Nothing; the model is restored afterwards, even if the body raises.

    Raises:
        UnsupportedModelError: The model has no list of blocks; or, in the backward pass, a block's input was
            overwritten after the block ran.
    """
    blocks = checkpointed_modules(model)
    if not blocks:
        raise UnsupportedModelError(
            f"{type(model).__name__} has no list of blocks to recompute in the backward pass.",
            hint="Use a shorter text or a perturbation method, such as leave_one_out.",
        )
    originals = [(block, block.__dict__.get("forward")) for block in blocks]
    try:
        for block in blocks:
            block.forward = _recomputing(block, block.forward)
        yield
    finally:
        for block, original in originals:
            if original is None:
                block.__dict__.pop("forward", None)
            else:
                block.forward = original


def _recomputing(block: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arguments: Any, **keywords: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*arguments, **keywords)
        context = block_context.get()
        inputs = [value for value in [*arguments, *keywords.values()] if isinstance(value, Tensor)]
        versions = [value._version for value in inputs]

        def contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
            return nullcontext(), _ReusableContext(partial(_recomputation, block, context, inputs, versions))

        # Stopping a block early would skip the closing hooks of a modified backward pass.
        with set_checkpoint_early_stop(context is None):
            return checkpoint(
                partial(forward, **keywords),
                *arguments,
                use_reentrant=False,
                preserve_rng_state=False,
                context_fn=contexts,
            )

    return run


class _ReusableContext(AbstractContextManager[None]):
    """A context that can be entered repeatedly: a block is recomputed in each backward pass."""

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self._make = make
        self._entered: list[AbstractContextManager[None]] = []

    def __enter__(self) -> None:
        self._entered.append(self._make())
        self._entered[-1].__enter__()

    def __exit__(self, *error: Any) -> bool | None:
        return self._entered.pop().__exit__(*error)


@contextmanager
def _recomputation(
    block: nn.Module, context: BlockContext | None, inputs: list[Tensor], versions: list[int]
) -> Iterator[None]:
    if [value._version for value in inputs] != versions:
        raise UnsupportedModelError(
            f"This model overwrites the input of its block {type(block).__name__}, which therefore cannot be "
            "recomputed.",
            hint="Use a shorter text or a perturbation method, such as leave_one_out.",
        )
    with nullcontext() if context is None else context(block):
        yield
