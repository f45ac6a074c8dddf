"""Occlusion and leave-one-out: the drop of a target's value when part of the text is removed."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model_understanding.attribution.protocol import Scores
from model_understanding.checks import one_of
from model_understanding.passes.runner import Runner, Targets
from model_understanding.perturbation.black_box import BlackBox
from model_understanding.perturbation.token_removal import (
    REPLACEMENTS,
    Replacement,
    leave_one_out_scores,
    padded_scores,
    token_removals,
)
from model_understanding.perturbation.units import Unit, check_unit, units_of
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOneOut:
    r"""The drop of the target's value when a token is removed.

    ``score_t = f(x) − f(x without t)``

    Args:
        replacement: What replaces the token: ``mask``, ``pad``, ``mean`` (the mean embedding), ``attention``
            (hidden by the attention mask; for classifiers), or ``default``, the first of ``mask``, ``pad``
            and ``mean`` that is available. Special and template tokens are never removed.

    Raises:
        InputError: The replacement is unknown or not available for the model.
        UnsupportedModelError: The model's output depends on tokens that ``attention`` hides.

    Reference:
        Li, Monroe, Jurafsky (2016), "Understanding Neural Networks through Representation Erasure",
        equation 1, which divides by the original log-probability; here the scores keep the target's unit.
        The paper deletes the token; here it is replaced, so that no position changes.

    >>> LeaveOneOut(replacement="mean")
    LeaveOneOut(replacement='mean')
    """

    name: ClassVar[str] = "leave_one_out"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = "tokens + 1 forward passes"
    reference: ClassVar[str] = "Li et al. 2016"

    replacement: Replacement = "default"

    def __post_init__(self) -> None:
        one_of(self.replacement, "replacement", REPLACEMENTS)

    def __call__(self, runner: Runner | BlackBox, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        results = [
            leave_one_out_scores(removal, units_of(removal.tokens, "token"))
            for removal in token_removals(runner, encoding, targets, self.replacement)
        ]
        scores, outputs = zip(*results, strict=True)
        return Scores(scores=padded_scores(scores), outputs=np.stack(outputs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Occlusion:
    r"""The drop of the target's value when a token, word, sentence or window of the text is removed.

    ``score_u = f(x) − f(x without u)``; a unit's score is divided equally among its tokens, and a token in
    several windows gets the mean of its shares.

    Args:
        unit: What is removed at a time: a ``token``, ``word``, ``sentence`` or ``window``.
        window: Tokens in a window (for ``unit="window"``).
        stride: Tokens from one window's start to the next; the last window ends at the last token.
        replacement: What replaces removed tokens: ``mask``, ``pad``, ``mean`` (the mean embedding),
            ``attention`` (hidden by the attention mask; for classifiers), or ``default``, the first of
            ``mask``, ``pad`` and ``mean`` that is available. Special and template tokens are never removed,
            and positions never change.

    Raises:
        InputError: The unit or the replacement is unknown, the stride is larger than the window, or the
            replacement is not available for the model.
        UnsupportedModelError: The model's output depends on tokens that ``attention`` hides.

    Reference:
        Zeiler, Fergus (2014), "Visualizing and Understanding Convolutional Networks", section 4.2, where a
        gray square slides over an image. Here parts of the text are replaced.

    >>> Occlusion(unit="window", window=3).stride
    1
    """

    name: ClassVar[str] = "occlusion"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = "units + 1 forward passes"
    reference: ClassVar[str] = "Zeiler & Fergus 2014"

    unit: Unit = "token"
    window: int = 3
    stride: int = 1
    replacement: Replacement = "default"

    def __post_init__(self) -> None:
        check_unit(self.unit, window=self.window, stride=self.stride)
        one_of(self.replacement, "replacement", REPLACEMENTS)

    def __call__(self, runner: Runner | BlackBox, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        results = [
            leave_one_out_scores(
                removal, units_of(removal.tokens, self.unit, window=self.window, stride=self.stride)
            )
            for removal in token_removals(runner, encoding, targets, self.replacement)
        ]
        scores, outputs = zip(*results, strict=True)
        return Scores(scores=padded_scores(scores), outputs=np.stack(outputs))
