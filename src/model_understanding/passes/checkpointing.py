"""Keep of a forward only what enters each block, and run a block again when its gradient is due.

A long text's graph is mostly what its blocks compute inside. While the context is open, the blocks of the
model run under torch's own checkpoint function; the model is as it was afterwards. A changed backward pass
is changed in the same way when a block runs again, in whatever thread the backward pass runs.
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
"""Under what a block of the forward pass now running must run again; what changes the pass sets it."""


@contextmanager
def recomputed_blocks(model: nn.Module) -> Iterator[None]:
    """Run a model's blocks under activation checkpointing, forward and backward.

    Args:
        model: The model, already guarded: no dropout, so a block gives the same twice.

    Yields:
        Nothing; the model is restored afterwards, also when the body raises.

    Raises:
        UnsupportedModelError: The model has no list of blocks. In the backward pass: a block's input was
            overwritten after it had run.
    """
    blocks = checkpointed_modules(model)
    if not blocks:
        raise UnsupportedModelError(
            f"{type(model).__name__} has no list of blocks that could be run again in the backward pass.",
            hint="Use a shorter text, or a method that only perturbs the text.",
        )
    before = [(block, block.__dict__.get("forward")) for block in blocks]
    try:
        for block in blocks:
            block.forward = _recomputing(block, block.forward)
        yield
    finally:
        for block, own in before:
            if own is None:
                block.__dict__.pop("forward", None)
            else:
                block.forward = own


def _recomputing(block: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arguments: Any, **keywords: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*arguments, **keywords)
        again = block_context.get()
        entered = [value for value in [*arguments, *keywords.values()] if isinstance(value, Tensor)]
        versions = [value._version for value in entered]

        def contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
            return nullcontext(), _EachTime(partial(_again, block, again, entered, versions))

        # Stopping a block halfway would leave the hooks of a changed backward pass halfway too.
        with set_checkpoint_early_stop(again is None):
            return checkpoint(
                partial(forward, **keywords),
                *arguments,
                use_reentrant=False,
                preserve_rng_state=False,
                context_fn=contexts,
            )

    return run


class _EachTime(AbstractContextManager[None]):
    """A context made anew each time it is entered: a block runs again for every backward over its graph."""

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self._make = make
        self._entered: list[AbstractContextManager[None]] = []

    def __enter__(self) -> None:
        self._entered.append(self._make())
        self._entered[-1].__enter__()

    def __exit__(self, *error: Any) -> bool | None:
        return self._entered.pop().__exit__(*error)


@contextmanager
def _again(
    block: nn.Module, again: BlockContext | None, entered: list[Tensor], versions: list[int]
) -> Iterator[None]:
    if [value._version for value in entered] != versions:
        raise UnsupportedModelError(
            f"This model overwrites what its {type(block).__name__} was given, "
            "so the block cannot be run again.",
            hint="Use a shorter text, or a method that only perturbs the text.",
        )
    with nullcontext() if again is None else again(block):
        yield
