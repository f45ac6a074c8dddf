"""What each token does by itself, estimated from variants that lack several at once."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

RIDGE = 0.1  # of the variants a token has: enough for tokens that are always gone together
_ROUNDING = 1e-12  # of the largest: numbers that differ by less are the same


def token_effects(
    removed: Sequence[Bool[np.ndarray, "orders counts candidates"]],
    falls: Sequence[Float[np.ndarray, "orders counts"]],
) -> Float[np.ndarray, " candidates"]:
    r"""Return how far the target falls without each token, by a ridge regression on all variants.

    ``w = argmin Σ_v (y_v − x_v · w)² + λ |w|²,  λ = 0.1 · variants / candidates``

    x is what a variant lacks and y its fall, both less the mean of the random orders' variants of the same
    group and count, so that how many tokens are gone explains nothing.

    Args:
        removed: Which candidates each variant of a group lacks; the first order is the map's own, the
            others are random.
        falls: How far the target falls on it.

    Returns:
        Effects, larger for tokens whose absence costs the target more.

    Reference:
        Hoerl & Kennard (1970), "Ridge Regression: Biased Estimation for Nonorthogonal Problems".

    >>> removed = np.eye(3, dtype=bool)[:, None]  # three orders that remove one token each
    >>> token_effects([removed], [np.array([[1.0], [0.0], [0.0]])]).round(2).tolist()
    [0.62, -0.31, -0.31]
    """
    masks = np.concatenate([_above_random(group.astype(np.float64)) for group in removed])
    wanted = np.concatenate([_above_random(group[..., None])[:, 0] for group in falls])
    variants, candidates = masks.shape
    # In the space of variants, which are fewer than the tokens of a long text.
    gram = masks @ masks.T + RIDGE * variants / candidates * np.eye(variants)
    return masks.T @ np.linalg.solve(gram, wanted)


def above_shuffled(
    support: Float[np.ndarray, " candidates"], effects: Float[np.ndarray, " candidates"]
) -> float:
    r"""Return how many standard deviations a map stands above shuffled ones in its correlation with effects.

    ``r(support, effects) · √(candidates − 1)``

    Over all ways to deal the scores out to the tokens, the correlation has mean 0 and variance
    ``1 / (candidates − 1)`` exactly, so nothing has to be drawn.

    Args:
        support: The scores.
        effects: What the tokens do.

    Returns:
        0 where the scores, or the effects, are all the same.

    Reference:
        Pitman (1937), "Significance Tests Which May be Applied to Samples From Any Populations. II. The
        Correlation Coefficient Test".

    >>> round(above_shuffled(np.array([3.0, 1, 2, 0, 0]), np.array([6.0, 2, 4, 0, 0])), 6)
    2.0
    """
    if any(np.ptp(one) <= _ROUNDING * np.abs(one).max() for one in (support, effects)):
        return 0.0
    first, second = support - support.mean(), effects - effects.mean()
    correlation = first @ second / np.sqrt((first @ first) * (second @ second))
    return float(correlation * np.sqrt(len(support) - 1))


def _above_random(values: Float[np.ndarray, "orders counts parts"]) -> Float[np.ndarray, "variants parts"]:
    return (values - values[1:].mean(axis=0)).reshape(-1, values.shape[-1])
