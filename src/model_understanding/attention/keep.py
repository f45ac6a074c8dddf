"""What is asked of an attention map: its rows, and how much of each is kept."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from model_understanding.attention.capture.layer import RowBlock
from model_understanding.attention.capture.reducers import ColumnMass, Pooled, Reduced, Reducer, Rows, TopKeys
from model_understanding.attention.capture.weights import CapturedAttention
from model_understanding.attention.protocol import AttentionMapMethod, StreamedAttentionMap
from model_understanding.errors import InputError
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
        queries: The rows' tokens, or stretches of them.
        keys: The columns' tokens, or stretches of them.
        steps: The tokens that the rows produced, or stretches of them.
        places: Where each row's largest weights are, −1 for none.
        left_out: What is not there, in sentences.
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
        InputError: There is none of that name, or its number is none.
    """
    if not isinstance(keep, str):
        return keep
    name, colon, number = keep.partition(":")
    kinds: dict[str, Any] = {"rows": Rows, "mass": ColumnMass, "top": TopKeys, "pooled": Pooled}
    takes_number = name in ("top", "pooled") and number.isascii() and number.isdecimal()
    if name not in kinds or (colon and not takes_number):
        raise InputError(
            f"keep={keep!r} is unknown. Allowed: {', '.join(KEEPS)}, with another number in place of theirs.",
            hint="Leave it out to keep every weight, or pass for example keep='pooled:64'.",
        )
    if not number:
        return kinds[name]()
    return TopKeys(count=int(number)) if name == "top" else Pooled(size=int(number))


def axis_of(choice: AxisChoice, count: int, name: str) -> Sequence[int] | str:
    """Return chosen layers or heads as indices from 0, or the name of a reduction.

    Raises:
        InputError: There is no such layer or head.
    """
    if isinstance(choice, str):
        if choice == "all":
            return range(count)
        if choice in REDUCTIONS:
            return choice
        raise InputError(
            f"{name} {choice!r} is unknown. Allowed: an index, a list of them, 'all', 'mean', 'max'.",
            hint=f"Pass for example {name}=-1 or {name}='mean'.",
        )
    wanted = [choice] if isinstance(choice, int) else list(choice)
    for index in wanted:
        if isinstance(index, bool) or not isinstance(index, int) or not -count <= index < count:
            raise InputError(
                f"There is no {name} {index!r}: the model has {count}.",
                hint=f"Pass an index from 0 to {count - 1}, or from -{count} to -1 counting from the end.",
            )
    if not wanted:
        raise InputError(f"No {name} was chosen.", hint=f"Pass for example {name}='all'.")
    return [index % count for index in wanted]


def positions_of(queries: Sequence[int], tokens: Tokens) -> list[int]:
    """Return chosen rows as positions from 0.

    Raises:
        InputError: There is no such position, or none was chosen.
    """
    count = len(tokens)
    wanted = [] if isinstance(queries, str) else list(queries)
    if not wanted:
        raise InputError(
            f"queries={queries!r} names no position.",
            hint=f"Pass some from 0 to {count - 1}, or leave it out.",
        )
    for position in wanted:
        if isinstance(position, bool) or not isinstance(position, int) or not -count <= position < count:
            raise InputError(
                f"There is no query {position!r}: the text has {count} tokens.",
                hint=f"Pass positions from 0 to {count - 1}, or from -{count} to -1 counting from the end.",
            )
    return [position % count for position in wanted]


def name_of(reducer: Reducer) -> str:
    """Return what ``keep`` calls a reducer; a reducer of one's own is called as its class."""
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
) -> CapturedAttention:
    """Run a map and keep what a reducer keeps: layer by layer as they come, where the map can.

    Args:
        method: The map.
        model: The model.
        encoding: The text.
        layers: Layers, or a reduction's name.
        heads: Heads, likewise.
        queries: Positions of the rows.
        reducer: What to keep.

    Raises:
        InputError: Layers cannot be joined after this reducer.
    """
    if isinstance(reducer, Rows):
        return method(model, encoding, layers, heads, queries)
    if isinstance(method, StreamedAttentionMap) and method.streamed:
        return cast(StreamedAttentionMap, method)(model, encoding, layers, heads, queries, reducer)
    return reduced(method(model, encoding, layers, heads, queries), reducer)


def reduced(captured: CapturedAttention, reducer: Reducer) -> CapturedAttention:
    """Return a whole map reduced, as if its layers came one after another.

    Args:
        captured: All rows.
        reducer: What to keep of them.
    """
    *_, rows, tokens = captured.weights.shape
    places = torch.arange(rows, device=captured.weights.device)
    found: list[Reduced] = []
    for number in range(captured.weights.shape[1]):
        weights = captured.weights[:, number]
        shape = (weights.shape[0], weights.shape[1], rows, tokens)
        found.append(reducer([RowBlock(0, places, 0, weights, captured.mask)], shape))
    mask = found[0].mask
    for other in found[1:]:
        mask = mask | other.mask
    keys = [one.keys for one in found if one.keys is not None]
    weights = torch.stack([one.weights for one in found], dim=1)
    return CapturedAttention(weights, mask, torch.stack(keys, dim=1) if keys else None)


def kept_of(
    captured: CapturedAttention,
    reducer: Reducer,
    tokens: Tokens,
    queries: Sequence[int] | None,
    steps: Tokens | None,
    *,
    is_attention: bool,
) -> Kept:
    """Return what was captured of one text, with its tokens joined where the reducer joined them.

    Args:
        captured: What was captured.
        reducer: What reduced it.
        tokens: The text's tokens.
        queries: Positions of the rows, ``None`` for all.
        steps: The tokens that the rows produced.
        is_attention: Whether the weights are plain attention.
    """
    weights, mask = captured.weights[0].cpu().numpy(), captured.mask[0].cpu().numpy()
    places = None if captured.keys is None else captured.keys[0].cpu().numpy()
    rows = tokens if queries is None else tokens.select(queries)
    keys, count, left_out = tokens, len(rows), []
    if steps is None and count < len(tokens):
        left_out.append(f"{count} of {len(tokens)} queries were asked for.")
    if isinstance(reducer, TopKeys) and reducer.count < len(tokens):
        share = f": {100 * float(weights.sum(-1).mean()):.1f} % of the attention" if is_attention else ""
        largest = "largest weight" if reducer.count == 1 else f"{reducer.count} largest weights"
        left_out.append(
            f"Only the {largest} of each row {'is' if reducer.count == 1 else 'are'} kept{share}."
        )
    elif isinstance(reducer, Pooled) and reducer.size > 1:
        keys = tokens.blocks(reducer.size)
        positions = range(len(tokens)) if queries is None else queries
        steps = None if steps is None else steps.blocks(reducer.size, [place + 1 for place in positions])
        rows = rows.blocks(reducer.size, positions)
        left_out.append(
            f"Pooled: a cell is {reducer.size} × {reducer.size} tokens, queries averaged and keys summed; "
            "no single weight is shown."
        )
    elif isinstance(reducer, ColumnMass):
        weights, mask = weights[..., None, :], mask[None]
        rows, steps = rows.collapsed(f"mean of {count} queries"), None
        left_out.append(f"Only each key's mean weight over {count} queries is kept, not who looked at it.")
    return Kept(weights, mask, rows, keys, steps, places, tuple(left_out))
