"""What is drawn of a ledger: its answer, its two texts, its maps and their strongest places, its gaps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from model_understanding.results import Ledger
from model_understanding.results.ledger import PARTS, Part
from model_understanding.show.shared.runs import Run, direction_of, highlighted_runs
from model_understanding.show.shared.words import format_number, format_percent, model_name, printable
from model_understanding.show.views.difference_map import (
    Columns,
    DifferenceMap,
    RankedCell,
    decimal,
    folded_spans,
    share_text,
)
from model_understanding.show.views.ledger_answer import are_the_same, ledger_answer, reference_words
from model_understanding.tokens import Tokens

READING = (
    "Each table splits the same difference in another way, as it passes block after block, so shares do not "
    "add up to 100 %. Shares above 100 % are offset by negative ones elsewhere."
)
NOTE = "Everything changes at once here; the share of a place is not what changing it alone would do."
HOW_TO_READ = (
    "Both texts run through the model. What the map shows is by how much each place makes the target differ "
    "between the two runs; it is exact, apart from rounding.",
    "Tokens that differ are named text (reference), as in France (Italy).",
    "A row of hidden states shows the whole difference as it enters a block, split over the tokens; where "
    "other paths bypass blocks, some rows show only a part of it. Read the rows from the bottom up: where a "
    "token loses its share, attention hands it to another token.",
    "Attention outputs, MLP outputs and heads are what single steps add to the hidden states. A row is what "
    "one block adds, so shares do not add up to 100 %. Shares above 100 % are offset by negative ones "
    "elsewhere.",
    "Everything changes at once here, from the reference to the text; the share of a place is not what "
    "changing it alone would do. Activation patching measures that.",
)
LISTED = 12
"""Places in each list of a page."""
_PART_NAMES: dict[Part, str] = {
    "residual": "hidden states (one per token)",
    "attention": "attention outputs",
    "mlp": "MLP outputs",
}
_HEADS_NAME = "attention heads (all tokens)"
_MEANINGS: dict[str, str] = {
    "residual": "Where the difference is when it enters each block; every row sums to all of it.",
    "bypassed": "Where the difference is when it enters each block; other paths bypass some blocks.",
    "attention": "What attention adds to each token: how the difference moves between tokens.",
    "mlp": "What the MLP adds to each token.",
    "heads": "What each attention head adds, over all tokens.",
}
_LENGTH = 30
_LISTED_FROM = 1e-3  # of the largest contribution
_SMALL = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedText:
    """One of the two texts.

    Args:
        name: ``text`` or ``reference``.
        value: The target's value on it.
        runs: Its text in runs; the unit of a run is an index of ``units``.
        units: The first and last token of each unit, and whether the texts differ there.
        direction: Its reading direction.
    """

    name: str
    value: str
    runs: tuple[Run, ...]
    units: tuple[tuple[int, int, bool], ...]
    direction: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LedgerView:
    """A ledger in words.

    Args:
        answer: Where the difference arises, in sentences.
        headline: What was compared, and the difference.
        texts: The text and its reference in a line each, with their names.
        compared: The same texts in full; only the text itself, where it was compared with its baseline.
        baseline: What it was compared with in that case, else empty.
        target: The target in words.
        maps: The maps, with the strongest places; empty where there is no difference.
        facts: How exact the ledger is, and what a reader must know.
        gaps: For each cut its name, its sum and its completeness gap.
    """

    answer: tuple[str, ...]
    headline: str
    texts: tuple[str, ...]
    compared: tuple[ComparedText, ...]
    baseline: str
    target: str
    maps: tuple[DifferenceMap, ...]
    facts: tuple[str, ...]
    gaps: tuple[tuple[str, str, str], ...]

    def map(self, key: str) -> DifferenceMap | None:
        """Return a map by its name in Python; ``None`` if the ledger has none."""
        return next((shown for shown in self.maps if shown.key == key), None)


def ledger_view(ledger: Ledger, top: int = 5) -> LedgerView:
    """Return what every output shows of a ledger.

    Args:
        ledger: The ledger.
        top: Number of places in each list.
    """
    difference, target = ledger.difference, printable(ledger.target.description(), 60)
    return LedgerView(
        answer=ledger_answer(ledger, token_name),
        headline=f"Difference in {target}: {format_number(difference)} ({format_number(ledger.value)} for "
        f"the text, {format_number(ledger.reference_value)} for {reference_words(ledger)})",
        texts=_texts(ledger),
        compared=tuple(_compared(ledger)),
        baseline="" if ledger.baseline is None else f"its baseline ({printable(ledger.baseline, 60)})",
        target=target,
        maps=tuple(_maps(ledger, top)),
        facts=tuple(_facts(ledger, top)),
        gaps=_gaps(ledger),
    )


def origin(ledger: Ledger) -> str:
    """Return what a page is of, in a few words."""
    return " · ".join(filter(None, ("ledger of a difference", model_name(ledger.provenance))))


def _texts(ledger: Ledger) -> tuple[str, ...]:
    own = f"text: {_text(ledger.tokens.texts)}"
    if are_the_same(ledger):
        return (own,)
    if ledger.baseline is not None:
        return (own, f"reference: its baseline ({ledger.baseline})")
    return (own, f"reference: {_text(ledger.reference_tokens.texts)}")


def _compared(ledger: Ledger) -> Iterator[ComparedText]:
    differs = differing(ledger)
    yield compared_text("text", ledger.tokens, format_number(ledger.value), differs)
    if ledger.baseline is None and not are_the_same(ledger):
        yield compared_text(
            "reference", ledger.reference_tokens, format_number(ledger.reference_value), differs
        )


def compared_text(name: str, tokens: Tokens, value: str, differs: Sequence[bool]) -> ComparedText:
    """Return a text in runs, in which whole characters are units.

    Args:
        name: Its name.
        tokens: Its tokens.
        value: The target's value on it.
        differs: Which tokens differ from those of another text.
    """
    groups = tokens.groups("character")
    runs = highlighted_runs(tokens.fold(groups))
    return ComparedText(
        name=name,
        value=value,
        runs=tuple(runs),
        units=tuple((group[0], group[-1], any(differs[token] for token in group)) for group in groups),
        direction=direction_of(run.text for run in runs if not run.is_pill),
    )


def differing(ledger: Ledger) -> tuple[bool, ...]:
    """Return at which positions the texts have other tokens; at none for a text and its baseline."""
    if ledger.baseline is not None:
        return (False,) * len(ledger.tokens)
    own, other = ledger.tokens, ledger.reference_tokens
    return tuple(
        bool(a != b) or first != second
        for a, b, first, second in zip(own.ids, other.ids, own.pieces, other.pieces, strict=True)
    )


def _facts(ledger: Ledger, top: int) -> Iterator[str]:
    """Yield how the tables are read, and how exact they are."""
    if not ledger.residual.any():
        return
    yield READING
    if any(token_name(ledger, place) != _own_name(ledger, place) for place in range(len(ledger.tokens))):
        yield "Tokens that differ are named text (reference)."
    used = int(ledger.residual.any(axis=0).sum())
    if used < min(top, len(ledger.tokens)):
        verb = "carries" if used == 1 else "carry"
        yield f"Only {used} of the {len(ledger.tokens)} tokens {verb} any of the difference."
    yield gap_words(ledger)
    yield NOTE


def page_note(ledger: Ledger) -> str:
    """Return what stands below the map of a page."""
    if ledger.gaps.max() > _SMALL:  # other paths bypass blocks
        return NOTE
    return f"Each row of hidden states shows the whole difference, split over the tokens. {NOTE}"


def gap_words(ledger: Ledger) -> str:
    """Return how much of the difference the cuts leave unexplained."""
    gap = float(ledger.gaps.max())
    return (
        "completeness gap below 0.1 %" if gap < _SMALL else f"completeness gap at most {format_percent(gap)}"
    )


def token_name(ledger: Ledger, position: int) -> str:
    """Return a token with the one that it is compared with, where they differ: ``good (bad)``."""
    own, other = _own_name(ledger, position), _other_name(ledger, position)
    return f"{own} ({other})" if other else own


def _own_name(ledger: Ledger, position: int) -> str:
    return printable(ledger.tokens.labels()[position].strip(), _LENGTH)


def _other_name(ledger: Ledger, position: int) -> str:
    """Return the token of the reference, empty where it is the same or the text's own baseline."""
    other = printable(ledger.reference_tokens.labels()[position].strip(), _LENGTH)
    return "" if ledger.baseline is not None or other == _own_name(ledger, position) else other


def _maps(ledger: Ledger, top: int) -> Iterator[DifferenceMap]:
    """Yield the maps that have anything in them: hidden states, attention, MLPs, heads."""
    if not ledger.residual.any():
        return
    tokens = _token_columns(ledger)
    for part in PARTS:
        values = getattr(ledger, part)
        if values.any():
            yield _map(ledger, part, _PART_NAMES[part], tokens, values, top)
    if ledger.heads is not None and ledger.heads.any():
        heads = tuple(map(str, range(ledger.heads.shape[1])))
        columns = Columns(
            word="head",
            noun="head",
            names=heads,
            labels=heads,
            seconds=("",) * len(heads),
            marked=(False,) * len(heads),
            muted=(False,) * len(heads),
            spans=tuple((head, head) for head in range(len(heads))),
        )
        yield _map(ledger, "heads", _HEADS_NAME, columns, ledger.heads, top)


def _token_columns(ledger: Ledger) -> Columns:
    own = [_own_name(ledger, position) for position in range(len(ledger.tokens))]
    others = [_other_name(ledger, position) for position in range(len(ledger.tokens))]
    marked = differing(ledger)
    return Columns(
        word="at",
        noun="token",
        names=tuple(f"“{token_name(ledger, position)}”" for position in range(len(own))),
        labels=tuple(own),
        seconds=tuple(others),
        marked=marked,
        muted=tuple((ledger.tokens.special & ledger.reference_tokens.special).tolist()),
        spans=folded_spans([getattr(ledger, part) for part in PARTS], marked),
    )


def _map(
    ledger: Ledger,
    key: str,
    name: str,
    columns: Columns,
    values: Float[np.ndarray, "rows columns"],
    top: int,
) -> DifferenceMap:
    is_cut = key == "residual"
    rows = tuple(_row_name(ledger, key, row) for row in range(len(values)))
    end = float(np.abs(values).max())
    cell = partial(_ranked_cell, ledger, rows, columns, end)
    return DifferenceMap(
        key=key,
        name=name,
        meaning=_MEANINGS["bypassed" if is_cut and ledger.gaps.max() > _SMALL else key],
        rows=rows,
        row_labels=tuple(
            "end" if is_cut and row == ledger.layers else str(row) for row in range(len(values))
        ),
        row_noun="entering block" if is_cut else "block",
        columns=columns,
        values=values,
        difference=ledger.difference,
        is_cut=is_cut,
        ranked=tuple(cell(*place) for place in _strongest(values, top, distinct=is_cut)),
    )


def _strongest(
    values: Float[np.ndarray, "rows columns"], top: int, *, distinct: bool
) -> list[tuple[int, int, float]]:
    """Return the strongest places; of hidden states, which blocks pass on, only one for each token."""
    order = np.argsort(-np.abs(values), axis=None, kind="stable")
    places: list[tuple[int, int, float]] = []
    seen: set[int] = set()
    least = _LISTED_FROM * float(np.abs(values).max())
    for row, column in zip(*np.unravel_index(order, values.shape), strict=True):
        if len(places) == top or abs(values[row, column]) <= least:
            break
        if distinct and int(column) in seen:
            continue
        seen.add(int(column))
        places.append((int(row), int(column), decimal(values[row, column])))
    return places


def _row_name(ledger: Ledger, key: str, row: int) -> str:
    if key == "residual":
        return f"entering block {row}" if row < ledger.layers else "leaving the last block"
    return f"block {row}"


def _ranked_cell(
    ledger: Ledger, rows: Sequence[str], columns: Columns, end: float, row: int, column: int, value: float
) -> RankedCell:
    return RankedCell(
        row=row,
        column=column,
        place=f"{rows[row]}, {columns.name((column, column))}",
        value=format_number(value),
        share=share_text(value, ledger.difference),
        strength=value / end,
    )


def _gaps(ledger: Ledger) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (
            _row_name(ledger, "residual", row),
            format_number(float(values.sum(dtype=np.float64))),
            format_percent(float(gap)) if gap else "0 %",
        )
        for row, (values, gap) in enumerate(zip(ledger.residual, ledger.gaps, strict=True))
    )


def _text(texts: tuple[str, ...]) -> str:
    return printable(" ▸ ".join(filter(None, texts)), 80)
