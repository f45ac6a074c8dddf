"""Comparison of two attributions over aligned tokens, on one scale."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.comparison.alignment import Alignment, Matching, match_tokens
from model_understanding.results.attribution import Attribution
from model_understanding.results.serialization import JsonResult
from model_understanding.results.target import LANGUAGE_TASKS, Target
from model_understanding.statistics import rank_correlation, top_count, top_overlap
from model_understanding.tokens import read_only

if TYPE_CHECKING:
    import pandas

Measure = Literal["score", "share", "size"]
_SCALE_PARAMETERS = ("norm", "layer")  # parameters that change the scale of the scores


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttributionComparison(JsonResult):
    r"""The differences between two attributions for each unit of an alignment.

    ``difference = value in the second − value in the first``. A value is the raw score if method, target and
    quantity are the same; else the signed share of the total \|score\|, or its absolute value if only one of
    the methods is signed.

    Args:
        first: The first attribution, with the tokens of the alignment and one row per pair of targets.
        second: The second attribution, likewise.
        alignment: Alignment of their tokens.
        measure: What is compared: ``score``, ``share`` or ``size``.
        reasons: Why raw scores are not compared; empty if they are.
        differences: Shape ``(N, U)``; 0 where not compared.
        compared: Which units have a value in both, shape ``(N, U)``.
        rank_correlations: Spearman's rank correlations over the tokens that are the same in both, special
            tokens excluded; ``None`` if undefined.
        top_overlaps: Overlap of the top ``top_counts`` of these tokens, from 0 to 1.
        top_counts: Size of the top: a third of the tokens, at most 5.
        change: The largest absolute difference of a token's share. A token that is only in one text counts
            with its whole share.
        opposite: Whether the second attribution explains the opposite of the first, the other of two classes;
            its scores are then compared with their signs reversed, so that both say what supports the first.

    Raises:
        ValueError: The lengths do not match.
    """

    first: Attribution
    second: Attribution
    alignment: Alignment
    measure: Measure
    reasons: tuple[str, ...]
    differences: Float[np.ndarray, "pairs units"]
    compared: Bool[np.ndarray, "pairs units"]
    rank_correlations: tuple[float | None, ...]
    top_overlaps: tuple[float | None, ...]
    top_counts: tuple[int, ...]
    change: float
    opposite: bool = False

    def __post_init__(self) -> None:
        shape = (len(self.first.targets), len(self.alignment.pairs))
        object.__setattr__(self, "compared", read_only(self.compared, np.bool_, shape, "compared"))
        frozen = read_only(self.differences, np.float32, shape, "differences")
        object.__setattr__(self, "differences", frozen)
        for name in ("reasons", "rank_correlations", "top_overlaps", "top_counts"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("rank_correlations", "top_overlaps", "top_counts"):
            if len(getattr(self, name)) != shape[0]:
                raise ValueError(f"{name} must have one value per pair of targets ({shape[0]}).")
        if len(self.second.targets) != shape[0]:
            raise ValueError("Both attributions must have one row per pair of targets.")
        lengths = len(self.alignment.first), len(self.alignment.second)
        if (len(self.first.tokens), len(self.second.tokens)) != lengths:
            raise ValueError("The attributions must have the tokens of their alignment.")

    @property
    def reach(self) -> float:
        """The end of the common scale of both: the largest absolute value, 1 if all are 0."""
        return float(max(np.abs(self.values(side)).max(initial=0) for side in (0, 1))) or 1.0

    @property
    def signed(self) -> bool:
        """Whether the compared values are signed."""
        return self.measure != "size" and (self.first.signed or self.second.signed)

    def values(self, side: int) -> Float[np.ndarray, "pairs units"]:
        """Return the compared values of one side over the units; 0 for units without a value.

        Args:
            side: 0 for the first, 1 for the second.
        """
        return self._over_units(self.measure, side)

    def valid(self, side: int) -> Bool[np.ndarray, "pairs units"]:
        """Return which units have a value on one side."""
        return self.alignment.to_units((self.first, self.second)[side].valid, side, False)

    def shares(self, side: int) -> Float[np.ndarray, "pairs units"]:
        """Return each unit's share of one side's scores, whatever is compared; 0 for units without a value.

        Args:
            side: 0 for the first, 1 for the second.
        """
        return self._over_units("size" if self.measure == "size" else "share", side)

    def largest_share(self) -> tuple[int, int]:
        """Return the row and the unit whose share changes most, by ``change``."""
        differences = np.abs(self.shares(1) - self.shares(0))
        row, unit = np.unravel_index(int(differences.argmax()), differences.shape)
        return int(row), int(unit)

    def words(self) -> "AttributionComparison":
        """Return the comparison by words (UAX 29 on the original texts) rather than tokens."""
        return _compared(self.first.words(), self.second.words(), self.measure, self.reasons, self.opposite)

    def summed(self) -> "AttributionComparison":
        """Return the comparison of the sums over all targets, for the tokens that have a score for each.

        For the steps of a continuation these are the tokens of the prompt.
        """
        first, second = (
            replace(side.summed(), valid=valid, scores=np.where(valid, side.summed().scores, 0))
            for side in (self.first, self.second)
            for valid in [side.valid.all(axis=0, keepdims=True)]
        )
        return _compared(first, second, self.measure, self.reasons, self.opposite)

    def _over_units(self, measure: Measure, side: int) -> Float[np.ndarray, "pairs units"]:
        attribution = (self.first, self.second)[side]
        measured = _measured(attribution, measure, reverse=side == 1 and self.opposite)
        return self.alignment.to_units(measured, side)

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with one row per pair of targets and unit; missing values are NaN."""
        import pandas

        alignment = self.alignment
        count, length = self.differences.shape
        targets = [
            np.repeat([target.description() for target in side.targets], length)
            for side in (self.first, self.second)
        ]
        words = [
            [(*tokens.surfaces(), "")[position] for position in alignment.pairs[:, side]] * count
            for side, tokens in enumerate((alignment.first, alignment.second))
        ]
        return pandas.DataFrame(
            {
                "first_method": self.first.method,
                "second_method": self.second.method,
                "first_target": targets[0],
                "second_target": targets[1],
                "unit": np.tile(np.arange(length), count),
                "kind": alignment.kinds() * count,
                "first_token": words[0],
                "second_token": words[1],
                "measure": self.measure,
                "first": _cells(self.values(0), self.valid(0)),
                "second": _cells(self.values(1), self.valid(1)),
                "difference": _cells(self.differences, self.compared),
            }
        )


def compare_attributions(
    first: Attribution, second: Attribution, steps: Matching | None = None, *, two_classes: bool = False
) -> AttributionComparison | str:
    """Compare two attributions.

    Args:
        first: One attribution.
        second: Another.
        steps: Matching of the tokens of two generations, if the targets are their steps.
        two_classes: Whether both are of a classifier with the same two classes, of which one is true.

    Returns:
        The comparison, or the reason why they cannot be compared.
    """
    rows = list(_paired_targets(first, second, steps))
    if not rows:
        return "no common targets"
    alignment = match_tokens(first.tokens, second.tokens).alignment(first.tokens, second.tokens)
    if not (alignment.paired & ~alignment.special).any():
        return "no common tokens"
    ours, theirs = _rows(first, [a for a, _ in rows]), _rows(second, [b for _, b in rows])
    opposites = [_opposite(*pair) for pair in zip(ours.targets, theirs.targets, strict=True)]
    reversible = ours.signed and theirs.signed and two_classes and all(opposites)
    exact = reversible and all(opposite == "exact" for opposite in opposites)
    reasons = tuple(reasons_for_shares(ours, theirs, same_targets=exact))
    measure: Measure = "size" if ours.signed != theirs.signed else "share" if reasons else "score"
    return _compared(ours, theirs, measure, reasons, reversible)


def _compared(
    first: Attribution, second: Attribution, measure: Measure, reasons: tuple[str, ...], opposite: bool
) -> AttributionComparison:
    """Compare two attributions whose rows are paired."""
    matching = match_tokens(first.tokens, second.tokens)
    alignment = matching.alignment(first.tokens, second.tokens)
    ours, theirs = first.joined(matching.groups(0)), second.joined(matching.groups(1))

    def measured(measure: Measure) -> tuple[np.ndarray, np.ndarray]:
        return (
            alignment.to_units(_measured(ours, measure), 0),
            alignment.to_units(_measured(theirs, measure, reverse=opposite), 1),
        )

    values, shares = measured(measure), measured("size" if measure == "size" else "share")
    valid = [
        alignment.to_units(attribution.valid, side, False) for side, attribution in enumerate((ours, theirs))
    ]
    compared = valid[0] & valid[1] & alignment.paired
    counted = compared & alignment.same & ~alignment.special
    correlations, overlaps, counts = [], [], []
    for row, mask in enumerate(counted):
        first_values, second_values = values[0][row, mask], values[1][row, mask]
        counts.append(top_count(len(first_values)))
        correlations.append(rank_correlation(first_values, second_values))
        overlaps.append(top_overlap(first_values, second_values, counts[-1]))
    return AttributionComparison(
        first=ours,
        second=theirs,
        alignment=alignment,
        measure=measure,
        reasons=reasons,
        differences=np.where(compared, values[1] - values[0], 0),
        compared=compared,
        rank_correlations=tuple(correlations),
        top_overlaps=tuple(overlaps),
        top_counts=tuple(counts),
        change=float(np.abs(shares[1] - shares[0]).max(initial=0)),
        opposite=opposite,
    )


def kind_of(attribution: Attribution) -> str:
    """Return the kind of an attribution's targets: ``loss``, ``each`` of several targets, or ``one``."""
    if any(target.quantity == "loss" for target in attribution.targets):
        return "loss"
    return "one" if len(attribution.targets) == 1 else "each"


def same_target(first: Target, second: Target) -> bool:
    """Return whether two targets are the same, at whatever positions of the text."""
    names = ("task", "quantity", "name", "labels", "against_labels", "reduce")
    return all(getattr(first, name) == getattr(second, name) for name in names)


def _opposite(first: Target, second: Target) -> Literal["exact", "share", ""]:
    """Return whether two targets are opposites, and whether their scores are then the negative of each other.

    Of the probabilities of two classes, and of a contrast turned round, one is the other's negative up to a
    constant; of logits and log-probabilities only the direction is opposite.
    """
    if (
        first.task != "sequence-classification"
        or first.quantity != second.quantity
        or first.name != second.name
    ):
        return ""
    if first.against or second.against:
        turned = (first.indices, first.against) == (second.against, second.indices)
        return "exact" if turned else ""
    if {*first.indices, *second.indices} != {0, 1} or len(first.indices) != 1 or len(second.indices) != 1:
        return ""
    return "exact" if first.quantity == "prob" else "share"


def reasons_for_shares(
    first: Attribution, second: Attribution, *, same_targets: bool = False
) -> Iterator[str]:
    """Yield why the raw scores of two attributions are not on the same scale."""
    if first.method != second.method:
        yield f"different methods ({first.method}, {second.method})"
    for name in _SCALE_PARAMETERS:
        ours, theirs = first.parameters.get(name), second.parameters.get(name)
        if first.method == second.method and ours != theirs:
            yield f"different {name} ({ours}, {theirs})"
    if first.signed != second.signed:
        yield "only one of the methods gives signed scores"
    quantities = {target.quantity for target in first.targets}, {target.quantity for target in second.targets}
    if quantities[0] != quantities[1]:
        names = (", ".join(sorted(side)) for side in quantities)
        yield f"different quantities ({'; '.join(names)})"
    else:
        pairs = list(zip(first.targets, second.targets, strict=True))
        others = [] if same_targets else [pair for pair in pairs if not same_target(*pair)]
        if others:
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            yield f"different targets ({others[0][0].description()}; {others[0][1].description()}{more})"
    for name in ("architecture", "tokenizer"):
        ours, theirs = getattr(first.provenance, name), getattr(second.provenance, name)
        if "unknown" not in (ours, theirs) and ours != theirs:
            yield f"different {name}s ({ours}, {theirs})"


def _cells(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return 32-bit values as a column of the shortest decimals that restore them, NaN if missing."""
    return np.where(present, values.astype(np.float32).astype(str).astype(np.float64), np.nan).ravel()


def _measured(
    attribution: Attribution, measure: Measure, *, reverse: bool = False
) -> Float[np.ndarray, "targets tokens"]:
    scores = attribution.scores if measure == "score" else attribution.normalized().scores
    if measure == "size":
        return np.abs(scores)
    return -scores if reverse else scores


def _rows(attribution: Attribution, rows: list[int]) -> Attribution:
    if rows == list(range(len(attribution.targets))):
        return attribution
    names = ("scores", "valid", "outputs", "baseline_outputs", "gaps", "standard_errors", "sample_counts")
    per_row = {name: values[rows] for name in names if (values := getattr(attribution, name)) is not None}
    return replace(attribution, targets=tuple(attribution.targets[row] for row in rows), **per_row)


def _paired_targets(
    first: Attribution, second: Attribution, steps: Matching | None
) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows: single targets; steps of matched tokens; the same targets."""
    if len(first.targets) == len(second.targets) == 1:
        yield 0, 0
        return
    if steps is not None and all(_is_step(target) for target in (*first.targets, *second.targets)):
        units = [steps.unit_of(side) for side in (0, 1)]
        row_of_unit = {
            units[1].get(target.positions[0] + 1): row
            for row, target in reversed([*enumerate(second.targets)])
        }
        for row, target in enumerate(first.targets):
            unit = units[0].get(target.positions[0] + 1)
            if unit is not None and unit in row_of_unit:
                yield row, row_of_unit[unit]
        return
    used: set[int] = set()
    for row, target in enumerate(first.targets):
        for other, candidate in enumerate(second.targets):
            if other not in used and same_target(target, candidate):
                used.add(other)
                yield row, other
                break


def _is_step(target: Target) -> bool:
    return target.task in LANGUAGE_TASKS and len(target.positions) == 1 and target.quantity != "loss"
