"""Reads the texts to explain: from the command line, from standard input, from a file."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model_understanding.errors import InputError, ModelUnderstandingError

STANDARD_INPUT = "-"
_NO_TEXT = "There is no text to explain."
_NO_TEXT_HINT = "Write it in quotes after the model, or - to read standard input, or use --file."


@dataclass(frozen=True, slots=True)
class SourceText:
    """One text and where it was found.

    Args:
        text: The text.
        place: Where it stands, in words for a message.
    """

    text: str
    place: str


def read_texts(arguments: Sequence[str], file: str | None = None) -> tuple[SourceText, ...]:
    """Return the texts of the command line, then those of a file.

    Args:
        arguments: Texts as they were typed; ``-`` stands for all of standard input as one text.
        file: A file with one text a line, or ``-`` for standard input. Blank lines are skipped.

    Returns:
        At least one text.

    Raises:
        InputError: There is no text, a file cannot be read, or something is not UTF-8.

    >>> read_texts(["A fine film."])
    (SourceText(text='A fine film.', place='text 1'),)
    """
    if file is None and not arguments:
        raise InputError(_NO_TEXT, hint=_NO_TEXT_HINT)
    if [*arguments, file].count(STANDARD_INPUT) > 1:
        raise InputError("Standard input can be read only once.", hint="Write - only once.")
    found = [_argument(argument, number) for number, argument in enumerate(arguments, start=1)]
    if file is not None:
        found += _lines(file)
    if not found:
        raise InputError(f"There is no text in {_name(file)}.", hint="Write one text on each line.")
    return tuple(found)


@contextmanager
def telling_where(source: SourceText, count: int) -> Iterator[None]:
    """Say which of several texts an error is about.

    Args:
        source: The text.
        count: How many texts there are.
    """
    try:
        yield
    except ModelUnderstandingError as error:
        if count == 1:
            raise
        raise type(error)(f"{source.place}: {error.message}", hint=error.hint) from error


def _argument(argument: str, number: int) -> SourceText:
    if argument == STANDARD_INPUT:
        text = _decoded(_standard_input(), "Standard input")
        return SourceText(text.removesuffix("\n").removesuffix("\r"), "standard input")
    if any(0xD800 <= ord(character) <= 0xDFFF for character in argument):
        raise InputError(
            f"Text {number} is not valid UTF-8.", hint="Write it to a UTF-8 file and use --file."
        )
    return SourceText(argument, f"text {number}")


def _lines(file: str) -> Iterator[SourceText]:
    if file == STANDARD_INPUT:
        content = _standard_input()
    else:
        try:
            content = Path(file).read_bytes()
        except OSError as error:
            raise InputError(
                f"Cannot read {file}: {error.strerror or error}.", hint="Check the path after --file."
            ) from error
    # Not splitlines(), which also splits where only Unicode sees a new line.
    for number, line in enumerate(_decoded(content, _name(file)).split("\n"), start=1):
        if (text := line.removesuffix("\r")) and text.strip():
            yield SourceText(text, f"line {number} of {_name(file)}")


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise InputError("Standard input is closed.", hint=_NO_TEXT_HINT)
    if sys.stdin.isatty():
        from model_understanding.cli.console import print_message

        print_message("Type the text, then Ctrl-D on a line of its own.")
    return sys.stdin.buffer.read()


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{name} is not UTF-8: line {line} has the byte 0x{content[error.start]:02x}.",
            hint="Convert it to UTF-8, for instance with iconv.",
        ) from error


def _name(file: str | None) -> str:
    return "standard input" if file == STANDARD_INPUT else str(file)
