"""Run a model in evaluation mode, restore its state afterwards, and let one thread run at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch

from model_understanding.model.compiled import uncompiled

_locks: WeakKeyDictionary[torch.nn.Module, threading.RLock] = WeakKeyDictionary()
_locks_guard = threading.Lock()


def lock_of(model: torch.nn.Module) -> threading.RLock:
    """Return the lock of a model, shared by all that run it."""
    with _locks_guard:
        return _locks.setdefault(model, threading.RLock())


@contextmanager
def guarded(model: torch.nn.Module, *, gradients: bool) -> Iterator[None]:
    """Run the body with a model in evaluation mode and frozen parameters, then restore it.

    Frozen parameters limit a backward pass to the path through the embeddings, and no ``.grad`` is
    written. A ``no_grad`` or ``inference_mode`` of the caller is suspended where gradients are needed, and
    compiled code runs uncompiled.

    Args:
        model: The model.
        gradients: Whether gradients are computed.

    Yields:
        Nothing; the model is restored afterwards, even if the body raises.
    """
    with lock_of(model):
        training = [module for module in model.modules() if module.training]
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        try:
            for module in training:
                module.training = False
            for parameter in trainable:
                parameter.requires_grad_(False)
            with uncompiled(model), torch.inference_mode(False), torch.set_grad_enabled(gradients):
                yield
        finally:
            for parameter in trainable:
                parameter.requires_grad_(True)
            for module in training:
                module.training = True


@contextmanager
def end_pooling(config: Any, rows: int) -> Iterator[None]:
    """Let a decoder's classification head read the last position of texts of equal length in a batch.

    Without a padding token such a head accepts a single text only. Texts of equal length have no padding,
    which a padding id that no token has tells the head.

    Args:
        config: The model's configuration; restored afterwards.
        rows: Number of texts in the batch.

    Yields:
        Nothing.
    """
    text_config = config.get_text_config()
    if rows == 1 or getattr(text_config, "pad_token_id", 0) is not None:
        yield
        return
    text_config.pad_token_id = -1
    try:
        yield
    finally:
        text_config.pad_token_id = None
