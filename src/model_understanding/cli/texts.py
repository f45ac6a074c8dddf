"""Reads the texts to explain: from the command line, from standard input, from a file."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from model_understanding.cli.columns import Columns, SourceText
from model_understanding.cli.console import print_message
from model_understanding.cli.text_files import FileFormat, read_file
from model_understanding.errors import InputError, ModelUnderstandingError

STANDARD_INPUT = "-"
_NO_TEXT = "No text to explain."


def read_texts(
    arguments: Sequence[str],
    file: str | None = None,
    columns: Columns | None = None,
    file_format: FileFormat | None = None,
) -> tuple[SourceText, ...]:
    """Return the texts of the command line, then those of a file.

    Args:
        arguments: Texts as typed; ``-`` stands for all of standard input as one text.
        file: A file with one text per line, a table or JSON records, or ``-`` for standard input. Blank lines
            are skipped.
        columns: Which columns of the file hold the texts.
        file_format: The format of the file, if the caller names it.

    Returns:
        At least one text.

    Raises:
        InputError: There is no text, a file cannot be read, or something is not UTF-8.

    >>> read_texts(["A fine film."])[0].source
    'text 1'
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
        content = _standard_input() if file == STANDARD_INPUT else _content(file)
        texts += read_file(content, _name(file), columns or Columns(), file_format)
    elif file_format is not None or (columns is not None and columns != Columns()):
        raise InputError(
            "--format, --column and the options of other columns need --file.",
            hint="Pass --file reviews.csv.",
        )
    if not texts:
        raise InputError(f"There is no text in {_name(file)}.", hint="Write one text per line.")
    return tuple(texts)


def read_text(argument: str | None) -> SourceText:
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
    return _read_argument(argument, 1)


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


def _content(file: str) -> bytes:
    try:
        return Path(file).expanduser().read_bytes()
    except OSError as error:
        raise InputError(
            f"Cannot read {file}: {error.strerror or error}.", hint="Check the path after --file."
        ) from error


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
