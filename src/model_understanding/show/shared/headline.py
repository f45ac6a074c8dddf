"""The answer of a report in one line."""

from model_understanding.results import (
    Choices,
    Generation,
    MaskFilling,
    Prediction,
    Report,
    SpanAnswer,
    Tagging,
    TokenLinks,
)
from model_understanding.results.report import Answer
from model_understanding.show.shared.words import (
    attention_title,
    explained_name,
    format_number,
    format_percent,
    metric_name,
    printable,
)

NO_ANSWER = "no answer"
_NAMED = 4  # entities and masks in a headline
_LABEL = 60  # characters of a label, a choice or a text


def report_headline(report: Report) -> str:
    """Return what the model answered, with its probability, or what a language model wrote.

    Without an answer, the name of what the report has.
    """
    if report.prediction is not None:
        return _of_prediction(report.prediction)
    if report.generation is not None:
        written = printable(" ".join(report.generation.text.split()), _LABEL)
        return f"“{written}”" if written else continuation_facts(report.generation)
    return _of_part(report) if report.answer is None else _of_answer(report.answer)


def continuation_facts(generation: Generation) -> str:
    """Return the length of a continuation, whether it was given, and whether the model ended it."""
    count = len(generation.probabilities)
    origin = "given" if generation.given else "generated"
    end = ", ended by the model" if generation.ended else ""
    return f"{count} token{'' if count == 1 else 's'} {origin}{end}"


def similarity_headline(links: TokenLinks) -> str:
    """Return how similar two texts are, as in ``cosine 0.83``."""
    return f"{printable(links.quantity, 40)} {format_number(links.similarity)}"


def choice_value(choices: Choices, index: int) -> str:
    """Return the probability of a choice, or its score, as text."""
    if choices.probabilities is not None:
        return format_percent(float(choices.probabilities[index]))
    return format_number(float(choices.values[index]))


def _of_prediction(prediction: Prediction) -> str:
    if prediction.problem == "regression":
        return ", ".join(
            f"{printable(label, 40)} {format_number(float(value))}"
            for label, value in zip(prediction.labels, prediction.logits, strict=True)
        )
    if prediction.problem == "multi_label" and prediction.probabilities is not None:
        predicted = [
            f"{printable(label, 40)} {format_percent(float(probability))}"
            for label, probability in zip(prediction.labels, prediction.probabilities, strict=True)
            if probability >= 0.5
        ]
        return ", ".join(predicted) or "no label reaches 50 %"
    probability = prediction.probability
    share = "" if probability is None else f" {format_percent(probability)}"
    return f"{printable(prediction.label, _LABEL)}{share}"


def _of_answer(answer: Answer) -> str:
    match answer:
        case Tagging():
            named = [
                f"{printable(entity.text, 24)} {printable(entity.label, 24)}" for entity in answer.entities
            ]
            return _listed(named) or "no entities"
        case SpanAnswer():
            text = printable(" ".join(answer.text.split()), _LABEL)
            return f"“{text}” {format_percent(answer.best.probability)}"
        case MaskFilling():
            filled = zip(answer.top_labels, answer.top_probabilities, strict=True)
            named = [
                f"“{printable(labels[0].strip(' ') or labels[0], 24)}” {format_percent(float(shares[0]))}"
                for labels, shares in filled
            ]
            return _listed(named)
        case Choices():
            best = answer.index
            return f"{printable(' '.join(answer.names[best].split()), _LABEL)} {choice_value(answer, best)}"


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _of_part(report: Report) -> str:
    if report.links is not None:
        return similarity_headline(report.links)
    for attribution in report.attributions:
        return f"Saliency: {explained_name(attribution)}"
    for attention in report.attention:
        return attention_title(attention)
    if report.heads is not None:
        return f"Head scores: {printable(', '.join(map(metric_name, report.heads.names)), 100)}"
    if report.lens is not None:
        return "Logit lens"
    return ", ".join(f"Query and keys: layer {part.layer}, head {part.head}" for part in report.query_keys)
