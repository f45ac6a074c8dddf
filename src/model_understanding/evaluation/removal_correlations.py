"""Correlations of scores with the effects of removals: leave-one-out and the linear datamodeling score."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from model_understanding.evaluation.ranked_text import RankedText
from model_understanding.results import Evaluation
from model_understanding.statistics import kendall_tau, rank_correlation


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOneOutTau:
    r"""How far the scores and single removals put the tokens in the same order, from −1 to 1.

    ``τ_b( scores, f(x) − f(x without token i) )``

    It says nothing of tokens that matter only together, and a method that removes tokens one by one
    agrees with itself. Texts of more tokens than ``longest`` have none.

    Args:
        longest: The most tokens that are removed, one forward each for every replacement.

    Reference:
        Kendall (1945), "The Treatment of Ties in Ranking Problems"; as a metric of attributions Attanasio
        et al. (2023), "ferret: a Framework for Benchmarking Explainers on Transformers".

    >>> LeaveOneOutTau().longest
    128
    """

    name: ClassVar[str] = "leave_one_out_tau"
    higher_is_better: ClassVar[bool] = True
    on_request: ClassVar[bool] = True
    cost: ClassVar[str] = "1 + tokens forward passes per replacement"
    reference: ClassVar[str] = "Attanasio et al. 2023"

    longest: int = 128

    def removals(self, text: RankedText) -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants that the metric asks for."""
        removed = text.singles()
        return removed if len(removed) <= self.longest else removed[:0]

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        removed = self.removals(text)
        if not len(removed):
            return ()
        falls = text.full[:, None] - text.removals.values(removed)
        return text.correlations(self.name, falls, np.eye(len(removed)), kendall_tau)


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
    cost: ClassVar[str] = "64 forward passes per replacement"
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
