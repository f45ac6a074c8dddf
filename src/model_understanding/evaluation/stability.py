"""Stability: whether the same question gets the same scores under another seed, in a batch, and padded."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.protocols import RemovesNothing
from model_understanding.results import Evaluation
from model_understanding.results.agreement import rank_correlation
from model_understanding.runner.ranked_text import RankedText

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
