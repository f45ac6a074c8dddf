"""What both pages of a comparison, drawn and plain, say of the whole, and how many parts they hold."""

from collections.abc import Iterator
from typing import Any

from model_understanding.results import Comparison
from model_understanding.show.comparison_words import (
    READING,
    answers,
    change_words,
    names,
    remarks,
    stamps,
)
from model_understanding.show.wording import provenance_rows, shown

MOST_PARTS = 12  # of a kind: each has a text, a picture and a table of its own


def told(comparison: Comparison) -> dict[str, Any]:
    """Return what is said of both reports, under the names of the payload's schema and of the template."""
    return {
        "names": names(comparison),
        "answers": answers(comparison),
        "models": tuple(shown(side.provenance.model, 80) for side in (comparison.first, comparison.second)),
        "change": change_words(comparison),
        "cautions": stamps(comparison),
        "remarks": remarks(comparison),
        "notes": READING,
    }


def parts_left_out(comparison: Comparison) -> int:
    """Return how many attributions and maps are one too many for a page."""
    held = (comparison.attributions, comparison.attention)
    return sum(max(0, len(parts) - MOST_PARTS) for parts in held)


def provenance_pairs(comparison: Comparison) -> Iterator[tuple[str, str, str]]:
    """Yield where both reports come from, line by line."""
    sides = [dict(provenance_rows(report)) for report in (comparison.first, comparison.second)]
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        yield name, sides[0].get(name, "–"), sides[1].get(name, "–")
