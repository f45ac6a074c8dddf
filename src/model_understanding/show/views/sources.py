"""What each of several targets depends on: source × generated token, or source × class."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.results import Attribution
from model_understanding.show.shared.units import default_level, unit_groups
from model_understanding.show.shared.words import (
    are_steps,
    format_number,
    gap_text,
    method_name,
    printable,
    target_label,
    targets_name,
)
from model_understanding.show.views.saliency import MIN_STRENGTH, signed_percent
from model_understanding.tokens import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A unit that a target depends on, with its share as text."""

    index: int
    label: str
    share: float
    share_text: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourcesView:
    """The scores of N targets over U units, one row for each target.

    Args:
        title: The targets, for example ``log-probability of each generated token``.
        method: The method and its parameters.
        gap: How far the scores are from summing to the targets' changes; empty if they need not.
        by_step: Whether each row is a generated token.
        rows: Label of each target.
        values: Value of each target as text.
        units: Label of each unit, in reading order.
        special: Which units are special tokens: they are not listed, and not on the color scale.
        scored: Which cells have a score, shape ``(N, U)``; a token does not depend on later ones.
        shares: Scores as shares of the absolute scores of their row, with their sign, shape ``(N, U)``.
        strengths: Shares as parts of the end of the color scale, from −1 to 1, shape ``(N, U)``.
        signed: Whether the sign of a score has a meaning.
    """

    title: str
    method: str
    gap: str
    by_step: bool
    rows: tuple[str, ...]
    values: tuple[str, ...]
    units: tuple[str, ...]
    special: Bool[np.ndarray, " units"]
    scored: Bool[np.ndarray, "targets units"]
    shares: Float[np.ndarray, "targets units"]
    strengths: Float[np.ndarray, "targets units"]
    signed: bool

    def top(self, row: int, count: int = 3) -> tuple[Source, ...]:
        """Return the units with the largest absolute shares of a row, special tokens excluded.

        Args:
            row: Index of the target.
            count: Maximum number of units.
        """
        sizes = np.where(self.scored[row] & ~self.special, np.abs(self.shares[row]), 0)
        ranked = [int(unit) for unit in np.argsort(-sizes, kind="stable")[:count] if sizes[unit]]
        return tuple(self.cell(row, unit) for unit in ranked)

    def cell(self, row: int, unit: int) -> Source:
        """Return a cell of the table.

        Args:
            row: Index of the target.
            unit: Index of the unit.
        """
        share = float(self.shares[row, unit])
        return Source(
            index=unit,
            label=self.units[unit],
            share=share,
            share_text=signed_percent(share, self.signed) if self.scored[row, unit] else "–",
        )

    def is_colored(self, row: int, unit: int) -> bool:
        """Return whether a cell shows a color."""
        return not self.special[unit] and abs(self.strengths[row, unit]) >= MIN_STRENGTH


def sources_view(attribution: Attribution, level: Level | None = None) -> SourcesView:
    """Return the table of an attribution of several targets.

    Args:
        attribution: The attribution.
        level: What a unit is; by default words, or the sentences of a long text.
    """
    level = default_level(attribution.tokens) if level is None else level
    groups = unit_groups(attribution.tokens, level)
    folded = attribution if len(groups) == len(attribution.tokens) else attribution.joined(groups)
    scores, special = folded.scores.astype(np.float64), folded.tokens.special
    totals = np.abs(scores).sum(axis=1, keepdims=True)
    shares = scores / np.where(totals > 0, totals, 1)
    peak = float(np.abs(shares[:, ~special]).max(initial=0)) or float(np.abs(shares).max(initial=0)) or 1.0
    return SourcesView(
        title=targets_name(folded.targets),
        method=method_name(folded),
        gap=gap_text(folded),
        by_step=are_steps(folded.targets),
        rows=tuple(target_label(target) for target in folded.targets),
        values=tuple(format_number(float(value)) for value in folded.outputs),
        units=tuple(printable(label, 40) for label in folded.tokens.labels()),
        special=special,
        scored=folded.valid & ~(special & (scores == 0)),
        shares=shares,
        strengths=np.clip(shares / peak, -1, 1),
        signed=folded.signed,
    )
