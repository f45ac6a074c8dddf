"""Attention sinks: keys that receive much of the attention whatever the query."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

SinkMode = Literal["raw", "muted", "renormalized"]
SINK_MODES: tuple[SinkMode, ...] = ("raw", "muted", "renormalized")
SINK_SHARE = 0.3  # a key with this share of the attention that it could receive …
SINK_EXCESS = 2.5  # … and this many times its share under uniform attention


def find_sinks(
    weights: Float[np.ndarray, "queries keys"], mask: Bool[np.ndarray, "queries keys"]
) -> tuple[int, ...]:
    """Return the attention sinks of a matrix.

    The share of a key is its mean weight over the queries that can attend to it and to another key. A sink
    has a share of at least 30 %, and at least 2.5 times its share under uniform attention.

    Args:
        weights: Attention weights, shape ``(Q, K)``.
        mask: Which cells can be attended to.

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
    uniform = np.where(counted, 1 / np.maximum(choices, 1), 0).sum(axis=0) / safe_rows
    return sinks_from_shares(share, uniform, rows)


def sinks_from_shares(
    share: Float[np.ndarray, " keys"], uniform: Float[np.ndarray, " keys"], rows: Int[np.ndarray, " keys"]
) -> tuple[int, ...]:
    """Return the attention sinks, given the share of each key.

    Args:
        share: Each key's mean weight over the queries that can attend to it and to another key.
        uniform: Its share under uniform attention.
        rows: Number of such queries.

    Returns:
        Positions among the keys.
    """
    is_sink = (rows > 1) & (share >= SINK_SHARE) & (share >= SINK_EXCESS * uniform)
    return tuple(int(position) for position in np.flatnonzero(is_sink))


def certain_sinks(shares: Float[np.ndarray, " keys"], queries: int) -> tuple[int, ...]:
    """Return the keys that must be attention sinks, given only the largest weights of each row.

    Args:
        shares: Lower bound of each key's mean weight over all queries: weights that were not kept count as
            0. Its share under uniform attention is taken at its maximum: that of the first of K keys under
            a causal mask, ``(1/K) Σ_k 1/k ≤ (1 + ln K) / K``.
        queries: Number of queries.

    Returns:
        Positions among the keys.

    >>> certain_sinks(np.array([0.9] + 39 * [0.0]), 40)
    (0,)
    """
    if queries < 2 or not len(shares):
        return ()
    uniform = (1 + np.log(len(shares))) / len(shares)
    return tuple(int(key) for key in np.flatnonzero(shares >= max(SINK_SHARE, SINK_EXCESS * uniform)))


def sink_shares(
    weights: Float[np.ndarray, "queries keys"], mask: Bool[np.ndarray, "queries keys"], sinks: tuple[int, ...]
) -> tuple[float, ...]:
    """Return the mean weight on each sink, over the queries that can attend to another key.

    Args:
        weights: Attention weights, shape ``(Q, K)``.
        mask: Which cells can be attended to.
        sinks: Positions among the keys.

    Returns:
        The share of each sink, from 0 to 1.
    """
    counted = mask & (mask.sum(axis=1, keepdims=True) > 1)
    return tuple(float(weights[counted[:, s], s].mean()) if counted[:, s].any() else 0.0 for s in sinks)


def without_sinks(
    weights: Float[np.ndarray, "queries keys"], sinks: tuple[int, ...]
) -> Float[np.ndarray, "queries keys"]:
    """Return the rows with the sinks set to 0, each rescaled to sum to 1.

    Args:
        weights: Attention weights.
        sinks: Positions among the keys.

    Returns:
        Weights; a row with no weight besides the sinks is all 0.

    >>> without_sinks(np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]), (0,))
    array([[0. , 0.5, 0.5],
           [0. , 0. , 0. ]])
    """
    others = np.array(weights, dtype=np.float64)
    others[:, list(sinks)] = 0
    return normalize_rows(others)


def normalize_rows(weights: Float[np.ndarray, "queries keys"]) -> Float[np.ndarray, "queries keys"]:
    """Return each row divided by the sum of its absolute values; a row of zeros stays 0."""
    total = np.abs(weights).sum(axis=1, keepdims=True)
    return np.divide(weights, total, out=np.zeros(weights.shape), where=total > 0)
