"""Align the tokens of two texts."""

import difflib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, pairwise
from typing import Any

import numpy as np
import regex
from jaxtyping import Bool, Int

from model_understanding.results.serialization import JsonResult
from model_understanding.tokens import Tokens, read_only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment(JsonResult):
    """An alignment of two token sequences into U units, in the reading order of both.

    A unit has a token of the first sequence, of the second, or of both. The two tokens of a unit have the
    same text, or one replaces the other.

    Args:
        first: Tokens of the first sequence, joined so that no unit has more than one.
        second: Tokens of the second sequence, joined likewise.
        pairs: Position of each unit's token in ``first`` and in ``second``, shape ``(U, 2)``; −1 for
            none.
        same: Whether both tokens of a unit have the same text, shape ``(U,)``.

    Raises:
        ValueError: The positions are not those of all tokens, in order.
    """

    first: Tokens
    second: Tokens
    pairs: Int[np.ndarray, "units 2"]
    same: Bool[np.ndarray, " units"]

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", read_only(self.pairs, np.int64, (None, 2), "pairs"))
        object.__setattr__(self, "same", read_only(self.same, np.bool_, (len(self.pairs),), "same"))
        for side, tokens in enumerate((self.first, self.second)):
            positions = self.pairs[:, side]
            if not np.array_equal(positions[positions >= 0], np.arange(len(tokens))):
                raise ValueError("Each token of an alignment must be in exactly one unit, in order.")
        if (self.same & ~self.paired).any():
            raise ValueError("same can be True only for units with two tokens.")

    @property
    def paired(self) -> Bool[np.ndarray, " units"]:
        """Which units have a token of both sequences."""
        return (self.pairs[:, 0] >= 0) & (self.pairs[:, 1] >= 0)

    @property
    def special(self) -> Bool[np.ndarray, " units"]:
        """Which units have a special token."""
        return self.to_units(self.first.special, 0, False) | self.to_units(self.second.special, 1, False)

    def kinds(self) -> tuple[str, ...]:
        """Return the kind of each unit: ``same``, ``replaced``, ``first only`` or ``second only``."""
        return tuple(
            "same" if same else "first only" if j < 0 else "second only" if i < 0 else "replaced"
            for same, (i, j) in zip(self.same, self.pairs, strict=True)
        )

    def to_units(self, values: np.ndarray, side: int, empty: Any = 0, axis: int = -1) -> np.ndarray:
        """Return values of the tokens of one sequence as values of the units.

        Args:
            values: An array with an axis over the tokens of that side.
            side: 0 for the first, 1 for the second.
            empty: The value of units without a token of that side.
            axis: The axis over the tokens.

        Returns:
            The array with that axis over the units.
        """
        moved = np.moveaxis(np.asarray(values), axis, 0)
        positions = self.pairs[:, side]
        of_units = np.full((len(positions), *moved.shape[1:]), empty, dtype=moved.dtype)
        of_units[positions >= 0] = moved[positions[positions >= 0]]
        return np.moveaxis(of_units, 0, axis)


_GRAPHEME = regex.compile(r"\X")
_NO_TEXT = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """A matching of two token sequences: the positions of the tokens of each unit.

    Args:
        units: Positions in the first and in the second sequence for each unit; one of them may be empty.
        same: Whether the unit has the same text in both.
    """

    units: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    same: tuple[bool, ...]

    def groups(self, side: int) -> tuple[tuple[int, ...], ...]:
        """Return the positions of each joined token of a side."""
        return tuple(unit[side] for unit in self.units if unit[side])

    def unit_of(self, side: int) -> dict[int, int]:
        """Return the unit of each position of a side."""
        return {position: index for index, unit in enumerate(self.units) for position in unit[side]}

    def alignment(self, first: Tokens, second: Tokens) -> Alignment:
        """Return the alignment of the joined tokens."""
        present = np.array([[bool(part) for part in unit] for unit in self.units], dtype=bool).reshape(-1, 2)
        return Alignment(
            first=first.fold(self.groups(0)),
            second=second.fold(self.groups(1)),
            pairs=np.where(present, np.cumsum(present, axis=0) - 1, -1),
            same=np.array(self.same, dtype=bool),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """Tokens of one or more visible characters: their positions, text and word."""

    positions: tuple[int, ...]
    segment: int
    text: str
    word: int


_Pair = tuple[list[_Unit], list[_Unit], bool]


def match_tokens(first: Tokens, second: Tokens) -> Matching:
    """Match the tokens of two sequences by their text.

    Tokens are compared by the text of their span, without blanks at its ends and in Unicode's composed form;
    tokens without a span by their raw token. The first step is a diff of the tokens. Where they differ, a
    diff of the visible characters joins tokens that another tokenizer splits differently. Replaced words are
    paired if there is the same number of them on both sides. If both sequences have the same number of texts
    (a prompt and its continuation), no unit spans two texts.

    Args:
        first: The first sequence.
        second: The second.

    Returns:
        The units.
    """
    one_text = len(first.texts) != len(second.texts)
    left, right = _units(first, one_text=one_text), _units(second, one_text=one_text)
    pairs: list[_Pair] = []
    keys_left, keys_right = ([(unit.segment, unit.text) for unit in side] for side in (left, right))
    for same, a, b in _diff(keys_left, keys_right):
        if same:
            pairs += [([unit], [other], True) for unit, other in zip(left[a], right[b], strict=True)]
        else:
            pairs += _pair_changes(left[a], right[b])
    return Matching(
        units=tuple((_positions(ours), _positions(theirs)) for ours, theirs, _ in pairs),
        same=tuple(same for *_, same in pairs),
    )


def _units(tokens: Tokens, *, one_text: bool) -> list[_Unit]:
    groups = tokens.groups("character")
    folded = tokens.fold(groups)
    units = []
    for index, (group, surface) in enumerate(zip(groups, folded.surfaces(), strict=True)):
        segment = int(folded.segments[index])
        start, end = folded.offsets[index]
        if start == end:  # a special token between two characters, or a piece without a place
            segment, surface = _NO_TEXT, folded.pieces[index]
        if segment != _NO_TEXT and one_text:
            segment = 0
        text = unicodedata.normalize("NFC", surface.strip() or surface)
        units.append(_Unit(positions=group, segment=segment, text=text, word=int(folded.words[index])))
    return units


def _diff(first: Sequence[Any], second: Sequence[Any]) -> Iterator[tuple[bool, slice, slice]]:
    """Yield spans that are equal, and spans that replace each other."""
    head, shortest = 0, min(len(first), len(second))
    while head < shortest and first[head] == second[head]:
        head += 1
    tail = 0
    while tail < shortest - head and first[-1 - tail] == second[-1 - tail]:
        tail += 1
    ends = len(first) - tail, len(second) - tail
    if head:
        yield True, slice(0, head), slice(0, head)
    inner = first[head : ends[0]], second[head : ends[1]]
    for tag, a, b, c, d in difflib.SequenceMatcher(None, *inner, autojunk=False).get_opcodes():
        yield tag == "equal", slice(head + a, head + b), slice(head + c, head + d)
    if tail:
        yield True, slice(ends[0], None), slice(ends[1], None)


def _pair_changes(first: list[_Unit], second: list[_Unit]) -> Iterator[_Pair]:
    """Pair the units of a span that differs, text by text."""
    left, right = _by_segment(first), _by_segment(second)
    segments = [[units[0].segment for units in side] for side in (left, right)]
    for same, a, b in _diff(*segments):
        if not same:
            ours, theirs = _joined(left[a]), _joined(right[b])
            if ours and theirs and theirs[0].segment < ours[0].segment:  # a prompt before a continuation
                yield from _unpaired([], theirs)
                theirs = []
            yield from _unpaired(ours, theirs)
            continue
        for ours, theirs in zip(left[a], right[b], strict=True):
            if ours[0].segment == _NO_TEXT:
                yield from _pair_replaced([[unit] for unit in ours], [[unit] for unit in theirs])
            else:
                yield from _pair_by_characters(ours, theirs)


def _pair_by_characters(first: list[_Unit], second: list[_Unit]) -> Iterator[_Pair]:
    """Split two spans where both tokenizers split between the same characters, and pair the parts."""
    characters = [[_GRAPHEME.findall(unit.text.strip()) for unit in side] for side in (first, second)]
    left, right = map(_joined, characters)
    cuts_left, cuts_right = map(_cuts, characters)
    points = [(0, 0)]
    for same, a, b in _diff(left, right):
        if same:
            a_range, b_range = range(len(left) + 1)[_with_end(a)], range(len(right) + 1)[_with_end(b)]
            points += [
                (cuts_left[x], cuts_right[y])
                for x, y in zip(a_range, b_range, strict=True)
                if x in cuts_left and y in cuts_right
            ]
    points.append((len(first), len(second)))
    for (a, c), (b, d) in pairwise(points):
        ours, theirs = first[a:b], second[c:d]
        texts = ["".join(unit.text.strip() for unit in side) for side in (ours, theirs)]
        if texts[0] and texts[0] == texts[1]:
            yield ours, theirs, True
        else:
            yield from _pair_replaced(_by_word(ours), _by_word(theirs))


def _with_end(span: slice) -> slice:
    return slice(span.start, None if span.stop is None else span.stop + 1)


def _cuts(characters: list[list[str]]) -> dict[int, int]:
    """Return the number of units before each character position at which a unit ends."""
    cuts: dict[int, int] = {}
    end = 0
    for count, of_unit in enumerate([[], *characters]):
        end += len(of_unit)
        cuts.setdefault(end, count)
    return cuts


def _pair_replaced(first: list[list[_Unit]], second: list[list[_Unit]]) -> Iterator[_Pair]:
    """Pair replaced words if there is the same number of them, else leave them unpaired."""
    if len(first) == len(second):
        yield from ((ours, theirs, False) for ours, theirs in zip(first, second, strict=True))
    else:
        yield from _unpaired(_joined(first), _joined(second))


def _unpaired(first: list[_Unit], second: list[_Unit]) -> Iterator[_Pair]:
    yield from (([unit], [], False) for unit in first)
    yield from (([], [unit], False) for unit in second)


def _by_segment(units: list[_Unit]) -> list[list[_Unit]]:
    return [list(group) for _, group in groupby(units, key=lambda unit: unit.segment)]


def _by_word(units: list[_Unit]) -> list[list[_Unit]]:
    return [list(group) for _, group in groupby(units, key=lambda unit: unit.word)]


def _joined(parts: Sequence[list[Any]]) -> list[Any]:
    return [*chain.from_iterable(parts)]


def _positions(units: list[_Unit]) -> tuple[int, ...]:
    return tuple(position for unit in units for position in unit.positions)
