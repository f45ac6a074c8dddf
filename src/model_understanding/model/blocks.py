"""Which modules are a model's transformer blocks."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.model.embeddings import embedding_table
from model_understanding.model.guard import guarded
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

if TYPE_CHECKING:
    from model_understanding.passes.runner import Runner


_LENGTH = 6
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


def members_of_lists(model: nn.Module) -> Iterator[nn.Module]:
    """Yield each module that stands in a list of modules, as a model's blocks do, once."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    yield from dict.fromkeys(child for members in lists for child in members)


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """Return the modules that are run again: the members of the model's outermost lists of modules.

    Lists that hold the embedding table or the output head are left as they are.

    Args:
        model: The model.
    """
    kept = {embedding_table(model), getattr(model, "get_output_embeddings", lambda: None)()}
    found: list[nn.Module] = []

    def visit(module: nn.Module) -> None:
        for child in module.children():
            if isinstance(child, nn.ModuleList) and kept.isdisjoint(child.modules()):
                found.extend(child)
            else:
                visit(child)

    visit(model)
    return list(dict.fromkeys(found))
