"""Rank correlations and top-k overlap of two lists of scores."""

import numpy as np
from jaxtyping import Float

MAX_TOP = 5
MIN_RANKED = 3  # two scores always agree or disagree fully


def rank_correlation(
    first: Float[np.ndarray, " scores"], second: Float[np.ndarray, " scores"]
) -> float | None:
    """Return Spearman's rank correlation; tied scores share the mean of their ranks.

    Args:
        first: Scores.
        second: Other scores of the same items.

    Returns:
        −1 (opposite order) to 1 (same order); ``None`` for fewer than three scores, or if all scores of
        one list are equal.

    >>> rank_correlation(np.array([1, 2, 3.0]), np.array([10, 20, 15.0]))
    0.5
    """
    if len(first) < MIN_RANKED:
        return None
    ranks = np.stack([_ranks(first), _ranks(second)])
    centered = ranks - ranks.mean(axis=1, keepdims=True)
    spread = np.sqrt((centered**2).sum(axis=1)).prod()
    if not spread:
        return None
    return round(float((centered[0] * centered[1]).sum() / spread), 12)


def top_count(scores: int) -> int:
    """Return how many of the scores count as the largest: a third, at least 1 and at most 5."""
    return min(MAX_TOP, max(1, scores // 3))


def kendall_tau(first: Float[np.ndarray, " scores"], second: Float[np.ndarray, " scores"]) -> float | None:
    """Return Kendall's τ-b: concordant minus discordant pairs, corrected for ties.

    Args:
        first: Scores.
        second: Other scores of the same items.

    Returns:
        −1 (opposite order) to 1 (same order); ``None`` for fewer than three scores, or if all scores of
        one list are equal.

    >>> kendall_tau(np.array([1, 2, 3, 4.0]), np.array([1, 2, 4, 3.0])) * 6  # 5 pairs agree, 1 does not
    4.0
    """
    if len(first) < MIN_RANKED:
        return None
    signs = [np.sign(side[:, None] - side[None, :]) for side in (first, second)]
    untied = np.sqrt(np.prod([np.abs(side).sum() for side in signs]))
    return float((signs[0] * signs[1]).sum() / untied) if untied else None


def top_overlap(
    first: Float[np.ndarray, " scores"], second: Float[np.ndarray, " scores"], count: int
) -> float | None:
    """Return the overlap of the top ``count`` scores by magnitude.

    Args:
        first: Scores.
        second: Other scores of the same items.
        count: Size of the top; of tied scores the earlier counts as larger.

    Returns:
        0 to 1; ``None`` if there are no more than ``count`` scores, all of which would be in the top.

    >>> top_overlap(np.array([3, 2, 1.0, 0]), np.array([3, -1, 2.0, 0]), 2)
    0.5
    """
    if len(first) <= count:
        return None
    tops = [set(np.argsort(-np.abs(side), kind="stable")[:count].tolist()) for side in (first, second)]
    return len(tops[0] & tops[1]) / count


def _ranks(scores: Float[np.ndarray, " scores"]) -> Float[np.ndarray, " scores"]:
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
