"""Shapley values: a part's mean contribution over all orders in which the text could be put together."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model_understanding.attribution.protocol import Scores
from model_understanding.errors import InputError
from model_understanding.passes.runner import Runner, Targets
from model_understanding.perturbation.black_box import BlackBox
from model_understanding.perturbation.shapley import Game, check_sampling, exact_shapley, sampled_shapley
from model_understanding.perturbation.token_removal import (
    Replacement,
    ablations_of,
    check_replacement,
    stacked,
)
from model_understanding.perturbation.units import PlainUnit, check_unit, shared, units_of
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapleySampling:
    r"""The mean, over orders of the units, of what a unit adds to the target when it joins.

    ``φ_u = E_π[ f(x with u and all before it in π) − f(x with all before it in π) ]``

    Orders are drawn in pairs with their reverse. All ``2^n`` combinations of n units are run instead
    where that is at most ``samples``: the values are exact then. Scores add up to f(x) − f(∅), ∅ being
    the text with every unit removed. A unit's tokens share its score equally.

    Args:
        samples: Most variants of the text to look at; two pairs of orders are run whatever it says.
        tolerance: Stop when the largest standard error is below this part of ``|f(x) − f(∅)|``.
        seed: Seed of the orders.
        unit: What joins together: ``token``, ``word`` or ``sentence``.
        replacement: What stands in for removed tokens: ``default``, ``mask``, ``pad``, ``mean`` or
            ``attention`` (see ``Occlusion``).

    Raises:
        InputError: A parameter is out of range or does not fit the model.
        UnsupportedModelError: ``attention`` does not hide tokens from this model.

    Reference:
        Štrumbelj, Kononenko (2014), "Explaining prediction models and individual predictions with feature
        contributions", algorithm 1; Castro et al. (2009); antithetic orders: Mitchell et al. (2022),
        "Sampling Permutations for Shapley Value Estimation", section 4. Standard errors are those of the
        mean over pairs, since the two orders of a pair are not independent.

    >>> ShapleySampling(unit="word").samples
    1024
    """

    name: ClassVar[str] = "shapley_sampling"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = True
    cost: ClassVar[str] = "up to samples forwards (default 1024)"
    reference: ClassVar[str] = "Štrumbelj & Kononenko 2014; Mitchell et al. 2022"

    samples: int = 1024
    tolerance: float = 0.02
    seed: int = 0
    unit: PlainUnit = "token"
    replacement: Replacement = "default"

    def __post_init__(self) -> None:
        check_sampling(self.samples, self.seed)
        check_unit(self.unit, windows=False)
        check_replacement(self.replacement)
        if not 0 <= self.tolerance < float("inf"):
            raise InputError(
                f"tolerance={self.tolerance!r} is not a number of at least 0.", hint="Use tolerance=0.02."
            )

    def __call__(self, runner: Runner | BlackBox, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        scores, errors, games, cautions = [], [], [], []
        for ablations in ablations_of(runner, encoding, targets, self.replacement):
            units = units_of(ablations.tokens, self.unit)
            game = Game(ablations, units)
            if 2**game.players <= self.samples or game.players == 1:
                values = exact_shapley(game)
                spread = np.zeros_like(values)
                cautions.append(())
            else:
                values, spread = sampled_shapley(game, self.samples, self.tolerance, self.seed)
                cautions.append(self._caution(game, spread))
            tokens = ablations.removable.size
            scores.append(shared(values, units, tokens, ablations.reach))
            errors.append(shared(spread, units, tokens, ablations.reach))
            games.append(game)
        outputs = np.stack([game.full for game in games])
        baselines = np.stack([game.empty for game in games])
        found = stacked(scores)
        return Scores(
            scores=found,
            outputs=outputs,
            baseline_outputs=baselines,
            gaps=found.sum(axis=-1) - (outputs - baselines),
            standard_errors=stacked(errors),
            cautions=tuple(cautions),
        )

    def _caution(self, game: Game, spread: np.ndarray) -> tuple[str, ...]:
        """Say where the samples ran out before the standard errors were small enough."""
        total = np.abs(game.full - game.empty)
        late = spread.max(axis=1) > self.tolerance * total
        if not late.any():
            return ()
        return (
            f"{self.samples} samples left standard errors of up to {spread[late].max():.2g}, "
            f"above {self.tolerance:g} of |output − baseline output|; raise samples for finer scores.",
        )
