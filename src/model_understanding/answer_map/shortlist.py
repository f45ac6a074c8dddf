"""Which sentences are removed by themselves where there are too many to remove each."""

from collections.abc import Sequence
from math import ceil, sqrt

import numpy as np
from jaxtyping import Float

MOST_SENTENCES = 100
"""Sentences that are removed by themselves; of more, those with large estimates, and others in groups."""


def shortlist(estimates: Float[np.ndarray, "parts sentences"], most: int) -> list[int]:
    """Return the sentences with the largest estimates for any part: the first of each, then the second.

    Args:
        estimates: Estimated effect of each sentence on each part of the answer.
        most: How many.

    Returns:
        Their indices, in order.

    >>> shortlist(np.array([[3.0, 1.0, 2.0, 0.0], [0.0, 0.0, 0.0, 4.0]]), 3)
    [0, 2, 3]
    """
    ranks = np.argsort(np.argsort(-estimates, axis=1, kind="stable"), axis=1, kind="stable").min(axis=0)
    # Among sentences of the same rank, the one with the larger estimate comes first.
    order = np.lexsort((-estimates.max(axis=0), ranks))
    return sorted(order[:most].tolist())


def groups_of(counts: Sequence[int]) -> list[list[int]]:
    """Return the sentences of sources in groups of neighbors, so that groups and their members are as many.

    Args:
        counts: Number of sentences of each source.

    >>> groups_of([3, 2])
    [[0, 1, 2], [3, 4]]
    """
    size = ceil(sqrt(sum(counts)))
    groups, first = [], 0
    for count in counts:
        groups += [
            list(range(first + start, first + min(start + size, count))) for start in range(0, count, size)
        ]
        first += count
    return groups
