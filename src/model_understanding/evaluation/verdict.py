"""The verdict: do the scores predict what removing tokens does?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.evaluation.ranked_text import FRACTIONS, KEPT_FRACTIONS, RankedText
from model_understanding.results import Evaluation

RIDGE = 0.1  # per variant and candidate: enough for tokens that are always removed together
_ROUNDING = 1e-12  # of the largest value: smaller differences are rounding errors


def token_effects(
    removed: Sequence[Bool[np.ndarray, "orders counts candidates"]],
    drops: Sequence[Float[np.ndarray, "orders counts"]],
) -> Float[np.ndarray, " candidates"]:
    r"""Estimate the effect of removing each token by a ridge regression over all variants.

    ``w = argmin Σ_v (y_v − x_v · w)² + λ |w|²,  λ = 0.1 · variants / candidates``

    x indicates the removed tokens of a variant and y is the drop of the target value; both are centered on
    the mean over the random orders' variants of the same group and count, so that the number of removed
    tokens explains nothing.

    Args:
        removed: Which candidates each variant of a group lacks; the first order is that of the scores, the
            others are random.
        drops: Drop of the target value on each variant.

    Returns:
        Effects: larger for tokens whose removal lowers the target more.

    Reference:
        Hoerl & Kennard (1970), "Ridge Regression: Biased Estimation for Nonorthogonal Problems".

    >>> removed = np.eye(3, dtype=bool)[:, None]  # three orders that remove one token each
    >>> token_effects([removed], [np.array([[1.0], [0.0], [0.0]])]).round(2).tolist()
    [0.62, -0.31, -0.31]
    """
    masks = np.concatenate([_centered(group.astype(np.float64)) for group in removed])
    values = np.concatenate([_centered(group[..., None])[:, 0] for group in drops])
    variants, candidates = masks.shape
    # Solved in the space of variants: a long text has fewer variants than tokens.
    gram = masks @ masks.T + RIDGE * variants / candidates * np.eye(variants)
    return masks.T @ np.linalg.solve(gram, values)


def permutation_z_score(
    scores: Float[np.ndarray, " candidates"], effects: Float[np.ndarray, " candidates"]
) -> float:
    r"""Return the z-score of the correlation of scores and effects against permuted scores.

    ``r(scores, effects) · √(candidates − 1)``

    Over all permutations of the scores, the correlation has exactly mean 0 and variance
    ``1 / (candidates − 1)``, so no permutations have to be sampled.

    Args:
        scores: The scores of the tokens.
        effects: The effects of removing the tokens.

    Returns:
        The z-score; 0 if all scores or all effects are equal.

    Reference:
        Pitman (1937), "Significance Tests Which May be Applied to Samples From Any Populations. II. The
        Correlation Coefficient Test".

    >>> round(permutation_z_score(np.array([3.0, 1, 2, 0, 0]), np.array([6.0, 2, 4, 0, 0])), 6)
    2.0
    """
    if any(np.ptp(values) <= _ROUNDING * np.abs(values).max() for values in (scores, effects)):
        return 0.0
    first, second = scores - scores.mean(), effects - effects.mean()
    correlation = first @ second / np.sqrt((first @ first) * (second @ second))
    return float(correlation * np.sqrt(len(scores) - 1))


def _centered(values: Float[np.ndarray, "orders counts parts"]) -> Float[np.ndarray, "variants parts"]:
    return (values - values[1:].mean(axis=0)).reshape(-1, values.shape[-1])


SUPPORTED, WEAK = 2.3, 1.0
CERTAIN = 2.7  # a z-score that needs no further variants
MAX_SINGLES = 64  # tokens that are removed one by one; for longer texts, more random orders are run,
MORE_ORDERS = 3  # this many times as many
DISAGREEMENT = 2.0  # difference between the z-scores under two replacements that is reported


Group = tuple[Bool[np.ndarray, "orders counts candidates"], Float[np.ndarray, "replacements orders counts"]]
"""Removed candidates of variants, the first order being that of the scores; drops of the main quantity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    r"""Whether the scores predict the effect of removing tokens better than permuted scores.

    ``z = r(scores, effects) · √(tokens − 1)``, where r is the correlation. If z is above 0 and below 2.7,
    the effects are estimated again from more variants.

    Args:
        fractions: Fractions of the tokens to remove.
        kept: Fractions of the tokens to keep.

    Reference:
        Metrics of DeYoung et al. (2020); effects by ridge regression, Hoerl & Kennard (1970); the
        permutation test of a correlation, Pitman (1937); the threshold by Fisher (1921).

    >>> Verdict().name
    'verdict'
    """

    name: ClassVar[str] = "verdict"
    higher_is_better: ClassVar[bool] = True
    on_request: ClassVar[bool] = False
    cost: ClassVar[str] = (
        "none beyond comprehensiveness and sufficiency; if these are inconclusive, 1 forward pass per token "
        "and replacement, or 40 per replacement for more than 64 tokens"
    )
    reference: ClassVar[str] = "DeYoung et al. 2020; Hoerl & Kennard 1970; Pitman 1937"

    fractions: tuple[float, ...] = FRACTIONS
    kept: tuple[float, ...] = KEPT_FRACTIONS

    def removals(self, text: RankedText) -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants that the metric needs."""
        groups = [text.removed(self.fractions), text.removed(self.kept, keep=True)]
        return np.concatenate([group.reshape(-1, group.shape[-1]) for group in groups])

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        groups = self._groups(text)
        (z_score, *permuted), by_replacement = _z_scores(text, groups)
        if z_score > 0 and (z_score < CERTAIN or min(own for own, *_ in by_replacement) <= 0):
            groups = self._more_variants(text, groups)
            (z_score, *permuted), by_replacement = _z_scores(text, groups)
        each = [own for own, *_ in by_replacement]
        verdict, reasons = verdict_and_reasons(
            z_score, each, text.removals.replacements, len(text.candidates)
        )
        quantity = text.removals.quantities[0]
        if any(drops.any() for _, drops in groups):
            drop = _drop_sentence(groups[0][1], quantity)
        else:
            drop = f"Removing tokens does not change the {quantity}."
        return (
            text.evaluation(
                self.name,
                z_score,
                higher_is_better=True,
                control=np.array(permuted),
                shuffled=True,
                quantity=quantity,
                replacement="+".join(text.removals.replacements),
                advantage=z_score,
                verdict=verdict,
                reasons=(reasons[0], drop, *reasons[1:]),
            ),
            *(
                text.evaluation(
                    "z_score",
                    own,
                    higher_is_better=True,
                    quantity=quantity,
                    replacement=replacement,
                    advantage=own,
                    control=np.array(permuted_scores),
                    shuffled=True,
                )
                for (own, *permuted_scores), replacement in zip(
                    by_replacement, text.removals.replacements, strict=True
                )
            ),
        )

    def _groups(self, text: RankedText) -> list[Group]:
        """Return the variants of comprehensiveness and of sufficiency."""
        return [
            (
                text.removed(fractions, keep=keep)[..., text.candidates],
                text.drops(fractions, keep=keep)[..., 0],
            )
            for fractions, keep in ((self.fractions, False), (self.kept, True))
        ]

    def _more_variants(self, text: RankedText, groups: list[Group]) -> list[Group]:
        """Return more variants: those given and every token alone, or more random orders of a long text."""
        if len(text.candidates) > MAX_SINGLES:
            return self._groups(replace(text, draws=MORE_ORDERS * text.draws))
        singles = text.singles()
        first = text.orders[0, :1]  # the top-ranked token comes first, as in every group
        removed = np.concatenate([singles[first], singles])[:, None]
        drops = text.full[:, :1] - text.removals.values(singles)[..., 0]
        drops = np.concatenate([drops[:, first], drops], axis=1)[..., None]
        return [*groups, (removed[..., text.candidates], drops)]


_CLAIMS = {
    "supported": "Scores predict the effect of removing tokens",
    "weak": "Scores only weakly predict the effect of removing tokens",
    "not supported": "Scores do not predict the effect of removing tokens",
}


def verdict_and_reasons(
    z_score: float, each: list[float], replacements: tuple[str, ...], tokens: int
) -> tuple[str, tuple[str, ...]]:
    """Return the verdict and its reasons.

    Args:
        z_score: z-score against permuted scores, over all replacements.
        each: The same for each replacement.
        replacements: Names of the replacements.
        tokens: Number of tokens that can be removed.

    >>> verdict, reasons = verdict_and_reasons(3.0, [3.1, 2.8], ("mask", "attention"), 12)
    >>> verdict
    'supported'
    >>> print(reasons[0])
    Scores predict the effect of removing tokens: z = 3.00 against permuted scores (12 tokens: threshold 2.14,
    maximum 3.32).
    """
    threshold, maximum = support_threshold(tokens), np.sqrt(tokens - 1)
    if round(z_score, 2) >= threshold and min(each) > 0:  # rounded as printed
        verdict = "supported"
    else:
        verdict = "weak" if z_score >= WEAK else "not supported"
    reasons = [
        f"{_CLAIMS[verdict]}: z = {_signed(z_score, '.2f')} against permuted scores "
        f"({tokens} tokens: threshold {threshold:.2f}, maximum {maximum:.2f})."
    ]
    if len(each) > 1 and (max(each) - min(each) > DISAGREEMENT or min(each) <= 0 < max(each)):
        listed = ", ".join(
            f"z = {_signed(own, '.1f')} for {name}" for name, own in zip(replacements, each, strict=True)
        )
        reasons.append(f"Results differ between replacements: {listed}.")
    if len(each) == 1:
        reasons.append(f"This model supports only one replacement: {replacements[0]}.")
    return verdict, tuple(reasons)


def _signed(value: float, format_spec: str) -> str:
    return f"{value:{format_spec}}".replace("-", "−")


def support_threshold(tokens: int, deviations: float = SUPPORTED) -> float:
    r"""Return the z-score from which scores are supported.

    ``√(tokens − 1) · tanh(2.3 / √(tokens − 3))``: a correlation that is 2.3 standard deviations above 0 by
    Fisher's transformation. It approaches 2.3 for long texts; for few tokens, 2.3 standard deviations of the
    correlation itself would require a perfect correlation.

    Args:
        tokens: Number of tokens that can be removed, at least 4.
        deviations: A number other than 2.3, which ``benchmarks/verdict`` chose.

    Reference:
        Fisher (1921), "On the 'Probable Error' of a Coefficient of Correlation Deduced from a Small Sample".

    >>> [support_threshold(tokens) for tokens in (6, 14, 100)]
    [1.94, 2.16, 2.28]
    """
    return round(float(np.sqrt(tokens - 1) * np.tanh(deviations / np.sqrt(tokens - 3))), 2)


def _z_scores(text: RankedText, groups: list[Group]) -> tuple[list[float], list[list[float]]]:
    """Return the z-scores over all replacements, and those for each replacement.

    Each is a list: that of the scores, and those of the scores permuted by each random order.
    """
    largest = np.max([np.abs(drops).max(axis=(1, 2)) for _, drops in groups], axis=0)
    removed = [group for group, _ in groups]
    scaled = [drops / np.where(largest > 0, largest, 1)[:, None, None] for _, drops in groups]

    def z_scores(drops: list[np.ndarray]) -> list[float]:
        effects = token_effects(removed, drops)
        return [permutation_z_score(scores, effects) for scores in text.permuted_supports]

    return z_scores([drops.mean(axis=0) for drops in scaled]), [
        z_scores([drops[index] for drops in scaled]) for index in range(len(largest))
    ]


def _drop_sentence(drops: Float[np.ndarray, "replacements orders counts"], quantity: str) -> str:
    """Return by how much removing the top-ranked tokens lowers the quantity, and removing random tokens."""
    own, random = drops[:, 0].mean(), drops[:, 1:].mean()
    verb, random_verb = ("lowers" if drop >= 0 else "raises" for drop in (own, random))
    if verb == random_verb:
        control = f"random tokens, by {abs(random):.3g}"
    else:
        control = f"removing random tokens {random_verb} it by {abs(random):.3g}"
    return f"Removing the top-ranked tokens {verb} the {quantity} by {abs(own):.3g}; {control}."
