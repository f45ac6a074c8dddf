"""A difference split over a model as heat maps: rows are layers, columns are tokens or heads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from model_understanding.show.shared.words import format_number, format_percent

NO_SHARE = "–"
CANCELING = 10
"""Shares of a difference this many times smaller than what cancels in it say little."""
_FOLDED_FROM = 24  # columns
_FAINT = 0.01  # of the largest contribution of a map: neighbors below it in all maps are one column


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the columns of a map are.

    Args:
        word: What stands before the name of a column in a sentence: ``at`` a token, ``head`` 3.
        noun: What a column is: ``token``.
        names: The name of each column.
        labels: A short label of each, for an axis.
        seconds: What each is compared with, empty where it is the same.
        marked: Which columns differ between what is compared.
        muted: Which columns are special tokens.
        spans: The columns as they are drawn: the first and the last of neighbors that are one column.
    """

    word: str
    noun: str
    names: tuple[str, ...]
    labels: tuple[str, ...]
    seconds: tuple[str, ...]
    marked: tuple[bool, ...]
    muted: tuple[bool, ...]
    spans: tuple[tuple[int, int], ...]

    def name(self, span: tuple[int, int]) -> str:
        """Return the name of a drawn column in a sentence: ``at “France (Italy)”``, ``at 12 tokens``."""
        first, last = span
        return f"{self.word} {self.names[first]}" if first == last else f"{self.word} {self.label(span)}"

    def label(self, span: tuple[int, int]) -> str:
        """Return the label of a drawn column on an axis: ``France (Italy)``, ``12 tokens``."""
        first, last = span
        if first < last:
            return f"{last - first + 1} {self.noun}s"
        second = self.seconds[first]
        return f"{self.labels[first]} ({second})" if second else self.labels[first]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedCell:
    """A cell in a list of the strongest ones.

    Args:
        row: Its row.
        column: Its column.
        place: The cell in words.
        value: Its contribution.
        share: Its share of the difference.
        strength: Its contribution as a part of the end of the color scale, from −1 to 1.
    """

    row: int
    column: int
    place: str
    value: str
    share: str
    strength: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DifferenceMap:
    """Contributions to a difference, one row for each layer from the first to the last.

    Args:
        key: Its name in Python: ``residual``, ``attention``, ``mlp``, ``heads``.
        name: Its name for a reader.
        meaning: What a cell is, and whether rows sum to the difference.
        rows: What each row is called in a sentence: ``entering block 3``.
        row_labels: Its label on an axis: ``3``.
        row_noun: The name of that axis: ``entering block``.
        columns: The columns.
        values: Shape ``(rows, columns)``.
        difference: What is split.
        is_cut: Whether each row sums to the difference.
        ranked: The strongest cells.
    """

    key: str
    name: str
    meaning: str
    rows: tuple[str, ...]
    row_labels: tuple[str, ...]
    row_noun: str
    columns: Columns
    values: Float[np.ndarray, "rows columns"]
    difference: float
    is_cut: bool
    ranked: tuple[RankedCell, ...]

    @property
    def reach(self) -> float:
        """The contribution with the strongest color: the largest magnitude of a cell."""
        return float(np.abs(self.values).max(initial=0.0)) or 1.0

    def drawn(self) -> Float[np.ndarray, "rows spans"]:
        """Return the contributions of the columns as they are drawn: those of neighbors are summed."""
        sums = [self.values[:, first : last + 1].sum(1) for first, last in self.columns.spans]
        return np.stack(sums, axis=1)

    def place(self, row: int, span: tuple[int, int]) -> str:
        """Return a cell in words: ``entering block 14, at “Italy”``."""
        return f"{self.rows[row]}, {self.columns.name(span)}"

    def sentence(self, row: int, span: tuple[int, int]) -> str:
        """Return a cell with its contribution: ``entering block 14, at “Italy”: +4.1 of +6.6 (62.1 %)``."""
        value = sum(decimal(part) for part in self.values[row, span[0] : span[1] + 1])
        return f"{self.place(row, span)}: {contribution_text(value, self.difference)}"


def contribution_text(value: float, difference: float) -> str:
    """Return a contribution with its share of the difference.

    >>> contribution_text(3.0, 4.0)
    '+3 of +4 (75.0 %)'
    """
    share = share_text(value, difference)
    known = "" if share == NO_SHARE else f" ({share})"
    return f"{signed_number(value)} of {signed_number(difference)}{known}"


def signed_number(value: float) -> str:
    """Return a number with its sign.

    >>> signed_number(0.5), signed_number(-0.5), signed_number(0.0)
    ('+0.5', '−0.5', '0')
    """
    return f"+{format_number(value)}" if value > 0 else format_number(value)


def share_text(value: float, difference: float) -> str:
    """Return the share of a difference that a contribution has; ``–`` where it would say little.

    >>> share_text(3.0, 4.0), share_text(50.0, 0.1), share_text(1.0, 0.0)
    ('75.0 %', '–', '–')
    """
    return format_percent(value / difference) if abs(value) < CANCELING * abs(difference) else NO_SHARE


def decimal(value: object) -> float:
    """Return a 32-bit number as the shortest decimal that stands for it, which every output rounds."""
    return float(str(np.float32(value)))  # type: ignore[arg-type]


def folded_spans(
    maps: Iterable[Float[np.ndarray, "rows columns"]], kept: Sequence[bool]
) -> tuple[tuple[int, int], ...]:
    """Return columns with neighbors joined that have next to nothing in any map; all where there are few.

    Args:
        maps: Maps over the same columns.
        kept: Columns that are drawn by themselves in any case.
    """
    count = len(kept)
    if count <= _FOLDED_FROM:
        return tuple((column, column) for column in range(count))
    is_faint = ~np.asarray(kept, dtype=bool)
    for values in maps:
        sizes = np.abs(values)
        is_faint &= sizes.max(0, initial=0.0) <= _FAINT * sizes.max(initial=0.0)
    spans: list[tuple[int, int]] = []
    for column in range(count):
        if spans and is_faint[column] and is_faint[column - 1]:
            spans[-1] = (spans[-1][0], column)
        else:
            spans.append((column, column))
    return tuple(spans)
