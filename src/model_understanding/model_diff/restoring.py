"""Restore modules: run the other model with some modules of the first one in their places."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import numpy as np
from torch import nn

from model_understanding.loading.wrappers import without_adapter
from model_understanding.model_diff.pairs import PairedModules
from model_understanding.results import ModelDiff, Restoration

Value = TypeVar("Value")
DRAWS = 10
SEED = 0


def restoration_of(
    diff: ModelDiff, count: int, other: nn.Module, modules: PairedModules, value: Callable[[], float]
) -> Restoration:
    """Return how much of a difference comes back if the modules with the largest values are restored.

    Modules that share a weight in both models are restored together: a model of which only one of them is
    restored cannot be saved. If all modules are restored, there is nothing to draw at random.

    Args:
        diff: The diff.
        count: Number of modules.
        other: Our own copy of the other model, guarded.
        modules: The modules of both models.
        value: Runs the other model and returns the target's value.
    """
    direction = np.sign(diff.difference)
    order = sorted(range(len(diff.modules)), key=lambda index: -direction * diff.modules[index].value)
    names = [change.name for change in diff.modules]
    count = min(count, len(names))
    generator = np.random.default_rng(SEED)

    def restored(chosen: Sequence[str]) -> float:
        together = [each for name in chosen for each in (name, *_tied_to(name, modules))]
        with ExitStack() as stack:
            for name in dict.fromkeys(together):
                stack.enter_context(_in_place(name, other, modules))
            return value()

    def share(other_value: float) -> float:
        return (diff.other_value - other_value) / diff.difference if diff.difference else 0.0

    main = [names[index] for index in order[:count]]
    main_value = restored(main)
    draws = [
        [names[index] for index in generator.permutation(len(names))[:count]]
        for _ in range(DRAWS if count < len(names) else 0)
    ]
    return Restoration(
        modules=tuple(main),
        value=main_value,
        share=share(main_value),
        random_shares=tuple(share(restored(draw)) for draw in draws),
    )


def _tied_to(name: str, modules: PairedModules) -> list[str]:
    """Return the other modules that share a weight with a module, in both models."""

    def weights(part: nn.Module) -> set[int]:
        return {id(weight) for weight in part._parameters.values() if weight is not None}

    if name not in modules.others:
        return []
    own, theirs = weights(modules.modules[name]), weights(modules.others[name])
    return [
        key
        for key, other in modules.others.items()
        if key != name and theirs & weights(other) and own & weights(modules.modules[key])
    ]


@contextmanager
def _in_place(name: str, other: nn.Module, modules: PairedModules) -> Iterator[None]:
    """Let our copy of the other model have a module of the first, or its own weights if it has parts."""
    while name not in modules.others:  # a part of a module that the other model has wrapped
        name = name.rpartition(".")[0]
    own, theirs = modules.modules[name], modules.others[name]
    parent_name, _, key = name.rpartition(".")
    has_parts, weights = any(theirs._modules.values()), theirs._parameters
    if (has_parts and any(weight is not None for weight in weights.values())) or theirs is without_adapter(
        other
    ):
        given = {key: own._parameters[key] for key in weights if key in own._parameters}
        with _replaced(weights, given):
            yield
    else:
        with _replaced(without_adapter(other).get_submodule(parent_name)._modules, {key: own}):
            yield


@contextmanager
def _replaced(holder: dict[str, Value], given: dict[str, Value]) -> Iterator[None]:
    """Let a dictionary have other values for a while."""
    kept = dict(holder)
    holder.update(given)
    try:
        yield
    finally:
        holder.update(kept)
