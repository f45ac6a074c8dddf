"""Standard output, messages and failures."""

import difflib
import io
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import typer

from model_understanding.errors import ModelUnderstandingError

if TYPE_CHECKING:
    from rich.console import Console


# What a terminal may obey, or what cannot be encoded: C1 controls, direction overrides, lone surrogates.
# JSON has already escaped everything below U+0020.
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TRANSFORMERS_VERBOSITY": "error",
}


def message_console() -> "Console":
    """Return the console for messages and progress: stderr, no markup, no guessing at colors."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def data_console(stream: TextIO) -> "Console":
    """Return the console for data that a person reads: no markup, no guessing at colors.

    Args:
        stream: The stream for data.
    """
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False)


def print_message(message: str, *, label: str = "", style: str = "") -> None:
    """Print one line to stderr.

    Args:
        message: The words; control characters in them are made visible.
        label: What stands before them, as ``error``.
        style: The label's style where there is color.
    """
    from rich.text import Text

    from model_understanding.tokens import visible_text

    line = Text(no_wrap=True, overflow="ignore")
    if label:
        line.append(f"{label}:", style=style).append(" ")
    line.append(visible_text(message))
    message_console().print(line, soft_wrap=True)


def print_json(text: str, stream: TextIO) -> None:
    """Print one JSON value on one line.

    Args:
        text: JSON text on one line.
        stream: Where to.
    """
    encodes_everything = (stream.encoding or "").lower().replace("-", "").startswith("utf")
    unsafe = _UNSAFE_IN_JSON if encodes_everything else re.compile(r"[^\x00-\x7e]")
    stream.write(unsafe.sub(_json_escape, text) + "\n")
    stream.flush()


def quiet_libraries() -> None:
    """Keep torch's, transformers' and the hub's own messages off stderr. Call it before importing them."""
    pass

    if is_debugging():
        return
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore")
    if "transformers" in sys.modules:  # the environment came too late
        from transformers.utils import logging

        logging.disable_progress_bar()
        logging.set_verbosity_error()


@contextmanager
def reserved_stdout() -> Iterator[TextIO]:
    """Keep stdout for data: while this is open, whatever else is printed goes to stderr.

    Prints of libraries and of a model's own code are led away, also those that do not go through Python.

    Yields:
        The stream for data.
    """
    original = sys.stdout
    if not _is_descriptor(original, 1) or not _is_descriptor(sys.stderr, 2):
        # A stream that a test or a caller put in place: only what Python prints can be led away.
        sys.stdout = sys.stderr
        try:
            yield original
        finally:
            sys.stdout = original
        return
    original.flush()
    kept = os.dup(1)
    data = open(kept, "w", encoding=original.encoding, errors="backslashreplace")  # noqa: PTH123, SIM115
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        yield data
        data.flush()
    finally:
        sys.stdout = original
        os.dup2(kept, 1)
        data.close()


def _is_descriptor(stream: TextIO | None, number: int) -> bool:
    try:
        return stream is not None and stream.fileno() == number
    except (io.UnsupportedOperation, ValueError, AttributeError):
        return False


def _json_escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


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
