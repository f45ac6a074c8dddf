"""Run a causal model's later positions on the cached keys and values of earlier ones, shared by all rows."""

from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from model_understanding.model.model import Model


class _SharedLayer(DynamicLayer):
    """Keys and values that all rows of a pass share; those of the pass are joined to them and not kept."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Return the shared keys and values followed by those of each row."""
        rows = len(key_states)
        assert self.keys is not None
        assert self.values is not None
        return (
            torch.cat([self.keys.expand(rows, -1, -1, -1), key_states], dim=-2),
            torch.cat([self.values.expand(rows, -1, -1, -1), value_states], dim=-2),
        )


def may_have_cache(model: Model) -> bool:
    """Return whether a model's forward pass takes a cache of keys and values."""
    return "past_key_values" in model.accepted and "use_cache" in model.accepted


def empty_cache() -> DynamicCache:
    """Return a cache that keeps all positions: without a configuration attention windows are only masks."""
    return DynamicCache()


def is_complete(cache: object, length: int) -> bool:
    """Return whether a cache contains keys and values of all positions in every layer, and nothing else."""
    layers = getattr(cache, "layers", None)
    return bool(layers) and all(
        type(layer) is DynamicLayer and layer.keys is not None and layer.keys.shape[-2] == length
        for layer in layers  # pyright: ignore[reportOptionalIterable]
    )


def shared_prefix(cache: Any, length: int) -> DynamicCache:
    """Return the first positions of a cache of one row, for passes of any number of rows.

    A pass copies them for one layer at a time, and leaves them as they are.

    Args:
        cache: A complete cache of one row.
        length: Number of positions.
    """
    prefix = empty_cache()
    if length > 0:
        for layer in cache.layers:
            shared = _SharedLayer()
            keys, values = layer.keys[..., :length, :], layer.values[..., :length, :]
            shared.keys, shared.values = keys, values
            shared.dtype, shared.device = keys.dtype, keys.device
            shared.is_initialized = True
            prefix.layers.append(shared)
    return prefix


def run_after(
    model: Model,
    ids: Int[Tensor, "rows positions"],
    start: int,
    lowest: int,
    cache: Any,
    visible: Bool[Tensor, "rows tokens"] | None = None,
) -> Any:
    """Run positions from ``start`` on and return the model's outputs.

    Args:
        model: The model, its module guarded.
        ids: The ids of these positions.
        start: The number of positions before them, which the cache holds.
        lowest: The first position whose logits are needed.
        cache: Keys and values of the positions before; ``None`` to keep none.
        visible: Which positions can be attended to, of those before and these; all by default.
    """
    rows, end = len(ids), start + ids.shape[1]
    if visible is None:
        visible = torch.ones(rows, end, dtype=torch.bool, device=ids.device)
    positions = torch.arange(start, end, device=ids.device)
    inputs = {
        "input_ids": ids,
        "attention_mask": visible.long(),
        "position_ids": positions[None].expand(rows, -1),
    }
    return model.call(inputs, past_key_values=cache, use_cache=cache is not None, logits_to_keep=end - lowest)
