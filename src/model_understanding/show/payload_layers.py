"""What the page draws of the layers: the logit lens, each text once."""

from collections.abc import Callable
from typing import Any

import numpy as np

from model_understanding.results import LogitLens, Report
from model_understanding.show.python_code import lens_code
from model_understanding.show.wording import shown
from model_understanding.tokens import Tokens

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
