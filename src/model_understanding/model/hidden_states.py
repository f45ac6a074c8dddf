"""Read or replace the hidden states that enter a transformer block."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model_understanding.checks import index_in
from model_understanding.errors import UnsupportedModelError
from model_understanding.model.blocks import (
    LAYER_HINT,
    Block,
    entering_argument,
    probe_texts,
    transformer_blocks,
)
from model_understanding.model.embeddings import EmbeddingSwap, swapped_embeddings
from model_understanding.model.finite import first_broken_layer, require_finite
from model_understanding.model.guard import guarded
from model_understanding.model.metering import count_forward
from model_understanding.model.model import Model, measured_once
from model_understanding.text.encoding import Encoding

_TOLERANCE = 1e-5  # of the largest logit; in 16-bit models a few roundings instead


def block_of_layer(model: Model, layer: int) -> tuple[Block, int]:
    """Return the block of a layer, and the layer's index counted from 0.

    Args:
        model: The model.
        layer: The layer's index; counted from the end where negative.

    Raises:
        InputError: There is no such layer.
        UnsupportedModelError: The blocks cannot be located, or with another text's hidden states there the
            logits are not that text's: something leads around the block's input (a second residual stream,
            embeddings that enter later blocks again).
    """
    blocks = transformer_blocks(model)
    index = index_in(layer, len(blocks), "layer")
    _require_whole_text(model, index)
    return blocks[index], index


def carried_states(
    model: Model,
    block: Block,
    encoding: Encoding,
    embeddings: Float[Tensor, "batch tokens width"] | None,
) -> Float[Tensor, "batch tokens width"]:
    """Return the hidden states that enter a block when the model starts from other embeddings.

    Args:
        model: The model.
        block: The block.
        encoding: The texts, whose ids, positions and mask the model sees.
        embeddings: In place of what the embedding table gives; its own where left out.
    """
    module, ids = model.module, encoding.ids
    with (
        guarded(module, gradients=False),
        swapped_embeddings(module, ids, embeddings),
        swapped_states(module, block, ids) as swap,
    ):
        model.forward(encoding, ids.shape[1] - 1)
    count_forward(ids.numel())
    assert swap.leaf is not None
    require_finite(swap.leaf, "hidden states", lambda: first_broken_layer(module, encoding.inputs))
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
        name, own = entering_argument(module, arguments, keywords)
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
        hint=LAYER_HINT,
    )


@measured_once
def _require_whole_text(model: Model, layer: int) -> None:
    """Raise unless another text's hidden states at a layer make the answer that text's."""
    block, (one, other) = transformer_blocks(model)[layer], probe_texts(model)
    with guarded(model.module, gradients=False):
        with swapped_states(model.module, block, other.ids) as swap:
            expected = model.forward(other).logits.float()
        with swapped_states(model.module, block, one.ids, swap.leaf):
            found = model.forward(one).logits.float()
    dtype = getattr(model.module, "dtype", torch.float32)
    allowed = max(_TOLERANCE, 4 * torch.finfo(dtype).eps) * expected.abs().max()
    if not bool((found - expected).abs().max() <= allowed):
        raise UnsupportedModelError(
            f"The hidden states that enter block {layer} of {model.name} do not carry the "
            "whole text: other paths lead around them.",
            hint=LAYER_HINT,
        )
