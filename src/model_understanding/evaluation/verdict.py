"""The verdict: do the scores predict what removing tokens does?"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

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


def chance_of(scores: Float[np.ndarray, " candidates"], effects: Float[np.ndarray, " candidates"]) -> float:
    """Return the share of permutations of the scores that predict the effects at least as well.

    All permutations of up to 8 tokens, 10,000 random ones (the same at every call) of more.

    Args:
        scores: The scores of the tokens.
        effects: The effects of removing the tokens.

    >>> chance_of(np.array([1.0, 0, 0, 0]), np.array([3.0, 0.1, 0, 0]))  # one of four places
    0.25
    """
    slack = _ROUNDING * len(scores) * np.abs(scores).max() * np.abs(effects).max()
    return float((scores[_orders(len(scores))] @ effects >= scores @ effects - slack).mean())


@lru_cache(maxsize=4)
def _orders(count: int) -> Int[np.ndarray, "orders candidates"]:
    """Return all orders of a few tokens, or random ones of many."""
    if count <= _ALL_PERMUTATIONS:
        return np.array(list(permutations(range(count))))
    drawn = np.random.default_rng(0).random((_PERMUTATIONS, count)).argsort(axis=1)
    return np.concatenate([np.arange(count)[None], drawn])


SUPPORTED, WEAK = 2.3, 1.0
MAX_CORRELATION = 0.8  # no text asks for more: scores need not be proportional to the effects
STRONG, NAMED = 0.35, 0.1  # shares of the largest effect, and of the largest score
INFORMATIVE = 0.07  # share of the largest drop: smaller effects say little of what the answer depends on
TOP_SHARE = 0.5  # of the largest score: the tokens that the map itself puts forward
MAX_SINGLES = 64  # tokens that are removed one by one
MAX_IN_CONTEXT = 32  # tokens whose effect is measured next to the map's top tokens
DISAGREEMENT = 2.0  # difference between the z-scores under two replacements that is reported
_ALL_PERMUTATIONS, _PERMUTATIONS = 8, 10_000
_MAX_NAMED = 3  # missed tokens that are listed


Group = tuple[Bool[np.ndarray, "orders counts candidates"], Float[np.ndarray, "replacements orders counts"]]
"""Removed candidates of variants, the first order being that of the scores; drops of the main quantity."""


class Effects(NamedTuple):
    """The effects of some tokens, in one kind of context, and how well the scores predict them.

    Args:
        scores: The tokens' scores, as support of the target.
        by_replacement: Drop of the target when a token is removed, under each replacement; each replacement
            is scaled to its largest drop.
        share: The largest effect, as a share of the largest drop known.
    """

    scores: Float[np.ndarray, " measured"]
    by_replacement: Float[np.ndarray, "replacements measured"]
    share: float

    @property
    def mean(self) -> Float[np.ndarray, " measured"]:
        """The mean over replacements."""
        return self.by_replacement.mean(axis=0)

    @property
    def z_score(self) -> float:
        """The z-score of the correlation of the scores with the effects, against permuted scores."""
        return permutation_z_score(self.scores, self.mean)

    @property
    def z_scores(self) -> list[float]:
        """The same for each replacement."""
        return [permutation_z_score(self.scores, effects) for effects in self.by_replacement]

    @property
    def missed(self) -> Int[np.ndarray, " missed"]:
        """Tokens whose removal matters, and whose score says that they do not; the largest effect first."""
        mean = self.mean
        strong = mean >= STRONG * np.abs(mean).max()
        missed = np.flatnonzero(strong & (self.scores < NAMED * np.abs(self.scores).max()))
        return missed[np.argsort(-mean[missed], kind="stable")]

    @property
    def supports(self) -> bool:
        """Whether the scores predict these effects, under every replacement, and miss no token of weight."""
        is_high = _is_high(self.z_score, len(self.scores))
        is_informative = self.share >= INFORMATIVE
        return is_high and min(self.z_scores) > 0 and is_informative and not self.missed.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    r"""Whether the scores predict the effect of removing tokens better than permuted scores.

    ``z = r(scores, effects) · √(tokens − 1)``, where r is the correlation

    The effect of a token is the drop of the target without it. Where the scores do not predict this, the
    effect is measured once more among the tokens that interact with it: the tokens that the map itself puts
    forward are all removed, and each token is restored or removed as well. The larger of both effects
    counts. So neither a word that only acts together with another one (a negation) nor one that another
    word could replace is taken for unimportant. A map that gives next to nothing to a token with at least
    35 % of the largest effect is not supported, however high the correlation.

    Of texts with more than 64 tokens, 64 are measured: the 32 with the highest scores, and the 32 others
    that matter most according to random removals.

    Args:
        fractions: Fractions of the tokens to remove.
        kept: Fractions of the tokens to keep.

    Reference:
        Metrics of DeYoung et al. (2020); the permutation test of a correlation, Pitman (1937); the threshold
        by Fisher (1921); random removals by ridge regression, Hoerl & Kennard (1970).

    >>> Verdict().name
    'verdict'
    """

    name: ClassVar[str] = "verdict"
    higher_is_better: ClassVar[bool] = True
    on_request: ClassVar[bool] = False
    cost: ClassVar[str] = (
        "beyond comprehensiveness and sufficiency 1 forward pass per token (up to 64) and replacement; if "
        "these are inconclusive, 1 more per token (up to 32)"
    )
    reference: ClassVar[str] = "DeYoung et al. 2020; Pitman 1937; Fisher 1921; Hoerl & Kennard 1970"

    fractions: tuple[float, ...] = FRACTIONS
    kept: tuple[float, ...] = KEPT_FRACTIONS

    def removals(self, text: RankedText) -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants that the metric needs."""
        groups = [text.removed(self.fractions), text.removed(self.kept, keep=True)]
        singles = text.singles()
        everything = text.removed((1.0,))[0]
        if len(text.candidates) > MAX_SINGLES:  # those that are measured depend on the other variants
            singles = singles[:0]
        return np.concatenate(
            [group.reshape(-1, group.shape[-1]) for group in groups] + [singles, everything]
        )

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        groups = self._groups(text)
        measured = _measured(text, groups)
        effects = _effects(text, measured)
        labels = text.removals.tokens.labels()
        shares = effects.mean / (np.abs(effects.mean).max() or 1)
        chance = chance_of(effects.scores, effects.mean)
        verdict, reasons = verdict_and_reasons(
            effects.z_score,
            effects.z_scores,
            text.removals.replacements,
            len(measured),
            chance=chance,
            missed=[(labels[text.candidates[measured[i]]], float(shares[i])) for i in effects.missed],
            share=effects.share,
        )
        quantity = text.removals.quantities[0]
        if effects.by_replacement.any() or any(drops.any() for _, drops in groups):
            drop = _drop_sentence(groups[0][1], quantity)
            is_better = _is_drop_larger(groups[0][1])
        else:
            drop = f"Removing tokens does not change the {quantity}."
            is_better = False
        permuted = [support[measured] for support in text.permuted_supports[1:]]

        def evaluation(metric: str, values: np.ndarray, replacement: str, **more: object) -> Evaluation:
            z_score = permutation_z_score(effects.scores, values)
            control = np.array([permutation_z_score(scores, values) for scores in permuted])
            fields = {"control": control, "shuffled": True, "advantage": z_score, **more}
            fields |= {"quantity": quantity, "replacement": replacement}
            return text.evaluation(metric, z_score, higher_is_better=True, **fields)

        replacements = text.removals.replacements
        summary = _summary(
            verdict,
            reasons,
            drop,
            z_score=effects.z_score,
            chance=chance,
            tokens=len(measured),
            is_better=is_better,
        )
        reasons = (reasons[0], drop, *reasons[1:])
        return (
            evaluation(
                self.name,
                effects.mean,
                "+".join(replacements),
                verdict=verdict,
                reasons=reasons,
                summary=summary,
            ),
            *(
                evaluation("z_score", values, name)
                for values, name in zip(effects.by_replacement, replacements, strict=True)
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


def _measured(text: RankedText, groups: Sequence[Group]) -> Int[np.ndarray, " measured"]:
    """Return the candidates whose effects are measured: all, or of a long text those that may matter."""
    count = len(text.candidates)
    if count <= MAX_SINGLES:
        return np.arange(count)
    estimates = token_effects([removed for removed, _ in groups], [drops.mean(axis=0) for _, drops in groups])
    top = text.orders[0, : MAX_SINGLES // 2]
    others = [token for token in np.argsort(-np.abs(estimates), kind="stable") if token not in top]
    return np.sort([*top, *others[: MAX_SINGLES - len(top)]])


def _effects(text: RankedText, measured: Int[np.ndarray, " measured"]) -> Effects:
    """Return the effects that decide: those of single removals, or those in the context of the top tokens."""
    scores = text.support[measured]
    singles = text.singles()[measured]
    alone = _drops(text, singles)
    everything = np.abs(_drops(text, text.removed((1.0,))[0])[:, 0])

    def effects(kinds: Sequence[Float[np.ndarray, "replacements measured"]]) -> Effects:
        largest = np.abs(np.concatenate(kinds, axis=1)).max(axis=1)
        drops = np.max(kinds, axis=0)
        share = np.abs(_scaled(drops, np.maximum(largest, everything)).mean(axis=0)).max()
        return Effects(scores, _scaled(drops, largest), float(share))

    single = effects([alone])
    if single.supports:
        return single
    in_context = effects([alone, _drops_in_context(text, scores, singles, alone)])
    if in_context.supports or single.share < INFORMATIVE:
        return in_context
    return max(single, in_context, key=lambda one: one.z_score)


def _drops_in_context(
    text: RankedText,
    scores: Float[np.ndarray, " measured"],
    singles: Bool[np.ndarray, "measured tokens"],
    alone: Float[np.ndarray, "replacements measured"],
) -> Float[np.ndarray, "replacements measured"]:
    """Return each token's effect next to the map's top tokens, which are all removed.

    A top token's effect is how far the target rises when it alone is restored; another token's, how far it
    drops when it is removed as well. Tokens beyond a maximum number keep their effect of single removals.
    """
    count = len(scores)
    order = np.argsort(-scores, kind="stable")
    top_count = max(1, min(int((scores >= TOP_SHARE * scores.max()).sum()), count // 2, MAX_IN_CONTEXT // 2))
    is_top = np.isin(np.arange(count), order[:top_count])
    strength = np.where(is_top, np.inf, np.abs(alone / _nonzero(np.abs(alone).max(axis=1))[:, None]).mean(0))
    chosen = np.argsort(-strength, kind="stable")[:MAX_IN_CONTEXT]
    without_top = singles[is_top].any(axis=0, keepdims=True)
    drops = _drops(text, np.concatenate([without_top, without_top ^ singles[chosen]]))
    changes = drops[:, 1:] - drops[:, :1]
    in_context = alone.copy()
    in_context[:, chosen] = np.where(is_top[chosen], -changes, changes)
    return in_context


def _drops(
    text: RankedText, removed: Bool[np.ndarray, "variants tokens"]
) -> Float[np.ndarray, "replacements variants"]:
    """Return how far the main quantity drops in each variant."""
    return text.full[:, :1] - text.removals.values(removed)[..., 0]


def _scaled(
    drops: Float[np.ndarray, "replacements measured"], largest: Float[np.ndarray, " replacements"]
) -> Float[np.ndarray, "replacements measured"]:
    """Return drops as shares of the largest one under each replacement, so that all count alike."""
    return drops / _nonzero(largest)[:, None]


def _nonzero(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, 1)


def _centered(values: Float[np.ndarray, "orders counts parts"]) -> Float[np.ndarray, "variants parts"]:
    return (values - values[1:].mean(axis=0)).reshape(-1, values.shape[-1])


_CLAIMS = {
    "supported": "Scores predict the effect of removing tokens",
    "weak": "Scores only weakly predict the effect of removing tokens",
    "not supported": "Scores do not predict the effect of removing tokens",
}


def verdict_and_reasons(
    z_score: float,
    each: Sequence[float],
    replacements: Sequence[str],
    tokens: int,
    *,
    chance: float | None = None,
    missed: Sequence[tuple[str, float]] = (),
    share: float = 1.0,
) -> tuple[str, tuple[str, ...]]:
    """Return the verdict and its reasons.

    Args:
        z_score: z-score against permuted scores, over all replacements.
        each: The same for each replacement.
        replacements: Names of the replacements.
        tokens: Number of tokens whose effect is measured.
        chance: Share of permutations of the scores that predict the effects as well.
        missed: Tokens that matter and that the scores leave out, with their share of the largest effect.
        share: The largest effect, as a share of the largest drop.

    >>> verdict, reasons = verdict_and_reasons(3.0, [3.1, 2.8], ("mask", "attention"), 12, chance=0.0021)
    >>> verdict
    'supported'
    >>> print(reasons[0])
    Scores predict the effect of removing tokens: z = 3.00 against permuted scores (12 tokens: threshold 2.14,
    maximum 3.32; 0.2 % of permutations do as well).
    """
    threshold, maximum = support_threshold(tokens), np.sqrt(tokens - 1)
    if _is_high(z_score, tokens) and min(each) > 0 and share >= INFORMATIVE and not missed:
        verdict = "supported"
    else:
        verdict = "weak" if z_score >= WEAK else "not supported"
    by_chance = "" if chance is None else f"; {_percent(chance)} of permutations do as well"
    reasons = [
        f"{_CLAIMS[verdict]}: z = {_signed(z_score, '.2f')} against permuted scores "
        f"({tokens} tokens: threshold {threshold:.2f}, maximum {maximum:.2f}{by_chance})."
    ]
    if missed and z_score >= WEAK:
        listed = ", ".join(f"{label.strip()!r} ({_percent(share)})" for label, share in missed[:_MAX_NAMED])
        more = f" and {len(missed) - _MAX_NAMED} more" if len(missed) > _MAX_NAMED else ""
        reasons.append(
            f"Scores leave out tokens whose removal matters (share of the largest effect): {listed}{more}."
        )
    if 0 < share < INFORMATIVE and z_score >= WEAK:
        reasons.append(
            f"The largest effect of a token is {_percent(share)} of that of removing all: too little to tell "
            "which tokens the answer depends on."
        )
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


def _percent(share: float) -> str:
    return "less than 0.1 %" if share < 0.001 else f"{100 * share:.1f} %"


def support_threshold(tokens: int, deviations: float = SUPPORTED) -> float:
    r"""Return the z-score from which scores are supported.

    ``√(tokens − 1) · min(0.8, tanh(2.3 / √(tokens − 3)))``: a correlation that is 2.3 standard deviations
    above 0 by Fisher's transformation, and at most 0.8. It approaches 2.3 for long texts; for few tokens, 2.3
    standard deviations of the correlation itself would require a perfect correlation.

    Args:
        tokens: Number of tokens whose effect is measured, at least 4.
        deviations: A number other than 2.3, which ``benchmarks/verdict`` chose.

    Reference:
        Fisher (1921), "On the 'Probable Error' of a Coefficient of Correlation Deduced from a Small Sample".

    >>> [support_threshold(tokens) for tokens in (6, 14, 64)]
    [1.79, 2.16, 2.27]
    """
    correlation = min(MAX_CORRELATION, float(np.tanh(deviations / np.sqrt(tokens - 3))))
    return round(float(np.sqrt(tokens - 1)) * correlation, 2)


def _summary(
    verdict: str,
    reasons: Sequence[str],
    drop: str,
    *,
    z_score: float,
    chance: float,
    tokens: int,
    is_better: bool,
) -> str:
    """Return the verdict in words: what removals show, or what decided where that points the other way.

    The verdict rests on the effects of single tokens; removing the top-ranked tokens together may show
    something else. A high z-score that is only weak has a further reason, the second one.

    Args:
        verdict: The verdict.
        reasons: Its reasons.
        drop: What removing the top-ranked tokens and random ones does.
        z_score: The z-score against permuted scores.
        chance: Share of permutations of the scores that predict the effects as well.
        tokens: Number of tokens whose effect is measured.
        is_better: Whether removing the top-ranked tokens lowers the target more than removing random ones.
    """
    if verdict == "supported" and is_better:
        return drop
    if verdict == "weak" and _is_high(z_score, tokens):
        return f"{_CLAIMS[verdict]}. {reasons[1]}"
    if is_better == (verdict == "not supported"):
        z_text = _signed(z_score, ".2f")
        return f"{_CLAIMS[verdict]}: z = {z_text}; {_percent(chance)} of permuted scores do as well."
    return f"{_CLAIMS[verdict]}. {drop}"


def _is_high(z_score: float, tokens: int) -> bool:
    return round(z_score, 2) >= support_threshold(tokens)  # rounded as printed


def _is_drop_larger(drops: Float[np.ndarray, "replacements orders counts"]) -> bool:
    """Return whether removing the top-ranked tokens lowers the target, more than random ones do."""
    own, random = (float(f"{drop:.3g}") for drop in (drops[:, 0].mean(), drops[:, 1:].mean()))
    return own > max(random, 0)


def _drop_sentence(drops: Float[np.ndarray, "replacements orders counts"], quantity: str) -> str:
    """Return by how much removing the top-ranked tokens lowers the quantity, and removing random tokens."""
    own, random = drops[:, 0].mean(), drops[:, 1:].mean()
    verb, random_verb = ("lowers" if drop >= 0 else "raises" for drop in (own, random))
    if verb == random_verb:
        control = f"random tokens, by {abs(random):.3g}"
    else:
        control = f"removing random tokens {random_verb} it by {abs(random):.3g}"
    return f"Removing the top-ranked tokens {verb} the {quantity} by {abs(own):.3g}; {control}."
