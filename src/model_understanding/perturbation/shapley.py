"""The game that Shapley values divide: units of a text play, a target's value is what they win."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.errors import InputError
from model_understanding.model.metering import converged
from model_understanding.perturbation.token_removal import AblatedText
from model_understanding.perturbation.units import Units, membership

_PAIRS_BEFORE_STOPPING = 4
_VARIANTS_BETWEEN_CHECKS = 64


def check_sampling(samples: int, seed: int) -> None:
    """Raise InputError unless a number of samples and a seed can be used.

    >>> check_sampling(2, 0)
    """
    for name, value, lowest in (("samples", samples, 2), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
            raise InputError(
                f"{name}={value!r} is not a whole number of at least {lowest}.",
                hint="Leave it out for the default.",
            )


class Game:
    """Values of the targets when only some units of a text are there.

    Args:
        ablations: The text.
        units: Positions of each unit; every token is in one at most.
    """

    def __init__(self, ablations: AblatedText, units: Units) -> None:
        self.ablations = ablations
        self.units = units
        self.players = len(units)
        self._member = membership(units, ablations.removable.size)

    @cached_property
    def full(self) -> Float[np.ndarray, " targets"]:
        """The targets' values on the text itself."""
        return self.values(np.ones((1, self.players), dtype=bool))[0]

    @cached_property
    def empty(self) -> Float[np.ndarray, " targets"]:
        """The targets' values with every unit removed."""
        return self.values(np.zeros((1, self.players), dtype=bool))[0]

    @property
    def matters(self) -> Bool[np.ndarray, "targets players"]:
        """Whether a unit stands, at least in part, where a target can look."""
        starts = np.array([unit[0] for unit in self.units])
        return starts[None] < self.ablations.reach[:, None]

    def values(
        self, present: Bool[np.ndarray, "coalitions players"]
    ) -> Float[np.ndarray, "coalitions targets"]:
        """Return the targets' values with some units there and the others removed."""
        return self.ablations.values(~present @ self._member)


def all_coalitions(players: int) -> Bool[np.ndarray, "coalitions players"]:
    """Return every coalition; number c holds player i where bit i of c is set.

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
    found = np.zeros((values.shape[1], players))
    for player in range(players):
        without = np.flatnonzero(~coalitions[:, player])
        weights = np.exp(
            factorial[size[without]] + factorial[players - 1 - size[without]] - factorial[players]
        )
        found[:, player] = weights @ (values[without | (1 << player)] - values[without])
    return found


def sampled_shapley(
    game: Game, samples: int, tolerance: float, seed: int
) -> tuple[Float[np.ndarray, "targets players"], Float[np.ndarray, "targets players"]]:
    """Return Shapley values and their standard errors from random orders and their reverses.

    Each target stops by itself, so its numbers do not depend on what else is asked.

    Args:
        game: The game, of two players at least.
        samples: Most variants to look at; two pairs of orders are run whatever it says.
        tolerance: A target stops when its largest standard error is below this part of
            ``|v(all) − v(none)|``.
        seed: Seed of the orders.

    Returns:
        The values, and the standard errors of these means over pairs.
    """
    generator = np.random.default_rng(seed)
    variants = 2 * (game.players - 1)
    pairs = max(2, samples // variants)
    block = max(1, _VARIANTS_BETWEEN_CHECKS // variants)
    mean = np.zeros((len(game.full), game.players))
    squares = np.zeros_like(mean)
    errors = np.full_like(mean, np.inf)
    running = np.ones(len(mean), dtype=bool)
    enough = tolerance * np.abs(game.full - game.empty)
    done = 0
    while done < pairs and running.any():
        orders = [generator.permutation(game.players) for _ in range(min(block, pairs - done))]
        for pair in _marginals(game, [order[::step] for order in orders for step in (1, -1)]):
            done += 1
            step = np.where(running[:, None], pair - mean, 0)
            mean += step / done
            squares += step * np.where(running[:, None], pair - mean, 0)
        if done > 1:
            spread = np.sqrt(squares / (done - 1) / done)
            errors = np.where(running[:, None], spread, errors)
        if done >= _PAIRS_BEFORE_STOPPING:
            running &= ~converged(errors.max(axis=1) <= enough)
    return mean, errors


def _marginals(game: Game, orders: Sequence[np.ndarray]) -> list[Float[np.ndarray, "targets players"]]:
    """Return what each player adds, the mean of an order and its reverse, for each such pair."""
    players = game.players
    present = np.concatenate([np.argsort(order)[None] < np.arange(1, players)[:, None] for order in orders])
    between = game.values(present).reshape(len(orders), players - 1, -1)
    ends = np.broadcast_to(game.empty, (len(orders), 1, len(game.empty)))
    starts = np.broadcast_to(game.full, ends.shape)
    added = np.diff(np.concatenate([ends, between, starts], axis=1), axis=1)
    found = np.zeros_like(added)
    for number, order in enumerate(orders):
        found[number, order] = added[number]
    halves = found.transpose(0, 2, 1)
    return [(halves[i] + halves[i + 1]) / 2 for i in range(0, len(orders), 2)]
