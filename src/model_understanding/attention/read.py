"""Run a model over a text and record its attention: maps, and the products behind a head's weights."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace

import torch

from model_understanding.attention.capture.layout import with_known_layout
from model_understanding.attention.capture.query_key import QueryKeyReading, read_query_key
from model_understanding.attention.capture.reducers import Axis
from model_understanding.attention.capture.weights import CapturedAttention
from model_understanding.attention.for_report import Extent, MapChoice, attention_of_report
from model_understanding.attention.keep import (
    AxisChoice,
    Keep,
    captured_by,
    head_axis,
    kept_of,
    layer_axis,
    name_of,
    positions_of,
    reducer_of,
)
from model_understanding.attention.protocol import AttentionMapMethod
from model_understanding.checks import index_in
from model_understanding.model.attention_layout import attention_layout, listed
from model_understanding.model.model import Model
from model_understanding.model.prefixes import read_in_one_pass
from model_understanding.registry import MAPS
from model_understanding.results import AttentionMap, Provenance, QueryKey
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

_LEAST_SINK_SHARE = 1e-3


def read_attention(
    model: Model,
    encoding: Encoding,
    layer: AxisChoice,
    head: AxisChoice,
    map: str | AttentionMapMethod,
    *,
    queries: Sequence[int] | None = None,
    steps: Tokens | None = None,
    keep: Keep = "rows",
) -> AttentionMap:
    """Return a map of one text.

    Args:
        model: The model.
        encoding: The text.
        layer: Layers, as ``compute_attention`` takes them.
        head: Heads, likewise.
        map: The map, likewise.
        queries: Positions of the rows; all where left out.
        steps: The tokens that the rows produced, where they are steps of a continuation.
        keep: What to keep of each layer.

    Returns:
        The map.

    Raises:
        InputError: There is no such layer, head, query or reduction.
        UnsupportedModelError: The model has no attention, or one that cannot be read exactly.
    """
    started = time.perf_counter()
    method = MAPS.load(map)() if isinstance(map, str) else map
    reducer = reducer_of(keep)
    tokens = encoding.tokens[0]
    positions = None if queries is None else positions_of(queries, tokens)
    encoding = read_in_one_pass(model, encoding, "The attention shown comes", positions)

    def read() -> tuple[Axis, Axis, CapturedAttention]:
        layout = attention_layout(model)
        layers = layer_axis(layer, layout)
        heads = head_axis(head, layers, layout)
        return layers, heads, captured_by(method, model, encoding, layers, heads, positions, reducer)

    layers, heads, captured = with_known_layout(model, encoding, read)
    kept = kept_of(captured, reducer, tokens, positions, steps, is_attention=method.name == "raw")
    return AttentionMap(
        **kept._asdict(),
        layers=layers if isinstance(layers, str) else tuple(layers),
        heads=heads if isinstance(heads, str) else tuple(heads),
        map=method.name,
        keep=name_of(reducer),
        parameters=asdict(method),  # pyright: ignore[reportArgumentType]
        provenance=_with_cautions(
            model.provenance(encoding, time.perf_counter() - started),
            (*attention_layout(model).cautions, *_sink_cautions(model, captured.rest, layers)),
        ),
    )


def _with_cautions(provenance: Provenance, cautions: tuple[str, ...]) -> Provenance:
    return replace(provenance, cautions=(*provenance.cautions, *cautions))


def _sink_cautions(model: Model, share: float, layers: Axis) -> tuple[str, ...]:
    """Return a warning if rows of attention sum to less than 1 by more than rounding."""
    rounding = torch.finfo(getattr(model.module, "dtype", torch.float32)).eps
    if share <= max(_LEAST_SINK_SHARE, rounding):
        return ()
    where = "over all layers" if isinstance(layers, str) else f"in {listed(tuple(layers))}"
    return (
        f"A learned sink takes {100 * share:.1f} % of each row on average {where}: "
        "the weights of a row sum to less than 100 %.",
    )


def attention_for_report(
    model: Model,
    encoding: Encoding,
    maps: MapChoice,
    queries: Sequence[int] | None = None,
    steps: Tokens | None = None,
) -> tuple[AttentionMap, ...]:
    """Return the maps that a report keeps.

    Args:
        model: The model.
        encoding: The text.
        maps: Which maps, as ``analyze`` takes them.
        queries: As ``read_attention`` takes them.
        steps: Likewise.

    Raises:
        InputError: A map that was named is unknown.
        UnsupportedModelError: The model has no attention, or one that cannot be read exactly.
    """
    tokens = len(encoding.tokens[0])

    def attend(layer: AxisChoice, head: AxisChoice, map: str | AttentionMapMethod, keep: str) -> AttentionMap:
        return read_attention(model, encoding, layer, head, map, queries=queries, steps=steps, keep=keep)

    def extent() -> Extent:
        layout = attention_layout(model)
        counts = [layout.heads_of(layer) for layer in layout.layers]
        return Extent(
            layers=len(counts),
            heads=max(counts),
            rows=tokens if queries is None else len(queries),
            keys=tokens,
            is_regular=len(set(counts)) == 1,
        )

    return attention_of_report(attend, extent, maps)


def query_key_of(model: Model, encoding: Encoding, layer: int, head: int, query: int) -> QueryKey:
    """Return the products behind one head's weights for one query.

    Args:
        model: The model.
        encoding: The text.
        layer: The layer, by the model's own index; from its last layer with attention where negative.
        head: The head, likewise.
        query: The query's position, likewise.

    Returns:
        The query, its keys, and their weights.

    Raises:
        InputError: There is no such layer, head or token.
        UnsupportedModelError: The model has no attention, or its queries and keys cannot be found.
    """
    started = time.perf_counter()
    tokens = encoding.tokens[0]
    query = index_in(query, len(tokens), "query token", "the text")
    encoding = read_in_one_pass(model, encoding, "Queries and keys come", [query])

    def read() -> tuple[int, int, QueryKeyReading]:
        layout = attention_layout(model)
        own_layer = layout.layer_of(layer)
        own_head = index_in(head, layout.heads_of(own_layer), "head")
        return own_layer, own_head, read_query_key(model, encoding, own_layer, own_head, query)

    own_layer, own_head, reading = with_known_layout(model, encoding, read)
    return QueryKey(
        tokens=tokens,
        query=query,
        layer=own_layer,
        head=own_head,
        query_vector=reading.query.numpy(),
        key_vectors=reading.keys.numpy(),
        scale=reading.scale,
        additions=reading.additions.numpy(),
        allowed=reading.allowed.numpy(),
        weights=reading.weights.numpy(),
        rival=reading.rival,
        provenance=model.provenance(encoding, time.perf_counter() - started),
    )
