"""Softmax, sigmoid, rank correlations and top-k overlap of two lists of scores, quantiles of Student's t."""

from math import cos, pi, sin, sqrt, tan
from statistics import NormalDist

import numpy as np
from jaxtyping import Float

MAX_TOP = 5
_MANY_DEGREES = 1000  # from here the normal distribution is as good: 1.962 and 1.960
_BISECTIONS = 60  # halvings of a right angle: to the last place of a double
MIN_RANKED = 3  # two scores always agree or disagree fully


def softmax(logits: Float[np.ndarray, "*rows classes"]) -> Float[np.ndarray, "*rows classes"]:
    """Return probabilities that sum to 1 along the last axis.

    Args:
        logits: Values of any size, in 64-bit precision.

    >>> softmax(np.array([0.0, 1000.0])).tolist()
    [0.0, 1.0]
    """
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def sigmoid(logits: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return the probability of each of some independent classes.

    Args:
        logits: Values of any size, in 64-bit precision.

    >>> sigmoid(np.array([0.0, -1000.0])).tolist()
    [0.5, 0.0]
    """
    return np.exp(-np.logaddexp(0, -logits))


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


def t_quantile(level: float, degrees: int) -> float:
    r"""Return the half-width of a two-sided confidence interval, in standard errors.

    ``P(|T| <= t) = level``, for Student's T with a number of degrees of freedom.

    Args:
        level: The confidence level, above 0 and below 1.
        degrees: Degrees of freedom, at least 1: the number of independent samples minus 1.

    Reference:
        Student (1908), "The Probable Error of a Mean"; the finite sums of Abramowitz & Stegun (1964),
        equations 26.7.3 and 26.7.4.

    >>> [round(t_quantile(0.95, degrees), 3) for degrees in (1, 2, 4, 30)]
    [12.706, 4.303, 2.776, 2.042]
    """
    if degrees >= _MANY_DEGREES:
        return NormalDist().inv_cdf((1 + level) / 2)
    low, high = 0.0, pi / 2  # of the angle whose tangent is t / √degrees
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _probability_within(middle, degrees) < level else (low, middle)
    return sqrt(degrees) * tan((low + high) / 2)


def _probability_within(angle: float, degrees: int) -> float:
    """Return ``P(|T| <= √degrees · tan(angle))`` by its finite sum."""
    is_odd = degrees % 2
    term, total = (cos(angle), 0.0) if is_odd else (1.0, 0.0)
    for index in range(degrees // 2):
        total += term
        last = 2 * index + (2 if is_odd else 1)
        term *= cos(angle) ** 2 * last / (last + 1)
    total *= sin(angle)
    return 2 / pi * (angle + total) if is_odd else total


def _ranks(scores: Float[np.ndarray, " scores"]) -> Float[np.ndarray, " scores"]:
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
