"""Our own copy of the user's module: the same weights in memory, but hooks, modes and settings of its own.

An explanation registers hooks, runs in evaluation mode, freezes parameters and changes settings. On the
user's module all of that would reach whoever runs or trains it in another thread. The copy has a module for
each of the user's modules, of the same class, with the same attributes and with the same weights in memory;
only what an explanation changes is its own. It is brought up to date before each explanation.
"""

import functools
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from types import CellType, FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn

from model_understanding.errors import InputError

_OWN_COPY = "_model_understanding_own_copy"  # where the copied module names the object that keeps it
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_HOOK_OPTIONS = (
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks_with_kwargs",
)
_HOLDERS = ("_parameters", "_buffers", "_modules", *_HOOKS)
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_COMPOSITE = frozenset({MethodType, FunctionType, functools.partial, dict, list, tuple})


class OwnCopy:
    """A copy of a module that shares its weights, and the lock of those who run it.

    Args:
        original: The user's module, which is only read.
    """

    def __init__(self, original: nn.Module) -> None:
        self.lock = RLock()
        """Held by the thread that runs the copy."""
        self.depth = 0
        """How many runs of the thread that holds the lock are nested."""
        self.times_copied = 0
        """How often the original's modules have been copied: it grows when they change."""
        self._original = original
        self._copies: dict[nn.Module, nn.Module] = {}
        self._weights: dict[Tensor, nn.Parameter] = {}
        self._entered: set[int] = set()  # attributes whose parts are being looked at
        # Every module as it was copied; its contents are kept so that no other object gets their ids.
        self._seen: list[tuple[nn.Module, list[int], list[Any]]] = []
        self._filled: dict[nn.Module, tuple[list[int], list[Any]]] = {}  # likewise, of each module's copy
        with torch.inference_mode(False):
            self._copy_all()

    @property
    def module(self) -> nn.Module:
        """The copy."""
        return self._copies[self._original]

    def refresh(self) -> None:
        """Bring the copy up to date with the original's weights, submodules, attributes and hooks."""
        with torch.inference_mode(False):
            if any(_state(original) != ids for original, ids, _ in self._seen):
                self._copy_all()
                return
            for weight, frozen in self._weights.items():
                frozen.data = _ordinary(weight)
            for original, (ids, _) in self._filled.items():
                if _state(self._copies[original]) != ids:  # running BigBird changes it
                    self._fill(original)

    def _copy_all(self) -> None:
        self.times_copied += 1
        originals = self._collect()
        self._filled = {}
        self._weights = dict(self._frozen_weights(originals))
        for original in originals:
            self._fill(original)
        self._seen = [(original, _state(original), _contents(original)) for original in originals]

    def versions(self) -> tuple[int, ...]:
        """Return how often each weight has been changed in place."""
        return tuple(weight._version for weight in self._weights if not weight.is_inference())

    def state(self) -> tuple[Any, ...]:
        """Return what has changed if the model may answer otherwise: modules, hooks, weights."""
        pointers = tuple(
            weight.data_ptr() if weight.layout == torch.strided and not weight.is_meta else 0
            for weight in self._weights
        )
        return self.times_copied, self.versions(), pointers

    def require_unchanged(self, versions: tuple[int, ...]) -> None:
        """Raise if weights were changed since, so that one explanation would be of several models.

        Args:
            versions: What ``versions`` returned before.

        Raises:
            InputError: A weight has changed.
        """
        if self.versions() != versions:
            raise InputError(
                f"The weights of {type(self._original).__name__} changed while it was being explained.",
                hint="Pause training for the explanation, or explain a copy: copy.deepcopy(model).",
            )

    def _collect(self) -> list[nn.Module]:
        """Give every module of the original a copy, and return the modules whose copies must be filled."""
        known, self._copies = self._copies, {}
        originals: list[nn.Module] = []
        todo = [self._original]
        while todo:
            module = todo.pop()
            if module in self._copies:
                continue
            todo += [child for child in module._modules.values() if child is not None]
            if isinstance(module, torch.jit.ScriptModule):
                self._copies[module] = module  # its state is not in Python
                continue
            copy = known.get(module)
            if copy is None or type(copy) is not type(module):
                copy = object.__new__(type(module))
            self._copies[module] = copy
            originals.append(module)
        return originals

    def _frozen_weights(self, originals: list[nn.Module]) -> Iterator[tuple[Tensor, nn.Parameter]]:
        """Yield every parameter with one of the same memory that needs no gradient."""
        for module in originals:
            for weight in module._parameters.values():
                if type(weight) is not nn.Parameter:  # quantized weights keep more than their values
                    continue
                frozen = self._weights.get(weight)
                if frozen is None:
                    frozen = nn.Parameter(_ordinary(weight), requires_grad=False)
                else:
                    frozen.data = _ordinary(weight)
                yield weight, frozen

    def _fill(self, original: nn.Module) -> None:
        """Give the copy of a module the attributes of its original."""
        state = dict(original.__dict__)
        for name in state.keys() - _OF_EVERY_MODULE:
            state[name] = self._of_copy(state[name])
        for name in _HOOKS:
            # What the caller's hooks have closed over stays the caller's; methods of modules are the copies'.
            hooks = state[name].items()
            state[name] = OrderedDict(
                (key, self._of_copy(hook) if type(hook) is MethodType else hook) for key, hook in hooks
            )
        for name in _HOOK_OPTIONS:
            state[name] = OrderedDict(state[name])
        if weights := state["_parameters"]:
            state["_parameters"] = {
                name: self._weights.get(weight, weight) for name, weight in weights.items()
            }
        if buffers := state["_buffers"]:
            state["_buffers"] = {
                name: buffer if buffer is None else _ordinary(buffer) for name, buffer in buffers.items()
            }
        if children := state["_modules"]:
            state["_modules"] = {name: self._copies.get(child) for name, child in children.items()}
        state["training"] = False
        if original is self._original:
            state[_OWN_COPY] = self
        copy = self._copies[original]
        object.__setattr__(copy, "__dict__", state)
        self._filled[original] = _state(copy), _contents(copy)

    def _of_copy(self, value: Any) -> Any:
        """Return an attribute for the copy: what refers to a module of the original refers to its copy."""
        kind = type(value)
        if issubclass(kind, nn.Module):
            return self._copies.get(value, value)
        if issubclass(kind, Tensor):
            return self._weights.get(value, value)
        if kind not in _COMPOSITE or id(value) in self._entered:  # it may contain itself
            return value
        self._entered.add(id(value))
        try:
            return self._of_copied_parts(kind, value)
        finally:
            self._entered.discard(id(value))

    def _of_copied_parts(self, kind: type, value: Any) -> Any:
        if kind is MethodType:
            owner, function = self._of_copy(value.__self__), self._of_copy(value.__func__)
            same = owner is value.__self__ and function is value.__func__
            return value if same else MethodType(function, owner)
        if kind is functools.partial:
            return self._of_copied_partial(value)
        if kind is FunctionType:
            return self._of_copied_function(value)
        if kind is dict:
            values = {key: self._of_copy(item) for key, item in value.items()}
            return value if all(values[key] is item for key, item in value.items()) else values
        items = [self._of_copy(item) for item in value]
        return (
            value if all(item is before for item, before in zip(items, value, strict=True)) else kind(items)
        )

    def _of_copied_partial(self, value: functools.partial[Any]) -> Any:
        function, arguments = self._of_copy(value.func), self._of_copy(value.args)
        keywords = self._of_copy(value.keywords)
        if function is value.func and arguments is value.args and keywords is value.keywords:
            return value
        partial = functools.partial(function, *arguments, **keywords)
        partial.__dict__.update(value.__dict__)
        return partial

    def _of_copied_function(self, value: FunctionType) -> FunctionType:
        """Return a function of the same code, with other defaults and closed-over values where needed."""
        closure = value.__closure__ or ()
        cells = tuple(self._of_copied_cell(cell) for cell in closure)
        defaults, keyword_defaults = self._of_copy(value.__defaults__), self._of_copy(value.__kwdefaults__)
        same = all(cell is before for cell, before in zip(cells, closure, strict=True))
        if same and defaults is value.__defaults__ and keyword_defaults is value.__kwdefaults__:
            return value
        function = FunctionType(value.__code__, value.__globals__, value.__name__, defaults, cells)
        function.__kwdefaults__ = keyword_defaults
        function.__dict__.update(value.__dict__)
        return function

    def _of_copied_cell(self, cell: CellType) -> CellType:
        try:
            content = cell.cell_contents
        except ValueError:  # not filled yet
            return cell
        changed = self._of_copy(content)
        return cell if changed is content else CellType(changed)


def own_copy_of(module: nn.Module) -> OwnCopy:
    """Return the object that keeps a copied module.

    Args:
        module: What ``OwnCopy.module`` gave.
    """
    return module.__dict__[_OWN_COPY]


@contextmanager
def changed_configs(module: nn.Module, changes: Sequence[tuple[Any, Any]]) -> Iterator[None]:
    """Let a copied module and its parts read other configurations.

    Args:
        module: What ``OwnCopy.module`` gave.
        changes: A configuration that some of them have, and the one to read instead; several.

    Yields:
        Nothing.
    """
    changed_by_id = {id(config): changed for config, changed in changes}
    parts = [vars(part) for part in module.modules() if id(vars(part).get("config")) in changed_by_id]
    before = [part["config"] for part in parts]
    try:
        for part in parts:
            part["config"] = changed_by_id[id(part["config"])]
        yield
    finally:
        for part, config in zip(parts, before, strict=True):
            part["config"] = config


def _contents(module: nn.Module) -> list[Any]:
    """Return everything that a module holds directly."""
    state = module.__dict__
    return [*state.values(), *(value for name in _HOLDERS if state[name] for value in state[name].values())]


def _state(module: nn.Module) -> list[int]:
    """Return the ids of everything that a module holds directly."""
    return list(map(id, _contents(module)))


def _ordinary(tensor: Tensor) -> Tensor:
    """Return a tensor of the same memory without a history, which autograd can use."""
    if not tensor.is_inference():
        return tensor.data if tensor.requires_grad else tensor
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == "meta":
        return tensor.clone()
    ordinary = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    return ordinary.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.shape, tensor.stride())
