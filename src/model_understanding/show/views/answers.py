"""The answer of each kind of model in the form that every output shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from model_understanding.results import (
    AnswerSpan,
    Attribution,
    Choices,
    Generation,
    MaskFilling,
    Prediction,
    Report,
    SpanAnswer,
    Tagging,
    Target,
)
from model_understanding.show.shared.headline import (
    NO_ANSWER,
    choice_value,
    continuation_facts,
    report_headline,
)
from model_understanding.show.shared.tasks import sides_of
from model_understanding.show.shared.words import (
    format_number,
    format_percent,
    model_name,
    ordinal,
    printable,
)
from model_understanding.show.views.answer import AnswerRow, AnswerView, Mark, MarkedText
from model_understanding.show.views.questions import choice_of
from model_understanding.show.views.reading import map_spans
from model_understanding.tokens import Tokens, visible_text

MAX_CLASSES = 12
MAX_ROWS = 200
"""Entities, and tokens of all masks, that are listed."""
_PER_MASK = 5  # tokens that are listed for each of several masks
_NAMES = {"choice": "choice", "label": "label", "document": "document"}
_AROUND = 160  # characters around the marks of a long text
_LONG = 700  # characters of a text above which only what stands around its marks is shown


def answer_view(report: Report) -> AnswerView:
    """Return the answer of a report.

    Args:
        report: The report; one without an answer gives the name of what it has.
    """
    match report.prediction or report.generation or report.answer:
        case Prediction() as prediction:
            return _of_prediction(report, prediction)
        case Generation() as generation:
            return _of_generation(report, generation)
        case Tagging() as tagging:
            return _of_tagging(report, tagging)
        case SpanAnswer() as answer:
            return _of_spans(report, answer)
        case MaskFilling() as filling:
            return _of_masks(report, filling)
        case Choices() as choices:
            return _of_choices(report, choices)
        case _:
            headline = report_headline(report)
            return AnswerView(
                headline=headline,
                title=headline,
                texts=_shown_texts(report),
                model=model_name(report.provenance),
            )


def _of_prediction(report: Report, prediction: Prediction) -> AnswerView:
    headline = report_headline(report)
    is_single = prediction.problem == "single_label" and prediction.probability is not None
    order = np.argsort(-prediction.logits, kind="stable")[:MAX_CLASSES]
    return AnswerView(
        headline=headline,
        title=printable(prediction.label, 60) if is_single else headline,
        value=format_percent(prediction.probability) if is_single and prediction.probability else "",
        texts=_shown_texts(report),
        rows=tuple(_class_row(prediction, int(index)) for index in order),
        omitted=len(prediction.labels) - len(order),
        model=model_name(report.provenance),
    )


def _class_row(prediction: Prediction, index: int) -> AnswerRow:
    label, logit = printable(prediction.labels[index], 60), format_number(float(prediction.logits[index]))
    if prediction.probabilities is None:
        return AnswerRow(label=label, value=logit, predicted=True)
    share = float(prediction.probabilities[index])
    is_predicted = share >= 0.5 if prediction.problem == "multi_label" else index == prediction.index
    return AnswerRow(
        label=label, value=format_percent(share), logit=logit, share=share, predicted=is_predicted
    )


def _of_generation(report: Report, generation: Generation) -> AnswerView:
    tokens, length = generation.tokens, generation.prompt_length
    return AnswerView(
        headline=report_headline(report),
        title=text_without_special(generation.continuation_tokens()) or "(no text)",
        facts=continuation_facts(generation),
        texts=(text_without_special(tokens.select(range(length))),),
        is_text=True,
        model=model_name(report.provenance),
    )


def _of_tagging(report: Report, tagging: Tagging) -> AnswerView:
    """Return the text with its entities; each opens the map of its label."""
    headline = report_headline(report)
    marks, rows = [], []
    readings = {
        (entry.target.positions, entry.target.indices): entry.reading for entry in reversed(_maps(report))
    }
    candidates = () if tagging.entities or tagging.candidate is None else (tagging.candidate,)
    for entity in (*tagging.entities, *candidates):
        reading = readings.get((entity.tokens, entity.indices), -1)
        label, value = printable(entity.label, 40), format_percent(entity.probability)
        marks.append(Mark(first=entity.first, last=entity.last, label=label, value=value, reading=reading))
        rows.append(
            AnswerRow(
                label=_named(entity.text),
                tag=label,
                value=value,
                share=entity.probability,
                predicted=bool(tagging.entities),
                reading=reading,
            )
        )
    return AnswerView(
        headline=headline,
        title=headline,
        facts="No entities. The label that comes closest to one:" if candidates else "",
        texts=_shown_texts(report),
        rows=tuple(rows[:MAX_ROWS]),
        omitted=max(0, len(rows) - MAX_ROWS),
        columns=("entity", "label", "probability"),
        marks=tuple(marks),
        marked=marked_texts(tagging.tokens, marks, sides_of(report)),
        model=model_name(report.provenance),
    )


def _of_spans(report: Report, answer: SpanAnswer) -> AnswerView:
    """Return the best span of the context, with the next best ones and "no answer"."""
    best, others = answer.best, sorted((*answer.spans[1:], answer.no_answer), key=lambda span: -span.logit)
    maps = _maps(report)

    def reading(span: AnswerSpan) -> int:
        return _reading_of(maps, lambda _, target: target.indices == (span.first, span.last))

    def row(span: AnswerSpan) -> AnswerRow:
        return AnswerRow(
            label=NO_ANSWER if span is answer.no_answer else _named(span.text),
            value=format_percent(span.probability),
            logit=format_number(span.logit),
            share=span.probability,
            predicted=span is best,
            reading=reading(span),
        )

    marks = [
        Mark(
            first=span.first,
            last=span.last,
            label="answer" if span is best else ordinal(place),
            value=format_percent(span.probability),
            reading=reading(span),
        )
        for place, span in enumerate(answer.spans, 1)
    ]
    return AnswerView(
        headline=report_headline(report),
        title=_named(best.text),
        value=format_percent(best.probability),
        facts="" if answer.is_answered else "The model scores “no answer” higher than any span.",
        texts=_shown_texts(report),
        rows=tuple(map(row, (best, *others))),
        columns=("answer", "", "probability"),
        marks=tuple(marks),
        marked=marked_texts(answer.tokens, marks, sides_of(report)),
        model=model_name(report.provenance),
    )


def _of_masks(report: Report, filling: MaskFilling) -> AnswerView:
    """Return the likeliest tokens at each mask; each opens its map, if the report has it."""
    marks, rows = [], []
    readings = {
        (entry.target.positions, entry.target.indices): entry.reading for entry in reversed(_maps(report))
    }
    several = len(filling.positions) > 1
    for mask, position in enumerate(filling.positions.tolist()):
        entries = zip(
            filling.top_ids[mask].tolist(),
            filling.top_labels[mask],
            filling.top_probabilities[mask].tolist(),
            strict=True,
        )
        listed = [
            AnswerRow(
                label=_token_label(label),
                value=format_percent(share),
                share=share,
                predicted=place == 0,
                group=f"mask {mask + 1}" if several else "",
                reading=readings.get(((position,), (token,)), -1),
            )
            for place, (token, label, share) in enumerate(entries)
            if place < (_PER_MASK if several else MAX_ROWS)
        ]
        rows += listed
        for top in listed[:1]:
            marks.append(
                Mark(first=position, last=position, label=top.label, value=top.value, reading=top.reading)
            )
    first = rows[0] if rows and not several else None
    headline = report_headline(report)
    return AnswerView(
        headline=headline,
        title=first.label if first else headline,
        value=first.value if first else "",
        texts=_shown_texts(report),
        rows=tuple(rows[:MAX_ROWS]),
        omitted=max(0, len(rows) - MAX_ROWS),
        columns=("token", "", "probability"),
        marks=tuple(marks),
        marked=marked_texts(filling.tokens, marks, sides_of(report)),
        model=model_name(report.provenance),
    )


def _of_choices(report: Report, choices: Choices) -> AnswerView:
    """Return the choices, the best first; each opens the map of the text that was read with it."""
    maps = _maps(report)
    named = {entry.reading: choice_of(report, choices, entry.attribution) for entry in maps}
    quantity = "probability" if choices.probabilities is not None else printable(choices.quantity, 30)
    rows = tuple(
        AnswerRow(
            label=_named(choices.names[index]),
            value=choice_value(choices, index),
            logit=format_number(float(choices.values[index])) if choices.probabilities is not None else "",
            share=_choice_share(choices, index),
            predicted=_is_chosen(choices, index),
            reading=next((entry.reading for entry in maps if named[entry.reading] == index), -1),
        )
        for index in choices.ranking
    )
    return AnswerView(
        headline=report_headline(report),
        title=rows[0].label if rows else report_headline(report),
        value=rows[0].value if rows else "",
        texts=(shown_lines(choices.question),) if choices.question else (),
        rows=rows[:MAX_ROWS],
        omitted=max(0, len(rows) - MAX_ROWS),
        columns=(_NAMES.get(choices.kind, "choice"), "", quantity),
        opens=max(rows[0].reading, 0) if rows else 0,
        model=model_name(report.provenance),
    )


def _is_chosen(choices: Choices, index: int) -> bool:
    """Return whether a choice is the model's answer; of labels by themselves, whether it reaches 50 %."""
    if choices.multi_label and choices.probabilities is not None:
        return bool(choices.probabilities[index] >= 0.5)
    return index == choices.index


def _choice_share(choices: Choices, index: int) -> float | None:
    """Return the length of a choice's bar: its probability, or a cosine; a logit has no full length."""
    if choices.probabilities is not None:
        return float(choices.probabilities[index])
    return min(max(float(choices.values[index]), 0.0), 1.0) if "cosine" in choices.quantity else None


@dataclass(frozen=True, slots=True)
class _Map:
    """A map of one target: its index among the readings of its report."""

    reading: int
    attribution: Attribution
    target: Target


def _maps(report: Report) -> list[_Map]:
    """Return the maps of single targets, those that are not against something else first."""
    maps = [
        _Map(
            reading,
            report.attributions[span.attribution],
            report.attributions[span.attribution].targets[span.first],
        )
        for reading, span in enumerate(map_spans(report))
        if span.attribution < len(report.attributions) and span.first == span.last
    ]
    return sorted(maps, key=lambda entry: bool(entry.target.against))


def _reading_of(maps: Sequence[_Map], explains: Callable[[Attribution, Target], bool]) -> int:
    """Return the index of the first map that explains something, −1 if there is none."""
    return next((entry.reading for entry in maps if explains(entry.attribution, entry.target)), -1)


def marked_texts(tokens: Tokens, marks: Sequence[Mark], sides: Sequence[str] = ()) -> tuple[MarkedText, ...]:
    """Return the texts of some tokens, cut where marks begin and end.

    Args:
        tokens: The tokens.
        marks: Neighboring tokens of one text each, which do not overlap.
        sides: What each text is called.
    """
    found = []
    for segment, text in enumerate(tokens.texts):
        spans = sorted(
            (int(tokens.offsets[mark.first, 0]), int(tokens.offsets[mark.last, 1]), index)
            for index, mark in enumerate(marks)
            if tokens.segments[mark.first] == segment
        )
        parts: list[tuple[str, int]] = []
        end = 0
        for start, stop, index in spans:
            if start < end or stop <= start:
                continue  # overlaps one before, or has no place in the text
            parts += [(text[end:start], -1), (text[start:stop], index)]
            end = stop
        parts.append((text[end:], -1))
        found.append(
            MarkedText(
                side=sides[segment] if segment < len(sides) else "",
                parts=tuple((shown_lines(part), mark) for part, mark in _near_marks(text, parts) if part),
            )
        )
    return tuple(found)


def _near_marks(text: str, parts: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return the parts of a text, of a long one only what stands around its marks."""
    if len(text) <= _LONG:
        return list(parts)
    shown = []
    for index, (part, mark) in enumerate(parts):
        head = _AROUND if index else 0
        tail = _AROUND if index + 1 < len(parts) else 0 if index else 2 * _AROUND
        if mark >= 0 or len(part) <= head + tail:
            shown.append((part, mark))
        else:
            shown.append(
                (f"{part[:head]} … {part[len(part) - tail :]}".strip() if tail else f"{part[:head]} …", mark)
            )
    return shown


def _named(text: str) -> str:
    """Return a text of the user's in one line."""
    return printable(" ".join(text.split()) or text, 200)


def _token_label(label: str) -> str:
    return printable(label.strip(" ") or label, 40)


def _shown_texts(report: Report) -> tuple[str, ...]:
    return tuple(map(shown_lines, report.texts))


def text_without_special(tokens: Tokens) -> str:
    """Return the text of tokens without special and chat-template tokens, in lines that can be shown.

    Args:
        tokens: Neighboring tokens.
    """
    parts: list[str] = []
    segment, end = -1, 0
    for token_segment, (start, stop), special in zip(
        tokens.segments.tolist(), tokens.offsets.tolist(), tokens.special.tolist(), strict=True
    ):
        if special or token_segment < 0:
            continue
        is_next = token_segment == segment and start <= end
        if token_segment == segment and not is_next:
            between = tokens.texts[segment][end:start]
            parts.append(between if not between.strip() else "\n")
        begin = max(start, end) if token_segment == segment else start
        parts.append(tokens.texts[token_segment][begin:stop])
        segment, end = token_segment, max(stop, end) if token_segment == segment else stop
    return shown_lines("".join(parts).strip())


def shown_lines(text: str) -> str:
    """Return a text with control characters made visible, its line breaks kept."""
    return "\n".join(visible_text(line) if line.strip(" ") else line for line in text.split("\n"))
