"""Full randomization: whether the scores would look the same of a model that has learned nothing."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model_understanding.protocols import RemovesNothing
from model_understanding.results import Evaluation
from model_understanding.results.agreement import rank_correlation
from model_understanding.runner.ranked_text import RankedText

ALIKE = 0.5  # a rank correlation above this is worth a warning


@dataclass(frozen=True, slots=True, kw_only=True)
class Randomization(RemovesNothing):
    r"""The rank correlation of the scores' sizes with those of the same model with random weights.

    ``spearman( |a(x; θ)| , |a(x; θ')| )``, where each tensor of θ' is normal with θ's mean and spread

    Low is good. It warns and does not judge: scores that follow the embeddings' sizes stay alike, and a
    method that finds planted words without a miss has failed it. The model itself is left alone; a copy
    is randomized.

    Reference:
        Adebayo et al. (2018), "Sanity Checks for Saliency Maps"; of all layers at once Hedström et al.
        (2024), "A Fresh Look at Sanity Checks for Saliency Maps".

    >>> Randomization().higher_is_better
    False
    """

    name: ClassVar[str] = "randomization"
    higher_is_better: ClassVar[bool] = False
    on_request: ClassVar[bool] = True
    cost: ClassVar[str] = "the method's own, and a copy of the model"
    reference: ClassVar[str] = "Adebayo et al. 2018; Hedström et al. 2024"

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution; nothing where its method cannot be made again."""
        if text.again is None:
            return ()
        random = text.again(random_weights=True)[text.candidates]
        own = text.attribution.scores[0, text.candidates].astype(np.float64)
        value = rank_correlation(np.abs(own), np.abs(random))
        if value is None:
            return ()
        reasons = ()
        if value > ALIKE:
            reasons = ("A model with random weights gives much the same order: a warning, not a verdict.",)
        return (
            text.evaluation(
                self.name, value, higher_is_better=False, quantity="rank correlation", reasons=reasons
            ),
        )
