"""The answer that a report explains: what stands at the top of every output."""

from dataclasses import dataclass

import numpy as np

from model_understanding.results import Generation, Prediction, Report
from model_understanding.show.shared.words import (
    continuation_facts,
    format_number,
    format_percent,
    model_name,
    printable,
    report_headline,
)
from model_understanding.tokens import Tokens, visible_text

MAX_CLASSES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassValue:
    """A class, or an output of a regression, with its value.

    Args:
        label: Its name.
        value: Its probability, or the predicted value of a regression, as text.
        logit: Its logit as text; empty for a regression.
        share: Its probability; ``None`` for a regression.
        predicted: Whether it is what the model answers.
    """

    label: str
    value: str
    logit: str
    share: float | None
    predicted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerView:
    """What the model was given and what it answered.

    Args:
        headline: The answer in one line: ``positive 97.6 %``, ``“Paris.”``.
        title: What is shown large: a label, or what the model wrote.
        value: The probability of the label as text; empty if there is none.
        facts: The length of a generated text and how it ended; empty for a classifier.
        texts: What the model was given: the text, a pair, or the prompt, without special tokens.
        is_text: Whether ``title`` is a text that the model wrote.
        classes: The classes with the highest logits, highest first; empty for a language model.
        omitted: Number of classes that are not listed.
        model: Name of the model, empty if it is not known.
    """

    headline: str
    title: str
    value: str
    facts: str
    texts: tuple[str, ...]
    is_text: bool
    classes: tuple[ClassValue, ...]
    omitted: int
    model: str

    def others(self, count: int) -> tuple[ClassValue, ...]:
        """Return the first of the classes that the model did not answer.

        Args:
            count: Maximum number of classes.
        """
        return tuple(entry for entry in self.classes if not entry.predicted)[:count]


def answer_view(report: Report) -> AnswerView:
    """Return the answer of a report.

    Args:
        report: The report; one without an answer gives the name of what it has.
    """
    headline, model = report_headline(report), model_name(report.provenance)
    if report.prediction is not None:
        return _of_prediction(report.prediction, headline, model)
    if report.generation is not None:
        return _of_generation(report.generation, headline, model)
    return _of_part(report, headline, model)


def _of_prediction(prediction: Prediction, headline: str, model: str) -> AnswerView:
    is_single = prediction.problem == "single_label" and prediction.probability is not None
    order = np.argsort(-prediction.logits, kind="stable")[:MAX_CLASSES]
    return AnswerView(
        headline=headline,
        title=printable(prediction.label, 60) if is_single else headline,
        value=format_percent(prediction.probability) if is_single and prediction.probability else "",
        facts="",
        texts=tuple(map(shown_lines, prediction.tokens.texts)),
        is_text=False,
        classes=tuple(_class_value(prediction, int(index)) for index in order),
        omitted=len(prediction.labels) - len(order),
        model=model,
    )


def _of_part(report: Report, headline: str, model: str) -> AnswerView:
    """Return what stands above a result that was computed without the model's answer."""
    return AnswerView(
        headline=headline,
        title=headline,
        value="",
        facts="",
        texts=tuple(map(shown_lines, report.texts)),
        is_text=False,
        classes=(),
        omitted=0,
        model=model,
    )


def _class_value(prediction: Prediction, index: int) -> ClassValue:
    label, logit = printable(prediction.labels[index], 60), format_number(float(prediction.logits[index]))
    if prediction.probabilities is None:
        return ClassValue(label=label, value=logit, logit="", share=None, predicted=True)
    share = float(prediction.probabilities[index])
    is_predicted = share >= 0.5 if prediction.problem == "multi_label" else index == prediction.index
    return ClassValue(
        label=label, value=format_percent(share), logit=logit, share=share, predicted=is_predicted
    )


def _of_generation(generation: Generation, headline: str, model: str) -> AnswerView:
    tokens, length = generation.tokens, generation.prompt_length
    written = text_without_special(generation.continuation_tokens()) or "(no text)"
    return AnswerView(
        headline=headline,
        title=written,
        value="",
        facts=continuation_facts(generation),
        texts=(text_without_special(tokens.select(range(length))),),
        is_text=True,
        classes=(),
        omitted=0,
        model=model,
    )


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
