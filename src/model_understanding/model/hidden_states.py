"""Read or replace the hidden states that enter a transformer block."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
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
    transformer_blocks,
)
from model_understanding.model.embeddings import replaced_embeddings
from model_understanding.model.finite import require_finite
from model_understanding.model.guard import guarded
from model_understanding.model.lookups import EmbeddingHook
from model_understanding.model.metering import count_forward
from model_understanding.model.model import Model, measured_once
from model_understanding.model.precision import precise
from model_understanding.model.probes import probe_texts, unchanged_modules
from model_understanding.text.encoding import Encoding

_TOLERANCE = 1e-5  # relative to the largest logit; a few rounding errors in 16-bit models


def block_of_layer(model: Model, layer: int) -> tuple[Block, int]:
    """Return the block of a layer, and the layer's index from 0.

    Args:
        model: The model.
        layer: The layer's index; negative values count from the end.

    Raises:
        InputError: There is no such layer.
        UnsupportedModelError: The blocks cannot be located, or the block's input does not determine the
            logits: something bypasses it (a second residual stream, embeddings that enter later blocks).
    """
    blocks = transformer_blocks(model)
    index = index_in(layer, len(blocks), "layer")
    _require_full_state(model, index)
    return blocks[index], index


def states_at_block(
    model: Model,
    block: Block,
    encoding: Encoding,
    embeddings: Float[Tensor, "batch tokens width"] | None,
) -> Float[Tensor, "batch tokens width"]:
    """Return the hidden states that enter a block.

    Args:
        model: The model.
        block: The block.
        encoding: The texts, which also give the positions and the attention mask.
        embeddings: Values that replace the embedding table's output; default: the output itself.
    """
    module, ids = model.module, encoding.ids
    with (
        guarded(module, gradients=False),
        nullcontext()
        if embeddings is None
        else replaced_embeddings(model, ids, embeddings, encoding.source_length),
        replaced_states(module, block, ids) as hook,
    ):
        model.forward(encoding, ids.shape[1] - 1)
    count_forward(ids.numel())
    assert hook.leaf is not None
    require_finite(hook.leaf, "hidden states", lambda: model.broken_layer(encoding.inputs))
    return hook.leaf


@contextmanager
def replaced_states(
    model: nn.Module,
    block: Block,
    input_ids: Int[Tensor, "batch tokens"],
    states: Float[Tensor, "batch tokens width"] | None = None,
) -> Iterator[EmbeddingHook]:
    """Make the hidden states that enter a block a leaf of the graph, or replace them, for one forward pass.

    Args:
        model: The model, already guarded.
        block: The block.
        input_ids: The ids of this forward pass.
        states: Values that replace the model's hidden states; default: those themselves.

    Yields:
        The hook; after the forward pass its ``leaf`` is the tensor that the block used, ``(batch, tokens,
        width)``.

    Raises:
        UnsupportedModelError: The block did not run as often as before, or not on hidden states of the
            text's length.
    """
    hook = EmbeddingHook()
    calls = 0

    def replace(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        nonlocal calls
        calls += 1
        if calls != block.call + 1:
            return None
        name, original = entering_argument(module, arguments, keywords)
        expected = input_ids.T.shape if block.transposed else input_ids.shape
        if original is None or original.shape[:-1] != expected:
            raise _call_error(model, module)
        values = original.transpose(0, 1) if block.transposed else original
        replacement = values if states is None else states.to(values.dtype)
        leaf = replacement.detach().to(input_ids.device).requires_grad_(torch.is_grad_enabled())
        hook.leaf = leaf
        # A copy, because some blocks add to their hidden states in place, which a leaf does not allow.
        entering = leaf.clone().to(values.device)
        entering = entering.transpose(0, 1) if block.transposed else entering
        if name is None:
            return (entering, *arguments[1:]), keywords
        return arguments, {**keywords, name: entering}

    handle = block.module.register_forward_pre_hook(replace, with_kwargs=True)
    try:
        yield hook
    finally:
        handle.remove()
    if calls != block.calls:
        raise _call_error(model, block.module)


def _call_error(model: nn.Module, module: nn.Module) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{type(model).__name__} did not run its block {type(module).__name__} as often as before on hidden "
        "states of shape (batch, tokens, width).",
        hint=LAYER_HINT,
    )


@measured_once
def _require_full_state(model: Model, layer: int) -> None:
    """Raise unless another text's hidden states at a layer give the logits of that text."""
    block, (text, other) = transformer_blocks(model)[layer], probe_texts(model)
    with guarded(model.module, gradients=False), unchanged_modules(model.module):
        with replaced_states(model.module, block, other.ids) as hook:
            outputs = model.forward(other)
        expected = precise(model.logits_of(outputs, other, 0))
        with replaced_states(model.module, block, text.ids, hook.leaf):
            outputs = model.forward(text)
        logits = precise(model.logits_of(outputs, text, 0))
    allowed = max(_TOLERANCE, 4 * torch.finfo(model.dtype).eps) * expected.abs().max()
    if not bool((logits - expected).abs().max() <= allowed):
        raise UnsupportedModelError(
            f"The hidden states that enter block {layer} of {model.name} do not determine its logits: other "
            "paths bypass the block.",
            hint=LAYER_HINT,
        )
