"""Texts of a comparison, shared by terminal, figures and page.

Every returned string is free of control characters and direction overrides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model_understanding.comparison import (
    Alignment,
    AttentionComparison,
    AttributionComparison,
    Comparison,
    ValuePair,
)
from model_understanding.show.shared.words import (
    attention_title,
    cautions_of,
    evaluation_condition,
    evaluation_name,
    evaluation_value,
    explained_name,
    format_number,
    format_percent,
    limits_range,
    limits_source,
    method_name,
    printable,
    provenance_rows,
    report_headline,
)

MAX_PARTS = 12  # attributions, and attention maps, on a page
MARKS = {"same": "", "replaced": "~", "first only": "−", "second only": "+"}
_MEASURES = {
    "score": "Raw scores are compared",
    "share": "Shares of the total |score| are compared",
    "size": "Absolute shares of the total |score| are compared",
}
_COMPARISON_NOTES = (
    "Differences are second minus first, on one color scale centered on zero: blue is higher in the second "
    "report, orange is lower.",
    "Tokens are aligned by their text. Tokens that another tokenizer splits differently are joined; a token "
    "that is only in one text has no difference.",
    "Rank correlation and top-token overlap are computed over tokens that are the same in both texts, "
    "special tokens excluded.",
    "A difference does not mean that one of the explanations is wrong: each method measures something else.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A value of the first report, of the second report, and the difference, formatted.

    Args:
        label: What the values belong to.
        first: The first value, ``–`` for none.
        second: The second value, ``–`` for none.
        difference: The difference, ``–`` for none.
        size: The difference as a number.
    """

    label: str
    first: str
    second: str
    difference: str
    size: float


def comparison_summary(comparison: Comparison) -> dict[str, object]:
    """Return the texts on both reports, by the names of the payload's schema and of the template."""
    return {
        "names": report_names(comparison),
        "answers": headlines(comparison),
        "models": tuple(
            printable(report.provenance.model, 80) for report in (comparison.first, comparison.second)
        ),
        "change": largest_change(comparison),
        "cautions": comparison_cautions(comparison),
        "remarks": comparison_remarks(comparison),
        "notes": _COMPARISON_NOTES,
    }


def report_names(comparison: Comparison) -> tuple[str, str]:
    """Return the names of both reports."""
    first, second = (printable(name, 60) for name in comparison.names)
    return first, second


def headlines(comparison: Comparison) -> tuple[str, str]:
    """Return the headlines of both reports."""
    return report_headline(comparison.first), report_headline(comparison.second)


def comparison_remarks(comparison: Comparison) -> tuple[str, ...]:
    """Return the other differences between the reports, and what could not be compared."""
    return tuple(printable(remark, 400) for remark in (*comparison.notes, *comparison.left_out))


def comparison_cautions(comparison: Comparison) -> tuple[str, ...]:
    """Return the cautions of both reports."""
    sides = [
        side
        for part in (*comparison.attributions, *comparison.attention)
        for side in (part.first, part.second)
    ]
    return cautions_of(comparison.first, comparison.second, *sides)


def largest_change(comparison: Comparison) -> str:
    """Return the largest change and where it is, as in ``Largest change of a share, …: 0.25 (outputs)``."""
    text = f"Largest change of a share, probability or weight: {format_number(comparison.change)}"
    places = [
        *(attribution_title(part) for part in comparison.attributions if part.change == comparison.change),
        *("outputs" for part in comparison.outputs if part.change == comparison.change),
        *(
            f"attention {part.first.map}, {largest_cell_name(part)}"
            for part in comparison.attention
            if part.has_shares and part.change == comparison.change
        ),
    ]
    return f"{text} ({places[0]})" if places and comparison.change else text


def largest_cell_name(part: AttentionComparison) -> str:
    """Return where the largest difference of single weights is, as in ``layer 3, head 1, plot to film``."""
    layer, head, row, key = part.largest_cell()
    axes = [
        f"{name} {indices if isinstance(indices, str) else indices[position]}"
        for name, indices, position in (("layer", part.first.layers, layer), ("head", part.first.heads, head))
    ]
    return f"{', '.join(axes)}, {unit_labels(part.rows)[row]} to {unit_labels(part.keys)[key]}"


def largest_cell_change(part: AttentionComparison) -> Change | None:
    """Return the largest difference of a single head; ``None`` where only one matrix is compared."""
    layer, head, row, key = part.largest_cell()
    if part.largest.size < 2 or not part.change:
        return None
    first, second = (float(part.weights(side, layer, head)[row, key]) for side in (0, 1))
    return _cell_change(part, f"{largest_cell_name(part)} (largest of one head)", first, second)


def omitted_parts(comparison: Comparison) -> int:
    """Return the number of attributions and maps that exceed the maximum of a page."""
    return sum(max(0, len(parts) - MAX_PARTS) for parts in (comparison.attributions, comparison.attention))


def provenance_pairs(comparison: Comparison) -> Iterator[tuple[str, str, str]]:
    """Yield the provenance of both reports: name, first value, second value."""
    first, second = (dict(provenance_rows(report)) for report in (comparison.first, comparison.second))
    for name in dict.fromkeys([*first, *second]):
        yield name, first.get(name, "–"), second.get(name, "–")


def attribution_title(part: AttributionComparison) -> str:
    """Return the target of both attributions, as in ``Saliency: logit of positive``."""
    return f"Saliency: {_joined([explained_name(part.first), explained_name(part.second)])}"


def attribution_methods(part: AttributionComparison) -> str:
    """Return the methods of both attributions."""
    return _joined([method_name(part.first), method_name(part.second)])


def measure_sentence(part: AttributionComparison) -> str:
    """Return what is compared, and why it is not the raw scores."""
    reasons = "; ".join(printable(reason, 160) for reason in part.reasons)
    text = f"{_MEASURES[part.measure]}{f': {reasons}' if reasons else ''}"
    if part.measure != "score" or not part.change:
        return text
    return f"{text}; the largest change of a share is {format_number(100 * part.change)} points"


def agreement_text(part: AttributionComparison, row: int = 0) -> str:
    """Return the agreement of the rankings: rank correlation and overlap of the top tokens."""
    texts = []
    if (correlation := part.rank_correlations[row]) is not None:
        texts.append(f"rank correlation {correlation:.2f}".replace("-", "−"))
    if (overlap := part.top_overlaps[row]) is not None:
        count = part.top_counts[row]
        if count == 1:
            texts.append("same top token" if overlap else "different top token")
        else:
            texts.append(f"{round(overlap * count)} of the top {count} tokens shared")
    return " · ".join(texts) or "too few common tokens for a rank correlation"


def difference_title(part: AttentionComparison) -> str:
    """Return the title of the differences of a map."""
    return f"Difference in {attention_title(part.first).lower()}"


def format_value(part: AttributionComparison, value: float) -> str:
    """Return a compared value: a share in percent, a score as a number."""
    return format_number(value) if part.measure == "score" else format_percent(value)


def format_difference(part: AttributionComparison, value: float) -> str:
    """Return a difference of compared values with its sign; of shares in percentage points."""
    return with_sign(format_number(value), value) if part.measure == "score" else format_points(value)


def with_sign(text: str, value: float) -> str:
    """Return a formatted value with a plus sign if it is positive."""
    return f"+{text}" if value > 0 else text


def format_points(value: float) -> str:
    """Return a difference of shares in percentage points, with its sign.

    >>> format_points(0.05), format_points(-0.2)
    ('+5.0', '−20.0')
    """
    text = f"{100 * value:+.1f}".replace("-", "−")
    return "0" if not value else "≈ 0" if text[1:] == "0.0" else text


def unit_labels(alignment: Alignment) -> tuple[str, ...]:
    """Return a label of each unit: ``good``; ``good → bad``; ``−very``; ``+very``."""
    first, second = (tokens.labels() for tokens in (alignment.first, alignment.second))
    labels = []
    for kind, (i, j) in zip(alignment.kinds(), alignment.pairs, strict=True):
        if kind == "same":
            labels.append(printable(second[j], 30))
        elif kind == "replaced":
            labels.append(f"{printable(first[i], 20)} → {printable(second[j], 20)}")
        else:
            labels.append(MARKS[kind] + printable(first[i] if i >= 0 else second[j], 30))
    return tuple(labels)


def short_unit_labels(alignment: Alignment) -> tuple[str, ...]:
    """Return a one-word label of each unit: ``good``; ``~bad`` for a replacement; ``−very``; ``+very``.

    Two words with an arrow between them would swap places in a right-to-left script.
    """
    first, second = (tokens.labels() for tokens in (alignment.first, alignment.second))
    return tuple(
        MARKS[kind] + printable(second[j] if j >= 0 else first[i], 12)
        for kind, (i, j) in zip(alignment.kinds(), alignment.pairs, strict=True)
    )


def score_changes(part: AttributionComparison, row: int = 0) -> list[Change]:
    """Return the change of each unit's score, in reading order."""
    values = [part.values(side)[row] for side in (0, 1)]
    valid = [part.valid(side)[row] for side in (0, 1)]
    changes = []
    for unit, label in enumerate(unit_labels(part.alignment)):
        size = float(part.differences[row, unit])
        first, second = (
            format_value(part, float(side_values[unit])) if side_valid[unit] else "–"
            for side_values, side_valid in zip(values, valid, strict=True)
        )
        difference = format_difference(part, size) if part.compared[row, unit] else "–"
        changes.append(Change(label=label, first=first, second=second, difference=difference, size=size))
    return changes


def output_changes(outputs: Sequence[ValuePair]) -> Iterator[Change]:
    """Yield the change of each class, or of each generated span of text."""
    for pair in outputs:
        first_name, second_name = (
            None if name is None else printable(name, 40) for name in (pair.first_name, pair.second_name)
        )
        if first_name is None or second_name is None:
            mark = MARKS["first only"] if second_name is None else MARKS["second only"]
            label = mark + (second_name or first_name or "")
        else:
            is_replaced = first_name and second_name and first_name != second_name
            label = f"{first_name} → {second_name}" if is_replaced else second_name or first_name
        is_share = pair.quantity == "probability"
        first, second = (
            "–" if value is None else format_percent(value) if is_share else format_number(value)
            for value in (pair.first, pair.second)
        )
        size = pair.difference or 0.0
        difference = format_points(size) if is_share else with_sign(format_number(size), size)
        yield Change(
            label=label.strip(" ") or label,
            first=first,
            second=second,
            difference="–" if pair.difference is None else difference,
            size=size,
        )


def largest_cells(differences: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Return the rows and keys of the largest nonzero differences.

    >>> largest_cells(np.array([[0.0, -3.0], [2.0, 0.0]]), 3)
    [(0, 1), (1, 0)]
    """
    sizes = np.abs(differences).ravel()
    kept = min(count, sizes.size)  # the matrix of a long text is only partially sorted
    least = np.partition(sizes, sizes.size - kept)[sizes.size - kept :].min(initial=np.inf)
    cells = np.flatnonzero((sizes >= least) & (sizes > 0))
    largest = cells[np.argsort(-sizes[cells], kind="stable")][:count]
    return [divmod(int(cell), differences.shape[1]) for cell in largest]


def mean_weights(part: AttentionComparison) -> list[np.ndarray]:
    """Return the mean over layers and heads of both maps, over the units."""
    return [
        part.rows.to_units(part.keys.to_units(attention.matrix(), side), side, axis=-2)
        for side, attention in enumerate((part.first, part.second))
    ]


def cell_changes(part: AttentionComparison, count: int) -> list[Change]:
    """Return the cells with the largest differences of the mean over layers and heads."""
    differences, (first, second) = part.mean_differences(), mean_weights(part)
    rows, keys = unit_labels(part.rows), unit_labels(part.keys)
    return [
        _cell_change(part, f"{rows[row]} to {keys[key]}", float(first[row, key]), float(second[row, key]))
        for row, key in largest_cells(differences, count)
    ]


def _cell_change(part: AttentionComparison, label: str, first: float, second: float) -> Change:
    """Return the change of a cell, in percent if its weights are shares of a row."""
    size = second - first
    show = format_percent if part.has_shares else format_number
    difference = format_points(size) if part.has_shares else with_sign(format_number(size), size)
    return Change(label=label, first=show(first), second=show(second), difference=difference, size=size)


def evaluation_changes(comparison: Comparison) -> Iterator[tuple[str, str, str, str]]:
    """Yield each metric with both values and verdicts, and the range of normalized metrics once."""
    seen = set()
    for pair in comparison.evaluations:
        sides = (pair.first, pair.second)
        metric = next(evaluation_name(side) for side in sides if side is not None)
        verdicts = ["–" if side is None else printable(side.verdict or "–", 200) for side in sides]
        values = ["–" if side is None else evaluation_value(side) for side in sides]
        yield printable(metric, 60), values[0], values[1], _joined(verdicts)
        limits = tuple(side and side.limits for side in sides)
        condition = next(evaluation_condition(side) for side in sides if side is not None)
        if any(limits) and (limits, condition) not in seen:
            seen.add((limits, condition))
            ranges = [limits_range(side_limits) for side_limits in limits]
            sources = [limits_source(side_limits) for side_limits in limits]
            yield printable(f"possible range · {condition}", 60), ranges[0], ranges[1], _joined(sources)


def _joined(texts: Sequence[str]) -> str:
    return texts[0] if texts[0] == texts[1] else f"{texts[0]} → {texts[1]}"
