"""Run a model whose code is compiled, wholly or in part, as the Python code it was compiled from.

Compiled code hides its operations: hooks, attention and modified backward passes would see nothing of them.
"""

import functools
import inspect
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import nn

_DEPTH = 3  # of functions that wrap or call each other
_COMMON_BASES = (
    "torch.",
    "builtins",
    "transformers.modeling_",
    "transformers.generation",
    "transformers.integrations",
)
_ATTRIBUTES = vars(nn.Module()).keys()  # of every module
_lock = threading.Lock()
_running = 0
_stance: Any = None


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run the body without compiled code; no module is changed.

    torch can only do this for all threads at once: compiled code of other threads runs uncompiled as well
    until the body ends, with the same results.

    Yields:
        Nothing.
    """
    global _running, _stance
    with _lock:
        if not _running:
            _stance = torch.compiler.set_stance("force_eager")
        _running += 1
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            if not _running:
                _stance.__exit__(None, None, None)


def has_compiled_code(module: nn.Module) -> bool:
    """Return whether a part of a module is compiled: it, a submodule, a ``forward`` or what that calls.

    >>> has_compiled_code(nn.Linear(1, 1))
    False
    """
    if "torch._dynamo" not in sys.modules:  # nothing is, anywhere
        return False
    return any(_is_compiled(part) for part in module.modules())


def _is_compiled(module: nn.Module) -> bool:
    own, class_ = vars(module), type(module)
    return (
        own.get("_compiled_call_impl") is not None
        or "_orig_mod" in module._modules
        or any(_reaches_compiled(own[name]) for name in own.keys() - _ATTRIBUTES if callable(own[name]))
        or _has_compiled_method(class_, class_.forward)
    )


@functools.cache
def _has_compiled_method(class_: type[nn.Module], forward: Any) -> bool:
    """Return whether a class, whose ``forward`` may be replaced, has methods that reach compiled code."""
    bases = [base for base in class_.__mro__ if not base.__module__.startswith(_COMMON_BASES)]
    methods = [value for base in bases for value in vars(base).values() if inspect.isroutine(value)]
    return any(_reaches_compiled(method) for method in (forward, *methods))


def _reaches_compiled(function: Any, depth: int = _DEPTH) -> bool:
    """Return whether a function is compiled, wraps one that is, or names one."""
    if "_torchdynamo_orig_callable" in getattr(function, "__dict__", ()):
        return True
    return depth > 0 and any(_reaches_compiled(inner, depth - 1) for inner in _named_functions(function))


def _named_functions(function: Any) -> Iterator[Any]:
    """Yield the functions that a function wraps, has closed over or calls by a global name."""
    for attribute in ("func", "__func__", "__wrapped__"):
        yield getattr(function, attribute, None)
    code, names = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    values = [names.get(name) for name in getattr(code, "co_names", ())]
    for cell in getattr(function, "__closure__", None) or ():
        with suppress(ValueError):  # empty
            values.append(cell.cell_contents)
    values += getattr(function, "__defaults__", None) or ()
    values += (getattr(function, "__kwdefaults__", None) or {}).values()
    yield from (value for value in values if inspect.isroutine(value) or isinstance(value, functools.partial))
