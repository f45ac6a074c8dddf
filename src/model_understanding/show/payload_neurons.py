"""What the page draws of queries and keys: the products of the keys that matter most."""

from typing import Any

import numpy as np

from model_understanding.results import QueryKey, Report
from model_understanding.show.payload_layers import Place, _rounded
from model_understanding.show.python_code import query_key_code
from model_understanding.show.wording import percent

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
