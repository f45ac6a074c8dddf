"""Kernel SHAP: Shapley values as the solution of a weighted least squares problem."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model_understanding.attribution.protocol import Scores
from model_understanding.checks import one_of, whole_number
from model_understanding.passes.runner import Runner, Targets
from model_understanding.perturbation.black_box import BlackBox
from model_understanding.perturbation.shapley import Game
from model_understanding.perturbation.surrogates import shapley_regression
from model_understanding.perturbation.token_removal import (
    REPLACEMENTS,
    Replacement,
    padded_scores,
    token_removals,
)
from model_understanding.perturbation.units import PlainUnit, check_unit, token_scores, units_of
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelShap:
    r"""Shapley values, estimated by a linear model weighted with the Shapley kernel (Kernel SHAP).

    ``min_φ Σ_z (n−1) / (C(n,|z|) |z| (n−|z|)) (f(x_z) − f(∅) − Σ_u φ_u z_u)²`` with
    ``Σ_u φ_u = f(x) − f(∅)``

    Coalitions z are sampled in pairs with their complement. If there are at most ``samples``, they are all
    run, and the scores are the exact Shapley values. The sum is a hard constraint, not a large weight. A
    unit's score is divided equally among its tokens.

    Args:
        samples: Maximum number of variants of the text.
        seed: Seed of the sampling.
        unit: What is removed at a time: a ``token``, ``word`` or ``sentence``.
        replacement: What replaces removed tokens: ``default``, ``mask``, ``pad``, ``mean`` or ``attention``
            (see ``Occlusion``).

    Raises:
        InputError: A parameter is out of its range, or the replacement is not available for the model.
        UnsupportedModelError: The model's output depends on tokens that ``attention`` hides.

    Reference:
        Lundberg, Lee (2017), "A Unified Approach to Interpreting Model Predictions", theorem 2; paired
        sampling: Covert, Lee (2021), "Improving KernelSHAP". Sizes are sampled by the kernel, so that
        sampled coalitions have equal weights.

    >>> KernelShap(unit="word").seed
    0
    """

    name: ClassVar[str] = "kernel_shap"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = True
    cost: ClassVar[str] = "up to samples + 2 forward passes (default 1026)"
    reference: ClassVar[str] = "Lundberg & Lee 2017; Covert & Lee 2021"

    samples: int = 1024
    seed: int = 0
    unit: PlainUnit = "token"
    replacement: Replacement = "default"

    def __post_init__(self) -> None:
        whole_number(self.samples, "samples", least=2, example=1024)
        whole_number(self.seed, "seed", least=0)
        check_unit(self.unit, windows=False)
        one_of(self.replacement, "replacement", REPLACEMENTS)

    def __call__(self, runner: Runner | BlackBox, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        scores, games, cautions = [], [], []
        for removal in token_removals(runner, encoding, targets, self.replacement):
            units = units_of(removal.tokens, self.unit)
            game = Game(removal, units)
            values, is_determined = shapley_regression(game, self.samples, self.seed)
            scores.append(token_scores(values, units, removal.removable.size, removal.visible_length))
            games.append(game)
            caution = (
                f"{self.samples} samples are too few to determine the scores of all {game.players} units. "
                "Increase samples."
            )
            cautions.append(() if is_determined else (caution,))
        outputs = np.stack([game.full for game in games])
        baselines = np.stack([game.empty for game in games])
        padded = padded_scores(scores)
        return Scores(
            scores=padded,
            outputs=outputs,
            baseline_outputs=baselines,
            gaps=padded.sum(axis=-1) - (outputs - baselines),
            cautions=tuple(cautions),
        )
