"""Parts of the payload: numbers, colors, agreement, logit lens, queries and keys."""

import json
from itertools import combinations
from typing import Any

import numpy as np
import regex

from model_understanding.results import Attribution, LogitLens, QueryKey, Report
from model_understanding.show.payload.reproduce import lens_code, query_key_code
from model_understanding.show.payload.tables import Tables
from model_understanding.show.shared.colors import COLOR_NAMES, PALETTES, Palette
from model_understanding.show.shared.words import format_percent, printable
from model_understanding.statistics import rank_correlation, top_count, top_overlap

SCHEMA = 1
RAMP_STEPS = 24  # colors per ramp, which the page interpolates
_DIGITS = 4  # significant digits of probabilities, entropies and divergences
_MAX_KEYS = 64
_UNSAFE = regex.compile(r"[<>&\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]")


def script_json(payload: dict[str, Any]) -> str:
    r"""Return a payload as JSON that may stand in a page's script element.

    Characters that could end the element or hide text (``<``, ``>``, ``&``, control characters, direction
    overrides, line separators, unpaired surrogates) are written as ``\u…``.
    """
    text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: _json_escape(match.group()), text)


def decimals(values: np.ndarray) -> Any:
    """Return 32-bit floats as the shortest decimals that restore them."""
    return np.asarray(values, dtype=np.float32).astype(str).astype(np.float64).tolist()


def decimal(value: object) -> float:
    """Return a number as the shortest decimal that restores it as a 32-bit float."""
    return float(str(np.float32(value)))  # type: ignore[arg-type]


def _json_escape(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def encoded_agreements(report: Report) -> list[dict[str, Any]]:
    """Return the agreement of each pair of attributions with the same tokens and targets.

    Args:
        report: The report.

    Returns:
        ``Agreement`` of the payload's schema for each pair: Spearman's rank correlation and the top-k
        overlap, for each target. Magnitudes are compared if one of the methods is unsigned.
    """
    pairs = combinations(enumerate(report.attributions), 2)
    return [
        {"first": i, "second": j, **_agreement(first, second)}
        for (i, first), (j, second) in pairs
        if first.targets == second.targets and np.array_equal(first.tokens.ids, second.tokens.ids)
    ]


def _agreement(first: Attribution, second: Attribution) -> dict[str, Any]:
    signed = first.signed and second.signed
    correlations, overlaps, counts = [], [], []
    for row in range(len(first.targets)):
        counted = first.valid[row] & second.valid[row] & ~first.tokens.special
        first_scores, second_scores = (side.scores[row, counted] for side in (first, second))
        if not signed:
            first_scores, second_scores = np.abs(first_scores), np.abs(second_scores)
        counts.append(top_count(len(first_scores)))
        correlations.append(rank_correlation(first_scores, second_scores))
        overlaps.append(top_overlap(first_scores, second_scores, counts[-1]))
    return {"correlations": correlations, "overlaps": overlaps, "counts": counts, "signed": signed}


def encoded_palette() -> dict[str, Any]:
    """Return the colors of both themes."""
    return {theme: _ramps(colors) for theme, colors in PALETTES.items()}


def _ramps(colors: Palette) -> dict[str, Any]:
    steps = [step / RAMP_STEPS for step in range(RAMP_STEPS + 1)]
    names = (*COLOR_NAMES, "masked", "sink", "hatch")
    return {
        "names": [name.replace("_", "-") for name in names],
        "values": [getattr(colors, name) for name in names],
        "supports": [colors.signed(step) for step in steps],
        "against": [colors.signed(-step) for step in steps],
        "unsigned": [colors.magnitude(step) for step in steps],
        "attention": [colors.attention(step) for step in steps],
    }


def encoded_lens(report: Report, tables: Tables) -> dict[str, Any] | None:
    """Return the logit lens of a report.

    Args:
        report: The report.
        tables: The token tables of the page.

    Returns:
        ``Lens`` of the payload's schema, layers from the embeddings to the last; ``None`` without a lens.
    """
    lens = report.lens
    if lens is None:
        return None
    table, positions = tables.locate(lens.tokens)
    return {
        "table": table,
        "positions": [positions[position] if position >= 0 else -1 for position in lens.positions.tolist()],
        "layers": list(lens.layer_names),
        "top": lens.top_ids.shape[2],
        "labels": [printable(label.strip(" ") or label, 40) for label in lens.labels],
        "entries": _label_indices(lens, lens.top_ids),
        "probabilities": _rounded(lens.top_probabilities),
        "entropies": _rounded(lens.entropies),
        "divergences": _rounded(lens.divergences),
        "ranks": lens.final_ranks.ravel().tolist(),
        "next": _label_indices(lens, lens.next_ids),
        "python": lens_code(report, lens),
    }


def _label_indices(lens: LogitLens, ids: np.ndarray) -> list[int]:
    """Return the index of each ID's label, −1 for none."""
    indices = {label_id: index for index, label_id in enumerate(lens.ids.tolist())}
    return [indices.get(label_id, -1) for label_id in ids.ravel().tolist()]


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values.ravel().tolist()]


def encoded_neurons(report: Report, tables: Tables, omitted: list[str]) -> dict[str, Any] | None:
    """Return the queries and keys of a report, and the code that computes more.

    Args:
        report: The report.
        tables: The token tables of the page.
        omitted: A list to which sentences about omitted keys are added.

    Returns:
        ``Neurons`` of the payload's schema; ``None`` for a report without attention.
    """
    if not report.attention and not report.query_keys:
        return None
    encoded = [_encoded_query_key(query_key, tables, omitted) for query_key in report.query_keys]
    return {"held": encoded, "python": query_key_code(report)}


def _encoded_query_key(query_key: QueryKey, tables: Tables, omitted: list[str]) -> dict[str, Any]:
    table, positions = tables.locate(query_key.tokens)
    query_table, queries = (table, positions) if query_key.queries is None else tables.locate(query_key.rows)
    weights, allowed = query_key.weights, np.flatnonzero(query_key.allowed)
    keys = np.sort(allowed[np.argsort(-weights[allowed], kind="stable")][:_MAX_KEYS])
    if len(keys) < len(allowed):
        omitted.append(
            f"Query and keys (layer {query_key.layer}, head {query_key.head}): only the {len(keys)} of "
            f"{len(allowed):,} keys with the largest weights are included "
            f"({format_percent(float(weights[keys].sum()))} of the attention)."
        )
    return {
        "table": table,
        "queryTable": query_table,
        "query": queries[query_key.query],
        "layer": query_key.layer,
        "head": query_key.head,
        "keys": [positions[key] for key in keys],
        "width": len(query_key.query_vector),
        "products": _rounded(query_key.products[keys]),
        "additions": _rounded(query_key.additions[keys]),
        "scores": _rounded(query_key.scores[keys]),
        "weights": _rounded(weights[keys]),
    }
