"""Shapley values: a text's units are players of a cooperative game whose payoff is a target's value."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.model.metering import converged
from model_understanding.perturbation.token_removal import TokenRemoval
from model_understanding.perturbation.units import Units, membership

_PAIRS_BEFORE_STOPPING = 4
_VARIANTS_BETWEEN_CHECKS = 64


class Game:
    """Values of the targets when only some units of a text are present.

    Args:
        removal: Removes tokens of the text.
        units: Positions of each unit; a token belongs to one unit at most.
    """

    def __init__(self, removal: TokenRemoval, units: Units) -> None:
        self.removal = removal
        self.units = units
        self.players = len(units)
        self._membership = membership(units, removal.removable.size)

    @cached_property
    def full(self) -> Float[np.ndarray, " targets"]:
        """The targets' values for the whole text."""
        return self.values(np.ones((1, self.players), dtype=bool))[0]

    @cached_property
    def empty(self) -> Float[np.ndarray, " targets"]:
        """The targets' values with every unit removed."""
        return self.values(np.zeros((1, self.players), dtype=bool))[0]

    @property
    def is_visible(self) -> Bool[np.ndarray, "targets players"]:
        """Whether a unit is, at least in part, visible to a target."""
        starts = np.array([unit[0] for unit in self.units])
        return starts[None] < self.removal.visible_length[:, None]

    def values(
        self, present: Bool[np.ndarray, "coalitions players"]
    ) -> Float[np.ndarray, "coalitions targets"]:
        """Return the targets' values with some units present and the others removed."""
        return self.removal.values(~present @ self._membership)


def all_coalitions(players: int) -> Bool[np.ndarray, "coalitions players"]:
    """Return every coalition; coalition c contains player i if bit i of c is set.

    >>> all_coalitions(2).astype(int).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    return (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(bool)


def exact_shapley(game: Game) -> Float[np.ndarray, "targets players"]:
    """Return Shapley values from all ``2^n`` coalitions.

    ``φ_i = Σ_{S ∌ i} |S|! (n−|S|−1)! / n! · (v(S ∪ i) − v(S))``
    """
    players = game.players
    coalitions = all_coalitions(players)
    values = game.values(coalitions)
    size = coalitions.sum(axis=1)
    factorial = np.concatenate([[0.0], np.log(np.arange(1, players + 1)).cumsum()])
    scores = np.zeros((values.shape[1], players))
    for player in range(players):
        without = np.flatnonzero(~coalitions[:, player])
        weights = np.exp(
            factorial[size[without]] + factorial[players - 1 - size[without]] - factorial[players]
        )
        scores[:, player] = weights @ (values[without | (1 << player)] - values[without])
    return scores


def sampled_shapley(
    game: Game, samples: int, tolerance: float, seed: int
) -> tuple[
    Float[np.ndarray, "targets players"], Float[np.ndarray, "targets players"], Int[np.ndarray, " targets"]
]:
    """Return Shapley values and their standard errors, estimated from random orders and their reverses.

    Sampling stops for each target separately, so that its values do not depend on the other targets.

    Args:
        game: The game, with at least two players.
        samples: Maximum number of variants of the text; at least two pairs of orders are run.
        tolerance: Sampling stops when a target's largest standard error is below this share of
            ``|v(all) − v(none)|``.
        seed: Seed of the orders.

    Returns:
        The values, the standard errors of these means over pairs, and the number of pairs of each target.
    """
    generator = np.random.default_rng(seed)
    variants = 2 * (game.players - 1)
    pairs = max(2, samples // variants)
    step_pairs = max(1, _VARIANTS_BETWEEN_CHECKS // variants)
    mean = np.zeros((len(game.full), game.players))
    squares = np.zeros_like(mean)
    errors = np.full_like(mean, np.inf)
    running = np.ones(len(mean), dtype=bool)
    counts = np.zeros(len(mean), dtype=np.int64)
    limit = tolerance * np.abs(game.full - game.empty)
    done = 0
    while done < pairs and running.any():
        orders = [generator.permutation(game.players) for _ in range(min(step_pairs, pairs - done))]
        for marginals in _marginals(game, [order[::step] for order in orders for step in (1, -1)]):
            done += 1
            counts += running
            change = np.where(running[:, None], marginals - mean, 0)
            mean += change / done
            squares += change * np.where(running[:, None], marginals - mean, 0)
        if done > 1:
            current = np.sqrt(squares / (done - 1) / done)
            errors = np.where(running[:, None], current, errors)
        if done >= _PAIRS_BEFORE_STOPPING:
            running &= ~converged(errors.max(axis=1) <= limit)
    return mean, errors, counts


def _marginals(game: Game, orders: Sequence[np.ndarray]) -> list[Float[np.ndarray, "targets players"]]:
    """Return each player's marginal contribution, averaged over each pair of an order and its reverse."""
    players = game.players
    present = np.concatenate([np.argsort(order)[None] < np.arange(1, players)[:, None] for order in orders])
    between = game.values(present).reshape(len(orders), players - 1, -1)
    ends = np.broadcast_to(game.empty, (len(orders), 1, len(game.empty)))
    starts = np.broadcast_to(game.full, ends.shape)
    differences = np.diff(np.concatenate([ends, between, starts], axis=1), axis=1)
    marginals = np.zeros_like(differences)
    for i, order in enumerate(orders):
        marginals[i, order] = differences[i]
    halves = marginals.transpose(0, 2, 1)
    return [(halves[i] + halves[i + 1]) / 2 for i in range(0, len(orders), 2)]
