"""LIME: a linear model of which units are there, fitted near the text."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from model_understanding.attribution.protocol import Scores
from model_understanding.errors import InputError
from model_understanding.passes.runner import Runner, Targets
from model_understanding.perturbation.black_box import BlackBox
from model_understanding.perturbation.shapley import Game, check_sampling
from model_understanding.perturbation.surrogates import local_regression
from model_understanding.perturbation.token_removal import (
    Replacement,
    ablations_of,
    check_replacement,
    stacked,
)
from model_understanding.perturbation.units import PlainUnit, check_unit, shared, units_of
from model_understanding.text.encoding import Encoding

Distance = Literal["cosine", "hamming"]
_GOOD_FIT = 0.5  # share of variance


@dataclass(frozen=True, slots=True, kw_only=True)
class Lime:
    r"""The coefficients of a ridge regression of the target on which units are there.

    ``min_{w,b} Σ_z π(z) (f(x_z) − b − Σ_u w_u z_u)² + ridge ‖w‖²``, ``π(z) = √exp(−d(z)² / width²)``,
    d the cosine or Hamming distance of z from the whole text.

    How many units a variant lacks is uniform from 1 to all, as in the authors' code for text; the text
    itself is the first. A unit's tokens share its score equally.

    Args:
        samples: Variants of the text to draw.
        seed: Seed of the draws.
        unit: What is there or removed together: ``token``, ``word`` or ``sentence``.
        distance: ``cosine`` or ``hamming`` (the share of units removed).
        width: Width of the kernel.
        ridge: Penalty of the squared coefficients.
        replacement: What stands in for removed tokens: ``default``, ``mask``, ``pad``, ``mean`` or
            ``attention`` (see ``Occlusion``).

    Raises:
        InputError: A parameter is out of range or does not fit the model.
        UnsupportedModelError: ``attention`` does not hide tokens from this model.

    Reference:
        Ribeiro, Singh, Guestrin (2016), "Why Should I Trust You?", equation 2 and section 3.4. The
        authors' code keeps a few features and removes words from the string; here all units stay in the
        model and are replaced in place. Their width 25 at distances × 100 is 0.25 here.

    >>> Lime(distance="hamming").width
    0.25
    """

    name: ClassVar[str] = "lime"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = "samples forwards (default 1024)"
    reference: ClassVar[str] = "Ribeiro et al. 2016"

    samples: int = 1024
    seed: int = 0
    unit: PlainUnit = "token"
    distance: Distance = "cosine"
    width: float = 0.25
    ridge: float = 1.0
    replacement: Replacement = "default"

    def __post_init__(self) -> None:
        check_sampling(self.samples, self.seed)
        check_unit(self.unit, windows=False)
        check_replacement(self.replacement)
        if self.distance not in get_args(Distance):
            raise InputError(
                f"Distance {self.distance!r} is unknown. Allowed: {', '.join(get_args(Distance))}.",
                hint="Use distance='cosine'.",
            )
        if not 0 < self.width < float("inf") or not 0 <= self.ridge < float("inf"):
            raise InputError(
                f"width={self.width!r} must be above 0 and ridge={self.ridge!r} at least 0.",
                hint="Use width=0.25 and ridge=1.",
            )

    def __call__(self, runner: Runner | BlackBox, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        scores, outputs, cautions = [], [], []
        for ablations in ablations_of(runner, encoding, targets, self.replacement):
            units = units_of(ablations.tokens, self.unit)
            game = Game(ablations, units)
            values, explained = local_regression(
                game, self.samples, self.seed, distance=self.distance, width=self.width, ridge=self.ridge
            )
            scores.append(shared(values, units, ablations.removable.size, ablations.reach))
            outputs.append(game.full)
            said = f"The linear model explains {explained.min():.0%} of the variance near the text."
            cautions.append((said,) if explained.min() < _GOOD_FIT else ())
        return Scores(scores=stacked(scores), outputs=np.stack(outputs), cautions=tuple(cautions))
