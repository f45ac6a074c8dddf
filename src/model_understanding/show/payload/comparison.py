"""The data of a comparison's interactive page: ``ComparisonPayload`` of ``static/payload.schema.json``."""

from dataclasses import replace
from typing import Any

import numpy as np

from model_understanding.comparison import Alignment, AttentionComparison, AttributionComparison, Comparison
from model_understanding.results import AttentionMap
from model_understanding.show.payload.parts import SCHEMA, decimals, encoded_palette, script_json
from model_understanding.show.payload.quantize import byte_budget, encoded_mask, encoded_weights
from model_understanding.show.payload.tables import encoded_table
from model_understanding.show.shared.comparison_words import (
    MAX_PARTS,
    agreement_text,
    attribution_methods,
    attribution_title,
    comparison_summary,
    difference_title,
    evaluation_changes,
    measure_sentence,
    omitted_parts,
    output_changes,
    provenance_pairs,
    short_unit_labels,
)
from model_understanding.show.shared.words import axis_name, format_number, printable, target_label
from model_understanding.tokens import Tokens

_MAX_OUTPUTS = 100


def comparison_payload(comparison: Comparison) -> dict[str, Any]:
    """Return the data of the interactive page of a comparison.

    Args:
        comparison: The comparison.

    Returns:
        ``ComparisonPayload`` of the schema. Its units are those of the alignment of the two texts, to which
        the units of each attribution and map refer.
    """
    base = comparison.alignment
    omitted: list[str] = []
    maps = [_differences(part) for part in comparison.attention[:MAX_PARTS]]
    budget = byte_budget(tuple(maps)) // max(1, len(maps))
    attention = [
        _attention(part, differences, base, budget, omitted)
        for part, differences in zip(comparison.attention, maps, strict=False)
    ]
    attention = [part for part in attention if part is not None]
    if more := omitted_parts(comparison):
        omitted.append(f"{more} more comparisons are only in the .json file.")
    if (more := len(comparison.outputs) - _MAX_OUTPUTS) > 0:
        omitted.append(f"{more} more outputs are only in the .json file.")
    return {
        "schema": SCHEMA,
        "kind": "comparison",
        **comparison_summary(comparison),
        "tables": [encoded_table(base.first), encoded_table(base.second)],
        "pairs": base.pairs.ravel().tolist(),
        "kinds": list(base.kinds()),
        "continues": comparison.first.generation is not None,
        "outputs": [
            _named(change.label, change.first, change.second, change.difference)
            for change in output_changes(comparison.outputs[:_MAX_OUTPUTS])
        ],
        "attributions": [_attribution(part, comparison) for part in comparison.attributions[:MAX_PARTS]],
        "attention": attention,
        "evaluations": [
            _named(metric, first, second, verdict)
            for metric, first, second, verdict in evaluation_changes(comparison)
        ],
        "provenance": [
            _named(name, printable(first), printable(second))
            for name, first, second in provenance_pairs(comparison)
        ],
        "omitted": omitted,
        "palette": encoded_palette(),
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
        _clear_missing(values[side], part.valid(side))
    _clear_missing(differences, part.compared)
    return {
        "title": attribution_title(part),
        "methods": attribution_methods(part),
        "measure": part.measure,
        "measureWords": measure_sentence(part),
        "signed": part.signed,
        "units": _part_units(comparison.alignment, part.alignment),
        "labels": list(short_unit_labels(part.alignment)),
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
    base, generation = comparison.alignment, comparison.first.generation
    is_step = len(target.positions) == 1 and target.quantity != "loss"
    # If the alignment joined tokens, its positions are not those of the report.
    if generation is not None and is_step and len(base.first) == len(generation.tokens):
        unit = next(iter(np.flatnonzero(base.pairs[:, 0] == target.positions[0] + 1).tolist()), -1)
    return {
        "name": first if first == second else f"{first} → {second}",
        "agreement": agreement_text(part, row),
        "unit": unit,
    }


def _clear_missing(rows: list[list[float | None]], present: np.ndarray) -> None:
    """Set missing values to ``None``."""
    for row, unit in zip(*np.nonzero(~present), strict=True):
        rows[row][unit] = None


def _differences(part: AttentionComparison) -> AttentionMap:
    """Return the differences of every layer and head as a map over the units."""
    layers, heads = part.first.weights.shape[:2]
    weights = [[part.differences(layer, head) for head in range(heads)] for layer in range(layers)]
    rows, keys = (Tokens.from_labels(short_unit_labels(axis)) for axis in (part.rows, part.keys))
    return AttentionMap(
        queries=rows,
        keys=keys,
        weights=np.array(weights),
        mask=part.compared,
        map=part.first.map,
        layers=part.first.layers,
        heads=part.first.heads,
    )


def _fit_budget(differences: AttentionMap, budget: int) -> tuple[AttentionMap, dict[str, Any]]:
    """Return the differences if they fit the budget, else their means over heads, or layers and heads."""
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
    fitting, weights = _fit_budget(differences, budget)
    title = difference_title(part)
    if weights["kind"] != "dense":
        omitted.append(f"{title}: too large for a page, only in the .json file.")
        return None
    if fitting.weights.shape != differences.weights.shape:
        omitted.append(f"{title}: only means fit this page; the .json file has every head.")
    error = weights["error"]
    rounding = f"{format_number(100 * error)} %" if part.first.is_attention else format_number(error)
    omitted.append(f"{title}: rounded by at most {rounding} for display.")
    return {
        "title": title,
        "reason": printable(part.reason, 200),
        "layers": [] if isinstance(fitting.layers, str) else list(fitting.layers),
        "heads": [] if isinstance(fitting.heads, str) else list(fitting.heads),
        "layerWords": axis_name("layer", fitting.layers),
        "headWords": axis_name("head", fitting.heads),
        "steps": part.first.steps is not None,
        "rowLabels": list(short_unit_labels(part.rows)),
        "keyLabels": list(short_unit_labels(part.keys)),
        "rowUnits": _base_units(base, part.rows),
        "keyUnits": _base_units(base, part.keys),
        "mask": encoded_mask(fitting.mask),
        "weights": weights,
    }


def _base_units(base: Alignment, part: Alignment) -> list[int]:
    """Return the first unit of the texts' alignment for each unit of a part, −1 for none."""
    base_units = [-1] * len(part.pairs)
    for base_unit, part_unit in reversed([*enumerate(_part_units(base, part))]):
        if part_unit >= 0:
            base_units[part_unit] = base_unit
    return base_units


def _part_units(base: Alignment, part: Alignment) -> list[int]:
    """Return the unit of a part for each unit of the texts' alignment, −1 for none."""
    part_units = [-1] * len(base.pairs)
    for side, (tokens, part_tokens) in enumerate(((base.first, part.first), (base.second, part.second))):
        containers = _containers(tokens, part_tokens)
        unit_of_token = {int(token): unit for unit, token in enumerate(part.pairs[:, side]) if token >= 0}
        for unit, token in enumerate(base.pairs[:, side]):
            if token >= 0 and part_units[unit] < 0 and containers[token] >= 0:
                part_units[unit] = unit_of_token[containers[token]]
    return part_units


def _containers(tokens: Tokens, containers: Tokens) -> list[int]:
    """Return the index of the container whose span includes each token, −1 for none; both are in order."""
    indices, start = [], 0
    for token in range(len(tokens)):
        candidates = range(start, len(containers))
        index = next((i for i in candidates if _contains(containers, i, tokens, token)), -1)
        if index >= 0:
            start = index + (containers.segments[index] < 0)
        indices.append(index)
    return indices


def _contains(containers: Tokens, index: int, tokens: Tokens, token: int) -> bool:
    if containers.segments[index] != tokens.segments[token]:
        return False
    if tokens.segments[token] < 0:
        return containers.pieces[index] == tokens.pieces[token]
    (low, high), (start, end) = containers.offsets[index], tokens.offsets[token]
    return bool(low <= start and end <= high)
