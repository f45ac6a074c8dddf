"""The command that reproduces an attribution: ``model-understanding explain …``."""

import shlex
from collections.abc import Iterator
from typing import Any

from model_understanding.results import (
    Attribution,
    Choices,
    MaskFilling,
    Report,
    SpanAnswer,
    Tagging,
)
from model_understanding.results.target import LANGUAGE_TASKS
from model_understanding.show.payload.reproduced_input import (
    METHOD_CLASSES,
    model_input,
    target_arguments,
    visualizer_options,
)
from model_understanding.tokens import visible_text

_OPTION_OF_CHOICES = {"choice": "--choice", "label": "--label", "document": "--document"}
_TASK_OF_CHOICES = {"label": "zero-shot-classification", "document": "reranking"}


def attribution_command(report: Report, attribution: Attribution) -> str:
    """Return the command that computes an attribution of a report.

    Args:
        report: The report.
        attribution: One of its attributions.

    Returns:
        The command; empty where the model or a target has no name on the command line, or where a text has
        hidden characters, which could do harm in a terminal.
    """
    provenance = report.provenance
    known = "unknown" not in (provenance.model, provenance.task)
    if not known or provenance.model == provenance.architecture.partition(",")[0]:
        return ""
    if attribution is report.contrasts or not attribution.targets:
        return ""
    targets = _targets(report, attribution)
    if targets is None:
        return ""
    model = f"path/to/{provenance.model}" if provenance.is_local else provenance.model
    text, options = _text_and_options(report)
    pairs = [*options, *targets, *_method(attribution)]
    words = [word for name, value in pairs for word in _option(name, value)]
    texts = ["--", text] if text.startswith("-") else [text]
    arguments = ["model-understanding", "explain", model, *words, *texts]
    if any(visible_text(argument) != argument for argument in arguments if argument.strip()):
        return ""
    return shlex.join(arguments)


def _option(name: str, value: str) -> list[str]:
    """Return an option with its value, in one word where the value looks like an option."""
    if not value:
        return [name]
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def _text_and_options(report: Report) -> tuple[str, list[tuple[str, str]]]:
    """Return the text that the command is given, and the options that belong to it."""
    given, answer, task = model_input(report), report.answer, report.provenance.task
    options: list[tuple[str, str]] = []
    if isinstance(answer, Choices):
        task = task if task == "sentence-similarity" else _TASK_OF_CHOICES.get(answer.kind, task)
        question, names = given
        options += [(_OPTION_OF_CHOICES.get(answer.kind, "--choice"), name) for name in names]
        options += [
            ("--" + name.replace("_", "-"), "" if value is True else str(value))
            for name, value in visualizer_options(report).items()
        ]
        return question, [("--task", task), *options]
    text, *pair = (given,) if isinstance(given, str) else given
    options += [("--pair", other) for other in pair]
    if report.generation is not None and report.generation.given:
        options.append(("--continuation", report.generation.text))
    elif report.generation is not None:
        options.append(("--max-new-tokens", str(len(report.generation.probabilities))))
    elif task in LANGUAGE_TASKS and len(report.texts) > 1:
        options.append(("--continuation", report.texts[1]))
    return text, [("--task", task), *options]


def _targets(report: Report, attribution: Attribution) -> list[tuple[str, str]] | None:
    """Return the options that name the targets, none for the default; ``None`` if they have no name."""
    first = attribution.targets[0]
    if first.quantity == "custom" or len({bool(target.against) for target in attribution.targets}) > 1:
        return None
    if first.task in LANGUAGE_TASKS:
        if first.quantity == "loss":
            return [("--target", "loss")]
        steps = 0 if report.generation is None else len(report.generation.probabilities)
        return [("--per-token", "")] if len(attribution.targets) == steps else None
    arguments = target_arguments(report, attribution)
    items = arguments.get("target", [])
    named = [_name(report.answer, item) for item in (items if isinstance(items, list) else [items])]
    against = [_name(report.answer, arguments["against"])] if "against" in arguments else []
    if isinstance(items, dict) or None in named or None in against:
        return None
    return [("--target", str(name)) for name in named] + [("--against", str(name)) for name in against]


def _name(answer: Any, item: Any) -> str | None:
    """Return a target as the command line names it; ``None`` if it cannot."""
    match answer:
        case SpanAnswer():
            if isinstance(item, str):
                return item
            spans = [span.text for span in answer.spans if (span.first, span.last) == item]
            return spans[0] if spans and answer.tokens.texts[answer.context].count(spans[0]) == 1 else None
        case MaskFilling():
            return f"id:{item}"
        case Tagging() if isinstance(item, tuple):
            return None
        case _:
            return str(item)


def _method(attribution: Attribution) -> Iterator[tuple[str, str]]:
    yield "--method", attribution.method
    if attribution.method in METHOD_CLASSES and "layer" not in attribution.parameters:
        for name, value in attribution.parameters.items():
            yield "--set", f"{name}={value}"
    if attribution.targets[0].quantity in ("logit", "log_prob", "prob"):
        yield "--quantity", attribution.targets[0].quantity
