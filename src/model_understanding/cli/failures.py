"""What is printed when something goes wrong: ``error: …`` and ``hint: …`` on stderr, no traceback."""

import difflib
import os
import traceback
from typing import Any

import typer

from model_understanding.cli.streams import print_message
from model_understanding.errors import ModelUnderstandingError

DEBUG_VARIABLE = "MODEL_UNDERSTANDING_DEBUG"
USER_MISTAKE = 2
UNEXPECTED = 1
_LONGEST = 300  # characters of an unexpected exception's own words


def is_debugging() -> bool:
    """Whether tracebacks and the libraries' own messages are wanted."""
    return os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0")


def report_failure(error: Exception) -> int:
    """Print what went wrong and what to do about it.

    Args:
        error: Anything a command raised.

    Returns:
        The exit code: 2 for a mistake in what was asked for, else 1.
    """
    if is_debugging():
        traceback.print_exception(error)
    if isinstance(error, ModelUnderstandingError):
        message, hint, code = error.message, error.hint, USER_MISTAKE
    elif isinstance(error, typer.Abort):
        message, hint, code = "Stopped.", "Nothing was changed.", UNEXPECTED
    elif hasattr(error, "format_message"):  # typer's usage errors, whose root has no public name
        message, hint = _usage_message(error)
        code = USER_MISTAKE
    elif isinstance(error, ModuleNotFoundError):
        message = f"The package {error.name} is not installed."
        hint, code = "Run model-understanding doctor: it says what is missing and how to get it.", UNEXPECTED
    else:
        message, hint, code = _unexpected_message(error)
    print_message(message, label="error", style="bold red")
    print_message(hint, label="hint", style="bold cyan")
    return code


def _usage_message(error: Any) -> tuple[str, str]:
    """Return a usage error's message, and as a hint the closest name that exists."""
    message = str(error.format_message()).replace("Value error, ", "")
    context = error.ctx
    help_hint = f"Run {context.command_path if context else 'model-understanding'} --help."
    if context is None:
        return message, help_hint
    if type(error).__name__ == "NoSuchOption":
        options = [name for parameter in context.command.params for name in parameter.opts]
        otherwise = f"{help_hint} A text that begins with a dash goes after --."
        return f"There is no option {error.option_name}.", _did_you_mean(
            error.option_name, options, otherwise
        )
    commands = getattr(context.command, "commands", {})
    if message.startswith("No such command") and message.count("'") >= 2:
        wanted = message.split("'")[1]
        allowed = ", ".join(commands)
        return (
            f"There is no command {wanted!r}. Allowed: {allowed}.",
            _did_you_mean(wanted, list(commands), help_hint),
        )
    return message, help_hint


def _did_you_mean(wanted: str, allowed: list[str], otherwise: str) -> str:
    close = difflib.get_close_matches(wanted, allowed, n=1, cutoff=0.6)
    return f"Did you mean {close[0]}?" if close else otherwise


def _unexpected_message(error: Exception) -> tuple[str, str, int]:
    words = " ".join(str(error).split())
    if len(words) > _LONGEST:
        words = words[: _LONGEST - 1] + "…"
    return (
        f"Unexpected {type(error).__name__}: {words or 'no further word'}",
        f"This should not happen. Run it again with {DEBUG_VARIABLE}=1 to see where it comes from.",
        UNEXPECTED,
    )
