"""Python code and the command that compute a ledger again."""

import shlex
from typing import Any

from model_understanding.results import Ledger, Target
from model_understanding.results.target import LANGUAGE_TASKS
from model_understanding.show.payload.reproduce import model_argument
from model_understanding.tokens import visible_text

_QUANTITIES = ("logit", "log_prob", "prob")


def ledger_code(ledger: Ledger) -> str:
    """Return Python code that computes a ledger; empty where its model or target has no name in code.

    Args:
        ledger: The ledger.
    """
    arguments = _arguments(ledger)
    if arguments is None or ledger.provenance.model == "unknown":
        return ""
    name = "GenerativeModelVisualizer" if _is_of_language_model(ledger) else "ModelVisualizer"
    inputs = [_input(ledger, ledger.tokens.texts)]
    if ledger.baseline is None:
        inputs.append(_input(ledger, ledger.reference_tokens.texts))
    lines = [ascii(each) for each in inputs]
    lines += [f"{name}={value!a}" for name, value in arguments.items()]
    return (
        f"from model_understanding import {name}\n\n"
        f"visualizer = {name}({model_argument(ledger.provenance)})\n"
        "ledger = visualizer.compute_ledger(\n"
        + "".join(f"    {line},\n" for line in lines)
        + ')\nledger.save("ledger.html")\n'
    )


def ledger_command(ledger: Ledger) -> str:
    """Return the command that computes a ledger.

    Args:
        ledger: The ledger.

    Returns:
        The command; empty where the model, a text or the target has no name on the command line, or where a
        text has hidden characters, which could do harm in a terminal.
    """
    arguments, provenance = _arguments(ledger), ledger.provenance
    known = "unknown" not in (provenance.model, provenance.task)
    if arguments is None or not known or provenance.model == provenance.architecture.partition(",")[0]:
        return ""
    if len(ledger.tokens.texts) != 1 and "continuation" not in arguments:
        return ""
    model = f"path/to/{provenance.model}" if provenance.is_local else provenance.model
    options: dict[str, Any] = {"task": provenance.task, **arguments}
    if ledger.baseline is None:
        options["reference"] = ledger.reference_tokens.texts[0]
    words = [_option(ledger, name, value) for name, value in options.items()]
    text = ledger.tokens.texts[0]
    texts = ["--", text] if text.startswith("-") else [text]
    command = ["model-understanding", "ledger", model, *words, *texts]
    if any(visible_text(word) != word for word in command):
        return ""
    return shlex.join(command)


def _option(ledger: Ledger, name: str, value: object) -> str:
    return option_word(name, value, is_of_language_model=_is_of_language_model(ledger))


def option_word(name: str, value: object, *, is_of_language_model: bool) -> str:
    """Return an option as one word of a command; a number that names a token as its ID."""
    is_token = name in ("target", "against") and isinstance(value, int) and is_of_language_model
    return f"--{name}={'id:' if is_token else ''}{value}"


def _is_of_language_model(ledger: Ledger) -> bool:
    return ledger.target.task in LANGUAGE_TASKS


def _input(ledger: Ledger, texts: tuple[str, ...]) -> str | tuple[str, ...]:
    return texts[0] if len(texts) == 1 or _is_of_language_model(ledger) else texts


def _arguments(ledger: Ledger) -> dict[str, Any] | None:
    """Return what names the target, and the baseline; ``None`` for a target that has no name."""
    arguments = named_target(ledger.target, ledger.tokens.texts)
    if arguments is not None and ledger.baseline is not None:
        arguments["baseline"] = ledger.baseline
    return arguments


def named_target(target: Target, texts: tuple[str, ...]) -> dict[str, Any] | None:
    """Return the arguments that name a target; ``None`` for a target that has no name.

    Args:
        target: The target.
        texts: The text, and of a language model also the continuation if it has one.
    """
    is_of_language_model = target.task in LANGUAGE_TASKS
    arguments: dict[str, Any] = {}
    if is_of_language_model and len(texts) > 1:
        arguments["continuation"] = texts[1]
    if target.quantity == "loss" and is_of_language_model:
        arguments["target"] = "loss"
    elif target.quantity not in _QUANTITIES:
        return None
    elif target.name != "continuation":
        if len(target.indices) != 1 or "continuation" in arguments:
            return None
        arguments["target"] = target.indices[0]
    if len(target.against) == 1 and target.name != "continuation":
        arguments["against"] = target.against[0]
    elif target.against:
        return None
    if target.quantity in _QUANTITIES:
        arguments["quantity"] = target.quantity
    return arguments
