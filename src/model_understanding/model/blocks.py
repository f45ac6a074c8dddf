"""Which modules are a model's transformer blocks.

Blocks are located by running the model, not by name: they are the members of the one ``ModuleList`` that runs
as often as the configuration has layers.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from model_understanding.errors import UnsupportedModelError
from model_understanding.loading.wrappers import input_embeddings
from model_understanding.model.causality import is_causal
from model_understanding.model.guard import guarded
from model_understanding.model.model import Model, measured_once
from model_understanding.model.probes import probe_texts, unchanged_modules

LAYER_HINT = "Leave out layer to get attributions to the token embeddings."


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One block of a model, and how hidden states enter it.

    Args:
        module: The module.
        call: Index of the module's call that is this block (ALBERT runs one module as all blocks).
        calls: How often a forward pass calls the module.
        transposed: Whether its input is ``(tokens, batch, width)`` (XLNet).
    """

    module: nn.Module
    call: int
    calls: int
    transposed: bool


class _Call(NamedTuple):
    name: str
    module: nn.Module
    transposed: bool


@measured_once
def transformer_blocks(model: Model) -> tuple[Block, ...]:
    """Return the transformer blocks of a model in the order in which they run; located once per model.

    Args:
        model: The model.

    Returns:
        One block per layer of the configuration.

    Raises:
        UnsupportedModelError: The model is an encoder–decoder, or a language model that is not causal, or
            no single list of modules runs as its layers on hidden states of the text's length.
    """
    name = model.name
    if getattr(model.config, "is_encoder_decoder", False):
        raise UnsupportedModelError(
            f"{name} is an encoder–decoder: a layer index could mean either stack.",
            hint=LAYER_HINT,
        )
    if model.reads_two_sequences:
        raise UnsupportedModelError(
            f"{name} reads two texts, each by itself: the states that enter a layer are those of two passes.",
            hint=LAYER_HINT,
        )
    if model.is_language_model and not is_causal(model):
        raise UnsupportedModelError(
            f"{name} is not causal: each prefix of a text has its own hidden states.", hint=LAYER_HINT
        )
    count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    lists: dict[str, list[_Call]] = {}
    probe = probe_texts(model)[0]
    with (
        guarded(model.module, gradients=False),
        unchanged_modules(model.module),
        _recorded_calls(model.module, probe.ids, lists),
    ):
        model.forward(probe)
    candidates = [path for path, calls in lists.items() if len(calls) == count]
    outermost = [path for path in candidates if not any(path.startswith(f"{other}.") for other in candidates)]
    if len(outermost) != 1:
        raise UnsupportedModelError(
            f"Could not locate {name}'s transformer blocks: expected one ModuleList run {count} times on "
            f"hidden states of the text's length, found {len(outermost)}.",
            hint=LAYER_HINT,
        )
    return _blocks(lists[outermost[0]])


@measured_once
def answering_blocks(model: Model) -> tuple[Block, ...]:
    """Return the blocks whose output becomes the logits: of an encoder–decoder those of its decoder.

    They are the members of the last ``ModuleList`` that begins to run on hidden states of what the decoder
    reads.

    Args:
        model: The model.

    Returns:
        The blocks in the order in which they run.

    Raises:
        UnsupportedModelError: The blocks cannot be located.
    """
    if not getattr(model.config, "is_encoder_decoder", False):
        return transformer_blocks(model)
    probe = probe_texts(model)[0]
    lists: dict[str, list[_Call]] = {}
    with (
        guarded(model.module, gradients=False),
        unchanged_modules(model.module),
        _recorded_calls(model.module, probe.parts()[-1], lists),
    ):
        model.forward(probe)
    outermost = [path for path in lists if not any(path.startswith(f"{other}.") for other in lists)]
    if not outermost:
        raise UnsupportedModelError(
            f"Could not locate the blocks of the decoder of {model.name}: no ModuleList runs on hidden "
            "states of the length of its text.",
            hint=LAYER_HINT,
        )
    return _blocks(lists[outermost[-1]])


def _blocks(calls: list[_Call]) -> tuple[Block, ...]:
    modules = [call.module for call in calls]
    return tuple(
        Block(module, modules[:index].count(module), modules.count(module), call.transposed)
        for index, (module, call) in enumerate(zip(modules, calls, strict=True))
    )


@contextmanager
def _recorded_calls(model: nn.Module, ids: Tensor, lists: dict[str, list[_Call]]) -> Iterator[None]:
    """Record which members of which ``ModuleList`` run on hidden states of the length of ids."""
    handles = []

    def watch(name: str) -> Any:
        def record(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            _, states = entering_argument(module, arguments, keywords)
            if states is not None and states.shape[:-1] in (ids.shape, ids.T.shape):
                call = _Call(name, module, transposed=states.shape[0] == ids.shape[1])
                lists.setdefault(name, []).append(call)

        return record

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
    """Return the hidden states that a block is called with, or ``None`` if its input is something else."""
    return entering_argument(module, arguments, keywords)[1]


def entering_argument(
    module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[str | None, Tensor | None]:
    """Return the first input of a module if it is hidden states, and its name if it is a keyword."""
    name = None if arguments else next(iter(inspect.signature(module.forward).parameters), None)
    value = arguments[0] if arguments else keywords.get(name) if name else None
    is_states = isinstance(value, Tensor) and value.ndim == 3 and value.is_floating_point()
    return name, value if is_states else None


def module_list_members(module: nn.Module) -> Iterator[nn.Module]:
    """Yield each member of a ``ModuleList`` once, as a model's blocks are."""
    lists = [part for part in module.modules() if isinstance(part, nn.ModuleList)]
    yield from dict.fromkeys(child for members in lists for child in members)


def checkpointed_modules(module: nn.Module) -> list[nn.Module]:
    """Return the modules that checkpointing recomputes: the members of the outermost ``ModuleList``s.

    They are located by structure, which also works for models whose blocks cannot be located as layers
    (encoder–decoders). Lists that contain the embedding table or the output head are skipped.

    Args:
        module: The model's module.
    """
    ends = {input_embeddings(module), getattr(module, "get_output_embeddings", lambda: None)()}
    members: list[nn.Module] = []

    def visit(parent: nn.Module) -> None:
        for child in parent.children():
            if isinstance(child, nn.ModuleList) and ends.isdisjoint(child.modules()):
                members.extend(child)
            else:
                visit(child)

    visit(module)
    return list(dict.fromkeys(members))
