"""The content of a comparison's page without scripts: strings and numbers, which the template escapes."""

from itertools import groupby
from typing import Any

import numpy as np

from model_understanding.comparison import Alignment, AttentionComparison, AttributionComparison, Comparison
from model_understanding.show.page.blocks import Paragraph, Word, bar, paragraph, word_style
from model_understanding.show.shared.runs import highlighted_runs
from model_understanding.show.views.compared_attention import difference_title, largest_changes, shown_maps
from model_understanding.show.views.compared_scores import (
    ScoresView,
    attribution_methods,
    attribution_title,
    measure_sentence,
    scores_view,
    target_name_of,
)
from model_understanding.show.views.comparison import (
    MAX_PARTS,
    comparison_view,
    evaluation_changes,
    omitted_parts,
    provenance_pairs,
)

_MAX_ROWS = 300
_MAX_TIPS = 1500  # words with tooltips; for longer texts, only the table has the numbers
_SWATCHES = (-1.0, -0.6, -0.3, 0.3, 0.6, 1.0)
_MARKS = {
    "same": "",
    "replaced": "border-bottom:2px dotted",
    "first only": "text-decoration:line-through",
    "second only": "border-bottom:2px solid",
}


def comparison_content(comparison: Comparison) -> dict[str, Any]:
    """Return the values of the comparison template.

    Args:
        comparison: The comparison.

    Returns:
        Values by name.
    """
    view = comparison_view(comparison)
    sizes = [abs(change.size) for change in view.outputs]
    is_shares = all(pair.quantity == "probability" for pair in comparison.outputs)
    full = 1.0 if is_shares else max(sizes, default=1.0) or 1.0
    parts = zip(view.scores, comparison.attributions, strict=False)
    return {
        "title": " → ".join(answer.name for answer in view.answers),
        "view": view,
        "scores": [
            _scores(scores, comparison, part.words() if len(part.first.targets) > 1 else None)
            for scores, part in parts
        ],
        "texts": () if view.scores else _texts(comparison.alignment),
        "swatches": [word_style(strength, True) for strength in _SWATCHES],
        "marks": {kind: style for kind, style in _MARKS.items() if kind in comparison.alignment.kinds()},
        "outputs": [(change, bar(change.size / full, True)) for change in view.outputs[:_MAX_ROWS]],
        "omitted_outputs": max(0, len(view.outputs) - _MAX_ROWS),
        "attention": [_attention(part) for part in shown_maps(comparison)[:MAX_PARTS]],
        "omitted_parts": omitted_parts(comparison),
        "evaluations": list(evaluation_changes(comparison)),
        "provenance": list(provenance_pairs(comparison)),
    }


def _scores(view: ScoresView, comparison: Comparison, steps: AttributionComparison | None) -> dict[str, Any]:
    """Return one comparison of attributions; ``steps`` has the words of each step, if there are several."""
    counted = [unit for unit in view.units if not unit.special]
    order = sorted(counted, key=lambda unit: -abs(unit.change))
    rows = sorted(order[:_MAX_ROWS], key=lambda unit: unit.index)
    targets = []
    if steps is not None:
        for row in range(min(len(steps.first.targets), _MAX_ROWS)):
            of_row = scores_view(steps, row, comparison)
            targets.append((target_name_of(steps, row), of_row.agreement, of_row.largest[:3]))
    return {
        "view": view,
        "details": (
            attribution_title(view.part),
            attribution_methods(view.part),
            measure_sentence(view.part),
            view.agreement,
        ),
        "texts": _texts(view.part.alignment, view),
        "largest": [(unit.formatted, bar(unit.strength, True)) for unit in view.largest],
        "rows": rows,
        "omitted": len(counted) - len(rows),
        "targets": targets,
    }


def _texts(alignment: Alignment, view: ScoresView | None = None) -> tuple[tuple[Paragraph, ...], ...]:
    """Return both texts, colored by the difference of each word; without scores, only marked."""
    return tuple(_text(alignment, side, view) for side in (0, 1))


def _text(alignment: Alignment, side: int, view: ScoresView | None) -> tuple[Paragraph, ...]:
    tokens, kinds = (alignment.first, alignment.second)[side], alignment.kinds()
    units = np.flatnonzero(alignment.pairs[:, side] >= 0)
    faded = view is not None and view.trust[side].is_faded
    has_tips = view is not None and len(view.units) <= _MAX_TIPS
    words: list[tuple[int, Word]] = []
    source = 0
    for run in highlighted_runs(tokens):
        source = max(source, run.source)
        if run.unit is None:
            words.append((source, Word(text=run.text)))
            continue
        unit = int(units[run.unit])
        style, tip = _MARKS[kinds[unit]], ""
        is_pill = run.is_pill or bool(tokens.special[run.unit])
        if view is not None:
            of_unit = view.units[unit]
            color = word_style(of_unit.strength, True, faded=faded) if of_unit.strength else ""
            style = ";".join(filter(None, (color, style)))
            if has_tips:
                tip = f"{of_unit.first_text} → {of_unit.second_text}: {of_unit.change_text}"
        words.append((source, Word(text=run.text, style="" if is_pill else style, tip=tip, is_pill=is_pill)))
    return tuple(
        paragraph([word for _, word in part]) for _, part in groupby(words, key=lambda item: item[0])
    )


def _attention(part: AttentionComparison) -> dict[str, Any]:
    changes = largest_changes(part)
    peak = max((abs(change.size) for change in changes), default=1.0) or 1.0
    return {
        "title": difference_title(part),
        "reason": part.reason,
        "rows": [(change, bar(change.size / peak, True)) for change in changes],
    }
