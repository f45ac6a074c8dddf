"""Python code and the commands that compare two models again."""

import shlex
from typing import Any

from model_understanding.results import ModelDiff, ModelDiffSummary, Provenance
from model_understanding.results.target import LANGUAGE_TASKS
from model_understanding.show.payload.ledger_code import named_target, option_word
from model_understanding.show.payload.reproduce import model_argument
from model_understanding.tokens import visible_text


def model_diff_code(diff: ModelDiff) -> str:
    """Return Python code that computes a diff; empty where a model or the target has no name in code.

    Args:
        diff: The diff.
    """
    arguments = _arguments(diff)
    if arguments is None or "unknown" in (diff.provenance.model, diff.other.model):
        return ""
    is_of_language_model = diff.target.task in LANGUAGE_TASKS
    name = "GenerativeModelVisualizer" if is_of_language_model else "ModelVisualizer"
    texts = diff.tokens.texts
    text = texts[0] if len(texts) == 1 or is_of_language_model else texts
    other = "other" if _is_object(diff.other) else model_argument(diff.other)
    lines = [other, ascii(text), *(f"{key}={value!a}" for key, value in arguments.items())]
    return (
        f"from model_understanding import {name}\n\n"
        f"visualizer = {name}({model_argument(diff.provenance)})\n"
        "diff = visualizer.compute_model_diff(\n"
        + "".join(f"    {line},\n" for line in lines)
        + ')\ndiff.save("diff.html")\n'
    )


def model_diff_command(diff: ModelDiff) -> str:
    """Return the command that computes a diff.

    Args:
        diff: The diff.

    Returns:
        The command; empty where a model, the text or the target has no name on the command line, or where
        the text has hidden characters, which could do harm in a terminal.
    """
    arguments, models = _arguments(diff), [_folder(diff.provenance), _folder(diff.other)]
    is_of_one_text = arguments is not None and (len(diff.tokens.texts) == 1 or "continuation" in arguments)
    if arguments is None or not all(models) or diff.provenance.task == "unknown" or not is_of_one_text:
        return ""
    is_of_language_model = diff.target.task in LANGUAGE_TASKS
    options: dict[str, Any] = {"task": diff.provenance.task, **arguments}
    words = [
        option_word(name, value, is_of_language_model=is_of_language_model) for name, value in options.items()
    ]
    text = diff.tokens.texts[0]
    command = [
        "model-understanding",
        "diff",
        *models,
        *words,
        *(["--"] if text.startswith("-") else []),
        text,
    ]
    return "" if any(visible_text(word) != word for word in command) else shlex.join(command)


def model_diffs_command(summary: ModelDiffSummary) -> str:
    """Return the command that compares two models on a file of texts; empty where a model has no name.

    Args:
        summary: The summary.
    """
    models = [_folder(summary.provenance), _folder(summary.other)]
    if not all(models) or any(visible_text(model) != model for model in models):
        return ""
    return shlex.join(["model-understanding", "diff", *models, "--file", "texts.txt", "--out", "diff.html"])


def _arguments(diff: ModelDiff) -> dict[str, Any] | None:
    arguments = named_target(diff.target, diff.tokens.texts)
    if arguments is not None and diff.restored is not None:
        arguments["restore"] = len(diff.restored.modules)
    return arguments


def _is_object(provenance: Provenance) -> bool:
    """Return whether a model was given as an object, which has no name."""
    return not provenance.is_local and provenance.model == provenance.architecture.partition(",")[0]


def _folder(provenance: Provenance) -> str:
    """Return what a model is called on the command line; empty if it has no name."""
    if provenance.model == "unknown" or _is_object(provenance):
        return ""
    return f"path/to/{provenance.model}" if provenance.is_local else provenance.model
