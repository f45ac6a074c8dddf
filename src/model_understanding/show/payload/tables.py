"""The token sequences of a page: each held once, and what stands where in them."""

from typing import Any, NamedTuple

from model_understanding.results import AttentionMap, Report
from model_understanding.show.shared.runs import highlighted_runs
from model_understanding.show.shared.words import shown
from model_understanding.tokens import Tokens, visible_text


class AxisPlace(NamedTuple):
    """Where the rows or the keys of a map stand.

    Args:
        table: The table.
        positions: The token of each, the first where neighbors were pooled.
        ends: The last token of each where they were; else empty.
    """

    table: int
    positions: list[int]
    ends: list[int]


class Tables:
    """The distinct token sequences of a report: a part of one that is held shares it."""

    def __init__(self, report: Report) -> None:
        source = report.prediction or report.generation
        assert source is not None
        self.held: list[Tokens] = [source.tokens]
        start = 0 if report.generation is None else report.generation.prompt_length
        count = len(source.tokens)
        # What the rows of a map may be: all tokens, those of the steps, those that wrote them, the prompt's.
        bounds = ((0, count), (start, count), (start - 1, count - 1), (0, start))
        self._parts = [range(*each) for each in bounds if 0 <= each[0] < each[1]]

    def place(self, tokens: Tokens) -> tuple[int, list[int]]:
        """Return the table that holds these tokens, in this order, and where."""
        for place, table in enumerate(self.held):
            if (positions := _positions_in(table, tokens)) is not None:
                return place, positions
        self.held.append(tokens)
        return len(self.held) - 1, list(range(len(tokens)))

    def axis(self, tokens: Tokens, attention: AttentionMap) -> AxisPlace:
        """Return where the rows or the keys of a map stand.

        Args:
            tokens: Its rows or its keys.
            attention: The map; where neighbors were pooled, each of its tokens stands for a stretch of the
                report's own.
        """
        size = pooled_size(attention)
        if size > 1:
            for positions in self._parts:
                blocks = self.held[0].select(positions).blocks(size, positions)
                if blocks.pieces == tokens.pieces:
                    starts = range(0, len(positions), size)
                    ends = [positions[min(start + size, len(positions)) - 1] for start in starts]
                    return AxisPlace(0, [positions[start] for start in starts], ends)
        return AxisPlace(*self.place(tokens), [])


def _positions_in(table: Tokens, tokens: Tokens) -> list[int] | None:
    if any(a != b for a, b in zip(table.texts, tokens.texts, strict=False)):
        return None
    if len(tokens.texts) > len(table.texts):
        return None
    keys, wanted = _keys(table), _keys(tokens)
    positions, start = [], 0
    for key in wanted:
        try:
            start = keys.index(key, start) + 1
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
    """Return ``Table`` of the payload's schema: tokens, where they stand, and the units they belong to."""
    characters = tokens.groups("character")
    runs = highlighted_runs(tokens.fold(characters))
    return {
        "texts": list(tokens.texts),
        "labels": [shown(label, 40) for label in tokens.labels()],
        "pieces": [visible_text(piece) for piece in tokens.pieces],
        "ids": tokens.ids.tolist(),
        "segments": tokens.segments.tolist(),
        "offsets": tokens.offsets.ravel().tolist(),
        "special": tokens.special.tolist(),
        "groups": {
            "token": _unit_of_each(characters),
            "word": _unit_of_each(_joined(characters, tokens.groups("word"))),
            "sentence": _unit_of_each(_joined(characters, tokens.groups("sentence"))),
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


def _joined(
    fine: tuple[tuple[int, ...], ...], coarse: tuple[tuple[int, ...], ...]
) -> tuple[tuple[int, ...], ...]:
    """Return the coarse groups, joined where a fine one would lie in two of them."""
    starts = {group[0] for group in fine}
    groups: list[tuple[int, ...]] = []
    for group in coarse:
        if groups and group[0] not in starts:
            groups[-1] += group
        else:
            groups.append(group)
    return tuple(groups)


def pooled_size(attention: AttentionMap) -> int:
    """Return how many neighboring tokens a row and a key of a map stand for, at most."""
    return int(attention.keep.partition("pooled:")[2] or 1)
