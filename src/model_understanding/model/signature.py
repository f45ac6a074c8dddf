"""Which inputs a module takes: those that its ``forward`` names, and those that it passes on.

A wrapper (an adapter of peft, a module of the user's own) often takes ``**kwargs`` and passes them on to the
model inside it. What the tokenizer gives and that model names must reach it, at any depth.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import nn

IDS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"
_OTHER_NAMES = {
    "mask": MASK,
    "masks": MASK,
    "attn_mask": MASK,
    "attention_masks": MASK,
    "input_mask": MASK,
    "token_types": TYPES,
    "type_ids": TYPES,
    "segment_ids": TYPES,
}


def accepted_inputs(module: nn.Module) -> Mapping[str, str]:
    """Return the inputs that a module takes by name, or passes on to a model inside it.

    Args:
        module: The module. If no parameter has the usual name of the token ids, it is the first one; where
            there is none, the tokenizer's names are passed on.

    Returns:
        For each input of the tokenizer and each option the name of the module's parameter.

    >>> accepted_inputs(nn.Linear(1, 1))
    {'input_ids': 'input'}
    """
    names, passes_on = _names(module)
    inputs = {name: name for name in names}
    if IDS in inputs:
        return inputs
    if passes_on and not required_inputs(module):
        return inputs | {name: name for name in (IDS, MASK, TYPES)}
    if not names:
        return inputs
    ids = next((name for name in names if name not in _OTHER_NAMES), names[0])
    others = {usual: name for name, usual in _OTHER_NAMES.items() if name in names and usual not in names}
    return {name: name for name in names if name not in (ids, *others.values())} | {IDS: ids} | others


def required_inputs(module: nn.Module) -> set[str]:
    """Return the parameters of a module's ``forward`` that have no default."""
    parameters = _parameters(module.forward)
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {each.name for each in parameters if each.default is each.empty and each.kind not in kinds}


def is_of_transformers(part: object) -> bool:
    """Return whether a class or function is defined by transformers itself."""
    return str(getattr(part, "__module__", "")).startswith("transformers.")


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


def _names(module: nn.Module) -> tuple[list[str], bool]:
    """Return the names that a module takes or passes on, in order, and whether it takes any others."""
    names: dict[str, None] = {}
    passes_on = True
    for forward, parameters in _forwards(module):
        kinds = {each.name: each.kind for each in parameters}
        by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        names |= {name: None for name, kind in kinds.items() if kind in by_name}
        passes_on = inspect.Parameter.VAR_KEYWORD in kinds.values()
        # A forward of transformers names all inputs that its model takes; the rest are options.
        if not passes_on or is_of_transformers(innermost(forward)):
            return list(names), passes_on
    for child in module.children():
        inner, _ = _names(child)
        if IDS in inner:
            names |= dict.fromkeys(inner)
    return list(names), passes_on


def _forwards(module: nn.Module) -> Iterator[tuple[Callable[..., Any], list[inspect.Parameter]]]:
    """Yield the ``forward`` of a module, then those that it may call by ``super()`` or replaces."""
    if "forward" in vars(module):
        yield module.forward, _parameters(module.forward)
    for class_ in type(module).__mro__:
        if class_ is nn.Module:
            return
        if "forward" in vars(class_):
            yield vars(class_)["forward"], _parameters(vars(class_)["forward"])[1:]  # without self


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # no Python function
        return []
