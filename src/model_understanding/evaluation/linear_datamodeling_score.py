"""Linear datamodeling score: whether sums of scores foretell the answer on random halves of the text."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from model_understanding.results import Evaluation
from model_understanding.results.agreement import rank_correlation
from model_understanding.runner.ranked_text import RankedText


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearDatamodelingScore:
    r"""The rank correlation of what the scores foretell of random ablations with what comes out.

    ``spearman( Σ_{i ∈ S} score_i , f(S) )`` over random sets S of the tokens that are left

    Args:
        ablations: How many sets are drawn; each token is left in with even chance.

    Reference:
        Park et al. (2023), "TRAK: Attributing Model Behavior at Scale", section 2.2; for parts of a context
        Cohen-Wang, Shah, Georgiev, Madry (2024), "ContextCite: Attributing Model Generation to Context".

    >>> LinearDatamodelingScore().ablations
    64
    """

    name: ClassVar[str] = "linear_datamodeling_score"
    higher_is_better: ClassVar[bool] = True
    on_request: ClassVar[bool] = True
    cost: ClassVar[str] = "64 forwards for each replacement"
    reference: ClassVar[str] = "Park et al. 2023; Cohen-Wang et al. 2024"

    ablations: int = 64

    def removals(self, text: RankedText) -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants that the metric asks for."""
        generator = np.random.default_rng([text.seed, 3])
        removed = np.zeros((self.ablations, len(text.removals.tokens)), dtype=bool)
        removed[:, text.candidates] = generator.random((self.ablations, len(text.candidates))) < 0.5
        return removed

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        removed = self.removals(text)
        left = ~removed[:, text.candidates]
        return text.correlations(self.name, text.removals.values(removed), left, rank_correlation)
