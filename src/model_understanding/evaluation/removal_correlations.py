"""Leave-one-out τ and the linear datamodeling score: correlations of scores with effects of removals.

The same scores, permuted at random over the tokens, are the control of each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.evaluation.ranked_text import RankedText
from model_understanding.results import Evaluation
from model_understanding.statistics import kendall_tau, rank_correlation


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOneOutTau:
    r"""The rank correlation of the scores with the effects of removing single tokens, from −1 to 1.

    ``τ_b( scores, f(x) − f(x without token i) )``

    It does not cover tokens that matter only together, and a method that removes single tokens agrees with
    itself. Texts of more than ``longest`` tokens have no value.

    Args:
        longest: The maximum number of tokens, each of which costs a forward pass for each replacement.

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
        """Return the variants that the metric needs."""
        removed = text.singles()
        return removed if len(removed) <= self.longest else removed[:0]

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        removed = self.removals(text)
        if not len(removed):
            return ()
        drops = text.full[:, None] - text.removals.values(removed)
        return _correlations(text, self.name, drops, np.eye(len(removed)), kendall_tau)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearDatamodelingScore:
    r"""The rank correlation of the effects of random ablations with those that the scores predict.

    ``spearman( Σ_{i ∈ S} score_i , f(S) )`` over random sets S of kept tokens

    Args:
        ablations: The number of sets; each token is kept with probability 1/2.

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
        """Return the variants that the metric needs."""
        generator = np.random.default_rng([text.seed, 3])
        removed = np.zeros((self.ablations, len(text.removals.tokens)), dtype=bool)
        removed[:, text.candidates] = generator.random((self.ablations, len(text.candidates))) < 0.5
        return removed

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        removed = self.removals(text)
        kept = ~removed[:, text.candidates]
        return _correlations(text, self.name, text.removals.values(removed), kept, rank_correlation)


def _correlations(
    text: RankedText,
    metric: str,
    values: Float[np.ndarray, "replacements variants quantities"],
    weights: Float[np.ndarray, "variants candidates"] | Bool[np.ndarray, "variants candidates"],
    correlation: Callable[[np.ndarray, np.ndarray], float | None],
) -> tuple[Evaluation, ...]:
    """Return the correlations of weighted sums of the scores with values of variants.

    Args:
        text: The text.
        metric: The metric's name.
        values: The quantities of each variant.
        weights: The weight of each score in a variant's sum.
        correlation: The correlation of two arrays; ``None`` counts as 0.
    """
    predictions = [weights @ support for support in text.permuted_supports]
    return tuple(
        text.evaluation_against_random(
            metric,
            np.array([correlation(prediction, values[j, :, i]) or 0.0 for prediction in predictions]),
            1.0,
            higher_is_better=True,
            quantity=quantity,
            replacement=replacement,
            shuffled=True,
        )
        for i, quantity in enumerate(text.removals.quantities)
        for j, replacement in enumerate(text.removals.replacements)
    )
