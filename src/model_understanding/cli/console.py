"""The command line's streams: data on stdout, messages and failures on stderr."""

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

DEBUG_VARIABLE = "MODEL_UNDERSTANDING_DEBUG"
USER_ERROR = 2  # exit code: what the user asked for is not possible
UNEXPECTED_ERROR = 1  # exit code: anything else
_LONGEST_MESSAGE = 300  # characters of an unexpected exception's own message
# Characters that a terminal may interpret or that cannot be encoded: C1 controls, direction overrides,
# lone surrogates. JSON has already escaped everything below U+0020.
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_QUIET_ENVIRONMENT = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TRANSFORMERS_VERBOSITY": "error",
}


def message_console() -> "Console":
    """Return the console for messages and progress: stderr, without markup or automatic highlighting."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def data_console(stream: TextIO) -> "Console":
    """Return the console for text output: without markup or automatic highlighting.

    Args:
        stream: The stream for data.
    """
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False)


def print_message(message: str, *, label: str = "", style: str = "") -> None:
    """Print one line to stderr.

    Args:
        message: The text; control characters in it are made visible.
        label: What precedes it, for example ``error``.
        style: The label's style on a terminal with colors.
    """
    from rich.text import Text

    from model_understanding.tokens import visible_text

    line = Text(no_wrap=True, overflow="ignore")
    if label:
        line.append(f"{label}:", style=style).append(" ")
    line.append(visible_text(message))
    message_console().print(line, soft_wrap=True)


def print_json(text: str, stream: TextIO) -> None:
    """Print one JSON value on one line, with characters escaped that are unsafe to print.

    Args:
        text: JSON text on one line.
        stream: The stream for data.
    """
    encodes_everything = (stream.encoding or "").lower().replace("-", "").startswith("utf")
    unsafe = _UNSAFE_IN_JSON if encodes_everything else re.compile(r"[^\x00-\x7e]")
    stream.write(unsafe.sub(_json_escape, text) + "\n")
    stream.flush()


def _json_escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


@contextmanager
def reserved_stdout() -> Iterator[TextIO]:
    """Reserve stdout for data: while this is open, everything else that is printed goes to stderr.

    This includes what libraries and a model's own code print, also from C.

    Yields:
        The stream for data.
    """
    original = sys.stdout
    if not _is_descriptor(original, 1) or not _is_descriptor(sys.stderr, 2):
        # A test or a caller replaced a stream: only what Python prints can be redirected.
        sys.stdout = sys.stderr
        try:
            yield original
        finally:
            sys.stdout = original
        return
    original.flush()
    saved = os.dup(1)
    data = open(saved, "w", encoding=original.encoding, errors="backslashreplace")  # noqa: PTH123, SIM115
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        yield data
        data.flush()
    finally:
        sys.stdout = original
        os.dup2(saved, 1)
        data.close()


def _is_descriptor(stream: TextIO | None, number: int) -> bool:
    try:
        return stream is not None and stream.fileno() == number
    except (io.UnsupportedOperation, ValueError, AttributeError):
        return False


def is_debugging() -> bool:
    """Return whether to show tracebacks and the libraries' own messages."""
    return os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0")


def quiet_libraries() -> None:
    """Keep the messages of torch, transformers and the Hub off stderr; call it before importing them."""
    if is_debugging():
        return
    for name, value in _QUIET_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore")
    if "transformers" in sys.modules:  # imported already: it has read the environment
        from transformers.utils import logging

        logging.disable_progress_bar()
        logging.set_verbosity_error()


def report_failure(error: Exception) -> int:
    """Print what went wrong and what to do about it.

    Args:
        error: Any exception of a command.

    Returns:
        The exit code: 2 if the request is at fault, else 1.
    """
    if is_debugging():
        traceback.print_exception(error)
    code = UNEXPECTED_ERROR
    if isinstance(error, ModelUnderstandingError):
        message, hint, code = error.message, error.hint, USER_ERROR
    elif isinstance(error, typer.Abort):  # typer raises it for EOFError
        message = "Aborted: a question could not be answered because standard input has ended."
        hint = "Run the command in an interactive terminal."
    elif hasattr(error, "format_message"):  # typer's usage errors, whose base class is not public
        message, hint = _usage_message(error)
        code = USER_ERROR
    elif isinstance(error, OSError) and error.strerror and not error.filename:
        message, hint = f"Cannot write the output: {error.strerror}.", "Write it somewhere else."
    elif isinstance(error, ModuleNotFoundError):
        message = f"The package {error.name} is not installed."
        hint = "Run model-understanding doctor to see what is missing and how to install it."
    else:
        message = f"Unexpected {type(error).__name__}: {_shortened(str(error)) or 'no message'}"
        hint = f"This is probably a bug. Run the command again with {DEBUG_VARIABLE}=1 for a traceback."
    print_message(message, label="error", style="bold red")
    print_message(hint, label="hint", style="bold cyan")
    return code


def _usage_message(error: Any) -> tuple[str, str]:
    """Return a usage error's message, and the closest existing name as a hint."""
    message = str(error.format_message()).replace("Value error, ", "")
    context = error.ctx
    see_help = f"Run {context.command_path if context else 'model-understanding'} --help."
    if context is None:
        return message, see_help
    if type(error).__name__ == "NoSuchOption":
        options = [name for parameter in context.command.params for name in parameter.opts]
        hint = f"{see_help} Put -- before a text that begins with a dash."
        others = getattr(context.parent and context.parent.command, "commands", {})
        takers = [
            name
            for name, command in others.items()
            if any(error.option_name in parameter.opts for parameter in command.params)
        ]
        if takers:
            listed = " and ".join([", ".join(takers[:-1])] * (len(takers) > 1) + takers[-1:])
            named = f"{error.option_name} is an option of {listed}, not of {context.info_name}."
            return f"Unknown option {error.option_name}.", f"{named} {see_help}"
        return f"Unknown option {error.option_name}.", _did_you_mean(error.option_name, options, hint)
    commands = getattr(context.command, "commands", {})
    if message.startswith("No such command") and message.count("'") >= 2:
        name = message.split("'")[1]
        return (
            f"Unknown command {name!r}. Allowed: {', '.join(commands)}.",
            _did_you_mean(name, list(commands), see_help),
        )
    repeated = [each.opts[0] for each in context.command.params if each.required and each.multiple]
    if "extra argument" in message and repeated:  # a shell makes several words of --documents *.txt
        return message, f"Repeat {repeated[0]} before each one. {see_help}"
    return message, see_help


def _did_you_mean(name: str, allowed: list[str], otherwise: str) -> str:
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.6)
    return f"Did you mean {close[0]}?" if close else otherwise


def _shortened(text: str) -> str:
    """Return a text on one line, cut where it is too long for a message."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_MESSAGE else line[: _LONGEST_MESSAGE - 1] + "…"
