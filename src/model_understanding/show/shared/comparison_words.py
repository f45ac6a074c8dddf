"""What terminal, figure and page say of a comparison: titles, scales, agreement, and labels of units.

Everything returned here is free of control characters and direction overrides.
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
from model_understanding.results import Target
from model_understanding.show.shared.words import (
    answer_words,
    attention_title,
    cautions,
    evaluation_condition,
    evaluation_name,
    evaluation_value,
    limits_range,
    limits_source,
    method_name,
    number,
    percent,
    shown,
    target_name,
    targets_name,
)

_MEASURES = {
    "score": "raw scores",
    "share": "shares of all |score|",
    "size": "sizes of the shares of all |score|",
}
MARKS = {"same": "", "replaced": "~", "first only": "−", "second only": "+"}
READING = (
    "A difference is the second report less the first. It is drawn on one scale around zero: blue where the "
    "second is higher, orange where it is lower.",
    "Tokens are aligned by what the texts say. Tokens that another tokenizer cuts differently are joined; "
    "a token that stands in one text only has no difference.",
    "Rank correlation and the largest tokens in common are counted over tokens that say the same in both "
    "texts, special tokens left aside.",
    "Two explanations that differ are not for that reason wrong: each says what its own method sees.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that both reports have a number for, or one of them.

    Args:
        label: What it is.
        first: The first number in words, ``–`` for none.
        second: The second.
        difference: The difference in words.
        size: The difference.
    """

    label: str
    first: str
    second: str
    difference: str
    size: float


def names(comparison: Comparison) -> tuple[str, str]:
    """Return what the two reports are called."""
    first, second = (shown(name, 60) for name in comparison.names)
    return first, second


def target_label(target: Target) -> str:
    """Return a short label of a target: its token, class or name."""
    words = target.name or ", ".join(label.strip() for label in target.labels) or target.description()
    return shown(words, 28)


def answers(comparison: Comparison) -> tuple[str, str]:
    """Return what the two models answered."""
    return answer_words(comparison.first), answer_words(comparison.second)


def remarks(comparison: Comparison) -> tuple[str, ...]:
    """Return what else differs, and what could not be compared."""
    return tuple(shown(remark, 400) for remark in (*comparison.notes, *comparison.left_out))


def stamps(comparison: Comparison) -> tuple[str, ...]:
    """Return the cautions of both reports."""
    parts = [
        side
        for part in (*comparison.attributions, *comparison.attention)
        for side in (part.first, part.second)
    ]
    return cautions(comparison.first, comparison.second, *parts)


def attribution_title(part: AttributionComparison) -> str:
    """Return what both attributions explain, as ``Saliency: logit of positive``."""
    what = [
        target_name(side.targets[0]) if len(side.targets) == 1 else targets_name(side.targets)
        for side in (part.first, part.second)
    ]
    return f"Saliency: {_both(what)}"


def attribution_methods(part: AttributionComparison) -> str:
    """Return the methods of both."""
    return _both([method_name(part.first), method_name(part.second)])


def measure_words(part: AttributionComparison) -> str:
    """Return what is compared, and why it is not the raw scores."""
    reasons = f", because {'; '.join(shown(reason, 160) for reason in part.reasons)}" if part.reasons else ""
    return f"{_MEASURES[part.measure]} are compared{reasons}"


def agreement_words(part: AttributionComparison, row: int = 0) -> str:
    """Return how far the orders agree, as ``rank correlation 0.93 · 2 of the 3 largest in common``."""
    words = []
    if (correlation := part.rank_correlations[row]) is not None:
        words.append(f"rank correlation {correlation:.2f}".replace("-", "−"))
    if (overlap := part.top_overlaps[row]) is not None:
        count = part.top_counts[row]
        largest = "the largest" if count == 1 else f"{round(overlap * count)} of the {count} largest"
        words.append(f"{largest} in common" if count > 1 or overlap else "another is the largest")
    return " · ".join(words) or "too few tokens in common for a rank correlation"


def attention_words(part: AttentionComparison) -> str:
    """Return which layers and heads are compared."""
    return attention_title(part.first)


def difference_title(part: AttentionComparison) -> str:
    """Return what the picture of a map's differences is called."""
    return f"Difference of {attention_words(part).lower()}"


def value(part: AttributionComparison, amount: float) -> str:
    """Return a value compared in words: a share in percent, a score as a number."""
    return number(amount) if part.measure == "score" else percent(amount)


def signed(words: str, amount: float) -> str:
    """Return words of a number with its sign."""
    return f"+{words}" if amount > 0 else words


def points(amount: float) -> str:
    """Return a difference of shares in percentage points, with its sign.

    >>> points(0.05), points(-0.2)
    ('+5.0', '−20.0')
    """
    words = f"{100 * amount:+.1f}".replace("-", "−")
    return "0" if not amount else "≈ 0" if words[1:] == "0.0" else words


def difference_words(part: AttributionComparison, amount: float) -> str:
    """Return a difference of the values compared, with its sign; of shares in percentage points."""
    return signed(number(amount), amount) if part.measure == "score" else points(amount)


def unit_labels(alignment: Alignment) -> tuple[str, ...]:
    """Return a label of each unit: ``good``; ``good → bad``; ``−very``; ``+very``."""
    first, second = (tokens.labels() for tokens in (alignment.first, alignment.second))
    labels = []
    for kind, (one, other) in zip(alignment.kinds(), alignment.pairs, strict=True):
        if kind == "same":
            labels.append(shown(second[other], 30))
        elif kind == "replaced":
            labels.append(f"{shown(first[one], 20)} → {shown(second[other], 20)}")
        else:
            labels.append(MARKS[kind] + shown(first[one] if one >= 0 else second[other], 30))
    return tuple(labels)


def score_changes(part: AttributionComparison, row: int = 0) -> list[Change]:
    """Return what each unit's score is in both, in reading order."""
    values = [part.values(side)[row] for side in (0, 1)]
    valid = [part.valid(side)[row] for side in (0, 1)]
    changes = []
    for unit, label in enumerate(unit_labels(part.alignment)):
        size = float(part.differences[row, unit])
        words = difference_words(part, size)
        first, second = (
            value(part, float(side[unit])) if held[unit] else "–"
            for side, held in zip(values, valid, strict=True)
        )
        difference = words if part.compared[row, unit] else "–"
        changes.append(Change(label=label, first=first, second=second, difference=difference, size=size))
    return changes


def output_changes(outputs: Sequence[ValuePair]) -> Iterator[Change]:
    """Yield what both models answered: each class, or each generated stretch of text."""
    for pair in outputs:
        first, second = (
            None if name is None else shown(name, 40) for name in (pair.first_name, pair.second_name)
        )
        label = f"{first} → {second}" if first and second and first != second else second or first or ""
        if first is None or second is None:
            label = (MARKS["first only"] if second is None else MARKS["second only"]) + label
        is_share = pair.quantity == "probability"
        words = [
            "–" if held is None else percent(held) if is_share else number(held)
            for held in (pair.first, pair.second)
        ]
        size = pair.difference or 0.0
        difference = points(size) if is_share else signed(number(size), size)
        yield Change(
            label=label.strip(" ") or label,
            first=words[0],
            second=words[1],
            difference="–" if pair.difference is None else difference,
            size=size,
        )


def largest_cells(differences: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Return the row and key of the differences that are largest, none that is zero.

    >>> largest_cells(np.array([[0.0, -3.0], [2.0, 0.0]]), 3)
    [(0, 1), (1, 0)]
    """
    sizes = np.abs(differences).ravel()
    kept = min(count, sizes.size)  # a matrix of a long text is not sorted whole
    least = np.partition(sizes, sizes.size - kept)[sizes.size - kept :].min(initial=np.inf)
    places = np.flatnonzero((sizes >= least) & (sizes > 0))
    order = places[np.argsort(-sizes[places], kind="stable")][:count]
    return [divmod(int(place), differences.shape[1]) for place in order]


def mean_weights(part: AttentionComparison) -> list[np.ndarray]:
    """Return both means over the layers and heads held, over the units."""
    return [
        part.rows.spread(part.keys.spread(side.matrix(), place), place, axis=-2)
        for place, side in enumerate((part.first, part.second))
    ]


def cell_changes(part: AttentionComparison, count: int) -> list[Change]:
    """Return the cells of the mean over the layers and heads held that differ most."""
    differences, sides = part.mean_differences(), mean_weights(part)
    rows, keys = unit_labels(part.rows), unit_labels(part.keys)
    return [
        Change(
            label=f"{rows[row]} to {keys[key]}",
            first=percent(float(sides[0][row, key])),
            second=percent(float(sides[1][row, key])),
            difference=points(float(differences[row, key])),
            size=float(differences[row, key]),
        )
        for row, key in largest_cells(differences, count)
    ]


def evaluation_changes(comparison: Comparison) -> Iterator[tuple[str, str, str, str]]:
    """Yield each metric with both values and the verdicts; and once what normalized ones lie between."""
    told = set()
    for pair in comparison.evaluations:
        sides = (pair.first, pair.second)
        metric = next(evaluation_name(side) for side in sides if side is not None)
        verdicts = ["–" if side is None else shown(side.verdict or "–", 200) for side in sides]
        values = ["–" if side is None else evaluation_value(side) for side in sides]
        yield shown(metric, 60), values[0], values[1], _both(verdicts)
        limits = tuple(side and side.limits for side in sides)
        condition = next(evaluation_condition(side) for side in sides if side is not None)
        if any(limits) and (limits, condition) not in told:
            told.add((limits, condition))
            words = [limits_range(one) for one in limits]
            how = [limits_source(one) for one in limits]
            yield shown(f"its limits · {condition}", 60), words[0], words[1], _both(how)


def change_words(comparison: Comparison) -> str:
    """Return the largest change of all, as ``Largest change: 0.25``."""
    return f"Largest change of a share, probability or weight: {number(comparison.change)}"


def _both(words: Sequence[str]) -> str:
    return words[0] if words[0] == words[1] else f"{words[0]} → {words[1]}"
