"""Stability and randomization: scores should survive what must not matter, and change with the weights."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.evaluation.protocol import RemovesNothing
from model_understanding.evaluation.ranked_text import RankedText
from model_understanding.results import Evaluation
from model_understanding.statistics import rank_correlation

_CONDITIONS = {
    "another seed": {"another_seed": True},
    "in a batch": {"in_batch": True},
    "padded": {"padded": True},
}
_SIMILAR = 0.5  # a rank correlation above this one gets a warning


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability(RemovesNothing):
    r"""The difference of the scores when the text is explained again, under each of several conditions.

    ``max_i |a_i − a'_i| / max_i |a_i|``, and Spearman's rank correlation of a and a'

    The conditions are another seed, for methods that sample; the text twice in one batch; and the text
    padded beside a longer one. The last two should change nothing but rounding.

    Reference:
        Alvarez-Melis & Jaakkola (2018), "On the Robustness of Interpretability Methods"; here only with
        conditions that must not matter at all.

    >>> Stability().on_request
    True
    """

    name: ClassVar[str] = "stability"
    higher_is_better: ClassVar[bool] = True
    on_request: ClassVar[bool] = True
    cost: ClassVar[str] = "the method's own, once and for each of 2 or 3 conditions"
    reference: ClassVar[str] = "Alvarez-Melis & Jaakkola 2018"

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution; nothing where its method cannot be run again."""
        if text.rerun is None:
            return ()
        evaluations = []
        scores = text.rerun()[text.candidates]
        largest = np.abs(scores).max() or 1.0
        for condition, arguments in _CONDITIONS.items():
            if condition == "another seed" and text.attribution.provenance.seed is None:
                continue
            try:
                other_scores = text.rerun(**arguments)[text.candidates]
            except (InputError, UnsupportedModelError) as error:  # no longer text, or none in the same batch
                evaluations.append(
                    text.evaluation(
                        self.name, None, higher_is_better=True, replacement=condition, reasons=(str(error),)
                    )
                )
                continue
            difference = float(np.abs(scores - other_scores).max() / largest)
            correlation = rank_correlation(scores, other_scores)
            values = [("largest relative difference", difference, False)]
            values += [] if correlation is None else [("rank correlation", correlation, True)]
            evaluations += [
                text.evaluation(
                    self.name, value, higher_is_better=better, quantity=quantity, replacement=condition
                )
                for quantity, value, better in values
            ]
        return tuple(evaluations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Randomization(RemovesNothing):
    r"""The rank correlation of the sizes of the scores with those for the same model with random weights.

    ``spearman( |a(x; θ)| , |a(x; θ')| )``, where each tensor of θ' is normal with θ's mean and spread

    Lower is better. A high value is a warning, not a verdict: scores that follow the sizes of the
    embeddings hardly change, and even a method that finds all planted words has failed this test. A copy
    of the model is randomized; the model itself is not changed.

    Reference:
        Adebayo et al. (2018), "Sanity Checks for Saliency Maps"; for all layers at once Hedström et al.
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
        """Evaluate one attribution; nothing where its method cannot be run again."""
        if text.rerun is None:
            return ()
        random_scores = text.rerun(random_weights=True)[text.candidates]
        scores = text.attribution.scores[0, text.candidates].astype(np.float64)
        value = rank_correlation(np.abs(scores), np.abs(random_scores))
        if value is None:
            return ()
        reasons = ()
        if value > _SIMILAR:
            reasons = ("A model with random weights gives a similar ranking (a warning, not a verdict).",)
        return (
            text.evaluation(
                self.name, value, higher_is_better=False, quantity="rank correlation", reasons=reasons
            ),
        )
