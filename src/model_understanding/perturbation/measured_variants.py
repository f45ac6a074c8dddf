"""What a model gave for variants of a text, kept for everything that asks for the same variants.

A method and the metrics of its evaluation remove the same tokens of a text, but ask for different targets:
each step of a continuation, or the sum of all steps. So values are kept by single entries of the logits, of
which every target is a sum.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from model_understanding.results import Target

_Values = Float[np.ndarray, " entries"]


class MeasuredVariants:
    """Values of entries for variants of one text, under one replacement for removed tokens."""

    def __init__(self) -> None:
        self._groups: dict[tuple[Target, ...], dict[bytes, _Values]] = {}

    def rows_with(self, entries: Sequence[Target], read: Sequence[Target]) -> "MeasuredRows":
        """Return the variants for which some entries have been measured.

        Args:
            entries: Targets of a single entry each.
            read: What will be measured of further variants: these entries, and others that may be asked for.
        """
        return MeasuredRows(self._groups, tuple(entries), tuple(read))


class MeasuredRows:
    """The variants for which some entries have been measured, alone or with others.

    Args:
        groups: Values by variant, for each set of entries that was measured together.
        entries: The entries.
        read: The entries that are measured of further variants.
    """

    def __init__(
        self,
        groups: dict[tuple[Target, ...], dict[bytes, _Values]],
        entries: tuple[Target, ...],
        read: tuple[Target, ...],
    ) -> None:
        self._own = groups.setdefault(read, {})
        self._kept: list[tuple[dict[bytes, _Values], Int[np.ndarray, " entries"]]] = []
        for measured, rows in groups.items():
            if set(entries) <= set(measured):
                column = {entry: index for index, entry in enumerate(measured)}
                self._kept.append((rows, np.array([column[entry] for entry in entries], dtype=int)))

    def __contains__(self, variant: bytes) -> bool:
        return any(variant in rows for rows, _ in self._kept)

    def __getitem__(self, variant: bytes) -> _Values:
        return next(rows[variant][columns] for rows, columns in self._kept if variant in rows)

    def __setitem__(self, variant: bytes, values: _Values) -> None:
        self._own[variant] = values


class SummedEntries:
    """Targets as weighted sums of single entries of the logits.

    Args:
        targets: The targets.

    >>> steps = [Target(task="causal-lm", positions=(at,), indices=(at + 5,)) for at in (1, 2)]
    >>> total = Target(task="causal-lm", positions=(1, 2), indices=(6, 7))
    >>> SummedEntries([*steps, total]).values(np.array([[3.0, 4.0]])).tolist()
    [[3.0, 4.0, 7.0]]
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        terms = [
            (entry, column, weight)
            for column, target in enumerate(targets)
            for entry, weight in _terms_of(target)
        ]
        self.entries: tuple[Target, ...] = tuple(dict.fromkeys(entry for entry, *_ in terms))
        """Targets of a single entry each."""
        row_of = {entry: row for row, entry in enumerate(self.entries)}
        self._weights = np.zeros((len(self.entries), len(targets)))
        for entry, column, weight in terms:
            self._weights[row_of[entry], column] += weight
        self._is_identity = np.array_equal(self._weights, np.eye(*self._weights.shape))

    def values(
        self, of_entries: Float[np.ndarray, "variants entries"]
    ) -> Float[np.ndarray, "variants targets"]:
        """Return the targets' values.

        Args:
            of_entries: Values of ``entries``.
        """
        return of_entries if self._is_identity else of_entries @ self._weights


def _terms_of(target: Target) -> list[tuple[Target, float]]:
    """Return the single entries whose weighted sum is a target."""
    weight = 1 / len(target.indices) if target.reduce == "mean" else 1.0
    terms: list[tuple[Target, float]] = []
    for ids, sign in ((target.indices, 1.0), (target.against, -1.0)):
        for place, index in enumerate(ids):
            positions = (target.positions[place],) if target.positions else ()
            entry = Target(task=target.task, positions=positions, indices=(index,), quantity=target.quantity)
            terms.append((entry, sign * weight))
    return terms
