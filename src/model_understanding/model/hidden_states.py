"""Read or replace the hidden states that enter a transformer block."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model_understanding.errors import UnsupportedModelError
from model_understanding.model.blocks import (
    _HINT,
    Block,
    BlockStack,
    _entering,
    _probes,
    checked_layer,
    find_blocks,
)
from model_understanding.model.embeddings import EmbeddingSwap, swapped_embeddings
from model_understanding.model.finite import first_broken_layer, require_finite
from model_understanding.model.guard import guarded
from model_understanding.model.metering import count_forward
from model_understanding.text.encoding import Encoding

if TYPE_CHECKING:
    from model_understanding.passes.runner import Runner


_TOLERANCE = 1e-5  # of the largest logit; in 16-bit models a few roundings instead


def found_layer(runner: "Runner", stack: BlockStack | None, layer: int) -> tuple[BlockStack, int]:
    """Return a model's blocks, found now unless they are known, and a layer's number counted from 0.

    Args:
        runner: The model's runner.
        stack: Its blocks, where they were found before.
        layer: The number asked for.

    Raises:
        InputError: There is no such layer.
        UnsupportedModelError: The blocks cannot be told, or with another text's hidden states there the
            logits are not that text's: something leads around the block's input (a second stream of
            residuals, embeddings that enter later blocks anew).
    """
    stack = stack or find_blocks(runner)
    number = checked_layer(layer, len(stack.blocks))
    if number not in stack.measured:
        _require_whole_text(runner, stack, number)
    return stack, number


def carried_states(
    runner: "Runner",
    block: Block,
    encoding: Encoding,
    embeddings: Float[Tensor, "batch tokens width"] | None,
) -> Float[Tensor, "batch tokens width"]:
    """Return the hidden states that enter a block when the model starts from other embeddings.

    Args:
        runner: The model's runner.
        block: The block.
        encoding: The texts, whose ids, positions and mask the model sees.
        embeddings: In place of what the embedding table gives; its own where left out.
    """
    model, ids = runner.model, encoding.ids
    with (
        guarded(model, gradients=False),
        swapped_embeddings(model, ids, embeddings),
        swapped_states(model, block, ids) as swap,
    ):
        runner.forward(encoding, ids.shape[1] - 1)
    count_forward(ids.numel())
    assert swap.leaf is not None
    require_finite(swap.leaf, "hidden states", lambda: first_broken_layer(model, encoding.inputs))
    return swap.leaf


@contextmanager
def swapped_states(
    model: nn.Module,
    block: Block,
    input_ids: Int[Tensor, "batch tokens"],
    states: Float[Tensor, "batch tokens width"] | None = None,
) -> Iterator[EmbeddingSwap]:
    """Cut the graph where hidden states enter a block, for one forward.

    Args:
        model: The model, already guarded.
        block: The block.
        input_ids: The ids of this forward.
        states: Values to use in place of the model's own; its own where left out.

    Yields:
        The swap; after the forward its ``leaf`` is the tensor the block used, ``(batch, tokens, width)``.

    Raises:
        UnsupportedModelError: The block did not run as often as it should, or not on hidden states of the
            text's length.
    """
    swap = EmbeddingSwap()
    calls = 0

    def replace(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        nonlocal calls
        calls += 1
        if calls != block.turn + 1:
            return None
        name, own = _entering(module, arguments, keywords)
        expected = input_ids.T.shape if block.transposed else input_ids.shape
        if own is None or own.shape[:-1] != expected:
            raise _misfit(model, module)
        values = own.transpose(0, 1) if block.transposed else own
        given = values if states is None else states.to(values.dtype)
        leaf = given.detach().to(input_ids.device).requires_grad_(torch.is_grad_enabled())
        swap.leaf = leaf
        # A copy: some blocks add to their hidden states in place, which a leaf does not allow.
        entering = leaf.clone().to(values.device)
        entering = entering.transpose(0, 1) if block.transposed else entering
        if name is None:
            return (entering, *arguments[1:]), keywords
        return arguments, {**keywords, name: entering}

    handle = block.module.register_forward_pre_hook(replace, with_kwargs=True)
    try:
        yield swap
    finally:
        handle.remove()
    if calls != block.turns:
        raise _misfit(model, block.module)


def _misfit(model: nn.Module, module: nn.Module) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{type(model).__name__} did not run its block {type(module).__name__} as often as before, on hidden "
        "states of shape (batch, tokens, width).",
        hint=_HINT,
    )


def _require_whole_text(runner: "Runner", stack: BlockStack, layer: int) -> None:
    """Raise unless another text's hidden states at a layer make the answer that text's."""
    block, (one, other) = stack.blocks[layer], _probes(runner)
    with guarded(runner.model, gradients=False):
        with swapped_states(runner.model, block, other.ids) as swap:
            expected = runner.forward(other).logits.float()
        with swapped_states(runner.model, block, one.ids, swap.leaf):
            found = runner.forward(one).logits.float()
    dtype = getattr(runner.model, "dtype", torch.float32)
    allowed = max(_TOLERANCE, 4 * torch.finfo(dtype).eps) * expected.abs().max()
    if not bool((found - expected).abs().max() <= allowed):
        raise UnsupportedModelError(
            f"The hidden states that enter block {layer} of {type(runner.model).__name__} do not carry the "
            "whole text: other paths lead around them.",
            hint=_HINT,
        )
    stack.measured.add(layer)
