"""What a comparison's interactive page draws: ``ComparisonPayload`` of ``static/payload.schema.json``."""

from dataclasses import replace
from typing import Any

import numpy as np

from model_understanding.comparison import Alignment, AttentionComparison, AttributionComparison, Comparison
from model_understanding.results import AttentionMap
from model_understanding.show.page.comparison_content import (
    MOST_PARTS,
    parts_left_out,
    provenance_pairs,
    told,
)
from model_understanding.show.page.css import payload_palette
from model_understanding.show.page.svg import axis_labels
from model_understanding.show.payload.parts import SCHEMA, decimals, script_json
from model_understanding.show.payload.quantize import byte_budget, encoded_mask, encoded_weights
from model_understanding.show.payload.tables import encoded_table
from model_understanding.show.shared.comparison_words import (
    agreement_words,
    attribution_methods,
    attribution_title,
    difference_title,
    evaluation_changes,
    measure_words,
    output_changes,
    target_label,
)
from model_understanding.show.shared.words import layer_words, number, shown
from model_understanding.tokens import Tokens

_MOST_OUTPUTS = 100


def comparison_payload(comparison: Comparison) -> dict[str, Any]:
    """Return everything the interactive page of a comparison draws.

    Args:
        comparison: The comparison.

    Returns:
        ``ComparisonPayload`` of the schema. Its units are those of the two texts' alignment; every
        attribution and every map says which of them its own stand for.
    """
    base = comparison.alignment
    omitted: list[str] = []
    maps = [_differences(part) for part in comparison.attention[:MOST_PARTS]]
    budget = byte_budget(tuple(maps)) // max(1, len(maps))
    attention = [
        _attention(part, differences, base, budget, omitted)
        for part, differences in zip(comparison.attention, maps, strict=False)
    ]
    attention = [part for part in attention if part is not None]
    if more := parts_left_out(comparison):
        omitted.append(f"{more} more comparisons; the .json holds them.")
    if len(comparison.outputs) > _MOST_OUTPUTS:
        omitted.append(f"{len(comparison.outputs) - _MOST_OUTPUTS} more answers; the .json holds them.")
    return {
        "schema": SCHEMA,
        "kind": "comparison",
        **told(comparison),
        "tables": [encoded_table(base.first), encoded_table(base.second)],
        "pairs": base.pairs.ravel().tolist(),
        "kinds": list(base.kinds()),
        "continues": comparison.first.generation is not None,
        "outputs": [
            _named(change.label, change.first, change.second, change.difference)
            for change in output_changes(comparison.outputs[:_MOST_OUTPUTS])
        ],
        "attributions": [_attribution(part, comparison) for part in comparison.attributions[:MOST_PARTS]],
        "attention": attention,
        "evaluations": [
            _named(metric, first, second, verdict)
            for metric, first, second, verdict in evaluation_changes(comparison)
        ],
        "provenance": [
            _named(name, shown(first), shown(second)) for name, first, second in provenance_pairs(comparison)
        ],
        "omitted": omitted,
        "palette": payload_palette(),
    }


def comparison_json(comparison: Comparison) -> str:
    """Return the payload as JSON that may stand in a page's script element."""
    return script_json(comparison_payload(comparison))


def _named(name: str, first: str, second: str, remark: str = "") -> dict[str, str]:
    return {"name": name, "first": first, "second": second, "remark": remark}


def _attribution(part: AttributionComparison, comparison: Comparison) -> dict[str, Any]:
    values = [decimals(part.values(side)) for side in (0, 1)]
    differences = decimals(part.differences)
    for side in (0, 1):
        _blank(values[side], part.valid(side))
    _blank(differences, part.compared)
    return {
        "title": attribution_title(part),
        "methods": attribution_methods(part),
        "measure": part.measure,
        "measureWords": measure_words(part),
        "signed": part.signed,
        "units": _unit_of_each(comparison.alignment, part.alignment),
        "labels": list(axis_labels(part.alignment)),
        "special": part.alignment.special.tolist(),
        "targets": [_target(part, row, comparison) for row in range(len(part.first.targets))],
        "first": values[0],
        "second": values[1],
        "differences": differences,
        "reach": float(np.float32(part.reach)),
    }


def _target(part: AttributionComparison, row: int, comparison: Comparison) -> dict[str, Any]:
    first, second = (target_label(side.targets[row]) for side in (part.first, part.second))
    target, unit = part.first.targets[row], -1
    base, source = comparison.alignment, comparison.first.generation
    reads_one = len(target.positions) == 1 and target.quantity != "loss"
    # Where tokens were joined, positions are not those of the report.
    if source is not None and reads_one and len(base.first) == len(source.tokens):
        unit = next(iter(np.flatnonzero(base.pairs[:, 0] == target.positions[0] + 1).tolist()), -1)
    return {
        "name": first if first == second else f"{first} → {second}",
        "agreement": agreement_words(part, row),
        "unit": unit,
    }


def _blank(rows: list[list[float | None]], held: np.ndarray) -> None:
    """Write that there is no value where none is held."""
    for row, unit in zip(*np.nonzero(~held), strict=True):
        rows[row][unit] = None


def _differences(part: AttentionComparison) -> AttentionMap:
    """Return the differences of every layer and head as a map over the units that both have."""
    layers, heads = part.first.weights.shape[:2]
    weights = [[part.differences(layer, head) for head in range(heads)] for layer in range(layers)]
    rows, keys = (Tokens.from_pieces(axis_labels(axis)) for axis in (part.rows, part.keys))
    return AttentionMap(
        queries=rows,
        keys=keys,
        weights=np.array(weights),
        mask=part.compared,
        map=part.first.map,
        layers=part.first.layers,
        heads=part.first.heads,
    )


def _fitting(differences: AttentionMap, budget: int) -> tuple[AttentionMap, dict[str, Any]]:
    """Return differences that fit whole, or the means over heads, or over layers too, that do."""
    weights = encoded_weights(differences, budget)
    for axis, name in ((1, "heads"), (0, "layers")):
        if weights["kind"] == "dense":
            break
        mean = differences.weights.mean(axis=axis, keepdims=True)
        differences = replace(differences, weights=mean, **{name: "mean"})  # pyright: ignore[reportArgumentType]
        weights = encoded_weights(differences, budget)
    return differences, weights


def _attention(
    part: AttentionComparison, differences: AttentionMap, base: Alignment, budget: int, omitted: list[str]
) -> dict[str, Any] | None:
    held, weights = _fitting(differences, budget)
    title = difference_title(part)
    if weights["kind"] != "dense":
        omitted.append(f"{title}: too large for a page; the .json holds it.")
        return None
    if held.weights.shape != differences.weights.shape:
        omitted.append(f"{title}: only means fit this page; the .json holds every head.")
    omitted.append(f"{title}: rounded for display, none by more than {number(weights['error'])}.")
    layers, _, heads = layer_words(held).partition(", ")
    return {
        "title": title,
        "reason": shown(part.reason, 200),
        "layers": [] if isinstance(held.layers, str) else list(held.layers),
        "heads": [] if isinstance(held.heads, str) else list(held.heads),
        "layerWords": shown(layers),
        "headWords": shown(heads),
        "steps": part.first.steps is not None,
        "rowLabels": list(axis_labels(part.rows)),
        "keyLabels": list(axis_labels(part.keys)),
        "rowUnits": _base_of_each(base, part.rows),
        "keyUnits": _base_of_each(base, part.keys),
        "mask": encoded_mask(held.mask),
        "weights": weights,
    }


def _base_of_each(base: Alignment, part: Alignment) -> list[int]:
    """Return the first unit of the two texts that each unit of a part stands for, −1 none."""
    places = [-1] * len(part.pairs)
    for unit, own in reversed([*enumerate(_unit_of_each(base, part))]):
        if own >= 0:
            places[own] = unit
    return places


def _unit_of_each(base: Alignment, part: Alignment) -> list[int]:
    """Return the unit of a part that each unit of the two texts belongs to, −1 none."""
    units = [-1] * len(base.pairs)
    for side, (tokens, own) in enumerate(((base.first, part.first), (base.second, part.second))):
        holders = _holder_of_each(tokens, own)
        unit_of_token = {int(token): unit for unit, token in enumerate(part.pairs[:, side]) if token >= 0}
        for unit, token in enumerate(base.pairs[:, side]):
            if token >= 0 and units[unit] < 0 and holders[token] >= 0:
                units[unit] = unit_of_token[holders[token]]
    return units


def _holder_of_each(tokens: Tokens, held: Tokens) -> list[int]:
    """Return which of some tokens, in order, each token stands in; a special one in its like; −1 none."""
    holders, start = [], 0
    for token in range(len(tokens)):
        found = next((other for other in range(start, len(held)) if _holds(held, other, tokens, token)), -1)
        if found >= 0:
            start = found + (held.segments[found] < 0)
        holders.append(found)
    return holders


def _holds(held: Tokens, other: int, tokens: Tokens, token: int) -> bool:
    if held.segments[other] != tokens.segments[token]:
        return False
    if tokens.segments[token] < 0:
        return held.pieces[other] == tokens.pieces[token]
    (low, high), (start, end) = held.offsets[other], tokens.offsets[token]
    return bool(low <= start and end <= high)
