"""The model inside a wrapper that only runs it."""

from typing import Any

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel


def unwrapped(module: nn.Module) -> nn.Module:
    """Return the model that ``torch.compile`` or data parallelism has wrapped; any other module itself.

    It has the same weights. Its wrapper would hide its code, or run copies of it.

    Args:
        module: The module.

    >>> layer = nn.Linear(1, 1)
    >>> unwrapped(nn.DataParallel(layer)) is layer
    True
    """
    while True:
        inner: Any = getattr(module, "_orig_mod", None)
        if inner is None and isinstance(module, DataParallel | DistributedDataParallel):
            inner = module.module
        if inner is None:
            return module
        module = inner
