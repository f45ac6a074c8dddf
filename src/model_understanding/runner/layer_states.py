"""Cut a model where hidden states enter one of its blocks, in place of where its embeddings enter.

The blocks are found by running the model, not by a name: they are the members of the one list of modules
that ran as often as the configuration has layers. Whether a block's input is all that the model knows of
the text is measured too: with the hidden states of another text there, the answer must be the other text's.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.runner.embedding_hook import EmbeddingSwap, swapped_embeddings
from model_understanding.runner.encoding import Encoding
from model_understanding.runner.finite import first_broken_layer, require_finite
from model_understanding.runner.state import guarded
from model_understanding.runner.work import count_forward
from model_understanding.tokens import Tokens

if TYPE_CHECKING:
    from model_understanding.runner.runner import Runner

_LENGTH = 6
_TOLERANCE = 1e-5  # of the largest logit; in 16-bit models a few roundings instead
_HINT = "Leave layer out: attributions are then to the embeddings of the text."


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One block of a model, and how hidden states enter it.

    Args:
        module: The module.
        turn: Which of the module's calls in a forward is this block (ALBERT runs one module as all blocks).
        turns: How often a forward calls the module.
        transposed: Whether it takes ``(tokens, batch, width)`` (XLNet).
    """

    module: nn.Module
    turn: int
    turns: int
    transposed: bool


@dataclass(slots=True, eq=False)
class BlockStack:
    """The blocks of a model, and those whose input is known to carry the whole text."""

    blocks: tuple[Block, ...]
    measured: set[int] = field(default_factory=set)


class _Call(NamedTuple):
    name: str
    module: nn.Module
    transposed: bool


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


def find_blocks(runner: "Runner") -> BlockStack:
    """Return the blocks of a model, in the order in which they run.

    Args:
        runner: The model's runner.

    Returns:
        As many blocks as the configuration has layers.

    Raises:
        UnsupportedModelError: The model is an encoder–decoder, or a language model that is not causal, or
            no single list of modules runs as its layers on hidden states of the text's length.
    """
    name = type(runner.model).__name__
    if getattr(runner.config, "is_encoder_decoder", False):
        raise UnsupportedModelError(
            f"{name} has two stacks of blocks, an encoder's and a decoder's: a layer's number does not say "
            "which.",
            hint=_HINT,
        )
    if runner.is_language_model and not runner.is_causal:
        raise UnsupportedModelError(
            f"{name} is not causal: each prefix of a text has hidden states of its own.", hint=_HINT
        )
    count = getattr(runner.config.get_text_config(), "num_hidden_layers", None)
    lists: dict[str, list[_Call]] = {}
    with guarded(runner.model, gradients=False), _recorded_calls(runner.model, lists):
        runner.forward(_probes(runner)[0])
    fitting = [stack for stack, calls in lists.items() if len(calls) == count]
    outermost = [one for one in fitting if not any(one.startswith(f"{other}.") for other in fitting)]
    if len(outermost) != 1:
        raise UnsupportedModelError(
            f"The blocks of {name} cannot be told: {len(outermost)} lists of modules ran {count} times on "
            "hidden states of the text's length, where 1 must.",
            hint=_HINT,
        )
    calls = lists[outermost[0]]
    modules = [call.module for call in calls]
    return BlockStack(
        tuple(
            Block(module, modules[:number].count(module), modules.count(module), call.transposed)
            for number, (module, call) in enumerate(zip(modules, calls, strict=True))
        )
    )


def checked_layer(layer: Any, count: int) -> int:
    """Return a layer counted from 0.

    Args:
        layer: Its number; counted from the end where negative.
        count: How many there are.

    Raises:
        InputError: There is no such layer.

    >>> checked_layer(-1, 12)
    11
    """
    is_whole = hasattr(layer, "__index__") and not isinstance(layer, bool)
    if not is_whole or not -count <= index(layer) < count:
        raise InputError(
            f"There is no layer {layer!r}: the model has {count}.",
            hint=f"Pass an index from 0 to {count - 1}, or from -{count} to -1 counting from the end.",
        )
    return index(layer) % count


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


@contextmanager
def _recorded_calls(model: nn.Module, lists: dict[str, list[_Call]]) -> Iterator[None]:
    """Record which members of which lists of modules run on hidden states of the probe's length."""
    handles = []

    def watch(name: str) -> Any:
        def look(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            _, states = _entering(module, arguments, keywords)
            if states is not None and states.shape[:-1] in ((1, _LENGTH), (_LENGTH, 1)):
                call = _Call(name, module, transposed=states.shape[0] == _LENGTH)
                lists.setdefault(name, []).append(call)

        return look

    try:
        for name, members in model.named_modules():
            if isinstance(members, nn.ModuleList):
                handles += [
                    member.register_forward_pre_hook(watch(name), with_kwargs=True) for member in members
                ]
        yield
    finally:
        for handle in handles:
            handle.remove()


def entering_states(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Tensor | None:
    """Return the hidden states that a block is called with; none where it is called with something else."""
    return _entering(module, arguments, keywords)[1]


def _entering(
    module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[str | None, Tensor | None]:
    """Return what a module is called with first, if hidden states, and its name where it is a keyword."""
    name = None if arguments else next(iter(inspect.signature(module.forward).parameters), None)
    value = arguments[0] if arguments else keywords.get(name) if name else None
    is_states = isinstance(value, Tensor) and value.ndim == 3 and value.is_floating_point()
    return name, value if is_states else None


def _probes(runner: "Runner") -> tuple[Encoding, Encoding]:
    """Return two short texts of ordinary tokens, different in each place."""
    rows = getattr(runner.config.get_text_config(), "vocab_size", len(runner.tokenizer))
    config_pad = getattr(runner.config.get_text_config(), "pad_token_id", None)
    special = {*runner.tokenizer.all_special_ids, config_pad}
    ordinary = [number for number in range(min(rows, len(runner.tokenizer))) if number not in special]
    spread = [ordinary[place * len(ordinary) // (2 * _LENGTH)] for place in range(2 * _LENGTH)]
    return _probe(runner, spread[::2]), _probe(runner, spread[1::2])


def _probe(runner: "Runner", ids: list[int]) -> Encoding:
    tensor = torch.tensor([ids], device=runner.device)
    tokens = Tokens.from_pieces([str(number) for number in ids])
    return Encoding((tokens,), {"input_ids": tensor, "attention_mask": torch.ones_like(tensor)})
