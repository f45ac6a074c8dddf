"""Keys that soak up attention whoever asks: finding them, their shares, and rows without them."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

SinkMode = Literal["raw", "muted", "renormalized"]
SINK_MODES: tuple[SinkMode, ...] = ("raw", "muted", "renormalized")
SINK_SHARE = 0.3  # a column that takes this share of the attention it could take …
SINK_EXCESS = 2.5  # … and this many times what even attention would give it


def find_sinks(
    weights: Float[np.ndarray, "queries keys"], mask: Bool[np.ndarray, "queries keys"]
) -> tuple[int, ...]:
    """Return the keys that soak up attention whoever asks.

    The share of a key is its mean weight over the queries that may look at it and at something else. A
    sink takes at least 30 % and at least 2.5 times what even attention would give it.

    Args:
        weights: Attention weights, shape ``(Q, K)``.
        mask: Which cells may be attended to.

    Returns:
        Positions among the keys.

    >>> find_sinks(np.array([[0.9, 0.1, 0.0], [0.8, 0.1, 0.1], [0.9, 0.0, 0.1]]), np.ones((3, 3), dtype=bool))
    (0,)
    """
    choices = mask.sum(axis=1, keepdims=True)
    counted = mask & (choices > 1)
    rows = counted.sum(axis=0)
    safe_rows = np.where(rows > 0, rows, 1)
    share = np.where(counted, weights, 0).sum(axis=0) / safe_rows
    even = np.where(counted, 1 / np.maximum(choices, 1), 0).sum(axis=0) / safe_rows
    return sinks_of_shares(share, even, rows)


def sinks_of_shares(
    share: Float[np.ndarray, " keys"], even: Float[np.ndarray, " keys"], rows: Int[np.ndarray, " keys"]
) -> tuple[int, ...]:
    """Return the keys that soak up attention, from their shares.

    Args:
        share: Each key's mean weight over the queries that may look at it and at something else.
        even: What even attention would give it.
        rows: How many such queries there are.

    Returns:
        Positions among the keys.
    """
    is_sink = (rows > 1) & (share >= SINK_SHARE) & (share >= SINK_EXCESS * even)
    return tuple(int(position) for position in np.flatnonzero(is_sink))


def certain_sinks(shares: Float[np.ndarray, " keys"], queries: int) -> tuple[int, ...]:
    """Return the sinks that the largest weights of each row alone prove.

    Args:
        shares: Each key's mean weight over all queries, weights that were not kept counted as 0: a lower
            bound. Even attention is taken at its highest: a causal mask gives the first of K keys
            ``(1/K) Σ_k 1/k ≤ (1 + ln K) / K``.
        queries: How many queries there are.

    Returns:
        Positions among the keys.

    >>> certain_sinks(np.array([0.9] + 39 * [0.0]), 40)
    (0,)
    """
    if queries < 2 or not len(shares):
        return ()
    even = (1 + np.log(len(shares))) / len(shares)
    return tuple(int(key) for key in np.flatnonzero(shares >= max(SINK_SHARE, SINK_EXCESS * even)))


def sink_shares(
    weights: Float[np.ndarray, "queries keys"], mask: Bool[np.ndarray, "queries keys"], sinks: tuple[int, ...]
) -> tuple[float, ...]:
    """Return the mean weight on each sink, over the queries that had another choice.

    Args:
        weights: Attention weights, shape ``(Q, K)``.
        mask: Which cells may be attended to.
        sinks: Positions among the keys.

    Returns:
        One share (0 to 1) for each sink.
    """
    counted = mask & (mask.sum(axis=1, keepdims=True) > 1)
    return tuple(float(weights[counted[:, s], s].mean()) if counted[:, s].any() else 0.0 for s in sinks)


def without_sinks(
    weights: Float[np.ndarray, "queries keys"], sinks: tuple[int, ...]
) -> Float[np.ndarray, "queries keys"]:
    """Return rows without their sinks, each divided by what remains of it.

    Args:
        weights: Attention weights.
        sinks: Positions among the keys.

    Returns:
        Weights that sum to 1 in every row; a row of which nothing remains is 0.

    >>> without_sinks(np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]), (0,))
    array([[0. , 0.5, 0.5],
           [0. , 0. , 0. ]])
    """
    rest = np.array(weights, dtype=np.float64)
    rest[:, list(sinks)] = 0
    return shares_of_rows(rest)


def shares_of_rows(weights: Float[np.ndarray, "queries keys"]) -> Float[np.ndarray, "queries keys"]:
    """Return each row divided by the sum of its absolute values; a row of zeros stays one."""
    total = np.abs(weights).sum(axis=1, keepdims=True)
    return np.divide(weights, total, out=np.zeros(weights.shape), where=total > 0)
