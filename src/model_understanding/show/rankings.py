"""The largest scores and weights, for the tables of the terminal and the page."""

from dataclasses import dataclass

import numpy as np

from model_understanding.results import Attribution
from model_understanding.show.attention_view import AttentionView


@dataclass(frozen=True, slots=True)
class Source:
    """A token and its share of something."""

    label: str
    share: float


def largest_units(attribution: Attribution, target: int = 0, count: int | None = None) -> list[int]:
    """Return the positions with the largest absolute scores of one target, largest first.

    Args:
        attribution: The attribution.
        target: Which target.
        count: How many at most.

    Returns:
        Positions that have a score.
    """
    scores = np.abs(attribution.scores[target])
    ranked = [int(unit) for unit in np.argsort(-scores, kind="stable") if attribution.valid[target, unit]]
    return ranked[:count]


def top_sources(attribution: Attribution, target: int, count: int = 3) -> list[Source]:
    """Return the tokens with the largest shares of one target's score, special tokens left aside.

    Args:
        attribution: The attribution; shares are of its normalized scores.
        target: Which target.
        count: How many at most.

    Returns:
        Labels with signed shares.
    """
    shares = attribution.row(target).normalized().scores[0]
    labels = attribution.tokens.labels()
    ranked = [unit for unit in largest_units(attribution, target) if not attribution.tokens.special[unit]]
    return [Source(labels[unit], float(shares[unit])) for unit in ranked[:count] if shares[unit]]


def top_links(view: AttentionView, row: int, count: int = 3) -> list[Source]:
    """Return the keys that a query looks at most, those off the color scale left aside.

    Args:
        view: The matrix.
        row: Which query.
        count: How many at most.

    Returns:
        Labels with weights.
    """
    weights, labels = view.weights[row], view.keys.labels()
    ranked = [
        int(key)
        for key in np.argsort(-weights, kind="stable")
        if view.mask[row, key] and key not in view.off_scale and weights[key] > 0
    ]
    return [Source(labels[key], float(weights[key])) for key in ranked[:count]]
