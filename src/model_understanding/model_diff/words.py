"""What kind of module a module is, and of which transformer block it is a part."""

from torch import nn

from model_understanding.errors import UnsupportedModelError
from model_understanding.model.blocks import transformer_blocks
from model_understanding.model.model import Model


def kind_of(module: nn.Module | None) -> str:
    """Return the kind of a module by what its weights are.

    >>> kind_of(nn.LayerNorm(2)), kind_of(nn.Conv1d(2, 2, 3)), kind_of(nn.Linear(2, 2))
    ('norm', 'convolution', 'linear')
    """
    if module is None:
        return "other"
    if isinstance(module, nn.Embedding) or hasattr(module, "num_embeddings"):
        return "embedding"
    if hasattr(module, "in_channels"):
        return "convolution"
    if hasattr(module, "in_features"):
        return "linear"
    axes = {weight.ndim for weight in module._parameters.values() if weight is not None}
    if "norm" in type(module).__name__.lower() and axes == {1}:
        return "norm"
    if 3 in axes:
        return "experts"
    return "linear" if 2 in axes and not any(module._modules.values()) else "other"


def layer_of(model: Model, module: nn.Module | None) -> int | None:
    """Return the block that a module is a part of; ``None`` outside of blocks, and if several share it."""
    try:
        blocks = transformer_blocks(model)
    except UnsupportedModelError:
        return None
    layers = [
        layer for layer, block in enumerate(blocks) if any(part is module for part in block.module.modules())
    ]
    return layers[0] if len(layers) == 1 else None
