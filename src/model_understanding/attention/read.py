"""Run a model over a text and record its attention: maps, and the products behind a head's weights."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import torch

from model_understanding.attention.capture.layout import with_known_layout
from model_understanding.attention.capture.query_key import QueryKeyReading, read_query_key
from model_understanding.attention.capture.reducers import Axis
from model_understanding.attention.capture.weights import CapturedAttention
from model_understanding.attention.for_report import (
    FURTHER_MAPS,
    MOST_CELLS,
    Extent,
    MapChoice,
    attention_of_report,
)
from model_understanding.attention.keep import (
    AxisChoice,
    Keep,
    Kept,
    captured_by,
    head_axis,
    kept_of,
    layer_axis,
    name_of,
    reducer_of,
)
from model_understanding.attention.protocol import AttentionMapMethod
from model_understanding.attention.sides import AttendedTokens, attended_tokens, positions_of, rows_of
from model_understanding.checks import index_in
from model_understanding.errors import UnsupportedModelError
from model_understanding.model.attention_layout import (
    Stack,
    attention_layout,
    chosen_stack,
    listed,
    sides_of,
    stacks_of,
)
from model_understanding.model.model import Model
from model_understanding.model.prefixes import read_in_one_pass
from model_understanding.registry import MAPS
from model_understanding.results import AttentionMap, Provenance, QueryKey
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

_LEAST_SINK_SHARE = 1e-3


class _Reading(NamedTuple):
    """What was read of a text's attention, of which stack."""

    stack: Stack | None
    layers: Axis
    heads: Axis
    captured: CapturedAttention
    kept: Kept


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
    stack: str | None = None,
) -> AttentionMap:
    """Return a map of one text.

    Args:
        model: The model.
        encoding: The text.
        layer: Layers, as ``compute_attention`` takes them.
        head: Heads, likewise.
        map: The map, likewise.
        queries: Positions of the rows in the text; all where left out.
        steps: The tokens that the rows produced, where they are steps of a continuation.
        keep: What to keep of each layer.
        stack: Which stack of an encoder–decoder; the encoder's own tokens are no steps of a continuation.

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

    def read() -> _Reading:
        own = chosen_stack(model, stack)
        layout, attended = attention_layout(model, own), attended_tokens(model, encoding, own)
        is_of_steps = steps is not None and own != "encoder"
        asked = queries if steps is None or is_of_steps else None
        rows = None if asked is None else rows_of(attended, encoding, asked)
        layers = layer_axis(layer, layout)
        heads = head_axis(head, layers, layout)
        captured = captured_by(method, model, encoding, layers, heads, rows, reducer, own)
        kept = kept_of(
            captured,
            reducer,
            attended,
            rows,
            steps if is_of_steps else None,
            is_attention=method.name == "raw",
        )
        return _Reading(own, layers, heads, captured, kept)

    own, layers, heads, captured, kept = with_known_layout(model, encoding, read)
    return AttentionMap(
        **kept._asdict(),
        stack=own,
        layers=layers if isinstance(layers, str) else tuple(layers),
        heads=heads if isinstance(heads, str) else tuple(heads),
        map=method.name,
        keep=name_of(reducer),
        parameters=asdict(method),  # pyright: ignore[reportArgumentType]
        provenance=_with_cautions(
            model.provenance(encoding, time.perf_counter() - started),
            (*attention_layout(model, own).cautions, *_sink_cautions(model, captured.rest, layers)),
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
    """Return the maps that a report keeps; of an encoder–decoder those of each stack, the default one first.

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
    main, *others = with_known_layout(model, encoding, lambda: stacks_of(model))
    bound = MOST_CELLS // (1 + len(others))

    def maps_of(stack: Stack | None) -> tuple[AttentionMap, ...]:
        def attend(layer: AxisChoice, head: AxisChoice, map: Any, keep: str) -> AttentionMap:
            options = {"queries": queries, "steps": steps, "keep": keep, "stack": stack}
            return read_attention(model, encoding, layer, head, map, **options)

        def extent() -> Extent:
            layout, sides = attention_layout(model, stack), sides_of(encoding, stack)
            counts = [layout.heads_of(layer) for layer in layout.layers]
            is_of_steps = queries is not None and stack != "encoder"
            return Extent(
                layers=len(counts),
                heads=max(counts),
                rows=len(queries or ()) if is_of_steps else sides.queries,
                keys=sides.keys,
                is_regular=len(set(counts)) == 1,
                most_cells=bound,
            )

        further = [name for name in FURTHER_MAPS if stack in (None, "encoder") or name != "rollout"]
        return attention_of_report(attend, extent, maps, further)

    computed, omitted = list(maps_of(main)), list[str]()
    for stack in others:
        try:
            computed += maps_of(stack)
        except UnsupportedModelError as error:  # the other stacks stand without it
            omitted.append(error.message)
    if omitted:
        computed[0] = replace(computed[0], left_out=(*computed[0].left_out, *omitted))
    return tuple(computed)


def query_key_of(
    model: Model, encoding: Encoding, layer: int, head: int, query: int, stack: str | None = None
) -> QueryKey:
    """Return the products behind one head's weights for one query.

    Args:
        model: The model.
        encoding: The text.
        layer: The layer, by the model's own index; from its last layer with attention where negative.
        head: The head, likewise.
        query: The query's position in the text, likewise.
        stack: Which stack of an encoder–decoder.

    Returns:
        The query, its keys, and their weights.

    Raises:
        InputError: There is no such layer, head or token.
        UnsupportedModelError: The model has no attention, or its queries and keys cannot be found.
    """
    started = time.perf_counter()
    position = index_in(query, len(encoding.tokens[0]), "query token", "the text")
    encoding = read_in_one_pass(model, encoding, "Queries and keys come", [position])

    def read() -> tuple[AttendedTokens, Stack | None, int, int, int, QueryKeyReading]:
        own = chosen_stack(model, stack)
        layout, attended = attention_layout(model, own), attended_tokens(model, encoding, own)
        # From the end of the stack's own queries, where negative.
        (row,) = [len(attended.queries) + query] if query < 0 else rows_of(attended, encoding, [position])
        row = index_in(row, len(attended.queries), "query token", "this attention")
        own_layer = layout.layer_of(layer)
        own_head = index_in(head, layout.heads_of(own_layer), "head")
        reading = read_query_key(model, encoding, own_layer, own_head, row, own)
        return attended, own, row, own_layer, own_head, reading

    attended, own, row, own_layer, own_head, reading = with_known_layout(model, encoding, read)
    return QueryKey(
        tokens=attended.keys,
        query=row,
        queries=None if attended.queries is attended.keys else attended.queries,
        stack=own,
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
