"""Shapley values from sampled orders: the mean marginal contribution of each part of the text."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model_understanding.attribution.protocol import Scores
from model_understanding.checks import one_of, real_number, whole_number
from model_understanding.passes.runner import Runner, Targets
from model_understanding.perturbation.black_box import BlackBox
from model_understanding.perturbation.shapley import Game, exact_shapley, sampled_shapley
from model_understanding.perturbation.token_removal import (
    REPLACEMENTS,
    Replacement,
    padded_scores,
    token_removals,
)
from model_understanding.perturbation.units import PlainUnit, check_unit, token_scores, units_of
from model_understanding.statistics import t_quantile
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapleySampling:
    r"""Shapley values: the mean marginal contribution of a token, word or sentence over random orders.

    ``φ_u = E_π[ f(x with u and all before it in π) − f(x with all before it in π) ]``

    Orders are sampled in pairs with their reverse. If all ``2^n`` combinations of n units are at most
    ``samples``, they are all run, and the values are exact. Scores add up to f(x) − f(∅), where ∅ is the
    text with every unit removed. A unit's score is divided equally among its tokens.

    Args:
        samples: Maximum number of variants of the text; at least two pairs of orders are run.
        tolerance: Sampling stops when the largest standard error is below this share of ``|f(x) − f(∅)|``.
        seed: Seed of the orders.
        unit: What is added at a time: a ``token``, ``word`` or ``sentence``.
        replacement: What replaces removed tokens: ``default``, ``mask``, ``pad``, ``mean`` or ``attention``
            (see ``Occlusion``).

    Raises:
        InputError: A parameter is out of its range, or the replacement is not available for the model.
        UnsupportedModelError: The model's output depends on tokens that ``attention`` hides.

    Reference:
        Štrumbelj, Kononenko (2014), "Explaining prediction models and individual predictions with feature
        contributions", algorithm 1; Castro et al. (2009); antithetic orders: Mitchell et al. (2022),
        "Sampling Permutations for Shapley Value Estimation", section 4. Standard errors are of the mean
        over pairs, because the two orders of a pair are not independent; of few pairs they are uncertain
        themselves, so ``Attribution.intervals`` multiplies them by the quantile of Student's t.

    >>> ShapleySampling(unit="word").samples
    1024
    """

    name: ClassVar[str] = "shapley_sampling"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = True
    cost: ClassVar[str] = "up to samples forward passes (default 1024)"
    reference: ClassVar[str] = "Štrumbelj & Kononenko 2014; Mitchell et al. 2022"

    samples: int = 1024
    tolerance: float = 0.02
    seed: int = 0
    unit: PlainUnit = "token"
    replacement: Replacement = "default"

    def __post_init__(self) -> None:
        whole_number(self.samples, "samples", least=2, example=1024)
        real_number(self.tolerance, "tolerance", example=0.02)
        whole_number(self.seed, "seed", least=0)
        check_unit(self.unit, windows=False)
        one_of(self.replacement, "replacement", REPLACEMENTS)

    def __call__(self, runner: Runner | BlackBox, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        scores, errors, counts, games, cautions = [], [], [], [], []
        for removal in token_removals(runner, encoding, targets, self.replacement):
            units = units_of(removal.tokens, self.unit)
            game = Game(removal, units)
            if 2**game.players <= self.samples or game.players == 1:
                values = exact_shapley(game)
                standard_errors = np.zeros_like(values)
                pairs = np.zeros(len(values), dtype=np.int64)
                cautions.append(())
            else:
                values, standard_errors, pairs = sampled_shapley(
                    game, self.samples, self.tolerance, self.seed
                )
                cautions.append(self._caution(game, standard_errors, pairs))
            tokens = removal.removable.size
            scores.append(token_scores(values, units, tokens, removal.visible_length))
            errors.append(token_scores(standard_errors, units, tokens, removal.visible_length))
            counts.append(pairs)
            games.append(game)
        outputs = np.stack([game.full for game in games])
        baselines = np.stack([game.empty for game in games])
        padded = padded_scores(scores)
        return Scores(
            scores=padded,
            outputs=outputs,
            baseline_outputs=baselines,
            gaps=padded.sum(axis=-1) - (outputs - baselines),
            standard_errors=padded_scores(errors),
            sample_counts=np.stack(counts),
            cautions=tuple(cautions),
        )

    def _caution(self, game: Game, standard_errors: np.ndarray, pairs: np.ndarray) -> tuple[str, ...]:
        """Return a warning if the standard errors are above the tolerance after all samples."""
        total = np.abs(game.full - game.empty)
        is_above = standard_errors.max(axis=1) > self.tolerance * total
        if not is_above.any():
            return ()
        widths = [
            t_quantile(0.95, int(count) - 1) * errors.max()
            for count, errors in zip(pairs, standard_errors, strict=True)
        ]
        return (
            f"After {self.samples} samples, standard errors are up to {standard_errors[is_above].max():.2g}, "
            f"above {100 * self.tolerance:g} % of |output − baseline output|; 95 % intervals are up to "
            f"±{max(widths):.2g} ({pairs.min()} pairs of orders). Increase samples.",
        )
