"""The data of a comparison's interactive page: ``ComparisonPayload`` of ``static/payload.schema.json``."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from model_understanding.comparison import Alignment, AttentionComparison, AttributionComparison, Comparison
from model_understanding.results import AttentionMap
from model_understanding.show.payload.parts import SCHEMA, decimal, decimals, encoded_palette, script_json
from model_understanding.show.payload.quantize import byte_budget, encoded_mask, encoded_weights
from model_understanding.show.payload.tables import encoded_table
from model_understanding.show.shared.words import axis_name, format_number, printable
from model_understanding.show.views.compared_attention import (
    Cell,
    cell_change,
    compared_axes,
    difference_title,
    largest_of_mean,
    map_name,
    reaches,
    shown_maps,
)
from model_understanding.show.views.compared_scores import (
    WHOLE_ANSWER,
    ScoresView,
    attribution_methods,
    attribution_title,
    has_steps,
    measure_sentence,
    scores_view,
    target_name_of,
)
from model_understanding.show.views.compared_words import short_unit_labels
from model_understanding.show.views.comparison import (
    MAX_PARTS,
    Answer,
    ComparisonView,
    comparison_view,
    evaluation_changes,
    omitted_parts,
    provenance_pairs,
)
from model_understanding.show.views.trust import Trust
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
    base, view = comparison.alignment, comparison_view(comparison)
    omitted: list[str] = []
    parts = shown_maps(comparison)[:MAX_PARTS]
    maps = [_differences(part) for part in parts]
    budget = byte_budget(tuple(maps)) // max(1, len(maps))
    encoded = [
        _attention(part, differences, base, budget, omitted)
        for part, differences in zip(parts, maps, strict=True)
    ]
    attention = [part for part in encoded if part is not None]
    if more := omitted_parts(comparison):
        omitted.append(f"{more} more comparisons are only in the .json file.")
    if (more := len(comparison.outputs) - _MAX_OUTPUTS) > 0:
        omitted.append(f"{more} more outputs are only in the .json file.")
    return {
        "schema": SCHEMA,
        "kind": "comparison",
        "answers": [_answer(answer) for answer in view.answers],
        "inputs": view.inputs,
        "cautions": list(view.cautions),
        "remarks": list(view.remarks),
        "notes": list(view.notes),
        "largest": _largest(view, parts, encoded),
        "tables": [encoded_table(base.first), encoded_table(base.second)],
        "pairs": base.pairs.ravel().tolist(),
        "kinds": list(base.kinds()),
        "continues": comparison.first.generation is not None
        and comparison.first.provenance.task != "seq2seq-lm",
        "outputs": [
            _named(change.label, change.first, change.second, change.difference)
            for change in view.outputs[:_MAX_OUTPUTS]
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


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "name": answer.name,
        "title": answer.title,
        "value": answer.value,
        "isText": answer.is_text,
        "modelName": answer.model,
    }


def _largest(
    view: ComparisonView, maps: Sequence[AttentionComparison], encoded: Sequence[dict[str, Any] | None]
) -> dict[str, Any] | None:
    """Return the largest single change, and where the page shows it; −1 for what it does not."""
    change = view.largest
    if change is None:
        return None
    part, row, cell = change.part, change.row, change.cell
    if change.kind == "share" and part < len(view.scores):
        row += _has_whole(view.scores[part].part)
    if change.kind == "attention":
        shown = encoded[part] if part < len(encoded) else None
        whole = shown is not None and shown["hasHeads"]
        part = sum(other is not None for other in encoded[:part]) if whole else -1
    kept = compared_axes(maps[change.part]) if cell is not None else None
    return {
        "kind": change.kind,
        "words": change.sentence,
        "part": part,
        "target": row,
        "unit": change.unit,
        "layer": -1 if cell is None or cell.layer is None else cell.layer,
        "head": -1 if cell is None or cell.head is None else cell.head,
        "row": -1 if cell is None or kept is None else int(np.searchsorted(kept[0], cell.row)),
        "key": -1 if cell is None or kept is None else int(np.searchsorted(kept[1], cell.key)),
    }


def _attribution(part: AttributionComparison, comparison: Comparison) -> dict[str, Any]:
    words = part.words()
    levels = [("word", words)]
    if len(words.alignment.pairs) != len(part.alignment.pairs):
        levels.append(("token", part))
    return {
        "title": attribution_title(part),
        "methods": attribution_methods(part),
        "measure": part.measure,
        "measureWords": measure_sentence(part),
        "signed": part.signed,
        "levels": [_level(name, of_level, comparison) for name, of_level in levels],
    }


def _has_whole(part: AttributionComparison) -> bool:
    return part.signed and has_steps(part)


def _level(name: str, part: AttributionComparison, comparison: Comparison) -> dict[str, Any]:
    labels = [tokens.labels() for tokens in (part.alignment.first, part.alignment.second)]
    sides = [
        [
            printable(of_side[token], 40) if token >= 0 else ""
            for token in part.alignment.pairs[:, side].tolist()
        ]
        for side, of_side in enumerate(labels)
    ]
    targets = [
        _target(
            scores_view(part, row, comparison), target_name_of(part, row), _unit_of(part, row, comparison)
        )
        for row in range(len(part.first.targets))
    ]
    if _has_whole(part):
        whole = scores_view(part.summed(), 0, comparison, is_whole=True)
        targets.insert(0, _target(whole, WHOLE_ANSWER, -1))
    return {
        "name": name,
        "units": _part_units(comparison.alignment, part.alignment),
        "kinds": list(part.alignment.kinds()),
        "firstLabels": sides[0],
        "secondLabels": sides[1],
        "special": part.alignment.special.tolist(),
        "targets": targets,
    }


def _target(view: ScoresView, name: str, unit: int) -> dict[str, Any]:
    return {
        "name": name,
        "unit": unit,
        "first": _numbers([each.first for each in view.units]),
        "second": _numbers([each.second for each in view.units]),
        "full": decimal(view.full),
        "largest": [each.index for each in view.largest],
        "why": list(view.why),
        "agreement": view.agreement,
        "trust": [_trust(side) for side in view.trust],
    }


def _trust(trust: Trust) -> dict[str, str]:
    return {"verdict": trust.verdict, "words": trust.words}


def _numbers(values: list[float | None]) -> list[float | None]:
    return [None if value is None else decimal(value) for value in values]


def _unit_of(part: AttributionComparison, row: int, comparison: Comparison) -> int:
    """Return the unit of the texts that the targets of a row generate, −1 for none."""
    target, base, generation = part.first.targets[row], comparison.alignment, comparison.first.generation
    is_step = len(target.positions) == 1 and target.quantity != "loss"
    # If the alignment joined tokens, its positions are not those of the report.
    if generation is None or not is_step or len(base.first) != len(generation.tokens):
        return -1
    return next(iter(np.flatnonzero(base.pairs[:, 0] == target.positions[0] + 1).tolist()), -1)


def _differences(part: AttentionComparison) -> AttentionMap:
    """Return the differences of every layer and head as a map over the units."""
    layers, heads = part.first.weights.shape[:2]
    weights = [[part.differences(layer, head) for head in range(heads)] for layer in range(layers)]
    rows, keys = compared_axes(part)
    cells = np.ix_(rows, keys)
    labels = [short_unit_labels(axis) for axis in (part.rows, part.keys)]
    return AttentionMap(
        queries=Tokens.from_labels([labels[0][row] for row in rows]),
        keys=Tokens.from_labels([labels[1][key] for key in keys]),
        weights=np.array(weights)[:, :, *cells],
        mask=part.compared[cells],
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
    has_heads = fitting.weights.shape == differences.weights.shape
    rows, keys = compared_axes(part)
    row_labels, key_labels = short_unit_labels(part.rows), short_unit_labels(part.keys)
    error = weights["error"]
    rounding = f"{format_number(100 * error)} points" if part.has_shares else format_number(error)
    omitted.append(f"{title}: rounded by at most {rounding} for display.")
    return {
        "name": map_name(part),
        "reason": printable(part.reason, 200),
        "isShares": part.has_shares,
        "hasHeads": has_heads,
        "cells": [_cell(part, cell, rows, keys) for cell in largest_of_mean(part)],
        "largest": decimals(part.largest.ravel()),
        "reach": decimals(reaches(part).ravel()) if has_heads else [decimal(reaches(part)[-1, -1])],
        "layers": [] if isinstance(fitting.layers, str) else list(fitting.layers),
        "heads": [] if isinstance(fitting.heads, str) else list(fitting.heads),
        "layerWords": axis_name("layer", fitting.layers),
        "headWords": axis_name("head", fitting.heads),
        "steps": part.first.steps is not None,
        "rowLabels": [row_labels[row] for row in rows],
        "keyLabels": [key_labels[key] for key in keys],
        "rowUnits": [_base_units(base, part.rows)[row] for row in rows],
        "keyUnits": [_base_units(base, part.keys)[key] for key in keys],
        "mask": encoded_mask(fitting.mask),
        "weights": weights,
    }


def _cell(part: AttentionComparison, cell: Cell, rows: np.ndarray, keys: np.ndarray) -> dict[str, Any]:
    change = cell_change(part, cell)
    return {
        "row": int(np.searchsorted(rows, cell.row)),
        "key": int(np.searchsorted(keys, cell.key)),
        "words": f"{change.first} → {change.second}",
        "difference": change.difference,
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
