"""A text's tokens in the order of an attribution, and in random orders for comparison."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.evaluation.removals import Removals
from model_understanding.results import Attribution, Evaluation

FRACTIONS = (0.05, 0.2, 0.5)
"""Fractions of the tokens that are removed."""
KEPT_FRACTIONS = (0.5,)
"""Fractions of the tokens that are kept.

More of either cost twice a 20-node path, and separate no more maps.
"""
_MIN_SPREAD = 0.02  # of the largest change: orders that all have the same effect have no spread to divide by


def candidates_of(attribution: Attribution, is_language_model: bool) -> Int[np.ndarray, " candidates"]:
    """Return the tokens that an evaluation removes: the ordinary tokens on which the target can depend.

    For a language model, these are the tokens before the explained ones, whatever span of them the target
    is; for its loss, which explains every token, all tokens.

    Args:
        attribution: An attribution of one target.
        is_language_model: Whether the model predicts tokens.

    Returns:
        Their positions.
    """
    (target,) = attribution.targets
    removable = attribution.valid[0] & ~attribution.tokens.special
    if is_language_model and target.positions and target.quantity != "loss":
        removable &= np.arange(len(removable)) <= min(target.positions)
    return np.flatnonzero(removable)


def removal_counts(candidates: int, fractions: tuple[float, ...] = FRACTIONS) -> Int[np.ndarray, " counts"]:
    """Return the number of tokens of each fraction: rounded, and at least 1.

    >>> removal_counts(12).tolist()
    [1, 2, 6]
    """
    return np.maximum(1, np.floor(np.array(fractions) * candidates + 0.5)).astype(int)


@dataclass(frozen=True, kw_only=True, eq=False)
class RankedText:
    """The input of a metric: a text's removals, one target's scores, and random orders of the tokens.

    Signed scores rank the strongest support for the target first; scores without a sign are ranked by
    size. A loss is supported by what lowers it. Ties are broken at random, so that a map of equal scores is
    a random map.

    Args:
        removals: The text and its quantities.
        attribution: The scores, of one target.
        candidates: Positions that are removed, as returned by ``candidates_of``.
        draws: The number of random orders.
        seed: Seed of these orders.
        others: Other attributions of the same target.
        rerun: Computes the scores of all tokens again under other conditions; ``None`` if impossible.
    """

    removals: Removals
    attribution: Attribution
    candidates: Int[np.ndarray, " candidates"]
    draws: int = 5
    seed: int = 0
    others: tuple[Attribution, ...] = ()
    rerun: Callable[..., Float[np.ndarray, " tokens"]] | None = None
    # Not copied by dataclasses.replace: other orders have other values.
    _values: dict[tuple[bool, tuple[float, ...]], np.ndarray] = field(
        default_factory=dict, init=False, repr=False
    )

    @cached_property
    def support(self) -> Float[np.ndarray, " candidates"]:
        """The support of each candidate for the target; its size where scores have no sign."""
        return _support(self.attribution, self.candidates)

    @cached_property
    def orders(self) -> Int[np.ndarray, "orders candidates"]:
        """Indices of candidates in the map's order, then in random orders; the same for every method."""
        generator = np.random.default_rng(self.seed)
        count = len(self.candidates)
        random_orders = [generator.permutation(count) for _ in range(self.draws)]
        return np.stack([self._order_by(self.support), *random_orders])

    @cached_property
    def orders_of_others(self) -> Int[np.ndarray, "others candidates"]:
        """Indices of candidates in the order of each other attribution that scores all of them."""
        supports = [
            _support(other, self.candidates) for other in self.others if other.valid[0, self.candidates].all()
        ]
        orders = [self._order_by(support) for support in supports]
        return np.array(orders, dtype=int).reshape(-1, len(self.candidates))

    @cached_property
    def permuted_supports(self) -> list[Float[np.ndarray, " candidates"]]:
        """The support of each candidate, then the same scores permuted by each random order."""
        return [self.support, *(self.support[order] for order in self.orders[1:])]

    def removed(
        self, fractions: tuple[float, ...] = FRACTIONS, *, keep: bool = False
    ) -> Bool[np.ndarray, "orders counts tokens"]:
        """Return variants without the top-ranked tokens of each order, or without all other candidates.

        Args:
            fractions: Fractions of the candidates.
            keep: Whether the top-ranked tokens are kept, and the others removed.
        """
        counts = removal_counts(len(self.candidates), fractions)
        ranks = self.orders.argsort(axis=1)
        is_top = ranks[:, None, :] < counts[None, :, None]
        removed = np.zeros((*is_top.shape[:2], len(self.removals.tokens)), dtype=bool)
        removed[:, :, self.candidates] = ~is_top if keep else is_top
        return removed

    def singles(self) -> Bool[np.ndarray, "candidates tokens"]:
        """Return variants that lack one candidate each."""
        removed = np.zeros((len(self.candidates), len(self.removals.tokens)), dtype=bool)
        removed[np.arange(len(removed)), self.candidates] = True
        return removed

    @cached_property
    def full(self) -> Float[np.ndarray, "replacements quantities"]:
        """The quantities of the text itself."""
        return self.removals.values(np.zeros((1, len(self.removals.tokens)), dtype=bool))[:, 0]

    def values(
        self, fractions: tuple[float, ...] = FRACTIONS, *, keep: bool = False
    ) -> Float[np.ndarray, "replacements orders counts quantities"]:
        """Return the quantities of the variants that ``removed`` returns."""
        if (keep, fractions) not in self._values:
            removed = self.removed(fractions, keep=keep)
            values = self.removals.values(removed.reshape(-1, removed.shape[-1]))
            self._values[keep, fractions] = values.reshape(len(values), *removed.shape[:2], -1)
        return self._values[keep, fractions]

    def drops(
        self, fractions: tuple[float, ...] = FRACTIONS, *, keep: bool = False
    ) -> Float[np.ndarray, "replacements orders counts quantities"]:
        """Return how far each quantity drops from its value for the text itself."""
        return self.full[:, None, None] - self.values(fractions, keep=keep)

    def evaluation(
        self, metric: str, value: float | None, *, higher_is_better: bool, **more: object
    ) -> Evaluation:
        """Return an evaluation of this attribution.

        Args:
            metric: The metric's name.
            value: Its value.
            higher_is_better: Whether a higher value is better.
            more: Other fields of the evaluation.
        """
        fields = {"curve": np.zeros((0, 2)), "control": np.zeros(0), **more}
        return Evaluation(
            metric=metric,
            value=None if value is None else float(value),
            higher_is_better=higher_is_better,
            method=self.attribution.method,
            target=self.attribution.targets[0].description(),
            **fields,  # pyright: ignore[reportArgumentType]
        )

    def evaluation_against_random(
        self,
        metric: str,
        values: Float[np.ndarray, " orders"],
        largest_change: float,
        *,
        higher_is_better: bool,
        **more: object,
    ) -> Evaluation:
        """Return an evaluation of this attribution with its z-score among random ones.

        Args:
            metric: The metric's name.
            values: Its value for the map, then for random orders or permuted scores.
            largest_change: The largest change of the quantity, as for ``z_score``.
            higher_is_better: Whether a higher value is better.
            more: Other fields of the evaluation.
        """
        return self.evaluation(
            metric,
            values[0],
            higher_is_better=higher_is_better,
            control=values[1:],
            advantage=z_score(values if higher_is_better else -values, largest_change),
            **more,
        )

    def _order_by(self, support: Float[np.ndarray, " candidates"]) -> Int[np.ndarray, " candidates"]:
        random_order = np.random.default_rng(self.seed + 1).permutation(len(support))  # of ties
        return random_order[np.argsort(-support[random_order], kind="stable")]


def z_score(values: Float[np.ndarray, " orders"], largest_change: float) -> float:
    """Return how many standard deviations of the other values the first lies above their mean.

    Args:
        values: The map's value, then those of random ones; higher is better.
        largest_change: The largest change of the quantity; the standard deviation counts as at least 2 %
            of it.

    >>> round(z_score(np.array([5.0, 1.0, 2.0, 3.0]), 5.0), 6)
    3.0
    """
    spread = max(float(values[1:].std(ddof=1)), _MIN_SPREAD * float(largest_change))
    return 0.0 if spread == 0 else float((values[0] - values[1:].mean()) / spread)


def _support(
    attribution: Attribution, candidates: Int[np.ndarray, " candidates"]
) -> Float[np.ndarray, " candidates"]:
    scores = attribution.scores[0, candidates].astype(np.float64)
    if not attribution.signed:
        return np.abs(scores)
    return -scores if attribution.targets[0].quantity == "loss" else scores
