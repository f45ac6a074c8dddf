"""Leave one out: how much the target falls when one token is taken away."""

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
from model_understanding.runner.units import units_of


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
