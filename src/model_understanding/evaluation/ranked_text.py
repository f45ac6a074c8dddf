"""A text whose tokens an attribution puts in order, beside random orders of the same tokens."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.evaluation.removals import Removals
from model_understanding.results import Attribution, Evaluation

FRACTIONS = (0.05, 0.2, 0.5)
KEPT_FRACTIONS = (0.5,)
"""Of the tokens. More of either cost twice a 20-node path and tell no more maps apart."""
TENTHS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_LEAST_SPREAD = 0.02  # of the largest change seen: orders that all do the same have no spread to divide by


def candidates_of(attribution: Attribution, is_language_model: bool) -> Int[np.ndarray, " candidates"]:
    """Return the tokens that an evaluation removes: ordinary tokens on which the target can depend.

    Of a language model's text these are the tokens before what is explained, whatever part of it the
    target is; for the loss, where every token is explained, all that can matter.

    Args:
        attribution: An attribution of one target.
        is_language_model: Whether the model predicts tokens.

    Returns:
        Positions.
    """
    (target,) = attribution.targets
    chosen = attribution.valid[0] & ~attribution.tokens.special
    if is_language_model and target.positions and target.quantity != "loss":
        chosen &= np.arange(len(chosen)) <= min(target.positions)
    return np.flatnonzero(chosen)


def removal_counts(candidates: int, fractions: tuple[float, ...] = FRACTIONS) -> Int[np.ndarray, " counts"]:
    """Return how many tokens are removed at each fraction: rounded, one at least.

    >>> removal_counts(12).tolist()
    [1, 2, 6]
    """
    return np.maximum(1, np.floor(np.array(fractions) * candidates + 0.5)).astype(int)


@dataclass(frozen=True, kw_only=True, eq=False)
class RankedText:
    """What a metric is given: a text's removals, one target's scores, and random orders.

    Signed scores put first what supports the target most; scores without a sign are ordered by size. Of
    a loss, what supports the target is what lowers it. Equal scores stand in a random order, so that a
    map that says nothing is a random map.

    Args:
        removals: The text and its quantities.
        attribution: The scores, of one target.
        candidates: Positions that are removed, as ``candidates_of`` gives them.
        draws: Random orders.
        seed: Seed of these orders.
        others: Further attributions of the same target.
        again: Makes the scores of all tokens once more under other conditions, where that can be.
    """

    removals: Removals
    attribution: Attribution
    candidates: Int[np.ndarray, " candidates"]
    draws: int = 5
    seed: int = 0
    others: tuple[Attribution, ...] = ()
    again: Callable[..., Float[np.ndarray, " tokens"]] | None = None
    # Not taken over by dataclasses.replace: other orders have other values.
    _kept: dict[tuple[bool, tuple[float, ...]], np.ndarray] = field(
        default_factory=dict, init=False, repr=False
    )

    @cached_property
    def support(self) -> Float[np.ndarray, " candidates"]:
        """How much each candidate is said to support the target; sizes where scores have no sign."""
        return _support(self.attribution, self.candidates)

    @cached_property
    def orders(self) -> Int[np.ndarray, "orders candidates"]:
        """Candidates (by number) in the map's order, then in random orders; the same for every method."""
        generator = np.random.default_rng(self.seed)
        count = len(self.candidates)
        random = [generator.permutation(count) for _ in range(self.draws)]
        return np.stack([self._order_by(self.support), *random])

    @cached_property
    def orders_of_others(self) -> Int[np.ndarray, "others candidates"]:
        """Candidates in the order of each further attribution that scores all of them."""
        supports = [
            _support(other, self.candidates) for other in self.others if other.valid[0, self.candidates].all()
        ]
        return np.array([self._order_by(one) for one in supports], dtype=int).reshape(
            -1, len(self.candidates)
        )

    def _order_by(self, support: Float[np.ndarray, " candidates"]) -> Int[np.ndarray, " candidates"]:
        tie = np.random.default_rng(self.seed + 1).permutation(len(support))
        return tie[np.argsort(-support[tie], kind="stable")]

    def removed(
        self, fractions: tuple[float, ...] = FRACTIONS, *, keep: bool = False
    ) -> Bool[np.ndarray, "orders counts tokens"]:
        """Return variants without the first tokens of each order, or with no other candidates than these.

        Args:
            fractions: Parts of the candidates.
            keep: Whether the first tokens are what is left.
        """
        counts = removal_counts(len(self.candidates), fractions)
        places = self.orders.argsort(axis=1)  # each candidate's place in each order
        first = places[:, None, :] < counts[None, :, None]
        found = np.zeros((*first.shape[:2], len(self.removals.tokens)), dtype=bool)
        found[:, :, self.candidates] = ~first if keep else first
        return found

    def singles(self) -> Bool[np.ndarray, "candidates tokens"]:
        """Return variants that lack one candidate each."""
        removed = np.zeros((len(self.candidates), len(self.removals.tokens)), dtype=bool)
        removed[np.arange(len(removed)), self.candidates] = True
        return removed

    def values(
        self, fractions: tuple[float, ...] = FRACTIONS, *, keep: bool = False
    ) -> Float[np.ndarray, "replacements orders counts quantities"]:
        """Return the quantities on these variants."""
        if (keep, fractions) not in self._kept:
            removed = self.removed(fractions, keep=keep)
            found = self.removals.values(removed.reshape(-1, removed.shape[-1]))
            self._kept[keep, fractions] = found.reshape(len(found), *removed.shape[:2], -1)
        return self._kept[keep, fractions]

    @cached_property
    def full(self) -> Float[np.ndarray, "replacements quantities"]:
        """The quantities on the text itself."""
        return self.removals.values(np.zeros((1, len(self.removals.tokens)), dtype=bool))[:, 0]

    def drops(
        self, fractions: tuple[float, ...] = FRACTIONS, *, keep: bool = False
    ) -> Float[np.ndarray, "replacements orders counts quantities"]:
        """Return how far each quantity falls from the text itself."""
        return self.full[:, None, None] - self.values(fractions, keep=keep)

    def correlations(
        self,
        metric: str,
        values: Float[np.ndarray, "replacements variants quantities"],
        weights: Float[np.ndarray, "variants candidates"] | Bool[np.ndarray, "variants candidates"],
        correlation: Callable[[np.ndarray, np.ndarray], float | None],
    ) -> tuple[Evaluation, ...]:
        """Return how far sums of scores go with values, beside the same scores dealt out at random.

        Args:
            metric: The metric's name.
            values: What the model says of each variant.
            weights: Which scores are summed for it.
            correlation: Of two lists; what it gives ``None`` for counts as 0.
        """
        dealt = [self.support, *(self.support[order] for order in self.orders[1:])]
        foretold = [weights @ one for one in dealt]
        found = []
        for number, quantity in enumerate(self.removals.quantities):
            for place, replacement in enumerate(self.removals.replacements):
                own, *others = (correlation(one, values[place, :, number]) or 0.0 for one in foretold)
                found.append(
                    self.evaluation(
                        metric,
                        own,
                        higher_is_better=True,
                        control=np.array(others),
                        quantity=quantity,
                        replacement=replacement,
                        advantage=advantage_of(np.array([own, *others]), 1.0),
                        shuffled=True,
                    )
                )
        return tuple(found)

    def evaluation(
        self, metric: str, value: float | None, *, higher_is_better: bool, **more: object
    ) -> Evaluation:
        """Return an evaluation of this attribution."""
        fields = {"curve": np.zeros((0, 2)), "control": np.zeros(0), **more}
        return Evaluation(
            metric=metric,
            value=None if value is None else float(value),
            higher_is_better=higher_is_better,
            method=self.attribution.method,
            target=self.attribution.targets[0].description(),
            **fields,  # pyright: ignore[reportArgumentType]
        )


def _support(
    attribution: Attribution, candidates: Int[np.ndarray, " candidates"]
) -> Float[np.ndarray, " candidates"]:
    scores = attribution.scores[0, candidates].astype(np.float64)
    if not attribution.signed:
        return np.abs(scores)
    return -scores if attribution.targets[0].quantity == "loss" else scores


def area_evaluations(
    text: RankedText,
    metric: str,
    drops: Float[np.ndarray, "replacements orders counts quantities"],
    points: Float[np.ndarray, " counts"],
    *,
    higher_is_better: bool,
) -> tuple[Evaluation, ...]:
    """Return the mean of a curve for each quantity and replacement, beside those of random orders.

    Args:
        text: The text.
        metric: The metric's name.
        drops: The curves, the map's first.
        points: Where the curves' points stand.
        higher_is_better: Whether a larger mean speaks for the map.
    """
    found = []
    for number, quantity in enumerate(text.removals.quantities):
        for place, replacement in enumerate(text.removals.replacements):
            curves = drops[place, ..., number]
            areas = curves.mean(axis=1)
            found.append(
                text.evaluation(
                    metric,
                    areas[0],
                    higher_is_better=higher_is_better,
                    curve=np.stack([points, curves[0]], axis=1),
                    control=areas[1:],
                    quantity=quantity,
                    replacement=replacement,
                    advantage=advantage_of(areas if higher_is_better else -areas, np.abs(curves).max()),
                )
            )
    return tuple(found)


def advantage_of(values: Float[np.ndarray, " orders"], largest_change: float) -> float:
    """Return how far the first value is above the mean of the others, in their standard deviations.

    Args:
        values: The map's value and those of random orders; more is better.
        largest_change: The largest change of the quantity seen; a spread below 2 % of it counts as that.

    >>> round(advantage_of(np.array([5.0, 1.0, 2.0, 3.0]), 5.0), 6)
    3.0
    """
    spread = max(float(values[1:].std(ddof=1)), _LEAST_SPREAD * float(largest_change))
    return 0.0 if spread == 0 else float((values[0] - values[1:].mean()) / spread)
