"""What every output shows of a pseudo-log-likelihood, and of two compared."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_understanding.comparison.likelihoods import LikelihoodComparison
from model_understanding.results.pseudo_likelihood import PseudoLikelihood
from model_understanding.show.shared.runs import Run
from model_understanding.show.shared.words import (
    cautions_of,
    format_number,
    format_percent,
    model_name,
    printable,
)
from model_understanding.show.views.saliency import paragraphs_of

LISTED = 5
_LEAST_SCALE = math.log(20)  # nats at the end of the color scale, unless a token has more: 1 in 20
_MASKED = {
    "token": "each token masked by itself",
    "word-l2r": "each token masked together with the rest of its word",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelyUnit:
    """A token, or tokens that share a character.

    Args:
        label: Its text.
        value: Its log-probability.
        value_text: It as text; empty for a special token.
        probability: Its probability as text.
        strength: Its color, from 0 to 1: how unlikely it is.
    """

    label: str
    value: float
    value_text: str
    probability: str
    strength: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodView:
    """A text, colored by how unlikely each token is.

    Args:
        headline: Total and perplexity in one line.
        facts: How it was measured, and of which model.
        units: The tokens, in reading order.
        paragraphs: The text in runs that refer to the units.
        cautions: Warnings.
    """

    headline: str
    facts: str
    units: tuple[LikelyUnit, ...]
    paragraphs: tuple[tuple[Run, ...], ...]
    cautions: tuple[str, ...]

    def least_likely(self, count: int = LISTED) -> tuple[LikelyUnit, ...]:
        """Return the least likely tokens, the least likely first.

        Args:
            count: Maximum number of tokens.
        """
        scored = [unit for unit in self.units if unit.value_text]
        return tuple(sorted(scored, key=lambda unit: unit.value)[:count])


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedUnit:
    """A part of two texts whose log-probability differs: its text in both, and the difference as text."""

    first: str
    second: str
    values: tuple[str, str]
    difference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedLikelihoods:
    """Two texts on one color scale, and where they differ most.

    Args:
        headline: Which text is more natural to the model, and by how much.
        names: Names of the texts.
        sides: The texts.
        changes: The parts with the largest differences, largest first.
    """

    headline: str
    names: tuple[str, str]
    sides: tuple[LikelihoodView, LikelihoodView]
    changes: tuple[ChangedUnit, ...]


def likelihood_view(likelihood: PseudoLikelihood, scale: float | None = None) -> LikelihoodView:
    """Return what is shown of a pseudo-log-likelihood.

    Args:
        likelihood: The likelihood.
        scale: The negative log-probability at the end of the color scale; by default the largest of the text.
    """
    tokens = likelihood.tokens
    groups = tokens.groups("character")
    folded = tokens.fold(groups)
    values = np.full(len(tokens), np.nan)
    values[likelihood.positions] = likelihood.log_probabilities
    scale = scale_of([likelihood]) if scale is None else scale
    units = tuple(
        _unit(label, float(values[list(group)].sum()), scale)
        for label, group in zip(folded.labels(), groups, strict=True)
    )
    count = len(likelihood.positions)
    return LikelihoodView(
        headline=f"Pseudo-log-likelihood {format_number(likelihood.total)} over {count} "
        f"token{'' if count == 1 else 's'}, pseudo-perplexity {_perplexity(likelihood.perplexity)}",
        facts=" · ".join(
            filter(None, ("nats", _MASKED[likelihood.masking], model_name(likelihood.provenance)))
        ),
        units=units,
        paragraphs=tuple(part.runs for part in paragraphs_of(folded)),
        cautions=cautions_of(likelihood),
    )


def scale_of(likelihoods: Sequence[PseudoLikelihood]) -> float:
    """Return the negative log-probability at the end of a color scale that some texts share."""
    return max(_LEAST_SCALE, *(-float(each.log_probabilities.min()) for each in likelihoods))


def compared_likelihoods(comparison: LikelihoodComparison) -> ComparedLikelihoods:
    """Return what is shown of two pseudo-log-likelihoods.

    Args:
        comparison: The comparison.
    """
    likelihoods = comparison.first, comparison.second
    scale = scale_of(likelihoods)
    differences = comparison.differences
    order = [int(unit) for unit in np.argsort(-np.abs(differences), kind="stable") if differences[unit]]
    return ComparedLikelihoods(
        headline=_headline(comparison),
        names=comparison.names,
        sides=(likelihood_view(likelihoods[0], scale), likelihood_view(likelihoods[1], scale)),
        changes=tuple(_change(comparison, unit) for unit in order[:LISTED]),
    )


def _headline(comparison: LikelihoodComparison) -> str:
    if not comparison.difference:
        return "Both texts have the same pseudo-log-likelihood"
    name = printable(comparison.names[comparison.preferred], 60)
    by = format_number(abs(comparison.difference))
    counts = {len(comparison.first.positions), len(comparison.second.positions)}
    per_token = ""
    if len(counts) > 1:
        means = (format_number(each.mean) for each in (comparison.first, comparison.second))
        per_token = f" (per token: {' and '.join(means)})"
    return f"More natural to the model: {name}, by {by} nats{per_token}"


def _change(comparison: LikelihoodComparison, unit: int) -> ChangedUnit:
    sides = comparison.alignment.first, comparison.alignment.second
    positions = comparison.alignment.pairs[unit]
    texts = [
        printable(tokens.labels()[position], 60) if position >= 0 else "–"
        for tokens, position in zip(sides, positions, strict=True)
    ]
    values = [
        format_number(float(value)) if position >= 0 else "–"
        for value, position in zip(comparison.log_probabilities[:, unit], positions, strict=True)
    ]
    difference = float(comparison.differences[unit])
    return ChangedUnit(
        first=texts[0],
        second=texts[1],
        values=(values[0], values[1]),
        difference=("+" if difference > 0 else "") + format_number(difference),
    )


def _perplexity(value: float) -> str:
    return f"{value:,.0f}" if 100 <= value < 1e9 else format_number(value)


def _unit(label: str, value: float, scale: float) -> LikelyUnit:
    if math.isnan(value):
        return LikelyUnit(label=printable(label), value=0.0, value_text="", probability="", strength=0.0)
    return LikelyUnit(
        label=printable(label),
        value=value,
        value_text=format_number(value),
        probability=format_percent(math.exp(value)),
        strength=min(-value / scale, 1.0),
    )
