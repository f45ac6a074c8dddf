"""Random coalitions of a text's units, and linear models fitted to what they win.

A target that cannot see some units (those after it) is fitted on the others alone: coalitions are
projected to these, and weighted by what their projection's chance should be over what it is.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.perturbation.shapley import Game, all_coalitions

_STEPS = 1000
_SETTLED = 1e-8  # of the largest coefficient
_LARGEST_ENUMERATION = 24


def kernel_coalitions(
    players: int, samples: int, seed: int
) -> tuple[Bool[np.ndarray, "coalitions players"], bool]:
    """Return coalitions that are neither empty nor whole, and whether they are all there are.

    Sampled ones have a size drawn by the Shapley kernel, and each is followed by its complement.

    Args:
        players: How many units there are; at least 2.
        samples: Most coalitions.
        seed: Seed of the draws.

    Returns:
        The coalitions, and whether each stands once rather than by chance.
    """
    if players <= _LARGEST_ENUMERATION and 2**players - 2 <= samples:
        return all_coalitions(players)[1:-1], True
    generator = np.random.default_rng(seed)
    half = generator.random((max(samples // 2, 1), players)).argsort(axis=1)
    sizes = generator.choice(np.arange(1, players), size=len(half), p=size_chances(players)[1:-1])
    drawn = half < sizes[:, None]
    return np.stack([drawn, ~drawn], axis=1).reshape(-1, players), False


def size_chances(players: int) -> Float[np.ndarray, " sizes"]:
    """Return the chance of each size 0 … n by the Shapley kernel: ``∝ (n−1) / (s (n−s))``.

    >>> size_chances(3).tolist()
    [0.0, 0.5, 0.5, 0.0]
    """
    sizes = np.arange(1, players)
    chances = np.zeros(players + 1)
    chances[1:-1] = 1 / (sizes * (players - sizes))
    return chances / max(chances.sum(), 1e-300)


def shapley_regression(
    game: Game, samples: int, seed: int
) -> tuple[Float[np.ndarray, "targets players"], bool]:
    """Return the solution of the Shapley kernel's weighted least squares, sums held exactly.

    ``min_φ Σ_z w(z) (v(z) − v(∅) − Σ_u φ_u z_u)²`` where ``Σ_u φ_u = v(all) − v(∅)``: one unit is
    expressed by the others, and what is left is solved without constraint.

    Args:
        game: The game.
        samples: Most coalitions to look at.
        seed: Seed of the draws.

    Returns:
        The values, and whether there were enough coalitions to tell every unit from the others.
    """
    found = np.zeros((len(game.full), game.players))
    determined = True
    total = game.full - game.empty
    if game.players == 1:
        return total[:, None] * game.matters, True
    coalitions, is_all = kernel_coalitions(game.players, samples, seed)
    values = game.values(coalitions) - game.empty
    for target, matters in enumerate(game.matters):
        seen = coalitions[:, matters]
        count = seen.shape[1]
        if count < 2:
            found[target, matters] = total[target]
            continue
        size = seen.sum(axis=1)
        kept = (size > 0) & (size < count)
        weights = _projected_weights(coalitions, size, count, is_all=is_all)[kept]
        design = seen[kept].astype(float)
        reduced = design[:, :-1] - design[:, -1:]
        left = values[kept, target] - design[:, -1] * total[target]
        root = np.sqrt(weights)
        solved, _, rank, _ = np.linalg.lstsq(reduced * root[:, None], left * root, rcond=None)
        determined &= int(rank) == count - 1
        found[target, matters] = [*solved, total[target] - solved.sum()]
    return found, determined


def local_regression(
    game: Game, samples: int, seed: int, *, distance: str, width: float, ridge: float
) -> tuple[Float[np.ndarray, "targets players"], Float[np.ndarray, " targets"]]:
    """Return LIME's ridge regression around the whole text.

    Args:
        game: The game.
        samples: Variants to draw; the first is the text itself. How many units each lacks is uniform.
        seed: Seed of the draws.
        distance: ``cosine`` or ``hamming``, from the whole text.
        width: Width of the kernel ``√exp(−distance² / width²)``.
        ridge: The penalty of squared coefficients; the constant has none.

    Returns:
        Coefficients, and the weighted share of variance that they explain.
    """
    generator = np.random.default_rng(seed)
    order = generator.random((samples, game.players)).argsort(axis=1).argsort(axis=1)
    lacking = generator.integers(1, game.players + 1, size=samples)
    lacking[0] = 0
    coalitions = order >= lacking[:, None]
    values = game.values(coalitions)
    found = np.zeros((len(game.full), game.players))
    explained = np.ones(len(game.full))
    for target, matters in enumerate(game.matters):
        if not matters.any():
            continue
        design = coalitions[:, matters].astype(float)
        present = design.mean(axis=1)
        apart = 1 - (np.sqrt(present) if distance == "cosine" else present)
        raw = np.sqrt(np.exp(-((apart / width) ** 2)))
        weights = raw / raw.sum()
        centered = design - weights @ design
        wanted = values[:, target] - weights @ values[:, target]
        scaled = centered * raw[:, None]
        gram = scaled.T @ centered + ridge * np.eye(design.shape[1])
        solved = np.linalg.lstsq(gram, scaled.T @ wanted, rcond=None)[0]
        found[target, matters] = solved
        spread = weights @ wanted**2
        if spread > 0:
            explained[target] = 1 - weights @ (wanted - centered @ solved) ** 2 / spread
    return found, explained


def lasso(
    design: Float[np.ndarray, "rows columns"], wanted: Float[np.ndarray, " rows"], penalty: float
) -> tuple[Float[np.ndarray, " columns"], float]:
    """Return the sparse linear model ``min 1/(2M) ‖y − b − Xw‖² + penalty ‖w‖₁`` of standardized columns.

    Solved by coordinate descent; coefficients are those of the columns as given.

    Args:
        design: X.
        wanted: y.
        penalty: Of the standardized coefficients' absolute values.

    Returns:
        w and b.

    >>> weights, constant = lasso(np.array([[0.0], [1.0], [0.0], [1.0]]), np.array([1.0, 3.0, 1.0, 3.0]), 0.0)
    >>> weights.round(6).tolist(), round(constant, 6)
    ([2.0], 1.0)
    """
    middle, scale = design.mean(axis=0), design.std(axis=0)
    usable = scale > 0
    columns = (design - middle) / np.where(usable, scale, 1)
    weights = np.zeros(design.shape[1])
    left = wanted - wanted.mean()
    for _ in range(_STEPS):
        largest_change = 0.0
        for column in np.flatnonzero(usable):
            before = weights[column]
            agreed = columns[:, column] @ left / len(left) + before
            weights[column] = np.sign(agreed) * max(abs(agreed) - penalty, 0.0)
            if weights[column] != before:
                left = left - columns[:, column] * (weights[column] - before)
                largest_change = max(largest_change, abs(weights[column] - before))
        if largest_change <= _SETTLED * max(np.abs(weights).max(initial=0), 1e-12):
            break
    given = np.where(usable, weights / np.where(usable, scale, 1), 0)
    return given, float(wanted.mean() - middle @ given)


def _projected_weights(
    coalitions: Bool[np.ndarray, "coalitions players"],
    size: Int[np.ndarray, " coalitions"],
    count: int,
    *,
    is_all: bool,
) -> Float[np.ndarray, " coalitions"]:
    """Return weights under which coalitions projected to ``count`` players follow their Shapley kernel."""
    players = coalitions.shape[1]
    factorial = np.concatenate([[0.0], np.log(np.arange(1, players + 1)).cumsum()])

    def chosen(n: int, k: Int[np.ndarray, " ..."]) -> Float[np.ndarray, " ..."]:
        inside = (k >= 0) & (k <= n)
        safe = np.where(inside, k, 0)
        return np.where(inside, factorial[n] - factorial[safe] - factorial[n - safe], -np.inf)

    whole_sizes = np.arange(players + 1)
    chances = size_chances(players)
    part_sizes = np.arange(count + 1)
    others = players - count
    reached = chances[:, None] * np.exp(
        chosen(others, whole_sizes[:, None] - part_sizes) - chosen(players, whole_sizes)[:, None]
    )
    wanted = size_chances(count) * np.exp(-chosen(count, part_sizes))
    ratio = wanted / np.maximum(reached.sum(axis=0), 1e-300)
    weights = ratio[size]
    if is_all:
        whole = coalitions.sum(axis=1)
        weights = weights * chances[whole] * np.exp(-chosen(players, whole))
    return weights / weights.max()
