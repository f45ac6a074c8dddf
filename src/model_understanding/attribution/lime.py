"""LIME: a local linear model of which parts of the text are present."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from model_understanding.attribution.protocol import Scores
from model_understanding.checks import one_of, real_number, whole_number
from model_understanding.passes.runner import Runner, Targets
from model_understanding.perturbation.black_box import BlackBox
from model_understanding.perturbation.shapley import Game
from model_understanding.perturbation.surrogates import local_regression
from model_understanding.perturbation.token_removal import (
    REPLACEMENTS,
    Replacement,
    padded_scores,
    token_removals,
)
from model_understanding.perturbation.units import PlainUnit, check_unit, token_scores, units_of
from model_understanding.text.encoding import Encoding

Distance = Literal["cosine", "hamming"]
_GOOD_FIT = 0.5  # share of the variance that the linear model explains


@dataclass(frozen=True, slots=True, kw_only=True)
class Lime:
    r"""The coefficients of a linear model of which units are present, fitted near the text (LIME).

    ``min_{w,b} Σ_z π(z) (f(x_z) − b − Σ_u w_u z_u)² + ridge ‖w‖²``, ``π(z) = √exp(−d(z)² / width²)``,
    where d is the cosine or Hamming distance of z from the text.

    The number of units removed is uniformly distributed from 1 to all, as in the authors' code for text; the
    first variant is the text itself. A unit's score is divided equally among its tokens.

    Args:
        samples: Number of variants of the text.
        seed: Seed of the sampling.
        unit: What is removed at a time: a ``token``, ``word`` or ``sentence``.
        distance: ``cosine`` or ``hamming`` (the share of units removed).
        width: Width of the kernel.
        ridge: Penalty of the squared coefficients.
        replacement: What replaces removed tokens: ``default``, ``mask``, ``pad``, ``mean`` or ``attention``
            (see ``Occlusion``).

    Raises:
        InputError: A parameter is out of its range, or the replacement is not available for the model.
        UnsupportedModelError: The model's output depends on tokens that ``attention`` hides.

    Reference:
        Ribeiro, Singh, Guestrin (2016), "Why Should I Trust You?", equation 2 and section 3.4. The
        authors' code selects a few features and deletes words from the text; here the model has all units,
        which are replaced in place. Their width of 25 for distances × 100 is 0.25 here.

    >>> Lime(distance="hamming").width
    0.25
    """

    name: ClassVar[str] = "lime"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = "samples forward passes (default 1024)"
    reference: ClassVar[str] = "Ribeiro et al. 2016"

    samples: int = 1024
    seed: int = 0
    unit: PlainUnit = "token"
    distance: Distance = "cosine"
    width: float = 0.25
    ridge: float = 1.0
    replacement: Replacement = "default"

    def __post_init__(self) -> None:
        whole_number(self.samples, "samples", least=2, example=1024)
        whole_number(self.seed, "seed", least=0)
        check_unit(self.unit, windows=False)
        one_of(self.distance, "distance", get_args(Distance))
        real_number(self.width, "width", exclusive=True, example=0.25)
        real_number(self.ridge, "ridge", example=1.0)
        one_of(self.replacement, "replacement", REPLACEMENTS)

    def __call__(self, runner: Runner | BlackBox, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        scores, outputs, cautions = [], [], []
        for removal in token_removals(runner, encoding, targets, self.replacement):
            units = units_of(removal.tokens, self.unit)
            game = Game(removal, units)
            values, explained = local_regression(
                game, self.samples, self.seed, distance=self.distance, width=self.width, ridge=self.ridge
            )
            scores.append(token_scores(values, units, removal.removable.size, removal.visible_length))
            outputs.append(game.full)
            caution = (
                f"The linear model explains only {100 * explained.min():.0f} % of the variance near the text."
            )
            cautions.append((caution,) if explained.min() < _GOOD_FIT else ())
        return Scores(scores=padded_scores(scores), outputs=np.stack(outputs), cautions=tuple(cautions))
