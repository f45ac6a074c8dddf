"""The attention maps of a page, with what each of them leaves out in words."""

from typing import Any

from model_understanding.results import AttentionMap, Report
from model_understanding.show.payload.quantize import (
    byte_budget,
    distinct_maps,
    encoded_mask,
    encoded_weights,
    plane_sinks,
)
from model_understanding.show.payload.tables import Tables, pooled_size
from model_understanding.show.reproduce import attention_code
from model_understanding.show.shared.words import layer_words, number, percent, shown


def encoded_maps(report: Report, tables: Tables, omitted: list[str]) -> list[dict[str, Any]]:
    """Return every map of a report in as much detail as the page's budget allows.

    Args:
        report: The report.
        tables: The page's tables, to which those of the maps are added.
        omitted: Takes what is left out, in words.

    Returns:
        ``Attention`` of the payload's schema, one for each map.
    """
    found = [each.dense() for each in distinct_maps(report.attention)]
    remaining, encoded = byte_budget(tuple(found)), {}
    maps = sorted(found, key=lambda attention: attention.weights.size)
    for place, attention in enumerate(maps):  # the small ones first: what they spare is for the large
        weights = encoded_weights(attention, remaining // (len(maps) - place))
        remaining -= sum(map(len, weights["blocks"]))
        encoded[id(attention)] = weights
    for attention in found:
        _say_omitted(attention, encoded[id(attention)], found, omitted)
    return [_attention(report, attention, encoded[id(attention)], tables) for attention in found]


def encoded_heads(report: Report, omitted: list[str]) -> dict[str, Any] | None:
    """Return ``HeadScores`` of the payload's schema, in four digits: heads are ranked by them.

    Args:
        report: The report.
        omitted: Takes, in words, that there are none for the heads of its maps.
    """
    heads = report.heads
    if heads is None:
        if any(len(one.heads) > 1 for one in report.attention if not isinstance(one.heads, str)):
            omitted.append(
                "The report holds no scores of its heads; they are ranked by the weights in this page. "
                "score_heads computes scores."
            )
        return None
    return {
        "names": [shown(name, 40) for name in heads.names],
        "meanings": [shown(meaning, 120) for meaning in heads.meanings],
        "signed": list(heads.signed),
        "heads": heads.scores.shape[2],
        "scores": [
            [float(f"{score:.4g}") for score in scores]
            for scores in heads.scores.reshape(len(heads.names), -1)
        ],
    }


def _attention(
    report: Report, attention: AttentionMap, weights: dict[str, Any], tables: Tables
) -> dict[str, Any]:
    rows, keys = tables.axis(attention.rows, attention), tables.axis(attention.keys, attention)
    return {
        "map": shown(attention.map, 40),
        "layers": [] if isinstance(attention.layers, str) else list(attention.layers),
        "heads": [] if isinstance(attention.heads, str) else list(attention.heads),
        "layerWords": shown(layer_words(attention).split(",")[0]),
        "headWords": shown(layer_words(attention).split(", ", 1)[1]),
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
        "sinks": plane_sinks(attention, weights["means"]),
        "python": attention_code(report, attention),
    }


def _say_omitted(
    attention: AttentionMap, weights: dict[str, Any], maps: list[AttentionMap], omitted: list[str]
) -> None:
    what = f"Attention ({shown(attention.map, 40)}, {_held_words(attention)})"
    omitted += [f"{what}: {shown(words, 300)}" for words in attention.left_out]
    if pooled_size(attention) > 1 and attention.weights.shape[1] > 1:
        exact = [one for one in maps if one.map == attention.map and pooled_size(one) == 1]
        words = "; ".join(map(_held_words, exact)) or "none"
        omitted.append(f"{what}: of these heads single weights are in this page for {words}.")
    if weights["kind"] == "top":
        omitted.append(
            f"{what}: the {weights['kept']} largest weights of each of {len(attention.queries):,} rows "
            f"are kept, {percent(weights['share'])} of all attention; the others are drawn as none."
        )
    omitted.append(
        f"{what}: weights are rounded for display, none by more than {number(weights['error'])}. "
        "Report.save('x.json') and save('x.npz') keep them exact."
    )


def _held_words(attention: AttentionMap) -> str:
    """Return which layers and heads a map holds, one by one or as their mean: ``layers 0–5, heads 0–11``."""
    return shown(layer_words(attention).replace("mean of ", ""))
