"""What each of several targets depends on: source × generated token, or source × class."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.results import Attribution, Report
from model_understanding.show.shared.tasks import are_steps, second_start, target_noun
from model_understanding.show.shared.units import TextUnits, default_level, unit_scores
from model_understanding.show.shared.words import (
    gap_text,
    method_name,
    printable,
    target_value,
    targets_name,
)
from model_understanding.show.views.questions import target_names
from model_understanding.show.views.saliency import MIN_STRENGTH, signed_percent
from model_understanding.tokens import Level

LISTED = 3
"""Units that are listed for each target."""
_LABEL = 40  # characters of a label


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A unit that a target depends on, with its share of the absolute scores of the target."""

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
        noun: What a row is: ``generated token``, ``entity``, ``mask``, ``target``.
        rows: Label of each target.
        values: Value of each target as text.
        tops: The units with the largest absolute shares of each row, largest first, special tokens
            excluded; the same numbers as in the view of the target alone.
        units: Label of each column, in reading order: words, and of what the rows generate each token,
            because a row depends only on the tokens before its own.
        special: Which columns are special tokens: not on the color scale.
        scored: Which cells have a score, shape ``(N, U)``.
        shares: Scores as shares of the absolute scores of their row, with their sign, shape ``(N, U)``.
        strengths: Shares as parts of the end of the color scale, from −1 to 1, shape ``(N, U)``.
        signed: Whether the sign of a score has a meaning.
        second: The column at which the second of two texts begins: an output after its source; −1 for none.
        answer: What the rows are a part of: ``answer``, or the ``output`` of an encoder–decoder.
    """

    title: str
    method: str
    gap: str
    by_step: bool
    noun: str
    rows: tuple[str, ...]
    values: tuple[str, ...]
    tops: tuple[tuple[Source, ...], ...]
    units: tuple[str, ...]
    special: Bool[np.ndarray, " units"]
    scored: Bool[np.ndarray, "targets units"]
    shares: Float[np.ndarray, "targets units"]
    strengths: Float[np.ndarray, "targets units"]
    signed: bool
    second: int = -1
    answer: str = "answer"

    def is_colored(self, row: int, unit: int) -> bool:
        """Return whether a cell shows a color."""
        return not self.special[unit] and abs(self.strengths[row, unit]) >= MIN_STRENGTH


def sources_view(
    attribution: Attribution, level: Level | None = None, report: Report | None = None
) -> SourcesView:
    """Return the table of an attribution of several targets.

    Args:
        attribution: The attribution.
        level: What a unit is; by default words, or the sentences of a long text.
        report: The report that has the attribution: its answer names the rows.
    """
    tokens = attribution.tokens
    level = default_level(tokens) if level is None else level
    units = TextUnits(tokens, level)
    totals, tops = [], []
    for row in range(len(attribution.targets)):
        total, top = _top(attribution, row, units)
        totals.append(total)
        tops.append(top)
    columns = units.groups(attribution.valid)
    folded = attribution if len(columns) == len(tokens) else attribution.joined(columns)
    scores, special = folded.scores.astype(np.float64), folded.tokens.special
    shares = scores / np.array(totals).reshape(-1, 1)
    peak = float(np.abs(shares[:, ~special]).max(initial=0)) or float(np.abs(shares).max(initial=0)) or 1.0
    task = folded.targets[0].task
    return SourcesView(
        title=targets_name(folded.targets),
        method=method_name(folded),
        gap=gap_text(folded),
        by_step=are_steps(folded.targets),
        noun=target_noun(folded.targets),
        rows=target_names(report, attribution),
        values=tuple(target_value(folded, row) for row in range(len(folded.targets))),
        tops=tuple(tops),
        units=tuple(printable(label, _LABEL) for label in folded.tokens.labels()),
        special=special,
        scored=folded.scored,
        shares=shares,
        strengths=np.clip(shares / peak, -1, 1),
        signed=folded.signed,
        second=-1 if task == "causal-lm" else second_start(folded.tokens, task),
        answer="output" if task == "seq2seq-lm" else "answer",
    )


def _top(attribution: Attribution, row: int, units: TextUnits) -> tuple[float, tuple[Source, ...]]:
    """Return the sum of the absolute scores of a row over its units, and the largest units."""
    groups = units.groups(attribution.valid[row])
    scores = unit_scores(attribution, row, groups)
    total = float(np.abs(scores).sum()) or 1.0
    special = attribution.tokens.special[[group[0] for group in groups]]
    sizes = np.where(special, 0, np.abs(scores))
    listed = [int(unit) for unit in np.argsort(-sizes, kind="stable")[:LISTED] if sizes[unit]]
    return total, tuple(
        Source(
            label=printable(units.label(groups[unit]), _LABEL),
            share=float(scores[unit]) / total,
            share_text=signed_percent(float(scores[unit]) / total, attribution.signed),
        )
        for unit in listed
    )
