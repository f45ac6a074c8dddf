"""Occlusion: how much the target falls when a part of the text is taken away."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model_understanding.protocols import Scores
from model_understanding.runner import Encoding, Runner
from model_understanding.runner.ablations import (
    Replacement,
    ablations_of,
    check_replacement,
    left_out,
    stacked,
)
from model_understanding.runner.black_box import BlackBox
from model_understanding.runner.runner import Targets
from model_understanding.runner.units import Unit, check_unit, units_of


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
