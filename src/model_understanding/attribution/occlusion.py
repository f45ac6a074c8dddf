"""Occlusion: how much a target's value drops without a unit of the text."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model_understanding.attribution.protocol import Scores
from model_understanding.passes.runner import Runner, Targets
from model_understanding.perturbation.black_box import BlackBox
from model_understanding.perturbation.token_removal import (
    Replacement,
    ablations_of,
    check_replacement,
    left_out,
    stacked,
)
from model_understanding.perturbation.units import Unit, check_unit, units_of
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOneOut:
    r"""The target's value on the text minus its value without a token.

    ``score_t = f(x) − f(x without t)``

    Args:
        replacement: What stands in for the token: ``mask``, ``pad``, ``mean`` (the mean embedding),
            ``attention`` (hidden by the attention mask; classifiers), or ``default``: the first of mask,
            pad and mean that the tokenizer has. Special and template tokens are never removed.

    Raises:
        InputError: The replacement is unknown or does not fit the model.
        UnsupportedModelError: ``attention`` does not hide tokens from this model.

    Reference:
        Li, Monroe, Jurafsky (2016), "Understanding Neural Networks through Representation Erasure",
        equation 1, which divides by the original log-probability: scores here stay in the target's unit.
        The paper drops the token; here it is replaced, so that no position changes.

    >>> LeaveOneOut(replacement="mean")
    LeaveOneOut(replacement='mean')
    """

    name: ClassVar[str] = "leave_one_out"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = "1 + tokens forwards"
    reference: ClassVar[str] = "Li et al. 2016"

    replacement: Replacement = "default"

    def __post_init__(self) -> None:
        check_replacement(self.replacement)

    def __call__(self, runner: Runner | BlackBox, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        found = [
            left_out(ablations, units_of(ablations.tokens, "token"))
            for ablations in ablations_of(runner, encoding, targets, self.replacement)
        ]
        return Scores(scores=stacked([row for row, _ in found]), outputs=np.stack([out for _, out in found]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Occlusion:
    r"""The target's value on the text minus its value without a unit of it.

    ``score_u = f(x) − f(x without u)``; the tokens of a unit share its score equally, and a token in
    several windows gets the mean of its shares.

    Args:
        unit: What is removed together: ``token``, ``word``, ``sentence`` or ``window``.
        window: Tokens in a window (``unit="window"``).
        stride: Tokens from one window's start to the next; the last window ends at the last token.
        replacement: What stands in for removed tokens: ``mask``, ``pad``, ``mean`` (the mean embedding),
            ``attention`` (hidden by the attention mask; classifiers), or ``default``: the first of mask,
            pad and mean that the tokenizer has. Special and template tokens are never removed; positions
            never change.

    Raises:
        InputError: The unit, the window or the replacement is unknown or does not fit the model.
        UnsupportedModelError: ``attention`` does not hide tokens from this model.

    Reference:
        Zeiler, Fergus (2014), "Visualizing and Understanding Convolutional Networks", section 4.2: a gray
        square slides over an image. Here a unit of text is replaced in place.

    >>> Occlusion(unit="window", window=3).stride
    1
    """

    name: ClassVar[str] = "occlusion"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = "1 + units forwards"
    reference: ClassVar[str] = "Zeiler & Fergus 2014"

    unit: Unit = "token"
    window: int = 3
    stride: int = 1
    replacement: Replacement = "default"

    def __post_init__(self) -> None:
        check_unit(self.unit, window=self.window, stride=self.stride)
        check_replacement(self.replacement)

    def __call__(self, runner: Runner | BlackBox, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        found = [
            left_out(
                ablations,
                units_of(ablations.tokens, self.unit, window=self.window, stride=self.stride),
            )
            for ablations in ablations_of(runner, encoding, targets, self.replacement)
        ]
        return Scores(scores=stacked([row for row, _ in found]), outputs=np.stack([out for _, out in found]))
