"""Stability and randomization: do scores survive what should not matter, and change with what should?"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.evaluation.protocol import RemovesNothing
from model_understanding.evaluation.ranked_text import RankedText
from model_understanding.results import Evaluation
from model_understanding.statistics import rank_correlation

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
            reasons = ("A model with random weights gives a similar ranking (a warning, not a verdict).",)
        return (
            text.evaluation(
                self.name, value, higher_is_better=False, quantity="rank correlation", reasons=reasons
            ),
        )


_CONDITIONS = {
    "another seed": {"another_seed": True},
    "in a batch": {"in_batch": True},
    "padded": {"padded": True},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability(RemovesNothing):
    r"""Explain the text once more under each condition, and compare the scores.

    ``max_i |a_i − a'_i| / max_i |a_i|``, and Spearman's rank correlation of a and a'

    Another seed is asked only of methods that draw; the text twice in one batch, and beside a longer one
    with padding, should change nothing but rounding.

    Reference:
        Conditions of Alvarez-Melis & Jaakkola (2018), "On the Robustness of Interpretability Methods", for
        what must not matter at all.

    >>> Stability().on_request
    True
    """

    name: ClassVar[str] = "stability"
    higher_is_better: ClassVar[bool] = True
    on_request: ClassVar[bool] = True
    cost: ClassVar[str] = "the method's own, once and for each of 2 or 3 conditions"
    reference: ClassVar[str] = "Alvarez-Melis & Jaakkola 2018"

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution; nothing where its method cannot be made again."""
        if text.again is None:
            return ()
        first, found = text.again()[text.candidates], []
        largest = np.abs(first).max() or 1.0
        for condition, how in _CONDITIONS.items():
            if condition == "another seed" and text.attribution.provenance.seed is None:
                continue
            try:
                other = text.again(**how)[text.candidates]
            except (InputError, UnsupportedModelError) as error:  # no longer text, or none in the same batch
                found.append(
                    text.evaluation(
                        self.name, None, higher_is_better=True, replacement=condition, reasons=(str(error),)
                    )
                )
                continue
            difference = float(np.abs(first - other).max() / largest)
            same = rank_correlation(first, other)
            values = [("largest relative difference", difference, False)]
            values += [] if same is None else [("rank correlation", same, True)]
            found += [
                text.evaluation(
                    self.name, value, higher_is_better=better, quantity=quantity, replacement=condition
                )
                for quantity, value, better in values
            ]
        return tuple(found)
