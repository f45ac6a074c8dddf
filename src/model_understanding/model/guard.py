"""Run our own copy of a model, one thread at a time, whatever the caller has switched on."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from copy import copy
from typing import Any, TypeVar

import torch

from model_understanding.model.compiled import has_compiled_code, uncompiled
from model_understanding.model.own_copy import OwnCopy, changed_configs, own_copy_of

_AUTOCAST = ("cpu", "cuda", "mps", "xpu")
Subject = TypeVar("Subject", bound=Hashable)
Found = TypeVar("Found")
_FOUND: ContextVar[dict[Any, Any] | None] = ContextVar("model_understanding_found", default=None)
"""What the current explanation has found out about models, which must not change before it ends."""


@contextmanager
def explanation() -> Iterator[None]:
    """Run the body, or each call of a decorated function, as one explanation.

    What the caller has switched on in torch for this thread (inference mode, autocast, a default device) does
    not apply inside; a model is brought up to date with the caller's once, and must keep its weights.

    Yields:
        Nothing.
    """
    token = _FOUND.set({}) if _FOUND.get() is None else None
    try:
        with ordinary_modes():
            yield
    finally:
        if token is not None:
            _FOUND.reset(token)


@contextmanager
def ordinary_modes() -> Iterator[None]:
    """Suspend inference mode, autocast and a default device of the caller, in this thread.

    Yields:
        Nothing.
    """
    with ExitStack() as modes:
        modes.enter_context(torch.inference_mode(False))
        for device in _AUTOCAST:
            if torch.is_autocast_enabled(device):
                modes.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            modes.enter_context(torch.device("cpu"))
        yield


@contextmanager
def guarded(model: torch.nn.Module, *, gradients: bool) -> Iterator[None]:
    """Let this thread alone run our copy of a model, with or without gradients, in torch's ordinary modes.

    Compiled code runs uncompiled.

    Args:
        model: The copy (``Model.module``): in evaluation mode, its parameters frozen. That limits a backward
            pass to the path through the embeddings.
        gradients: Whether gradients are computed; a ``no_grad`` of the caller does not matter.

    Yields:
        Nothing.

    Raises:
        InputError: The caller's model was trained meanwhile.
    """
    own = own_copy_of(model)
    with own.lock, ordinary_modes(), torch.set_grad_enabled(gradients):
        versions = found_once(_up_to_date, own) if own.depth == 0 else None
        own.depth += 1
        try:
            with uncompiled() if found_once(has_compiled_code, model) else nullcontext():
                yield
        finally:
            own.depth -= 1
        if versions is not None:
            own.require_unchanged(versions)


def _up_to_date(own: OwnCopy) -> tuple[int, ...]:
    """Bring a copy up to date, and return the versions of its weights."""
    own.refresh()
    return own.versions()


def found_once(find: Callable[[Subject], Found], subject: Subject) -> Found:
    """Return what a function finds out about a model; within an explanation it looks once.

    Args:
        find: The function.
        subject: Its argument: a model or our copy of one, which must stay as it is.
    """
    found = _FOUND.get()
    if found is None:
        return find(subject)
    if (find, subject) not in found:
        found[find, subject] = find(subject)
    return found[find, subject]


@contextmanager
def pass_settings(model: torch.nn.Module, config: Any, rows: int = 1) -> Iterator[None]:
    """Let a model read its configuration with what a forward pass needs.

    Without a padding token a decoder's classification head accepts a single text only. Texts of equal length
    have no padding, which a padding id that no token has tells the head. With ``return_dict=False`` the model
    inside a language model returns a tuple, which its head does not expect.

    Args:
        model: Our copy of the model; the caller's configuration stays as it is.
        config: The model's configuration.
        rows: Number of texts in the batch.

    Yields:
        Nothing.
    """
    text_config = config.get_text_config()
    needs_padding = rows > 1 and getattr(text_config, "pad_token_id", 0) is None
    if not needs_padding and config.return_dict and text_config.return_dict:
        yield
        return
    changed_text = copy(text_config)
    changed_text.return_dict = True
    if needs_padding:
        changed_text.pad_token_id = -1
    changed = changed_text
    if text_config is not config:
        changed = copy(config)
        changed.return_dict = True
        for name, value in vars(config).items():
            if value is text_config:
                setattr(changed, name, changed_text)
    with changed_configs(model, [(config, changed), (text_config, changed_text)]):
        yield
