"""Rank correlations and overlaps of two sets of scores."""

import numpy as np
from jaxtyping import Float

MOST_TOP = 5
FEWEST_RANKED = 3  # two points always agree or disagree fully


def rank_correlation(
    first: Float[np.ndarray, " scores"], second: Float[np.ndarray, " scores"]
) -> float | None:
    """Return Spearman's rank correlation, equal scores sharing the mean of their ranks.

    Args:
        first: Scores.
        second: Other scores of the same things.

    Returns:
        −1 (opposite orders) to 1 (the same order); ``None`` for fewer than three scores, or where all of
        one side are equal.

    >>> rank_correlation(np.array([1, 2, 3.0]), np.array([10, 20, 15.0]))
    0.5
    """
    if len(first) < FEWEST_RANKED:
        return None
    ranks = np.stack([_ranks(first), _ranks(second)])
    centered = ranks - ranks.mean(axis=1, keepdims=True)
    spread = np.sqrt((centered**2).sum(axis=1)).prod()
    if not spread:
        return None
    return round(float((centered[0] * centered[1]).sum() / spread), 12)


def top_count(scores: int) -> int:
    """Return how many of so many scores count as the largest: a third, at least 1 and at most 5."""
    return min(MOST_TOP, max(1, scores // 3))


def kendall_tau(first: Float[np.ndarray, " scores"], second: Float[np.ndarray, " scores"]) -> float | None:
    """Return Kendall's τ-b: pairs in the same order minus pairs in opposite ones, equal scores allowed for.

    Args:
        first: Scores.
        second: Other scores of the same things.

    Returns:
        −1 (opposite orders) to 1 (the same order); ``None`` for fewer than three scores, or where all of
        one side are equal.

    >>> kendall_tau(np.array([1, 2, 3, 4.0]), np.array([1, 2, 4, 3.0])) * 6  # 5 pairs agree, 1 does not
    4.0
    """
    if len(first) < FEWEST_RANKED:
        return None
    signs = [np.sign(side[:, None] - side[None, :]) for side in (first, second)]
    untied = np.sqrt(np.prod([np.abs(side).sum() for side in signs]))
    return float((signs[0] * signs[1]).sum() / untied) if untied else None


def top_overlap(
    first: Float[np.ndarray, " scores"], second: Float[np.ndarray, " scores"], count: int
) -> float | None:
    """Return the share of the ``count`` largest scores (by size) that both have in common.

    Args:
        first: Scores.
        second: Other scores of the same things.
        count: How many of the largest; of equal ones the earlier counts as larger.

    Returns:
        0 to 1; ``None`` where there are not more than ``count``, which would all be in common.

    >>> top_overlap(np.array([3, 2, 1.0, 0]), np.array([3, -1, 2.0, 0]), 2)
    0.5
    """
    if len(first) <= count:
        return None
    tops = [set(np.argsort(-np.abs(side), kind="stable")[:count].tolist()) for side in (first, second)]
    return len(tops[0] & tops[1]) / count


def _ranks(scores: Float[np.ndarray, " scores"]) -> Float[np.ndarray, " scores"]:
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]
