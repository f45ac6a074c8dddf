"""Independent computations that results are compared with: captum, plain autograd, truly eager models."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import tiny_models
import torch
from torch import Tensor

RELATIVE = 1e-5  # fp32, relative to the largest value
FUSED = 3e-6  # likewise, of attention weights that a fused kernel's queries and keys give


def close(found: Any, expected: Any, relative: float = RELATIVE) -> bool:
    """Return whether two arrays agree, relative to the largest value expected."""
    one, other = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if one.shape != other.shape:
        return False
    return float(np.abs(one - other).max()) <= relative * max(float(np.abs(other).max()), 1e-12)


def captum_gradients(model: Any, inputs: dict[str, Tensor], read: Callable[[Tensor], Tensor]) -> Tensor:
    """Return captum's gradient of a value with respect to the embedding table's output, ``(T, D)``."""
    return _captum(model, inputs, read, multiply=False)


def captum_input_x_gradient(
    model: Any, inputs: dict[str, Tensor], read: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return captum's gradient × activation at the embedding table, summed over its width, ``(T,)``."""
    return _captum(model, inputs, read, multiply=True).sum(-1)


def _captum(
    model: Any, inputs: dict[str, Tensor], read: Callable[[Tensor], Tensor], *, multiply: bool
) -> Tensor:
    from captum.attr import LayerGradientXActivation

    others = {name: values for name, values in inputs.items() if name != "input_ids"}

    def forward(input_ids: Tensor) -> Tensor:
        return read(model(input_ids=input_ids, **others).logits).reshape(1)

    layer = LayerGradientXActivation(forward, model.get_input_embeddings(), multiply_by_inputs=multiply)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = layer.attribute(inputs["input_ids"])
    length = inputs["input_ids"].shape[1]
    found = found.detach()
    return found[0] if found.shape[1] == length else found[:, 0]  # XLNet: (tokens, batch, width)


def eager_attention(name: str, inputs: dict[str, Tensor]) -> Tensor:
    """Return the attention of a model loaded eager, ``(layers, heads, tokens, tokens)``."""
    model = tiny_models.build(name, "eager")
    with torch.no_grad():
        attention = torch.cat(model(**inputs, output_attentions=True).attentions)
    return attention[..., : attention.shape[-2]]
