"""Which layers, heads and rows of an attention map are kept, and how much of each row."""

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from model_understanding.attention.capture.layer import RowBlock
from model_understanding.attention.capture.reducers import (
    Axis,
    ColumnMass,
    Pooled,
    Reduced,
    Reducer,
    Rows,
    TopKeys,
)
from model_understanding.attention.capture.weights import CapturedAttention
from model_understanding.attention.protocol import AttentionMapMethod, StreamedAttentionMap
from model_understanding.attention.sides import AttendedTokens
from model_understanding.checks import index_in
from model_understanding.errors import InputError
from model_understanding.model.attention_layout import AttentionLayout, Stack
from model_understanding.model.model import Model
from model_understanding.results.attention_map import REDUCTIONS
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

AxisChoice = int | Sequence[int] | str
Keep = str | Reducer
KEEPS = ("rows", "top:16", "pooled:64", "mass")


class Kept(NamedTuple):
    """A text's attention as it goes into a result.

    Args:
        weights: Shape ``(L, H, Q, K)``, or ``(L, H, Q, C)`` with places.
        mask: The same without layers and heads.
        queries: The rows' tokens, or blocks of them.
        keys: The columns' tokens, or blocks of them.
        steps: The tokens that the rows produced, or blocks of them.
        places: Positions of the keys of each row's largest weights, −1 for none.
        left_out: What is omitted, in sentences.
    """

    weights: np.ndarray
    mask: np.ndarray
    queries: Tokens
    keys: Tokens
    steps: Tokens | None
    places: np.ndarray | None
    left_out: tuple[str, ...]


def reducer_of(keep: Keep) -> Reducer:
    """Return the reducer of a name, as ``top:16``, ``pooled:64``, ``mass`` or ``rows``.

    Raises:
        InputError: The name is unknown, or its number is not a whole number of at least 1.
    """
    if not isinstance(keep, str):
        return keep
    name, colon, size = keep.partition(":")
    kinds: dict[str, Any] = {"rows": Rows, "mass": ColumnMass, "top": TopKeys, "pooled": Pooled}
    takes_size = name in ("top", "pooled") and size.isascii() and size.isdecimal()
    if name not in kinds or (colon and not takes_size):
        raise InputError(
            f"Unknown keep {keep!r}. Allowed: {', '.join(KEEPS)}; 16 and 64 may be other numbers.",
            hint="Leave keep out to keep every weight, or pass for example keep='pooled:64'.",
        )
    if not size:
        return kinds[name]()
    return TopKeys(count=int(size)) if name == "top" else Pooled(size=int(size))


def layer_axis(choice: AxisChoice, layout: AttentionLayout) -> Axis:
    """Return chosen layers by the model's own index, or the name of a reduction over all with attention.

    Raises:
        InputError: There is no such layer, or it has no attention that can be read.
    """
    indices = _indices(choice, "layer")
    if isinstance(indices, str):
        return layout.layers if indices == "all" else indices
    return [layout.layer_of(index) for index in indices]


def head_axis(choice: AxisChoice, layers: Axis, layout: AttentionLayout) -> Axis:
    """Return chosen heads of some layers as indices from 0, or the name of a reduction.

    Raises:
        InputError: There is no such head, or the layers have different numbers of heads.
    """
    indices = _indices(choice, "head")
    if indices in REDUCTIONS:
        return indices
    count = layout.common_heads(None if isinstance(layers, str) else tuple(layers))
    return range(count) if isinstance(indices, str) else [index_in(index, count, "head") for index in indices]


def _indices(choice: AxisChoice, name: str) -> Axis:
    """Return chosen indices as they were given, ``all``, or the name of a reduction."""
    if isinstance(choice, str):
        if choice == "all" or choice in REDUCTIONS:
            return choice
        raise InputError(
            f"Unknown {name} {choice!r}. Allowed: an index, a list of indices, 'all', 'mean', 'max'.",
            hint=f"Pass for example {name}=-1 or {name}='mean'.",
        )
    indices = list(choice) if isinstance(choice, Sequence) else [choice]
    if not indices:
        raise InputError(f"{name}=[] names no {name}.", hint=f"Pass for example {name}='all'.")
    return indices


def name_of(reducer: Reducer) -> str:
    """Return the name of a reducer, as ``keep`` takes it; of a custom one the name of its class."""
    if isinstance(reducer, TopKeys):
        return f"top:{reducer.count}"
    if isinstance(reducer, Pooled):
        return f"pooled:{reducer.size}"
    names: dict[type, str] = {Rows: "rows", ColumnMass: "mass"}
    return names.get(type(reducer), type(reducer).__name__)


def captured_by(
    method: AttentionMapMethod,
    model: Model,
    encoding: Encoding,
    layers: Sequence[int] | str,
    heads: Sequence[int] | str,
    queries: Sequence[int] | None,
    reducer: Reducer,
    stack: Stack | None = None,
) -> CapturedAttention:
    """Run a map and keep what a reducer keeps, layer by layer as they come if the map can do that.

    Args:
        method: The map.
        model: The model.
        encoding: The text.
        layers: Layers, or a reduction's name.
        heads: Heads, likewise.
        queries: Positions of the rows.
        reducer: What to keep.
        stack: Which stack of an encoder–decoder.

    Raises:
        InputError: Layers cannot be joined after this reducer, or the map knows no stacks.
    """
    chosen: dict[str, Any] = {} if stack is None else {"stack": stack}
    if chosen and "stack" not in inspect.signature(method).parameters:
        raise InputError(
            f"The map {method.name} does not say how it reads an encoder–decoder: it has no parameter stack.",
            hint="Use kind='raw' or kind='value_weighted'.",
        )
    if isinstance(reducer, Rows):
        return method(model, encoding, layers, heads, queries, **chosen)
    if isinstance(method, StreamedAttentionMap) and method.streamed:
        streamed = cast(StreamedAttentionMap, method)
        return streamed(model, encoding, layers, heads, queries, reducer, **chosen)
    return reduced(method(model, encoding, layers, heads, queries, **chosen), reducer)


def reduced(captured: CapturedAttention, reducer: Reducer) -> CapturedAttention:
    """Return a map of all rows reduced, layer by layer.

    Args:
        captured: All rows.
        reducer: What to keep of them.
    """
    *_, rows, tokens = captured.weights.shape
    positions = torch.arange(rows, device=captured.weights.device)
    layers: list[Reduced] = []
    for index in range(captured.weights.shape[1]):
        weights = captured.weights[:, index]
        shape = (weights.shape[0], weights.shape[1], rows, tokens)
        layers.append(reducer([RowBlock(0, positions, 0, weights, captured.mask)], shape))
    mask = layers[0].mask
    for other in layers[1:]:
        mask = mask | other.mask
    keys = [layer.keys for layer in layers if layer.keys is not None]
    weights = torch.stack([layer.weights for layer in layers], dim=1)
    return CapturedAttention(weights, mask, torch.stack(keys, dim=1) if keys else None)


def kept_of(
    captured: CapturedAttention,
    reducer: Reducer,
    attended: AttendedTokens,
    queries: Sequence[int] | None,
    steps: Tokens | None,
    *,
    is_attention: bool,
) -> Kept:
    """Return what was captured of one text, its tokens joined in blocks where the reducer pools them.

    Args:
        captured: What was captured.
        reducer: What reduced it.
        attended: The tokens that attend, and those that they attend to.
        queries: Positions of the rows among the queries, ``None`` for all.
        steps: The tokens that the rows produced.
        is_attention: Whether the weights are plain attention.
    """
    weights, mask = captured.weights[0].cpu().numpy(), captured.mask[0].cpu().numpy()
    places = None if captured.keys is None else captured.keys[0].cpu().numpy()
    rows = attended.queries if queries is None else attended.queries.select(queries)
    keys, count, left_out = attended.keys, len(rows), []
    if steps is None and count < len(attended.queries):
        left_out.append(f"Only {count} of {len(attended.queries)} queries are kept.")
    if isinstance(reducer, TopKeys) and reducer.count < len(keys):
        share = f": {100 * float(weights.sum(-1).mean()):.1f} % of the attention" if is_attention else ""
        largest = "largest weight" if reducer.count == 1 else f"{reducer.count} largest weights"
        left_out.append(
            f"Only the {largest} of each row {'is' if reducer.count == 1 else 'are'} kept{share}."
        )
    elif isinstance(reducer, Pooled) and reducer.size > 1:
        keys = keys.blocks(reducer.size, range(attended.first_key, attended.first_key + len(keys)))
        of_rows = range(len(attended.queries)) if queries is None else queries
        positions = [attended.first_query + position for position in of_rows]
        produced = [position + 1 for position in positions]
        steps = None if steps is None else steps.blocks(reducer.size, produced)
        rows = rows.blocks(reducer.size, positions)
        left_out.append(
            f"Pooled: each cell covers {reducer.size} × {reducer.size} tokens, queries averaged and keys "
            "summed; individual weights are omitted."
        )
    elif isinstance(reducer, ColumnMass):
        weights, mask = weights[..., None, :], mask[None]
        rows, steps = rows.collapsed(f"mean of {count} queries"), None
        left_out.append(f"Only each key's mean weight over {count} queries is kept, not the rows.")
    return Kept(weights, mask, rows, keys, steps, places, tuple(left_out))
