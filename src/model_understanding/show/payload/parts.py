"""Parts of a report's payload: numbers, agreement, logit lens, query–key products."""

import json
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import regex

from model_understanding.results import Attribution, LogitLens, QueryKey, Report
from model_understanding.show.reproduce import lens_code, query_key_code
from model_understanding.show.shared.words import percent, shown
from model_understanding.statistics import rank_correlation, top_count, top_overlap
from model_understanding.tokens import Tokens

SCHEMA = 1
_UNSAFE = regex.compile(r"[<>&\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]")


def script_json(payload: dict[str, Any]) -> str:
    r"""Return a payload as JSON that may stand in a page's script element.

    What could end the element or hide (``<``, ``>``, ``&``, controls, direction overrides, line
    separators, halves of characters) is written as ``\u…``.
    """
    text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: _json_escape(match.group()), text)


def decimals(values: np.ndarray) -> Any:
    """Return 32-bit floats as the shortest decimals that restore each."""
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
        ``Agreement`` of the payload's schema for each pair: Spearman's rank correlation and the share of
        the largest tokens in common, for each target. Sizes are compared where one has no signs.
    """
    pairs = combinations(enumerate(report.attributions), 2)
    return [
        {"first": place, "second": other, **_agreement(ours, theirs)}
        for (place, ours), (other, theirs) in pairs
        if ours.targets == theirs.targets and np.array_equal(ours.tokens.ids, theirs.tokens.ids)
    ]


def _agreement(first: Attribution, second: Attribution) -> dict[str, Any]:
    signed = first.signed and second.signed
    correlations, overlaps, counts = [], [], []
    for row in range(len(first.targets)):
        counted = first.valid[row] & second.valid[row] & ~first.tokens.special
        sides = [side.scores[row, counted] for side in (first, second)]
        one, two = sides if signed else map(np.abs, sides)
        counts.append(top_count(len(one)))
        correlations.append(rank_correlation(one, two))
        overlaps.append(top_overlap(one, two, counts[-1]))
    return {"correlations": correlations, "overlaps": overlaps, "counts": counts, "signed": signed}


_DIGITS = 4  # of probabilities, entropies and divergences on the page
Place = Callable[[Tokens], tuple[int, list[int]]]


def encoded_lens(report: Report, place: Place) -> dict[str, Any] | None:
    """Return the logit lens of a report.

    Args:
        report: The report.
        place: Finds the table that holds some tokens, and where.

    Returns:
        ``Lens`` of the payload's schema, layers from the embeddings to the last; nothing where the report
        has none.
    """
    lens = report.lens
    if lens is None:
        return None
    table, places = place(lens.tokens)
    return {
        "table": table,
        "positions": [places[position] if position >= 0 else -1 for position in lens.positions.tolist()],
        "layers": list(lens.layer_names),
        "top": lens.top_ids.shape[2],
        "labels": [shown(label.strip(" ") or label, 40) for label in lens.labels],
        "entries": _numbered(lens, lens.top_ids),
        "probabilities": _rounded(lens.top_probabilities),
        "entropies": _rounded(lens.entropies),
        "divergences": _rounded(lens.divergences),
        "ranks": lens.final_ranks.ravel().tolist(),
        "next": _numbered(lens, lens.next_ids),
        "python": lens_code(report, lens),
    }


def _numbered(lens: LogitLens, entries: np.ndarray) -> list[int]:
    """Return entries as places among the labels, −1 for none."""
    places = {entry: place for place, entry in enumerate(lens.ids.tolist())}
    return [places.get(entry, -1) for entry in entries.ravel().tolist()]


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values.ravel().tolist()]


_MOST_KEYS = 64


def encoded_neurons(report: Report, place: Place, omitted: list[str]) -> dict[str, Any] | None:
    """Return the queries and keys of a report, and the code that computes more.

    Args:
        report: The report.
        place: Finds the table that holds some tokens, and where.
        omitted: Takes what is left out, in words.

    Returns:
        ``Neurons`` of the payload's schema; nothing where the report has no attention.
    """
    if not report.attention and not report.query_keys:
        return None
    held = [_encoded(found, place, omitted) for found in report.query_keys]
    return {"held": held, "python": query_key_code(report)}


def _encoded(found: QueryKey, place: Place, omitted: list[str]) -> dict[str, Any]:
    table, places = place(found.tokens)
    allowed = np.flatnonzero(found.allowed)
    keys = np.sort(allowed[np.argsort(-found.weights[allowed], kind="stable")][:_MOST_KEYS])
    if len(keys) < len(allowed):
        omitted.append(
            f"Query and keys (layer {found.layer}, head {found.head}): the {len(keys)} keys of most weight "
            f"of {len(allowed):,}, {percent(float(found.weights[keys].sum()))} of the attention."
        )
    return {
        "table": table,
        "query": places[found.query],
        "layer": found.layer,
        "head": found.head,
        "keys": [places[key] for key in keys],
        "width": len(found.query_vector),
        "products": _rounded(found.products[keys]),
        "additions": _rounded(found.additions[keys]),
        "scores": _rounded(found.scores[keys]),
        "weights": _rounded(found.weights[keys]),
    }
