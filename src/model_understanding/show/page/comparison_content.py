"""What the page of a comparison says without scripts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_understanding.comparison import Alignment, AttentionComparison, AttributionComparison, Comparison
from model_understanding.show.page.css import LEVELS, level_class
from model_understanding.show.page.svg import axis_labels, difference_picture
from model_understanding.show.shared.comparison_words import (
    READING,
    agreement_words,
    answers,
    attribution_methods,
    attribution_title,
    change_words,
    difference_title,
    difference_words,
    evaluation_changes,
    largest_cells,
    mean_weights,
    measure_words,
    names,
    output_changes,
    points,
    remarks,
    score_changes,
    stamps,
    target_label,
    value,
)
from model_understanding.show.shared.runs import highlighted_runs
from model_understanding.show.shared.words import percent, provenance_rows, shown, target_name, targets_name

_MOST_TIPS = 1500  # units: beyond these the page would grow too large, and the table holds the numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedWord:
    """A stretch of one of the two texts.

    Args:
        text: What to show.
        css: Its color.
        tip: What hovering says; empty for none.
        mark: What its unit is where it does not say the same in both: ``replaced``, ``first only``,
            ``second only``.
        is_pill: Whether it is a special token.
        opens: Whether another source text begins here.
    """

    text: str
    css: str = ""
    tip: str = ""
    mark: str = ""
    is_pill: bool = False
    opens: bool = False


def aligned_texts(
    alignment: Alignment, part: AttributionComparison | None = None
) -> tuple[tuple[AlignedWord, ...], ...]:
    """Return both texts, colored by the difference of an attribution of one target on one scale around zero.

    Args:
        alignment: Which tokens stand for each other.
        part: The attributions of these tokens; nothing is colored where left out.

    Returns:
        The first text's words and the second's.
    """
    colors, tips = [""] * len(alignment.pairs), [""] * len(alignment.pairs)
    if part is not None:
        colors = _colors(part)
        tips = _tips(part) if len(tips) <= _MOST_TIPS else tips
    return tuple(_words(alignment, side, colors, tips) for side in (0, 1))


def _words(alignment: Alignment, side: int, colors: list[str], tips: list[str]) -> tuple[AlignedWord, ...]:
    tokens = (alignment.first, alignment.second)[side]
    kinds = alignment.kinds()
    units = np.flatnonzero(alignment.pairs[:, side] >= 0)
    words, sources = [], set()
    for run in highlighted_runs(tokens):
        opens = run.source > 0 and run.source not in sources
        sources.add(run.source)
        if run.unit is None:
            words.append(AlignedWord(text=run.text, opens=opens))
            continue
        unit = int(units[run.unit])
        is_pill = run.is_pill or bool(tokens.special[run.unit])
        words.append(
            AlignedWord(
                text=run.text,
                css="" if is_pill else colors[unit],
                tip=tips[unit],
                mark="" if kinds[unit] == "same" else kinds[unit],
                is_pill=is_pill,
                opens=opens,
            )
        )
    return tuple(words)


def _colors(part: AttributionComparison) -> list[str]:
    reach = float(np.abs(part.differences).max(initial=0)) or 1.0
    unscored = ~(part.valid(0)[0] | part.valid(1)[0])
    return [
        "mu-unscored" if unscored[unit] else level_class(float(size), reach, signed=True)
        for unit, size in enumerate(part.differences[0])
    ]


def _tips(part: AttributionComparison) -> list[str]:
    values, valid = [part.values(side)[0] for side in (0, 1)], [part.valid(side)[0] for side in (0, 1)]
    tips = []
    for unit, kind in enumerate(part.alignment.kinds()):
        words = [
            f"{name} {value(part, float(amounts[unit]))}"
            for name, amounts, held in zip(("first", "second"), values, valid, strict=True)
            if held[unit]
        ]
        if part.compared[0, unit]:
            words.append(f"difference {difference_words(part, float(part.differences[0, unit]))}")
        if kind in ("first only", "second only"):
            words.append(f"in the {kind.removesuffix(' only')} text only")
        tips.append(" · ".join(words) or "no score")
    return tips


MOST_PARTS = 12  # of a kind: each has a text, a picture and a table of its own


def told(comparison: Comparison) -> dict[str, Any]:
    """Return what is said of both reports, under the names of the payload's schema and of the template."""
    return {
        "names": names(comparison),
        "answers": answers(comparison),
        "models": tuple(shown(side.provenance.model, 80) for side in (comparison.first, comparison.second)),
        "change": change_words(comparison),
        "cautions": stamps(comparison),
        "remarks": remarks(comparison),
        "notes": READING,
    }


def parts_left_out(comparison: Comparison) -> int:
    """Return how many attributions and maps are one too many for a page."""
    held = (comparison.attributions, comparison.attention)
    return sum(max(0, len(parts) - MOST_PARTS) for parts in held)


def provenance_pairs(comparison: Comparison) -> Iterator[tuple[str, str, str]]:
    """Yield where both reports come from, line by line."""
    sides = [dict(provenance_rows(report)) for report in (comparison.first, comparison.second)]
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        yield name, sides[0].get(name, "–"), sides[1].get(name, "–")


_MOST_ROWS, _MOST_CELLS, _OPEN_ROWS = 300, 24, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Words of both reports that stand for each other; ``kind`` is what an alignment calls it."""

    kind: str
    first: str
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """A line of a table.

    Args:
        pairs: What it is about.
        cells: Numbers in words.
        bars: Bars from −100 to 100.
        place: Its position, counted from 0.
    """

    pairs: tuple[Pair, ...]
    cells: tuple[str, ...]
    bars: tuple[float, ...] = ()
    place: int = 0


def comparison_content(comparison: Comparison) -> dict[str, Any]:
    """Return everything the template shows.

    Args:
        comparison: The comparison.

    Returns:
        Names for the template.
    """
    attributions = [_attribution(part) for part in comparison.attributions[:MOST_PARTS]]
    colored = any(part["texts"] for part in attributions)
    outputs = _output_rows(comparison)
    return {
        **told(comparison),
        "explained": _explained(comparison),
        "texts": () if colored else aligned_texts(comparison.alignment),
        "levels": range(1, LEVELS + 1),
        "outputs": outputs[:_MOST_ROWS],
        "outputs_left_out": max(0, len(outputs) - _MOST_ROWS),
        "are_steps": comparison.first.generation is not None,
        "attributions": attributions,
        "attention": [_attention(part) for part in comparison.attention[:MOST_PARTS]],
        "parts_left_out": parts_left_out(comparison),
        "evaluations": list(evaluation_changes(comparison)),
        "provenance": list(provenance_pairs(comparison)),
    }


def _explained(comparison: Comparison) -> tuple[str, ...]:
    """Return the main target of each report, or nothing where none of their attributions fit each other."""
    if not comparison.attributions:
        return ()
    part = comparison.attributions[0]
    return tuple(
        target_name(side.targets[0]) if len(side.targets) == 1 else targets_name(side.targets)
        for side in (part.first, part.second)
    )


def _attribution(part: AttributionComparison) -> dict[str, Any]:
    is_single = len(part.first.targets) == 1
    content: dict[str, Any] = {
        "title": attribution_title(part),
        "methods": attribution_methods(part),
        "measure": measure_words(part),
        "is_single": is_single,
        "texts": (),
    }
    if not is_single:
        return content | _several_targets(part)
    reach = float(np.abs(part.differences).max(initial=0))
    rows = _score_rows(part)
    return content | {
        "agreement": agreement_words(part),
        "texts": aligned_texts(part.alignment, part),
        "ends": (difference_words(part, -reach), difference_words(part, reach)) if reach else (),
        "has_special": bool(part.alignment.special.any()),
        "has_unscored": not all((part.valid(side)[0] | ~_held(part, side)).all() for side in (0, 1)),
        "rows": rows,
        "rows_left_out": len(part.alignment.pairs) - len(rows),
        "is_open": len(rows) <= _OPEN_ROWS,
    }


def _held(part: AttributionComparison, side: int) -> np.ndarray:
    return part.alignment.pairs[:, side] >= 0


def _score_rows(part: AttributionComparison) -> list[PairRow]:
    """Return a row for each unit, by position; of many those whose difference or score is largest."""
    values = [part.values(side)[0] for side in (0, 1)]
    sizes = np.maximum(np.abs(part.differences[0]), np.where(part.compared[0], 0, np.abs(values).max(axis=0)))
    drawn = sorted(np.argsort(-sizes, kind="stable")[:_MOST_ROWS].tolist())
    reach = float(np.abs([*values, part.differences[0]]).max(initial=0)) or 1.0
    pairs, changes = _pairs(part.alignment), score_changes(part)
    return [
        PairRow(
            pairs=(pairs[unit],),
            cells=(changes[unit].first, changes[unit].second, changes[unit].difference),
            bars=tuple(100 * float(amounts[unit]) / reach for amounts in (*values, part.differences[0])),
            place=unit,
        )
        for unit in drawn
    ]


def _several_targets(part: AttributionComparison) -> dict[str, Any]:
    labels = [[target_label(target) for target in side.targets] for side in (part.first, part.second)]
    pairs = _pairs(part.alignment)
    rows = []
    for row, (ours, theirs) in enumerate(list(zip(*labels, strict=True))[:_MOST_ROWS]):
        order = np.argsort(-np.abs(part.differences[row]), kind="stable")[:3]
        largest = [int(unit) for unit in order if part.differences[row, unit]]
        rows.append(
            PairRow(
                pairs=(_pair_of(ours, theirs), *(pairs[unit] for unit in largest)),
                cells=(
                    agreement_words(part, row),
                    *(difference_words(part, float(part.differences[row, unit])) for unit in largest),
                ),
            )
        )
    reach = float(np.abs(part.differences).max(initial=0))
    title = f"Difference of {attribution_title(part)}"
    return {
        "picture": difference_picture(
            part.differences, part.compared, tuple(labels[1]), axis_labels(part.alignment), title
        ),
        "reach": difference_words(part, reach) if reach else "",
        "rows": rows,
        "rows_left_out": len(labels[0]) - len(rows),
    }


def _attention(part: AttentionComparison) -> dict[str, Any]:
    differences, weights = part.mean_differences(), mean_weights(part)
    cells = largest_cells(differences, _MOST_CELLS)
    reach = max((abs(float(differences[cell])) for cell in cells), default=1.0)
    rows, keys = _pairs(part.rows), _pairs(part.keys)
    title = difference_title(part)
    return {
        "title": title,
        "reason": shown(part.reason, 200),
        "picture": difference_picture(
            differences, part.compared, axis_labels(part.rows), axis_labels(part.keys), title
        ),
        "from_words": "token produced" if part.first.steps is not None else "from (query)",
        "reach": points(reach) if cells else "",
        "rows": [
            PairRow(
                pairs=(rows[row], keys[key]),
                cells=(
                    *(percent(float(side[row, key])) for side in weights),
                    points(float(differences[row, key])),
                ),
                bars=(100 * float(differences[row, key]) / reach,),
            )
            for row, key in cells
        ],
    }


def _output_rows(comparison: Comparison) -> list[PairRow]:
    """Return a row for each class or generated stretch; bars of probabilities are of the whole."""
    changes = list(output_changes(comparison.outputs))
    if all(pair.quantity == "probability" for pair in comparison.outputs):
        reach = 1.0
    else:
        values = [value for pair in comparison.outputs for value in (pair.first, pair.second)]
        sizes = [abs(value) for value in values if value is not None]
        reach = max([*sizes, *(abs(change.size) for change in changes)], default=0.0) or 1.0
    return [
        PairRow(
            pairs=(_pair_of(pair.first_name, pair.second_name),),
            cells=(change.first, change.second, change.difference),
            bars=tuple(100 * (value or 0.0) / reach for value in (pair.first, pair.second, pair.difference)),
        )
        for pair, change in zip(comparison.outputs, changes, strict=True)
    ]


def _pair_of(first: str | None, second: str | None) -> Pair:
    kind = (
        "first only"
        if second is None
        else "second only"
        if first is None
        else "same"
        if first == second
        else "replaced"
    )
    return Pair(kind=kind, first=shown(first or "", 40), second=shown(second or "", 40))


def _pairs(alignment: Alignment) -> list[Pair]:
    first, second = (tokens.labels() for tokens in (alignment.first, alignment.second))
    return [
        Pair(
            kind=kind,
            first=shown(first[one], 40) if one >= 0 else "",
            second=shown(second[other], 40) if other >= 0 else "",
        )
        for kind, (one, other) in zip(alignment.kinds(), alignment.pairs, strict=True)
    ]
