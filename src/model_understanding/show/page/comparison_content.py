"""The content of a comparison's page without scripts: strings and numbers, which the template escapes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from model_understanding.comparison import Alignment, AttentionComparison, AttributionComparison, Comparison
from model_understanding.show.page.css import LEVELS, level_class
from model_understanding.show.page.svg import difference_matrix
from model_understanding.show.shared.comparison_words import (
    MAX_PARTS,
    agreement_text,
    attribution_methods,
    attribution_title,
    comparison_summary,
    difference_title,
    evaluation_changes,
    format_difference,
    format_points,
    format_value,
    largest_cells,
    mean_weights,
    measure_sentence,
    omitted_parts,
    output_changes,
    provenance_pairs,
    report_names,
    score_changes,
    short_unit_labels,
)
from model_understanding.show.shared.runs import highlighted_runs
from model_understanding.show.shared.words import explained_name, format_percent, printable, target_label

_MAX_TIPS = 1500  # units with tooltips; for longer texts, only the table has the numbers
_MAX_ROWS, _MAX_CELLS, _MAX_OPEN_ROWS = 300, 24, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedWord:
    """A span of one of the two texts.

    Args:
        text: The text.
        css: CSS class of its color.
        tip: Tooltip; empty for none.
        mark: Kind of its unit if the texts differ: ``replaced``, ``first only`` or ``second only``.
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
    """Return both texts, colored by the differences of an attribution of one target.

    Args:
        alignment: Alignment of the tokens.
        part: Comparison of attributions of these tokens; without it, nothing is colored.

    Returns:
        The first text's words and the second's.
    """
    colors, tips = [""] * len(alignment.pairs), [""] * len(alignment.pairs)
    if part is not None:
        colors = _colors(part)
        tips = _tips(part) if len(tips) <= _MAX_TIPS else tips
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
    peak = float(np.abs(part.differences).max(initial=0)) or 1.0
    unscored = ~(part.valid(0)[0] | part.valid(1)[0])
    return [
        "mu-unscored" if unscored[unit] else level_class(float(difference), peak, signed=True)
        for unit, difference in enumerate(part.differences[0])
    ]


def _tips(part: AttributionComparison) -> list[str]:
    values, valid = [part.values(side)[0] for side in (0, 1)], [part.valid(side)[0] for side in (0, 1)]
    tips = []
    for unit, kind in enumerate(part.alignment.kinds()):
        texts = [
            f"{name} {format_value(part, float(side_values[unit]))}"
            for name, side_values, side_valid in zip(("first", "second"), values, valid, strict=True)
            if side_valid[unit]
        ]
        if part.compared[0, unit]:
            texts.append(f"difference {format_difference(part, float(part.differences[0, unit]))}")
        if kind in ("first only", "second only"):
            texts.append(f"only in the {kind.removesuffix(' only')} text")
        tips.append(" · ".join(texts) or "no score")
    return tips


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Corresponding texts of both reports; ``kind`` is the kind of a unit of an alignment."""

    kind: str
    first: str
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """A row of a table.

    Args:
        pairs: The texts of the row.
        cells: Formatted numbers.
        bars: Bars from −100 to 100.
        position: Index of the unit.
    """

    pairs: tuple[Pair, ...]
    cells: tuple[str, ...]
    bars: tuple[float, ...] = ()
    position: int = 0


def comparison_content(comparison: Comparison) -> dict[str, Any]:
    """Return the values of the comparison template.

    Args:
        comparison: The comparison.

    Returns:
        Values by name.
    """
    attributions = [_attribution(part) for part in comparison.attributions[:MAX_PARTS]]
    is_colored = any(part["texts"] for part in attributions)
    outputs = _output_rows(comparison)
    return {
        "title": " → ".join(report_names(comparison)),
        **comparison_summary(comparison),
        "explained": _explained(comparison),
        "texts": () if is_colored else aligned_texts(comparison.alignment),
        "levels": range(1, LEVELS + 1),
        "outputs": outputs[:_MAX_ROWS],
        "omitted_outputs": max(0, len(outputs) - _MAX_ROWS),
        "has_steps": comparison.first.generation is not None,
        "attributions": attributions,
        "attention": [_attention(part) for part in comparison.attention[:MAX_PARTS]],
        "omitted_parts": omitted_parts(comparison),
        "evaluations": list(evaluation_changes(comparison)),
        "provenance": list(provenance_pairs(comparison)),
    }


def _explained(comparison: Comparison) -> tuple[str, ...]:
    """Return the main target of each report; empty if no attributions correspond."""
    if not comparison.attributions:
        return ()
    part = comparison.attributions[0]
    return explained_name(part.first), explained_name(part.second)


def _attribution(part: AttributionComparison) -> dict[str, Any]:
    is_single = len(part.first.targets) == 1
    content: dict[str, Any] = {
        "title": attribution_title(part),
        "methods": attribution_methods(part),
        "measure": measure_sentence(part),
        "is_single": is_single,
        "texts": (),
    }
    if not is_single:
        return content | _several_targets(part)
    peak = float(np.abs(part.differences).max(initial=0))
    rows = _score_rows(part)
    return content | {
        "agreement": agreement_text(part),
        "texts": aligned_texts(part.alignment, part),
        "ends": (format_difference(part, -peak), format_difference(part, peak)) if peak else (),
        "has_special": bool(part.alignment.special.any()),
        "has_unscored": not all((part.valid(side)[0] | ~_has_token(part, side)).all() for side in (0, 1)),
        "rows": rows,
        "omitted_rows": len(part.alignment.pairs) - len(rows),
        "is_open": len(rows) <= _MAX_OPEN_ROWS,
    }


def _has_token(part: AttributionComparison, side: int) -> np.ndarray:
    return part.alignment.pairs[:, side] >= 0


def _score_rows(part: AttributionComparison) -> list[PairRow]:
    """Return a row per unit, by position; for long texts, those with the largest difference or score."""
    values = [part.values(side)[0] for side in (0, 1)]
    sizes = np.maximum(np.abs(part.differences[0]), np.where(part.compared[0], 0, np.abs(values).max(axis=0)))
    listed = sorted(np.argsort(-sizes, kind="stable")[:_MAX_ROWS].tolist())
    peak = float(np.abs([*values, part.differences[0]]).max(initial=0)) or 1.0
    pairs, changes = _pairs(part.alignment), score_changes(part)
    return [
        PairRow(
            pairs=(pairs[unit],),
            cells=(changes[unit].first, changes[unit].second, changes[unit].difference),
            bars=tuple(100 * float(bars[unit]) / peak for bars in (*values, part.differences[0])),
            position=unit,
        )
        for unit in listed
    ]


def _several_targets(part: AttributionComparison) -> dict[str, Any]:
    labels = [[target_label(target) for target in side.targets] for side in (part.first, part.second)]
    pairs = _pairs(part.alignment)
    rows = []
    for row, (ours, theirs) in enumerate(list(zip(*labels, strict=True))[:_MAX_ROWS]):
        order = np.argsort(-np.abs(part.differences[row]), kind="stable")[:3]
        largest = [int(unit) for unit in order if part.differences[row, unit]]
        rows.append(
            PairRow(
                pairs=(_pair_of(ours, theirs), *(pairs[unit] for unit in largest)),
                cells=(
                    agreement_text(part, row),
                    *(format_difference(part, float(part.differences[row, unit])) for unit in largest),
                ),
            )
        )
    peak = float(np.abs(part.differences).max(initial=0))
    title = f"Differences: {attribution_title(part)}"
    return {
        "plot": difference_matrix(
            part.differences, part.compared, tuple(labels[1]), short_unit_labels(part.alignment), title
        ),
        "peak": format_difference(part, peak) if peak else "",
        "rows": rows,
        "omitted_rows": len(labels[0]) - len(rows),
    }


def _attention(part: AttentionComparison) -> dict[str, Any]:
    differences, weights = part.mean_differences(), mean_weights(part)
    cells = largest_cells(differences, _MAX_CELLS)
    peak = max((abs(float(differences[cell])) for cell in cells), default=1.0)
    rows, keys = _pairs(part.rows), _pairs(part.keys)
    title = difference_title(part)
    return {
        "title": title,
        "reason": printable(part.reason, 200),
        "plot": difference_matrix(
            differences, part.compared, short_unit_labels(part.rows), short_unit_labels(part.keys), title
        ),
        "row_label": "generated token" if part.first.steps is not None else "from (query)",
        "peak": format_points(peak) if cells else "",
        "rows": [
            PairRow(
                pairs=(rows[row], keys[key]),
                cells=(
                    *(format_percent(float(side[row, key])) for side in weights),
                    format_points(float(differences[row, key])),
                ),
                bars=(100 * float(differences[row, key]) / peak,),
            )
            for row, key in cells
        ],
    }


def _output_rows(comparison: Comparison) -> list[PairRow]:
    """Return a row per class or generated span; bars of probabilities are scaled to 100 %."""
    changes = list(output_changes(comparison.outputs))
    if all(pair.quantity == "probability" for pair in comparison.outputs):
        peak = 1.0
    else:
        values = [value for pair in comparison.outputs for value in (pair.first, pair.second)]
        sizes = [abs(value) for value in values if value is not None]
        peak = max([*sizes, *(abs(change.size) for change in changes)], default=0.0) or 1.0
    return [
        PairRow(
            pairs=(_pair_of(pair.first_name, pair.second_name),),
            cells=(change.first, change.second, change.difference),
            bars=tuple(100 * (value or 0.0) / peak for value in (pair.first, pair.second, pair.difference)),
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
    return Pair(kind=kind, first=printable(first or "", 40), second=printable(second or "", 40))


def _pairs(alignment: Alignment) -> list[Pair]:
    first, second = (tokens.labels() for tokens in (alignment.first, alignment.second))
    return [
        Pair(
            kind=kind,
            first=printable(first[i], 40) if i >= 0 else "",
            second=printable(second[j], 40) if j >= 0 else "",
        )
        for kind, (i, j) in zip(alignment.kinds(), alignment.pairs, strict=True)
    ]
