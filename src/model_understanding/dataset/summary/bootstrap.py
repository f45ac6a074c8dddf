"""Intervals of mean scores from a bootstrap over rows, in memory that does not grow with them.

Rows are dealt into groups in turn, and the groups are resampled: up to ``GROUPS`` rows each is a group of
its own.
"""

from functools import cache
from math import sqrt
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int

from model_understanding.statistics import t_quantile

GROUPS, RESAMPLES, LEVEL = 1000, 2000, 0.95
_NORMAL = NormalDist()


def resampled_means(
    sums: Float[np.ndarray, "groups words"], counts: Float[np.ndarray, "groups words"], seed: list[int]
) -> Float[np.ndarray, "resamples words"]:
    """Return the mean score of each word in each resample; NaN where it does not occur.

    Args:
        sums: Sum of each word's scores in each group of rows.
        counts: Its occurrences there.
        seed: Seeds the resampling.
    """
    groups = len(sums)
    weights = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), RESAMPLES)
    weights = weights.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return (weights @ sums) / (weights @ counts)


def intervals(
    draws: Float[np.ndarray, "resamples words"], groups: Int[np.ndarray, " words"]
) -> Float[np.ndarray, "words 2"]:
    """Return the 95 % interval of each statistic: percentiles, expanded where few rows have the word.

    The plain percentiles of n observations are those of a normal distribution without the n - 1 of the
    variance and without Student's t; here they are taken further out, so that the interval holds its level.
    Where that is beyond all resamples, of less than five rows, the interval is Student's with their spread.

    Args:
        draws: The statistics in each resample.
        groups: How many groups of rows, or rows, each of them comes from.

    Reference:
        Hesterberg (2015), "What Teachers Should Know about the Bootstrap", section 4.3 (expanded percentile).
    """
    tails, widths = np.array([_tail(count) for count in groups.tolist()]).reshape(-1, 2).T
    ranked = np.sort(draws, axis=0)  # NaN comes last
    last = (~np.isnan(draws)).sum(axis=0) - 1
    columns = np.arange(draws.shape[1])
    ends = np.empty((len(columns), 2))
    for end, shares in enumerate((tails, 1 - tails)):
        below = np.floor(last * shares).astype(int)
        above, weight = np.minimum(below + 1, last), last * shares - below
        ends[:, end] = (1 - weight) * ranked[below, columns] + weight * ranked[above, columns]
    few = (tails * RESAMPLES < 1) & (groups > 1)
    if few.any():
        center, spread = np.nanmean(draws[:, few], axis=0), np.nanstd(draws[:, few], axis=0)
        ends[few] = np.stack([center - widths[few] * spread, center + widths[few] * spread], axis=1)
    return ends


@cache
def _tail(count: int) -> tuple[float, float]:
    """Return the share of resamples beyond each end of an interval, and its half-width in their spread."""
    if count < 2:
        return 0.0, 0.0
    width = sqrt(count / (count - 1)) * t_quantile(LEVEL, count - 1)
    return _NORMAL.cdf(-width), width
