"""The token sequences of a page, each stored once, and positions in them."""

import re
from typing import Any, NamedTuple

from model_understanding.results import AttentionMap, Report
from model_understanding.show.shared.runs import highlighted_runs
from model_understanding.show.shared.units import unit_groups
from model_understanding.show.shared.words import printable
from model_understanding.tokens import Tokens, visible_text

_BLOCK = re.compile(r"(\d+)(?:–(\d+))?")


class AxisPositions(NamedTuple):
    """Positions of the rows or keys of a map in a table.

    Args:
        table: Index of the table.
        positions: Position of each row or key; of the first token for pooled blocks.
        ends: Position of the last token of each pooled block; empty if not pooled.
    """

    table: int
    positions: list[int]
    ends: list[int]


class Tables:
    """The distinct token sequences of a report; parts of a sequence share its table."""

    def __init__(self, report: Report) -> None:
        self.tables: list[Tokens] = [report.tokens]
        start = 0 if report.generation is None else report.generation.prompt_length
        count = len(report.tokens)
        # Possible rows of a map: all tokens, generated tokens, the queries that generate them, the prompt.
        bounds = ((0, count), (start, count), (start - 1, count - 1), (0, start))
        self._spans = [range(first, end) for first, end in bounds if 0 <= first < end]

    def locate(self, tokens: Tokens) -> tuple[int, list[int]]:
        """Return the table that contains the tokens, in this order, and their positions in it."""
        for index, table in enumerate(self.tables):
            if (positions := _positions_in(table, tokens)) is not None:
                return index, positions
        self.tables.append(tokens)
        return len(self.tables) - 1, list(range(len(tokens)))

    def axis(self, tokens: Tokens, attention: AttentionMap) -> AxisPositions:
        """Return the positions of the rows or keys of a map.

        Args:
            tokens: The rows or the keys of the map.
            attention: The map. If it is pooled, each of its tokens is a block of tokens of the report.
        """
        size = pooled_size(attention)
        if size > 1:
            for positions in (*self._spans, *_spans_named(tokens, len(self.tables[0]))):
                blocks = self.tables[0].select(positions).blocks(size, positions)
                if blocks.pieces == tokens.pieces:
                    starts = range(0, len(positions), size)
                    ends = [positions[min(start + size, len(positions)) - 1] for start in starts]
                    return AxisPositions(0, [positions[start] for start in starts], ends)
        return AxisPositions(*self.locate(tokens), [])


def _spans_named(blocks: Tokens, count: int) -> list[range]:
    """Return the positions that the names of blocks span: of ``4–7`` and ``8`` those from 4 to 8."""
    matches = [_BLOCK.fullmatch(piece) for piece in blocks.pieces]
    named = [match for match in matches if match is not None]
    if not named or len(named) < len(matches):
        return []
    first, last = int(named[0][1]), int(named[-1][2] or named[-1][1])
    return [range(first, last + 1)] if first <= last < count else []


def _positions_in(table: Tokens, tokens: Tokens) -> list[int] | None:
    if any(a != b for a, b in zip(table.texts, tokens.texts, strict=False)):
        return None
    if len(tokens.texts) > len(table.texts):
        return None
    table_keys, keys = _keys(table), _keys(tokens)
    # Tokens that follow each other stand together: a special token occurs on both sides of two texts.
    for first in range(len(table_keys) - len(keys), -1, -1):
        if table_keys[first : first + len(keys)] == keys:
            return [*range(first, first + len(keys))]
    positions, start = [], 0
    for key in keys:
        try:
            start = table_keys.index(key, start) + 1
        except ValueError:
            return None
        positions.append(start - 1)
    return positions


def _keys(tokens: Tokens) -> list[tuple[object, ...]]:
    return list(
        zip(
            tokens.segments.tolist(),
            tokens.ids.tolist(),
            map(tuple, tokens.offsets.tolist()),
            tokens.pieces,
            strict=True,
        )
    )


def encoded_table(tokens: Tokens) -> dict[str, Any]:
    """Return ``Table`` of the payload's schema: tokens, their spans, and the units they belong to."""
    characters = tokens.groups("character")
    runs = highlighted_runs(tokens.fold(characters))
    return {
        "texts": list(tokens.texts),
        "labels": [printable(label, 40) for label in tokens.labels()],
        "pieces": [visible_text(piece) for piece in tokens.pieces],
        "ids": tokens.ids.tolist(),
        "segments": tokens.segments.tolist(),
        "offsets": tokens.offsets.ravel().tolist(),
        "special": tokens.special.tolist(),
        "unknown": tokens.unknown.tolist(),
        "groups": {
            "token": _unit_of_each(characters),
            "word": _unit_of_each(unit_groups(tokens, "word")),
            "sentence": _unit_of_each(unit_groups(tokens, "sentence")),
        },
        "runs": {
            "texts": [run.text for run in runs],
            "units": [-1 if run.unit is None else run.unit for run in runs],
            "pills": [bool(run.is_pill) for run in runs],
            "sources": [run.source for run in runs],
        },
    }


def _unit_of_each(groups: tuple[tuple[int, ...], ...]) -> list[int]:
    return [unit for unit, group in enumerate(groups) for _ in group]


def pooled_size(attention: AttentionMap) -> int:
    """Return the number of neighboring tokens per row and key of a map, 1 if it is not pooled."""
    return int(attention.keep.partition("pooled:")[2] or 1)
