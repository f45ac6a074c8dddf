"""Comparison of two attributions over aligned tokens, on one scale."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.comparison.alignment import Alignment, Matching, match_tokens
from model_understanding.results.attribution import Attribution
from model_understanding.results.serialization import JsonResult
from model_understanding.results.target import Target
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
        return self.alignment.to_units(_measured((self.first, self.second)[side], self.measure), side)

    def valid(self, side: int) -> Bool[np.ndarray, "pairs units"]:
        """Return which units have a value on one side."""
        return self.alignment.to_units((self.first, self.second)[side].valid, side, False)

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
    first: Attribution, second: Attribution, steps: Matching | None = None
) -> AttributionComparison | str:
    """Compare two attributions.

    Args:
        first: One attribution.
        second: Another.
        steps: Matching of the tokens of two generations, if the targets are their steps.

    Returns:
        The comparison, or the reason why they cannot be compared.
    """
    rows = list(_paired_targets(first, second, steps))
    if not rows:
        return "no common targets"
    matching = match_tokens(first.tokens, second.tokens)
    alignment = matching.alignment(first.tokens, second.tokens)
    if not (alignment.paired & ~alignment.special).any():
        return "no common tokens"
    ours = _rows(first.joined(matching.groups(0)), [a for a, _ in rows])
    theirs = _rows(second.joined(matching.groups(1)), [b for _, b in rows])
    reasons = tuple(reasons_for_shares(ours, theirs))
    measure: Measure = "size" if ours.signed != theirs.signed else "share" if reasons else "score"
    values = [
        alignment.to_units(_measured(attribution, measure), side)
        for side, attribution in enumerate((ours, theirs))
    ]
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
        change=_largest_change(ours, theirs, alignment, measure),
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


def reasons_for_shares(first: Attribution, second: Attribution) -> Iterator[str]:
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
        others = [(ours, theirs) for ours, theirs in pairs if not same_target(ours, theirs)]
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


def _measured(attribution: Attribution, measure: Measure) -> Float[np.ndarray, "targets tokens"]:
    if measure == "score":
        return attribution.scores
    shares = attribution.normalized().scores
    return np.abs(shares) if measure == "size" else shares


def _largest_change(first: Attribution, second: Attribution, alignment: Alignment, measure: Measure) -> float:
    share: Measure = "size" if measure == "size" else "share"
    shares = [
        alignment.to_units(_measured(attribution, share), side)
        for side, attribution in enumerate((first, second))
    ]
    return float(np.abs(shares[1] - shares[0]).max(initial=0))


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
    return len(target.positions) == 1 and target.quantity != "loss"
