"""What a module is made of: the wrappers around a model, its configuration, dtype and device."""

from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from transformers import PretrainedConfig


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


def without_adapter(module: nn.Module) -> nn.Module:
    """Return the model that an adapter of peft changes; any other module itself."""
    while (base := getattr(module, "get_base_model", None)) is not None:
        module = base()
    return module


def config_of(module: nn.Module) -> PretrainedConfig:
    """Return a module's configuration: its own, else that of the first model inside it, else an empty one."""
    for part in module.modules():
        config = getattr(part, "config", None)
        if isinstance(config, PretrainedConfig):
            return config
    config: Any = PretrainedConfig()
    config.model_type = type(module).__name__
    return config


def input_embeddings(module: nn.Module) -> nn.Module | None:
    """Return what a module embeds token ids with, or ``None`` if it has no such table.

    A module of the user's own may not say: then it is that of the first model inside it, or the largest one.

    Args:
        module: The module.
    """
    is_own = not type(module).__module__.startswith("transformers.")
    for part in module.modules() if is_own else [module]:
        table = _own_table(part)
        if table is not None:
            return table
    tables = [part for part in module.modules() if is_own and isinstance(part, nn.Embedding)]
    return max(tables, key=lambda table: table.num_embeddings, default=None)


def _own_table(module: Any) -> nn.Module | None:
    try:
        table = module.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    return table if isinstance(table, nn.Module) else None


def dtype_of(module: nn.Module) -> torch.dtype:
    """Return the dtype of a module's weights: the first one that is not of whole numbers.

    >>> dtype_of(nn.Linear(1, 1, dtype=torch.float64))
    torch.float64
    """
    own = getattr(module, "dtype", None)
    if isinstance(own, torch.dtype):
        return own
    weights = (weight.dtype for weight in module.parameters() if weight.is_floating_point())
    return next(weights, torch.get_default_dtype())


def device_of(module: nn.Module) -> torch.device:
    """Return the device of a module's first weight.

    >>> device_of(nn.Linear(1, 1))
    device(type='cpu')
    """
    own = getattr(module, "device", None)
    return own if isinstance(own, torch.device) else next(module.parameters(), torch.empty(0)).device


def virtual_tokens(module: nn.Module) -> int:
    """Return how many positions an adapter of peft puts before a text (prompt and prefix tuning)."""
    config: Any = getattr(module, "active_peft_config", None)
    return int(config.num_virtual_tokens) if getattr(config, "is_prompt_learning", False) else 0
