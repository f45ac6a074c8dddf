"""Linear models fitted to a target's values for random coalitions of a text's units.

A target that cannot depend on some units (those after it) is fitted on the others alone: coalitions are
projected to these, and weighted by the probability that the projection should have, divided by the one it
has.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.perturbation.shapley import Game, all_coalitions

_STEPS = 1000
_CONVERGED = 1e-8  # relative to the largest coefficient
_LARGEST_ENUMERATION = 24


def kernel_coalitions(
    players: int, samples: int, seed: int
) -> tuple[Bool[np.ndarray, "coalitions players"], bool]:
    """Return coalitions that are neither empty nor complete, and whether they are all of these.

    Sizes of sampled coalitions follow the Shapley kernel, and each coalition is followed by its complement.

    Args:
        players: Number of units, at least 2.
        samples: Maximum number of coalitions.
        seed: Seed of the sampling.

    Returns:
        The coalitions, and whether they are an enumeration instead of a sample.
    """
    if players <= _LARGEST_ENUMERATION and 2**players - 2 <= samples:
        return all_coalitions(players)[1:-1], True
    generator = np.random.default_rng(seed)
    ranks = generator.random((max(samples // 2, 1), players)).argsort(axis=1)
    sizes = generator.choice(np.arange(1, players), size=len(ranks), p=size_probabilities(players)[1:-1])
    coalitions = ranks < sizes[:, None]
    return np.stack([coalitions, ~coalitions], axis=1).reshape(-1, players), False


def size_probabilities(players: int) -> Float[np.ndarray, " sizes"]:
    """Return the probability of each size 0 … n under the Shapley kernel, ``∝ (n−1) / (s (n−s))``.

    >>> size_probabilities(3).tolist()
    [0.0, 0.5, 0.5, 0.0]
    """
    sizes = np.arange(1, players)
    probabilities = np.zeros(players + 1)
    probabilities[1:-1] = 1 / (sizes * (players - sizes))
    return probabilities / max(probabilities.sum(), 1e-300)


def shapley_regression(
    game: Game, samples: int, seed: int
) -> tuple[Float[np.ndarray, "targets players"], bool]:
    """Return the solution of Kernel SHAP's weighted least squares problem, with an exact sum.

    ``min_φ Σ_z w(z) (v(z) − v(∅) − Σ_u φ_u z_u)²`` where ``Σ_u φ_u = v(all) − v(∅)``: one unit is
    eliminated by the constraint, and the remaining problem is unconstrained.

    Args:
        game: The game.
        samples: Maximum number of coalitions.
        seed: Seed of the sampling.

    Returns:
        The values, and whether the coalitions determine the value of every unit.
    """
    scores = np.zeros((len(game.full), game.players))
    determined = True
    total = game.full - game.empty
    if game.players == 1:
        return total[:, None] * game.is_visible, True
    coalitions, is_all = kernel_coalitions(game.players, samples, seed)
    values = game.values(coalitions) - game.empty
    for target, is_visible in enumerate(game.is_visible):
        projected = coalitions[:, is_visible]
        count = projected.shape[1]
        if count < 2:
            scores[target, is_visible] = total[target]
            continue
        size = projected.sum(axis=1)
        is_proper = (size > 0) & (size < count)
        weights = _projected_weights(coalitions, size, count, is_all=is_all)[is_proper]
        design = projected[is_proper].astype(float)
        reduced = design[:, :-1] - design[:, -1:]
        remainder = values[is_proper, target] - design[:, -1] * total[target]
        root = np.sqrt(weights)
        solution, _, rank, _ = np.linalg.lstsq(reduced * root[:, None], remainder * root, rcond=None)
        determined &= int(rank) == count - 1
        scores[target, is_visible] = [*solution, total[target] - solution.sum()]
    return scores, determined


def local_regression(
    game: Game, samples: int, seed: int, *, distance: str, width: float, ridge: float
) -> tuple[Float[np.ndarray, "targets players"], Float[np.ndarray, " targets"]]:
    """Return LIME's ridge regression around the text.

    Args:
        game: The game.
        samples: Number of variants, of which the first is the text itself; the number of units removed is
            uniformly distributed.
        seed: Seed of the sampling.
        distance: ``cosine`` or ``hamming`` distance from the text.
        width: Width of the kernel ``√exp(−distance² / width²)``.
        ridge: Penalty of the squared coefficients, without the constant.

    Returns:
        The coefficients, and the weighted share of variance that they explain.
    """
    generator = np.random.default_rng(seed)
    order = generator.random((samples, game.players)).argsort(axis=1).argsort(axis=1)
    removed = generator.integers(1, game.players + 1, size=samples)
    removed[0] = 0
    coalitions = order >= removed[:, None]
    values = game.values(coalitions)
    scores = np.zeros((len(game.full), game.players))
    explained = np.ones(len(game.full))
    for target, is_visible in enumerate(game.is_visible):
        if not is_visible.any():
            continue
        design = coalitions[:, is_visible].astype(float)
        present = design.mean(axis=1)
        distances = 1 - (np.sqrt(present) if distance == "cosine" else present)
        kernel = np.sqrt(np.exp(-((distances / width) ** 2)))
        weights = kernel / kernel.sum()
        centered = design - weights @ design
        outcomes = values[:, target] - weights @ values[:, target]
        weighted = centered * kernel[:, None]
        gram = weighted.T @ centered + ridge * np.eye(design.shape[1])
        coefficients = np.linalg.lstsq(gram, weighted.T @ outcomes, rcond=None)[0]
        scores[target, is_visible] = coefficients
        variance = weights @ outcomes**2
        if variance > 0:
            explained[target] = 1 - weights @ (outcomes - centered @ coefficients) ** 2 / variance
    return scores, explained


def lasso(
    design: Float[np.ndarray, "rows columns"], outcomes: Float[np.ndarray, " rows"], penalty: float
) -> tuple[Float[np.ndarray, " columns"], float]:
    """Return the sparse linear model ``min 1/(2M) ‖y − b − Xw‖² + penalty ‖w‖₁`` of standardized columns.

    Solved by coordinate descent. The coefficients are returned for the columns before standardization.

    Args:
        design: X.
        outcomes: y.
        penalty: Penalty of the absolute values of the standardized coefficients.

    Returns:
        w and b.

    >>> weights, constant = lasso(np.array([[0.0], [1.0], [0.0], [1.0]]), np.array([1.0, 3.0, 1.0, 3.0]), 0.0)
    >>> weights.round(6).tolist(), round(constant, 6)
    ([2.0], 1.0)
    """
    mean, scale = design.mean(axis=0), design.std(axis=0)
    varies = scale > 0
    columns = (design - mean) / np.where(varies, scale, 1)
    weights = np.zeros(design.shape[1])
    residual = outcomes - outcomes.mean()
    for _ in range(_STEPS):
        largest_change = 0.0
        for column in np.flatnonzero(varies):
            before = weights[column]
            unpenalized = columns[:, column] @ residual / len(residual) + before
            weights[column] = np.sign(unpenalized) * max(abs(unpenalized) - penalty, 0.0)
            if weights[column] != before:
                residual = residual - columns[:, column] * (weights[column] - before)
                largest_change = max(largest_change, abs(weights[column] - before))
        if largest_change <= _CONVERGED * max(np.abs(weights).max(initial=0), 1e-12):
            break
    coefficients = np.where(varies, weights / np.where(varies, scale, 1), 0)
    return coefficients, float(outcomes.mean() - mean @ coefficients)


def _projected_weights(
    coalitions: Bool[np.ndarray, "coalitions players"],
    size: Int[np.ndarray, " coalitions"],
    count: int,
    *,
    is_all: bool,
) -> Float[np.ndarray, " coalitions"]:
    """Return weights with which coalitions projected to ``count`` players follow their Shapley kernel."""
    players = coalitions.shape[1]
    factorial = np.concatenate([[0.0], np.log(np.arange(1, players + 1)).cumsum()])

    def log_binomial(n: int, k: Int[np.ndarray, " ..."]) -> Float[np.ndarray, " ..."]:
        inside = (k >= 0) & (k <= n)
        safe = np.where(inside, k, 0)
        return np.where(inside, factorial[n] - factorial[safe] - factorial[n - safe], -np.inf)

    sizes = np.arange(players + 1)
    probabilities = size_probabilities(players)
    projected_sizes = np.arange(count + 1)
    hidden = players - count
    actual = probabilities[:, None] * np.exp(
        log_binomial(hidden, sizes[:, None] - projected_sizes) - log_binomial(players, sizes)[:, None]
    )
    expected = size_probabilities(count) * np.exp(-log_binomial(count, projected_sizes))
    ratio = expected / np.maximum(actual.sum(axis=0), 1e-300)
    weights = ratio[size]
    if is_all:
        full_size = coalitions.sum(axis=1)
        weights = weights * probabilities[full_size] * np.exp(-log_binomial(players, full_size))
    return weights / weights.max()
