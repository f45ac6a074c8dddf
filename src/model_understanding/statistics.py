"""Softmax, sigmoid, rank correlations and top-k overlap of two lists of scores, intervals and p-values."""

import sys
from collections.abc import Iterable
from math import atan, cos, lgamma, log, pi, sin, sqrt, tan
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool, Float

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


def t_two_sided(statistic: float, degrees: int) -> float:
    r"""Return the two-sided p-value ``P(|T| >= |t|)`` of Student's T with a number of degrees of freedom.

    Args:
        statistic: The value t.
        degrees: Degrees of freedom, at least 1.

    >>> round(t_two_sided(2.776, 4), 3), round(t_two_sided(-1.96, 10_000), 3)
    (0.05, 0.05)
    """
    if degrees >= _MANY_DEGREES:
        return 2 * NormalDist().cdf(-abs(statistic))
    return max(1 - _probability_within(atan(abs(statistic) / sqrt(degrees)), degrees), 0.0)


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


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Return the confidence interval of a share, which also holds for few trials and for shares near 0 or 1.

    Args:
        successes: Trials that succeeded.
        trials: All trials; none gives the whole range.
        level: The confidence level.

    Reference:
        Wilson (1927), "Probable Inference, the Law of Succession, and Statistical Inference".

    >>> [round(end, 3) for end in wilson_interval(10, 10)]
    [0.722, 1.0]
    """
    if not trials:
        return 0.0, 1.0
    z, share = NormalDist().inv_cdf((1 + level) / 2), successes / trials
    center = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    low = 0.0 if successes == 0 else center - half
    return low, 1.0 if successes == trials else center + half


def benjamini_hochberg(p_values: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """Return p-values adjusted for the number of tests: those up to q have a false discovery rate of q.

    Args:
        p_values: One for each test.

    Reference:
        Benjamini & Hochberg (1995), "Controlling the False Discovery Rate".

    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.5])).round(3).tolist()
    [0.04, 0.053, 0.053, 0.5]
    """
    order = np.argsort(p_values)
    raised = np.asarray(p_values, dtype=np.float64)[order] * len(order) / np.arange(1, len(order) + 1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum.accumulate(raised[::-1])[::-1].clip(max=1)
    return adjusted


def matched_p_value(events: Bool[np.ndarray, " sets"], others: Bool[np.ndarray, "sets controls"]) -> float:
    """Return the one-sided exact p-value of a treatment having no more events than its matched controls.

    In each set one member is treated and M are controls. If the treatment does nothing, any member is as
    likely as another to have one of the set's ``e`` events, so the treated has one with probability
    ``e / (M + 1)``. The p-value is the probability that at least as many treated ones have an event, given
    the events of each set. It holds for any number of events, however rare; with one control in each set it
    is McNemar's exact test.

    Args:
        events: Whether the treated member of each set has the event.
        others: Whether each control has.

    Reference:
        Birch (1964), "The Detection of Partial Association, I: The 2 × 2 Case".

    >>> matched_p_value(np.ones(3, dtype=bool), np.zeros((3, 1), dtype=bool))  # 1 / 2³
    0.125
    """
    chances = (events + others.sum(axis=1)) / (1 + others.shape[1])
    distribution = np.ones(1)
    for chance in chances:
        distribution = np.convolve(distribution, [1 - chance, chance])
    return float(min(distribution[int(events.sum()) :].sum(), 1))


def mcnemar_p_value(more: int, fewer: int) -> float:
    """Return the one-sided exact p-value of McNemar's test: a binomial tail at one half.

    Args:
        more: Matched pairs in which only the first has the event.
        fewer: Pairs in which only the second has it.

    Reference:
        McNemar (1947), "Note on the Sampling Error of the Difference Between Correlated Proportions".

    >>> round(mcnemar_p_value(3, 0), 6), round(mcnemar_p_value(3, 1), 6)  # 1 / 2³ and (4 + 1) / 2⁴
    (0.125, 0.3125)
    """
    total = more + fewer
    if more <= 0:
        return 1.0
    later = np.arange(more, total)
    first = _log_choices(total, more) - total * log(2)
    tail = np.exp(first + np.cumsum([0.0, *np.log((total - later) / (later + 1.0))]))
    return min(1.0, float(tail.sum()))


def matched_shares_interval(more: int, fewer: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a difference of two shares of the same items.

    Args:
        more: Items of which only the first share has one.
        fewer: Items of which only the second has one.
        total: All items.

    Reference:
        Agresti & Min (2005), "Simple Improved Confidence Intervals for Comparing Matched Proportions".

    >>> [round(end, 3) for end in matched_shares_interval(12, 2, 100)]  # (12.5 - 2.5) / 102
    [0.026, 0.17]
    """
    count, one, other = total + 2, more + 0.5, fewer + 0.5
    center = (one - other) / count
    half = NormalDist().inv_cdf(0.975) * sqrt(max(one + other - (one - other) ** 2 / count, 0.0)) / count
    return center - half, center + half


def log_overlap_probability(overlap: int, first: int, second: int, total: int) -> float:
    """Return the logarithm of the chance that two independent sets have at least so much in common.

    It is the tail of the hypergeometric distribution, and the one-sided p-value of Fisher's exact test.

    Args:
        overlap: Items in both sets.
        first: Items in the first set.
        second: Items in the second set.
        total: All items.

    Reference:
        Fisher (1935), "The Logic of Inductive Inference".

    >>> round(float(np.exp(log_overlap_probability(3, 4, 4, 8))), 4)  # one cup wrong
    0.2429
    """
    neither = total - first - second  # of items in no set, less those in both
    if overlap <= max(0, -neither):
        return 0.0
    more = np.arange(overlap, min(first, second))
    ratios = (first - more) * (second - more) / ((more + 1) * (neither + more + 1.0))  # to the chance before
    least = _log_choices(first, overlap) + _log_choices(total - first, second - overlap)
    rest = float(np.logaddexp.reduce(np.cumsum([0.0, *np.log(ratios)])))
    return min(0.0, least - _log_choices(total, second) + rest)


def log_stratified_overlap_probability(strata: Iterable[tuple[int, int, int, int]]) -> float:
    """Return the logarithm of the chance that independent sets, in strata, have at least so much in common.

    The overlaps of all strata together count: the exact one-sided test of a common association in several
    2 × 2 tables. Of one stratum it is ``log_overlap_probability``.

    Args:
        strata: Items in both sets, in the first, in the second, and all items, of each stratum.

    Reference:
        Birch (1964), "The Detection of Partial Association, I: The 2 × 2 Case".

    >>> round(float(np.exp(log_stratified_overlap_probability([(3, 4, 4, 8), (1, 1, 1, 2)]))), 4)
    0.1286
    """
    free = [each for each in strata if min(each[1:3]) > 0 and each[3] > max(each[1:3])]  # others are certain
    if len(free) == 1:
        return log_overlap_probability(*free[0])
    distribution, observed = np.ones(1), 0
    for overlap, first, second, total in free:
        least = max(0, first + second - total)
        more = np.arange(least, min(first, second))
        neither = total - first - second
        ratios = (first - more) * (second - more) / ((more + 1) * (neither + more + 1.0))
        start = _log_choices(first, least) + _log_choices(total - first, second - least)
        logs = start - _log_choices(total, second) + np.cumsum([0.0, *np.log(ratios)])
        distribution = np.convolve(distribution, np.exp(logs))
        observed += overlap - least
    tail = float(distribution[max(observed, 0) :].sum())
    return min(0.0, log(max(tail, sys.float_info.min)))


def _log_choices(items: int, chosen: int) -> float:
    return lgamma(items + 1) - lgamma(chosen + 1) - lgamma(items - chosen + 1)


def _ranks(scores: Float[np.ndarray, " scores"]) -> Float[np.ndarray, " scores"]:
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
