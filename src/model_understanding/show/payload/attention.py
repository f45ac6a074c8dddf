"""The attention maps and head scores of a page."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float

from model_understanding.results import AttentionMap, HeadScores, Report
from model_understanding.show.payload.quantize import (
    byte_budget,
    distinct_maps,
    encoded_mask,
    encoded_weights,
)
from model_understanding.show.payload.reproduce import attention_code
from model_understanding.show.payload.tables import Tables, pooled_size
from model_understanding.show.shared.tasks import side_of
from model_understanding.show.shared.words import (
    attention_kind,
    attention_name,
    axis_name,
    format_number,
    format_percent,
    plane_name,
    printable,
    side_names,
)


def encoded_maps(
    report: Report, tables: Tables, omitted: list[str], most_bytes: int | None = None
) -> list[dict[str, Any]]:
    """Return the maps of a report in as much detail as the byte budget of the page allows.

    Args:
        report: The report.
        tables: The token tables of the page, to which those of the maps are added.
        omitted: A list to which sentences about omitted data are added.
        most_bytes: The byte budget; by default larger for longer texts.

    Returns:
        ``Attention`` of the payload's schema for each map.
    """
    distinct = distinct_maps(report.attention)
    maps = [attention.dense() for attention in distinct]
    remaining, encoded = byte_budget(tuple(maps), most_bytes), {}
    by_size = sorted(maps, key=lambda attention: attention.weights.size)
    for index, attention in enumerate(by_size):  # small maps first: large maps get the bytes that they save
        weights = encoded_weights(attention, remaining // (len(by_size) - index))
        remaining -= sum(map(len, weights["blocks"]))
        encoded[id(attention)] = weights
    for attention in maps:
        omitted += _omissions(attention, encoded[id(attention)], maps)
    return [
        _attention(report, attention, encoded[id(attention)], tables) | _sinks(whole)
        for attention, whole in zip(maps, distinct, strict=True)
    ]


def encoded_heads(report: Report, omitted: list[str]) -> dict[str, Any] | None:
    """Return ``HeadScores`` of the payload's schema with four significant digits, ``None`` without scores.

    Args:
        report: The report.
        omitted: A list to which a sentence is added if there are heads without scores.
    """
    heads = report.heads
    if heads is None:
        if any(
            not isinstance(attention.heads, str) and len(attention.heads) > 1
            for attention in report.attention
        ):
            omitted.append(
                "The report has no head scores, so heads are ranked by the weights in this page; "
                "score_heads computes scores."
            )
        return None
    return {
        "names": [printable(name, 40) for name in heads.names],
        "meanings": [printable(meaning, 120) for meaning in heads.meanings],
        "signed": list(heads.signed),
        "stack": heads.stack or "",
        "heads": heads.scores.shape[2],
        "scores": [
            [float(f"{score:.4g}") for score in scores]
            for scores in _of_all_layers(heads).reshape(len(heads.names), -1)
        ],
    }


def _of_all_layers(heads: HeadScores) -> Float[np.ndarray, "names layers heads"]:
    """Return scores by the model's own layers; 0 for those without attention, which no map has."""
    count, _, size = heads.scores.shape
    scores = np.zeros((count, heads.layers[-1] + 1, size), dtype=np.float32)
    scores[:, list(heads.layers)] = heads.scores
    return scores


def _attention(
    report: Report, attention: AttentionMap, weights: dict[str, Any], tables: Tables
) -> dict[str, Any]:
    """Return ``Attention`` of the payload's schema, without its sinks."""
    rows, keys = tables.axis(attention.rows, attention), tables.axis(attention.keys, attention)
    side = side_of(report, attention)
    name = attention_name(attention, with_reduction=False)  # the page says itself what it shows of a map
    return {
        "map": f"{attention_kind(attention)}, {side}" if side else attention_kind(attention),
        "name": f"{name} in the {side}" if side else name,
        "stack": attention.stack or "",
        "queryName": side_names(attention)[0],
        "keyName": side_names(attention)[1],
        "layers": [] if isinstance(attention.layers, str) else list(attention.layers),
        "heads": [] if isinstance(attention.heads, str) else list(attention.heads),
        "layerWords": axis_name("layer", attention.layers),
        "headWords": axis_name("head", attention.heads),
        "rowTable": rows.table,
        "rowPositions": rows.positions,
        "rowEnds": rows.ends,
        "keyTable": keys.table,
        "keyPositions": keys.positions,
        "keyEnds": keys.ends,
        "steps": attention.steps is not None,
        "isAttention": attention.is_attention,
        "pooled": pooled_size(attention),
        "mask": encoded_mask(attention.mask),
        "weights": weights,
        "python": attention_code(report, attention),
    }


def _sinks(attention: AttentionMap) -> dict[str, Any]:
    """Return the sinks of every layer and head, and of each layer's mean over heads, with their shares."""
    layers = [None] if isinstance(attention.layers, str) else attention.layers
    heads = [None] if isinstance(attention.heads, str) else attention.heads
    planes = [(layer, head) for layer in layers for head in (*heads, *([None] if len(heads) > 1 else []))]
    sinks = [attention.sinks_of(*plane) for plane in planes]
    shares = [attention.key_shares(keys, *plane) for keys, plane in zip(sinks, planes, strict=True)]
    return {
        "sinks": [list(keys) for keys in sinks],
        "sinkShares": [list(row) for row in shares],
    }


def _omissions(attention: AttentionMap, weights: dict[str, Any], maps: list[AttentionMap]) -> Iterator[str]:
    """Yield what the page omits of a map."""
    name = f"Attention ({attention_kind(attention)}, {_axes_name(attention)})"
    for sentence in attention.left_out:
        yield f"{name}: {printable(sentence, 300)}"
    if pooled_size(attention) > 1 and attention.weights.shape[1] > 1:
        exact = [other for other in maps if _is_alike(other, attention) and pooled_size(other) == 1]
        available = "; ".join(map(_axes_name, exact)) or "none of these heads"
        yield f"{name}: individual weights are in this page for {available}."
    if weights["kind"] == "top":
        yield (
            f"{name}: only the {weights['kept']} largest weights of each of {len(attention.queries):,} rows "
            f"are stored ({format_percent(weights['share'])} of all weight); the others are drawn as 0."
        )
    error = weights["error"]
    rounding = f"{format_number(100 * error)} %" if attention.is_attention else format_number(error)
    yield (
        f"{name}: weights are rounded by at most {rounding} for display; "
        "Report.save('x.npz', exact=True) keeps every digit."
    )


def _is_alike(first: AttentionMap, second: AttentionMap) -> bool:
    return (first.map, first.stack) == (second.map, second.stack)


def _axes_name(attention: AttentionMap) -> str:
    """Return the layers and heads of a map, as in ``layers 0–5, heads 0–11``."""
    return plane_name(attention).replace("mean of ", "")
