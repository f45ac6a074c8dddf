"""The guard under which a model runs: nothing it flips outlives it, and one thread runs at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch

_locks: WeakKeyDictionary[torch.nn.Module, threading.RLock] = WeakKeyDictionary()
_locks_guard = threading.Lock()


def lock_of(model: torch.nn.Module) -> threading.RLock:
    """Return the lock of a model, the same for everyone who explains it."""
    with _locks_guard:
        return _locks.setdefault(model, threading.RLock())


@contextmanager
def guarded(model: torch.nn.Module, *, gradients: bool) -> Iterator[None]:
    """Run a model in evaluation mode with frozen parameters, and leave it as it was.

    Frozen parameters keep a backward pass to the path through the embeddings, and no ``.grad`` is ever
    written. The caller's own ``no_grad`` or ``inference_mode`` is lifted where gradients are needed.

    Args:
        model: The model.
        gradients: Whether gradients will be taken.

    Yields:
        Nothing; the model is restored afterwards, also when the body raises.
    """
    with lock_of(model):
        training = [module for module in model.modules() if module.training]
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        try:
            for module in training:
                module.training = False
            for parameter in trainable:
                parameter.requires_grad_(False)
            with torch.inference_mode(False), torch.set_grad_enabled(gradients):
                yield
        finally:
            for parameter in trainable:
                parameter.requires_grad_(True)
            for module in training:
                module.training = True


@contextmanager
def end_pooling(config: Any, rows: int) -> Iterator[None]:
    """Let a decoder's classification head read texts of one length in a batch.

    Without a padding token such a head reads the last position of one text and refuses several. Rows of
    one length have no padding: an id that no token has says just that.

    Args:
        config: The model's configuration; as before afterwards.
        rows: Texts in the batch.

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
