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
    """U units of two token sequences, in an order that is the reading order of both.

    A unit holds a token of the first, of the second, or of both. Two tokens that stand in one unit say
    the same, or one stands in the place of the other.

    Args:
        first: Tokens of the first, joined so that no unit holds more than one.
        second: Tokens of the second, joined likewise.
        pairs: Position of each unit's token in ``first`` and in ``second``, shape ``(U, 2)``; −1 for
            none.
        same: Whether both say the same, shape ``(U,)``.

    Raises:
        ValueError: A position does not exist, or one is left out.
    """

    first: Tokens
    second: Tokens
    pairs: Int[np.ndarray, "units 2"]
    same: Bool[np.ndarray, " units"]

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", read_only(self.pairs, np.int64, (None, 2), "pairs"))
        object.__setattr__(self, "same", read_only(self.same, np.bool_, (len(self.pairs),), "same"))
        for side, tokens in enumerate((self.first, self.second)):
            held = self.pairs[:, side]
            if not np.array_equal(held[held >= 0], np.arange(len(tokens))):
                raise ValueError("Each token of an alignment stands in one unit, in order.")
        if (self.same & ~self.paired).any():
            raise ValueError("A unit of one token cannot say the same twice.")

    @property
    def paired(self) -> Bool[np.ndarray, " units"]:
        """Which units hold a token of both."""
        return (self.pairs[:, 0] >= 0) & (self.pairs[:, 1] >= 0)

    @property
    def special(self) -> Bool[np.ndarray, " units"]:
        """Which units hold a special token."""
        return self.spread(self.first.special, 0, False) | self.spread(self.second.special, 1, False)

    def kinds(self) -> tuple[str, ...]:
        """Return what each unit is: ``same``, ``replaced``, ``first only`` or ``second only``."""
        return tuple(
            "same" if same else "first only" if other < 0 else "second only" if one < 0 else "replaced"
            for same, (one, other) in zip(self.same, self.pairs, strict=True)
        )

    def spread(self, values: np.ndarray, side: int, empty: Any = 0, axis: int = -1) -> np.ndarray:
        """Return values of one sequence's tokens as values of the units.

        Args:
            values: An array with one of its axes over the tokens of that side.
            side: 0 for the first, 1 for the second.
            empty: The value of a unit that holds no token of that side.
            axis: The axis over the tokens.

        Returns:
            The array with that axis over the units.
        """
        moved = np.moveaxis(np.asarray(values), axis, 0)
        places = self.pairs[:, side]
        spread = np.full((len(places), *moved.shape[1:]), empty, dtype=moved.dtype)
        spread[places >= 0] = moved[places[places >= 0]]
        return np.moveaxis(spread, 0, axis)


_GRAPHEME = regex.compile(r"\X")
_NO_TEXT = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """What an alignment joins: positions of the tokens of each unit.

    Args:
        units: For each unit the positions in the first and in the second; one of them may be empty.
        same: Whether the unit says the same in both.
    """

    units: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    same: tuple[bool, ...]

    def groups(self, side: int) -> tuple[tuple[int, ...], ...]:
        """Return the positions that each joined token of a side holds."""
        return tuple(unit[side] for unit in self.units if unit[side])

    def unit_of(self, side: int) -> dict[int, int]:
        """Return the unit that each position of a side stands in."""
        return {position: place for place, unit in enumerate(self.units) for position in unit[side]}

    def alignment(self, first: Tokens, second: Tokens) -> Alignment:
        """Return the alignment of the joined tokens."""
        held = np.array([[bool(part) for part in unit] for unit in self.units], dtype=bool).reshape(-1, 2)
        return Alignment(
            first=first.fold(self.groups(0)),
            second=second.fold(self.groups(1)),
            pairs=np.where(held, np.cumsum(held, axis=0) - 1, -1),
            same=np.array(self.same, dtype=bool),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """Tokens of one visible character or more: their positions, text and word."""

    positions: tuple[int, ...]
    segment: int
    text: str
    word: int


_Pair = tuple[list[_Unit], list[_Unit], bool]


def match_tokens(first: Tokens, second: Tokens) -> Matching:
    """Find which tokens of two sequences say the same.

    Tokens are compared by the text that they stand for, blanks at its ends left aside, in Unicode's
    composed form; a token without a text by its piece. First a diff of the tokens. Where they differ, a
    diff of the visible characters: several tokens that together say what one says in the other (another
    tokenizer) are joined. Words that were replaced stand beside each other where there are as many of
    them. Where both have as many texts (a prompt and its continuation), no unit spans two of them.

    Args:
        first: The first sequence.
        second: The second.

    Returns:
        The units.
    """
    one_text = len(first.texts) != len(second.texts)
    left, right = _units(first, one_text=one_text), _units(second, one_text=one_text)
    found: list[_Pair] = []
    keys_left, keys_right = ([(unit.segment, unit.text) for unit in side] for side in (left, right))
    for same, a, b in _diff(keys_left, keys_right):
        if same:
            found += [([one], [other], True) for one, other in zip(left[a], right[b], strict=True)]
        else:
            found += _of_a_difference(left[a], right[b])
    return Matching(
        units=tuple((_positions(ours), _positions(theirs)) for ours, theirs, _ in found),
        same=tuple(same for *_, same in found),
    )


def _units(tokens: Tokens, *, one_text: bool) -> list[_Unit]:
    groups = tokens.groups("character")
    folded = tokens.fold(groups)
    units = []
    for place, (group, surface) in enumerate(zip(groups, folded.surfaces(), strict=True)):
        segment = int(folded.segments[place])
        if not surface:  # a special token that stands between two characters
            segment, surface = _NO_TEXT, folded.pieces[place]
        if segment != _NO_TEXT and one_text:
            segment = 0
        text = unicodedata.normalize("NFC", surface.strip() or surface)
        units.append(_Unit(positions=group, segment=segment, text=text, word=int(folded.words[place])))
    return units


def _diff(first: Sequence[Any], second: Sequence[Any]) -> Iterator[tuple[bool, slice, slice]]:
    """Yield stretches that are equal, and stretches that stand in each other's place."""
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


def _of_a_difference(first: list[_Unit], second: list[_Unit]) -> Iterator[_Pair]:
    """Pair what can be paired in a stretch that differs, text by text."""
    left, right = _by_segment(first), _by_segment(second)
    segments = [[units[0].segment for units in side] for side in (left, right)]
    for same, a, b in _diff(*segments):
        if not same:
            ours, theirs = _joined(left[a]), _joined(right[b])
            if ours and theirs and theirs[0].segment < ours[0].segment:  # a prompt before an answer
                yield from _alone([], theirs)
                theirs = []
            yield from _alone(ours, theirs)
            continue
        for ours, theirs in zip(left[a], right[b], strict=True):
            if ours[0].segment == _NO_TEXT:
                yield from _replaced([[unit] for unit in ours], [[unit] for unit in theirs])
            else:
                yield from _by_characters(ours, theirs)


def _by_characters(first: list[_Unit], second: list[_Unit]) -> Iterator[_Pair]:
    """Cut two stretches of one text where both tokenizers cut between the same characters."""
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
            yield from _replaced(_by_word(ours), _by_word(theirs))


def _with_end(stretch: slice) -> slice:
    return slice(stretch.start, None if stretch.stop is None else stretch.stop + 1)


def _cuts(characters: list[list[str]]) -> dict[int, int]:
    """Return how many units end at each number of characters at which one ends."""
    cuts: dict[int, int] = {}
    reached = 0
    for count, own in enumerate([[], *characters]):
        reached += len(own)
        cuts.setdefault(reached, count)
    return cuts


def _replaced(first: list[list[_Unit]], second: list[list[_Unit]]) -> Iterator[_Pair]:
    """Set words that were replaced beside each other where there are as many, else apart."""
    if len(first) == len(second):
        yield from ((ours, theirs, False) for ours, theirs in zip(first, second, strict=True))
    else:
        yield from _alone(_joined(first), _joined(second))


def _alone(first: list[_Unit], second: list[_Unit]) -> Iterator[_Pair]:
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
