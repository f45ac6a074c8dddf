"""What every output shows of a comparison: both answers, what changed in the text, why, and the numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model_understanding.comparison import Comparison, ValuePair
from model_understanding.comparison.alignment import match_tokens
from model_understanding.results import Report
from model_understanding.show.shared.headline import continuation_facts, report_headline
from model_understanding.show.shared.words import (
    cautions_of,
    evaluation_condition,
    evaluation_name,
    evaluation_value,
    format_number,
    format_percent,
    limits_range,
    limits_source,
    model_name,
    printable,
    provenance_rows,
)
from model_understanding.show.views.answers import answer_view
from model_understanding.show.views.compared_attention import (
    Cell,
    cell_change,
    cell_words,
    largest_cell,
    shown_maps,
)
from model_understanding.show.views.compared_scores import ScoresView, main_scores
from model_understanding.show.views.compared_words import Change, joined_once, points, unit_labels, with_sign
from model_understanding.tokens import Tokens

MAX_PARTS = 12
"""Attributions, and attention maps, on a page."""
_SMALLEST = 0.0005  # change of a share that is not 0.0 points
_MAX_WRITTEN = 400  # characters of a generated text in a headline
NOTES = (
    "Differences are second minus first: blue is higher in the second report, orange is lower. The "
    "full color is the largest score of the two texts; differences below 2 % of it count as none and have no "
    "color.",
    "Texts are aligned by their words, and words that two tokenizers split differently are joined. A word "
    "that is only in one text counts with its whole score.",
    "Rank correlation and top-word overlap are computed over words that are the same in both texts, special "
    "tokens excluded.",
    "A difference does not mean that one of the explanations is wrong, and what changed together with the "
    "answer need not be its cause.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one report explains.

    Args:
        name: Name of the report.
        title: The label, or what the model wrote.
        value: The probability of the label, or the number of generated tokens.
        is_text: Whether ``title`` is a text that the model wrote.
        model: Name of the model, empty if it is not known.
    """

    name: str
    title: str
    value: str
    is_text: bool
    model: str

    @property
    def words(self) -> str:
        """The answer in one line."""
        return f"“{self.title}”" if self.is_text else f"{self.title} {self.value}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestChange:
    """The number that ``Comparison.change`` is, in words, and where an output shows it.

    Args:
        kind: What changed most: a token's ``share``, an ``output``, or a weight of ``attention``.
        words: What it is, as in ``attention from “is” to “[CLS]”, layer 4, head 7``.
        first: The first value.
        second: The second value.
        difference: The difference.
        part: Index among the attributions, the outputs, or the maps that are shown.
        row: Index of the target.
        unit: Index of the token.
        cell: The layer, head, row and key.
    """

    kind: Literal["share", "output", "attention"]
    words: str
    first: str
    second: str
    difference: str
    part: int
    row: int = 0
    unit: int = -1
    cell: Cell | None = None

    @property
    def sentence(self) -> str:
        """The change in one line."""
        if "–" in (self.first, self.second):
            return f"Largest single change: {self.words}: {self.first if self.second == '–' else self.second}"
        return f"Largest single change: {self.words}: from {self.first} to {self.second} ({self.difference})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonView:
    """What the outputs show of a comparison, in their order.

    Args:
        answers: Both answers.
        inputs: What changed in the text and the model: ``1 word added, none removed · two models``.
        cautions: Warnings of both reports.
        remarks: Other differences, and what could not be compared.
        scores: The main attribution of each compared pair.
        outputs: The change of each class, or of each generated span.
        largest: The largest single change; ``None`` if nothing changed.
        notes: How to read the comparison.
    """

    answers: tuple[Answer, Answer]
    inputs: str
    cautions: tuple[str, ...]
    remarks: tuple[str, ...]
    scores: tuple[ScoresView, ...]
    outputs: tuple[Change, ...]
    largest: LargestChange | None
    notes: tuple[str, ...] = NOTES

    @property
    def headline(self) -> str:
        """Both answers in one line."""
        return "  →  ".join(answer.words for answer in self.answers)


def comparison_view(comparison: Comparison) -> ComparisonView:
    """Return what every output shows of a comparison.

    Args:
        comparison: The comparison.
    """
    sides = [
        side
        for part in (*comparison.attributions, *comparison.attention)
        for side in (part.first, part.second)
    ]
    first, second = (
        _answer(report, name)
        for report, name in zip((comparison.first, comparison.second), comparison.names, strict=True)
    )
    return ComparisonView(
        answers=(first, second),
        inputs=_inputs(comparison),
        cautions=cautions_of(comparison.first, comparison.second, *sides),
        remarks=tuple(printable(remark, 400) for remark in (*comparison.notes, *comparison.left_out)),
        scores=tuple(main_scores(part, comparison) for part in comparison.attributions[:MAX_PARTS]),
        outputs=tuple(_output_changes(comparison.outputs)),
        largest=_largest_change(comparison),
    )


def omitted_parts(comparison: Comparison) -> int:
    """Return the number of attributions and maps that exceed the maximum of a page."""
    return sum(max(0, len(parts) - MAX_PARTS) for parts in (comparison.attributions, shown_maps(comparison)))


def provenance_pairs(comparison: Comparison) -> Iterator[tuple[str, str, str]]:
    """Yield the provenance of both reports: name, first value, second value."""
    first, second = (
        dict(provenance_rows(report.provenance)) for report in (comparison.first, comparison.second)
    )
    for name in dict.fromkeys([*first, *second]):
        yield name, first.get(name, "–"), second.get(name, "–")


def evaluation_changes(comparison: Comparison) -> Iterator[tuple[str, str, str, str]]:
    """Yield each metric with both values and verdicts, and the range of normalized metrics once."""
    seen = set()
    names = [
        {evaluation_name(side) for side in (pair.first, pair.second) if side is not None}
        for pair in comparison.evaluations
    ]
    for pair, own in zip(comparison.evaluations, names, strict=True):
        sides = (pair.first, pair.second)
        metric = next(evaluation_name(side) for side in sides if side is not None)
        if sum(own == other for other in names) > 1:  # of several entities, answers or documents
            targets = [side.target for side in sides if side is not None]
            metric = f"{metric} · {' → '.join(dict.fromkeys(targets))}"
        verdicts = ["–" if side is None else printable(side.verdict or "–", 200) for side in sides]
        values = ["–" if side is None else evaluation_value(side) for side in sides]
        yield printable(metric, 100), values[0], values[1], joined_once(verdicts)
        limits = tuple(side and side.limits for side in sides)
        condition = next(evaluation_condition(side) for side in sides if side is not None)
        if any(limits) and (limits, condition) not in seen:
            seen.add((limits, condition))
            ranges = [limits_range(side_limits) for side_limits in limits]
            sources = [limits_source(side_limits) for side_limits in limits]
            yield printable(f"possible range · {condition}", 60), ranges[0], ranges[1], joined_once(sources)


def _answer(report: Report, name: str) -> Answer:
    generation, prediction = report.generation, report.prediction
    title, value = report_headline(report), ""
    if generation is not None:
        title = " ".join(printable(generation.text.strip(), _MAX_WRITTEN).split())
        value = continuation_facts(generation)
    elif report.answer is not None:
        shown = answer_view(report)
        title, value = shown.title, shown.value
    elif (
        prediction is not None and prediction.problem == "single_label" and prediction.probability is not None
    ):
        title, value = printable(prediction.label, 60), format_percent(prediction.probability)
    return Answer(
        name=printable(name, 60),
        title=title or "(no text)",
        value=value,
        is_text=generation is not None,
        model=model_name(report.provenance),
    )


def _inputs(comparison: Comparison) -> str:
    """Return in words how the texts, or the prompts, and the models differ."""
    sides = []
    for report in (comparison.first, comparison.second):
        answer = report.prediction or report.generation or report.answer
        assert answer is not None
        tokens = answer.tokens
        if report.generation is not None:
            tokens = tokens.select(range(report.generation.prompt_length))
        sides.append(tokens.fold(tokens.groups("word")))
    # Blanks that one tokenizer makes tokens of are no words.
    first, second = (tokens.select([*_worded(tokens)]) for tokens in sides)
    alignment = match_tokens(first, second).alignment(first, second)
    kinds = np.array(alignment.kinds())[~alignment.special]
    replaced, removed, added = (
        int((kinds == kind).sum()) for kind in ("replaced", "first only", "second only")
    )
    is_source = comparison.first.provenance.task == "seq2seq-lm"
    text = "source" if is_source else "prompt" if comparison.first.generation is not None else "text"
    counts = {"replaced": replaced, "added": added, "removed": removed}
    named = [(name, count) for name, count in counts.items() if count]
    if not named:
        words = f"same {text}"
    else:
        (name, count), *others = named
        words = ", ".join(
            [f"{count} word{'s' if count > 1 else ''} {name}", *(f"{n} {name}" for name, n in others)]
        )
        if not replaced and not others:
            words += f", none {'added' if removed else 'removed'}"
    models = [report.provenance.model for report in (comparison.first, comparison.second)]
    # Models of one name may still differ, as two checkpoints in memory do: nothing is said of them.
    return words if "unknown" in models or models[0] == models[1] else f"{words} · two models"


def _worded(tokens: Tokens) -> Iterator[int]:
    """Yield the positions of tokens that are not just blanks."""
    return (index for index, text in enumerate(tokens.surfaces()) if text.strip())


def _output_changes(outputs: Sequence[ValuePair]) -> Iterator[Change]:
    """Yield the change of each class, or of each generated span of text."""
    for pair in outputs:
        first_name, second_name = (
            None if name is None else printable(name, 40) for name in (pair.first_name, pair.second_name)
        )
        if first_name is None or second_name is None:
            name = (second_name or first_name or "").strip(" ")
            label = f"“{name}” only in the {'first' if second_name is None else 'second'}"
        else:
            is_replaced = first_name and second_name and first_name != second_name
            label = f"{first_name} → {second_name}" if is_replaced else second_name or first_name
        is_share = pair.quantity == "probability"
        first, second = (
            "–" if value is None else format_percent(value) if is_share else format_number(value)
            for value in (pair.first, pair.second)
        )
        size = pair.difference or 0.0
        difference = points(size) if is_share else with_sign(format_number(size), size)
        yield Change(
            label=label.strip(" ") or label,
            first=first,
            second=second,
            difference="–" if pair.difference is None else difference,
            size=size,
        )


def _largest_change(comparison: Comparison) -> LargestChange | None:
    """Return what ``change`` of a comparison is."""
    change = comparison.change
    if change < _SMALLEST:
        return None
    for index, output in enumerate(comparison.outputs):
        if output.change == change:
            (formatted,) = _output_changes([output])
            name = "probability" if output.quantity == "probability" else "value"
            is_text = " " in formatted.label and "“" not in formatted.label
            label = f"“{formatted.label}”" if is_text else formatted.label
            return LargestChange(
                kind="output",
                words=f"{name} of {label}",
                first=formatted.first,
                second=formatted.second,
                difference=f"{formatted.difference}{' points' if name == 'probability' else ''}",
                part=index,
            )
    maps = shown_maps(comparison)
    for index, part in enumerate(comparison.attributions):
        if part.change == change:
            row, unit = part.largest_share()
            first, second = (float(part.shares(side)[row, unit]) for side in (0, 1))
            return LargestChange(
                kind="share",
                words=f"share of “{unit_labels(part.alignment)[unit]}” in the scores",
                first=format_percent(first),
                second=format_percent(second),
                difference=f"{points(second - first)} points",
                part=index,
                row=row,
                unit=unit,
            )
    for index, part in enumerate(maps):
        if part.has_shares and part.change == change:
            cell = largest_cell(part)
            formatted = cell_change(part, cell)
            return LargestChange(
                kind="attention",
                words=f"attention from {cell_words(part, cell, quoted=True)}",
                first=formatted.first,
                second=formatted.second,
                difference=f"{formatted.difference} points",
                part=index,
                cell=cell,
            )
    return None
