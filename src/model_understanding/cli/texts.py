"""Reads the texts to explain: from the command line, from standard input, from a file."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model_understanding.cli.console import print_message
from model_understanding.errors import InputError, ModelUnderstandingError

STANDARD_INPUT = "-"
_NO_TEXT = "No text to explain."


@dataclass(frozen=True, slots=True)
class SourceText:
    """One text and its source.

    Args:
        text: The text.
        source: Where it comes from, in words for a message: ``text 2`` or ``line 3 of reviews.txt``.
    """

    text: str
    source: str


def read_texts(arguments: Sequence[str], file: str | None = None) -> tuple[SourceText, ...]:
    """Return the texts of the command line, then those of a file.

    Args:
        arguments: Texts as typed; ``-`` stands for all of standard input as one text.
        file: A file with one text per line, or ``-`` for standard input. Blank lines are skipped.

    Returns:
        At least one text.

    Raises:
        InputError: There is no text, a file cannot be read, or something is not UTF-8.

    >>> read_texts(["A fine film."])
    (SourceText(text='A fine film.', source='text 1'),)
    """
    if file is None and not arguments:
        raise InputError(
            _NO_TEXT,
            hint="Write it in quotes after the model, pass - to read standard input, or pass --file.",
        )
    if [*arguments, file].count(STANDARD_INPUT) > 1:
        raise InputError("Standard input can be read only once.", hint="Pass - only once.")
    texts = [_read_argument(argument, number) for number, argument in enumerate(arguments, start=1)]
    if file is not None:
        texts += _read_lines(file)
    if not texts:
        raise InputError(f"There is no text in {_name(file)}.", hint="Write one text per line.")
    return tuple(texts)


def read_text(argument: str | None) -> str:
    """Return the one text of a command that takes one.

    Args:
        argument: The text as typed; ``-`` stands for all of standard input.

    Raises:
        InputError: There is no text, or it is not UTF-8.
    """
    if argument is None:
        raise InputError(
            _NO_TEXT, hint="Write it in quotes after the model, or pass - to read standard input."
        )
    return _read_argument(argument, 1).text


@contextmanager
def naming_source(text: SourceText, count: int) -> Iterator[None]:
    """Name the source of a text in the errors it causes, if there are several texts.

    Args:
        text: The text.
        count: How many texts there are.
    """
    try:
        yield
    except ModelUnderstandingError as error:
        if count == 1:
            raise
        raise type(error)(f"{text.source}: {error.message}", hint=error.hint) from error


def _read_argument(argument: str, number: int) -> SourceText:
    if argument == STANDARD_INPUT:
        text = _decoded(_standard_input(), "Standard input")
        return SourceText(text.removesuffix("\n").removesuffix("\r"), "standard input")
    if any(0xD800 <= ord(character) <= 0xDFFF for character in argument):
        raise InputError(
            f"Text {number} is not valid UTF-8.", hint="Write it to a UTF-8 file and pass that with --file."
        )
    return SourceText(argument, f"text {number}")


def _read_lines(file: str) -> Iterator[SourceText]:
    if file == STANDARD_INPUT:
        content = _standard_input()
    else:
        try:
            content = Path(file).read_bytes()
        except OSError as error:
            raise InputError(
                f"Cannot read {file}: {error.strerror or error}.", hint="Check the path after --file."
            ) from error
    # Not splitlines(), which also splits at line separators that only Unicode knows.
    for number, line in enumerate(_decoded(content, _name(file)).split("\n"), start=1):
        if (text := line.removesuffix("\r")) and text.strip():
            yield SourceText(text, f"line {number} of {_name(file)}")


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise InputError(
            "Standard input is closed.", hint="Write the text in quotes after the model instead of -."
        )
    if sys.stdin.isatty():
        print_message("Type the text, then press Ctrl-D on an empty line.")
    return sys.stdin.buffer.read()


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{name} is not valid UTF-8: invalid byte 0x{content[error.start]:02x} in line {line}.",
            hint="Convert it to UTF-8, for example with iconv.",
        ) from error


def _name(file: str | None) -> str:
    return "standard input" if file == STANDARD_INPUT else str(file)
