"""Kernel SHAP: Shapley values as the solution of a weighted least squares problem."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model_understanding.attribution.protocol import Scores
from model_understanding.passes.runner import Runner, Targets
from model_understanding.perturbation.black_box import BlackBox
from model_understanding.perturbation.shapley import Game, check_sampling
from model_understanding.perturbation.surrogates import shapley_regression
from model_understanding.perturbation.token_removal import (
    Replacement,
    ablations_of,
    check_replacement,
    stacked,
)
from model_understanding.perturbation.units import PlainUnit, check_unit, shared, units_of
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelShap:
    r"""The additive model of the units that fits the target best under the Shapley kernel.

    ``min_φ Σ_z (n−1) / (C(n,|z|) |z| (n−|z|)) (f(x_z) − f(∅) − Σ_u φ_u z_u)²`` with
    ``Σ_u φ_u = f(x) − f(∅)``

    Coalitions z are drawn in pairs with their complement; all are run instead where there are at most
    ``samples``, and the scores are then the exact Shapley values. The sum is held exactly, not by a large
    weight. A unit's tokens share its score equally.

    Args:
        samples: Most variants of the text to look at.
        seed: Seed of the draws.
        unit: What is there or removed together: ``token``, ``word`` or ``sentence``.
        replacement: What stands in for removed tokens: ``default``, ``mask``, ``pad``, ``mean`` or
            ``attention`` (see ``Occlusion``).

    Raises:
        InputError: A parameter is out of range or does not fit the model.
        UnsupportedModelError: ``attention`` does not hide tokens from this model.

    Reference:
        Lundberg, Lee (2017), "A Unified Approach to Interpreting Model Predictions", theorem 2; paired
        sampling: Covert, Lee (2021), "Improving KernelSHAP". Sizes are drawn by the kernel, so drawn
        coalitions weigh the same.

    >>> KernelShap(unit="word").seed
    0
    """

    name: ClassVar[str] = "kernel_shap"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = True
    cost: ClassVar[str] = "2 + samples forwards (default 1024)"
    reference: ClassVar[str] = "Lundberg & Lee 2017; Covert & Lee 2021"

    samples: int = 1024
    seed: int = 0
    unit: PlainUnit = "token"
    replacement: Replacement = "default"

    def __post_init__(self) -> None:
        check_sampling(self.samples, self.seed)
        check_unit(self.unit, windows=False)
        check_replacement(self.replacement)

    def __call__(self, runner: Runner | BlackBox, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        scores, games, cautions = [], [], []
        for ablations in ablations_of(runner, encoding, targets, self.replacement):
            units = units_of(ablations.tokens, self.unit)
            game = Game(ablations, units)
            values, is_determined = shapley_regression(game, self.samples, self.seed)
            scores.append(shared(values, units, ablations.removable.size, ablations.reach))
            games.append(game)
            said = f"{self.samples} samples do not tell all {game.players} units apart; raise samples."
            cautions.append(() if is_determined else (said,))
        outputs = np.stack([game.full for game in games])
        baselines = np.stack([game.empty for game in games])
        found = stacked(scores)
        return Scores(
            scores=found,
            outputs=outputs,
            baseline_outputs=baselines,
            gaps=found.sum(axis=-1) - (outputs - baselines),
            cautions=tuple(cautions),
        )
