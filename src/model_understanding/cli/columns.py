"""Which columns of a table or of JSON records hold the texts and what belongs to them, and what they hold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from model_understanding.cli.console import print_message
from model_understanding.dataset.column_names import OTHER_TEXT_NAMES, TEXT_NAMES, could_be_name, normalized
from model_understanding.dataset.text_format import SAMPLE_ROWS, undecoded_byte
from model_understanding.errors import InputError

KNOWN_NAMES = TEXT_NAMES | OTHER_TEXT_NAMES | {"id", "label", "labels", "class", "rating", "score"}


@dataclass(frozen=True, slots=True)
class SourceText:
    """One text and its source.

    Args:
        text: The text; or chat messages, which only JSON can hold.
        source: Where it comes from, in words for a message: ``text 2`` or ``line 3 of reviews.txt``.
        pair: The second text of a pair.
        choices: The texts that are compared for it: choices, labels or documents.
        continuation: What follows the text.
        problem: Why it cannot be read; ``None`` if it can.
    """

    text: Any
    source: str
    pair: str | None = None
    choices: tuple[str, ...] = ()
    continuation: str | None = None
    problem: InputError | None = None

    def readable(self) -> Any:
        """Return the text.

        Raises:
            InputError: It cannot be read.
        """
        if self.problem is not None:
            raise self.problem
        return self.text


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a table hold the texts.

    Args:
        text: Name of the column of texts, or its number from 1 in a table without names; ``None`` to guess.
        pair: Name of the column of second texts, likewise; ``None`` for none.
        choices: Names of the columns of choices, labels or documents: one in each, or a list of them.
        continuation: Name of the column of continuations, likewise; ``None`` for none.
    """

    text: str | None = None
    pair: str | None = None
    choices: tuple[str, ...] = ()
    continuation: str | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """All names that are given."""
        names = (self.text, self.pair, *self.choices, self.continuation)
        return tuple(name for name in names if name is not None)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: its values by column, or a single value in a file of JSON strings."""

    source: str
    values: dict[str, Any] | None = None
    single: Any = None
    problem: InputError | None = None


def texts_of_rows(rows: Sequence[Row], name: str, columns: Columns) -> list[SourceText]:
    """Return the texts of rows, and say which column they are."""
    if all(row.values is None for row in rows):  # a list of strings
        if columns.text is not None and any(row.problem is None for row in rows):
            raise InputError(
                f"{name} holds no records with columns, so it has no column {columns.text!r}.",
                hint="Drop --column.",
            )
        return [text for row in rows if (text := _text_of(row, Columns())) is not None]
    names = list(dict.fromkeys(key for row in rows for key in row.values or ()))
    read = Columns(
        pair=None if columns.pair is None else _named(columns.pair, names, name, "--pair-column"),
        choices=tuple(_named(column, names, name, "--choice-column") for column in columns.choices),
        continuation=None
        if columns.continuation is None
        else _named(columns.continuation, names, name, "--continuation-column"),
    )
    text = (
        _guessed([column for column in names if column not in read.given], rows, name)
        if columns.text is None
        else _named(columns.text, names, name, "--column")
    )
    read = replace(read, text=text)
    texts = [one for row in rows if (one := _text_of(row, read)) is not None]
    skipped = len(rows) - len(texts)
    without = f", {skipped} without a text skipped" if skipped else ""
    *others, last = map(repr, read.given)
    listed = f"columns {', '.join(others)} and {last}" if others else f"column {last}"
    what = f"{listed} of {name}"
    print_message(f"Reading the {what}: {len(rows)} row{'s' * (len(rows) != 1)}{without}.")
    return texts


def _text_of(row: Row, columns: Columns) -> SourceText | None:
    """Return the text of a row and what belongs to it; ``None`` for one without a text."""
    column = columns.text
    if row.problem is not None:
        return SourceText("", row.source, problem=row.problem)
    if column is not None and row.values is None:
        problem = InputError(
            f"It is {type(row.single).__name__}, not a record with columns.", hint="Write records only."
        )
        return SourceText("", row.source, problem=problem)
    values = row.values or {}
    value = row.single if column is None else values.get(column)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    cells: list[tuple[Any, str | None]] = [(value, column)]
    cells += [(values.get(name), name) for name in (columns.pair, columns.continuation) if name is not None]
    choices: list[tuple[Any, str]] = [
        (choice, name)
        for name in columns.choices
        for choice in (values[name] if isinstance(values.get(name), list) else [values.get(name)])
    ]
    for cell, name in (*cells, *choices):
        is_chat = isinstance(cell, list) and bool(cell) and all(isinstance(item, dict) for item in cell)
        if not isinstance(cell, str) and not (is_chat and cell is value):
            where = "The text" if name is None else f"Column {name!r}"
            problem = (
                InputError(f"{where} is missing.", hint="Write a string there.")
                if cell is None
                else InputError(
                    f"{where} is {type(cell).__name__}, not a string.", hint="Write each text as a string."
                )
            )
            return SourceText("", row.source, problem=problem)
    strings = [cell for cell, _ in (*cells, *choices) if isinstance(cell, str)]
    problems = [checked_text(string, row.source).problem for string in strings]
    return SourceText(
        value,
        row.source,
        pair=None if columns.pair is None else values.get(columns.pair),
        choices=tuple(choice for choice, _ in choices),
        continuation=None if columns.continuation is None else values.get(columns.continuation),
        problem=next((problem for problem in problems if problem is not None), None),
    )


def _named(column: str, names: Sequence[str], file: str, option: str) -> str:
    """Return the column that the caller names."""
    if column in names:
        return column
    similar = [name for name in names if normalized(name) == normalized(column)]
    if len(similar) == 1:
        return similar[0]
    raise InputError(
        f"{file} has no column {column!r}. Its columns are {', '.join(names)}.",
        hint=f"Pass one of them to {option}.",
    )


def _guessed(names: Sequence[str], rows: Sequence[Row], file: str) -> str:
    """Return the one column that can be the texts: by its name, else as the only one with several words."""
    for known in (TEXT_NAMES, OTHER_TEXT_NAMES):
        candidates = [name for name in names if normalized(name) in known]
        if candidates:
            break
    else:
        candidates = [name for name in names if _holds_texts([(row.values or {}).get(name) for row in rows])]
    if len(candidates) == 1:
        return candidates[0]
    several = f": it may be {' or '.join(candidates)}" if candidates else ""
    hint = f"Pass --column {(candidates or list(names))[0]}, for example."
    if len(candidates) == 2:
        hint = f"Pass --column {candidates[0]}; for pairs of texts also --pair-column {candidates[1]}."
    raise InputError(
        f"Which column of {file} holds the texts is not clear{several}. Its columns are {', '.join(names)}.",
        hint=hint,
    )


def _holds_texts(values: Sequence[Any]) -> bool:
    sample = [value for value in values[:SAMPLE_ROWS] if value not in (None, "")]
    words = [isinstance(value, str) and len(value.split()) > 1 for value in sample]
    return bool(words) and 2 * sum(words) > len(words)


def checked_text(text: str, source: str) -> SourceText:
    """Return a text; bytes in it that are not UTF-8 are a problem of this text alone."""
    if (bad := undecoded_byte([text])) is None:
        return SourceText(text, source)
    byte, place = bad
    problem = InputError(
        f"It is not valid UTF-8: invalid byte 0x{byte:02x} at character {place + 1}.",
        hint="Convert the file to UTF-8, for example with iconv.",
    )
    return SourceText(text, source, problem=problem)


def require_names(names: Sequence[str], rows: Sequence[Row], name: str) -> None:
    """Refuse a table whose first row looks like a row of texts: it would be lost as a header."""
    if any(normalized(column) in TEXT_NAMES | OTHER_TEXT_NAMES for column in names):
        return
    words = [len(str(value).split()) for row in rows[:SAMPLE_ROWS] for value in (row.values or {}).values()]
    looks_like_names = all(could_be_name(column) for column in names)
    if not looks_like_names or (len(names) == 1 and " " in names[0]) or not words:
        raise InputError(
            f"The first row of {name} does not look like column names: {', '.join(names)}.",
            hint="Pass --column NAME if it holds names, or --column NUMBER (from 1) if it is a row like the "
            "others.",
        )


def are_names(cells: Sequence[str]) -> bool:
    """Return whether a first row with numbers may name columns: no cell has several words."""
    return all(len(cell.split()) <= 1 for cell in cells)
