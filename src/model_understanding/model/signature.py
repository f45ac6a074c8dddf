"""Which inputs a module takes: those that its ``forward`` names, and those that it passes on.

A wrapper (an adapter of peft, a module of the user's own) often takes ``**kwargs`` and passes them on to the
model inside it. What the tokenizer gives and that model names must reach it, at any depth.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

IDS = "input_ids"


def accepted_inputs(module: nn.Module) -> frozenset[str]:
    """Return the names of the inputs that a module takes by name, or passes on to a model inside it.

    Args:
        module: The module.

    Returns:
        The names.

    >>> sorted(accepted_inputs(nn.Linear(1, 1)))
    ['input']
    """
    names: set[str] = set()
    for forward in _forwards(module):
        named, passes_on = _parameters(forward)
        names |= named
        # A forward of transformers names all inputs that its model takes; the rest are options.
        if not passes_on or is_of_transformers(forward):
            return frozenset(names)
    for child in module.children():
        inner = accepted_inputs(child)
        if IDS in inner:
            names |= inner
    return frozenset(names)


def is_of_transformers(part: object) -> bool:
    """Return whether a class or function is defined by transformers itself."""
    return str(getattr(part, "__module__", "")).startswith("transformers.")


def _forwards(module: nn.Module) -> Iterator[Callable[..., Any]]:
    """Yield the ``forward`` of a module, then those that it may call by ``super()`` or replaces."""
    if "forward" in vars(module):
        yield innermost(module.forward)
    for class_ in type(module).__mro__:
        if class_ is nn.Module:
            return
        if "forward" in vars(class_):
            yield innermost(vars(class_)["forward"])


def innermost(function: Any) -> Any:
    """Return the function inside decorators, partial functions and bound methods."""
    while True:
        for attribute in ("__wrapped__", "func", "__func__"):
            inner = getattr(function, attribute, None)
            if inner is not None:
                function = inner
                break
        else:
            return function


def _parameters(function: Callable[..., Any]) -> tuple[set[str], bool]:
    """Return the parameters of a function that can be passed by name, and whether it takes any others."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # no Python function
        return set(), False
    named = {
        parameter.name
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    passes_on = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    return named - {"self"}, passes_on
