"""Reads the texts of a file: one per line, or a column of a table or of JSON records."""

import csv
import io
import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import PurePath
from typing import Any

from model_understanding.cli.columns import (
    KNOWN_NAMES,
    Columns,
    Row,
    SourceText,
    are_names,
    checked_text,
    require_names,
    texts_of_rows,
)
from model_understanding.cli.console import print_message
from model_understanding.dataset.column_names import could_be_name, normalized
from model_understanding.dataset.text_format import (
    DELIMITERS,
    SAMPLE_ROWS,
    delimiter_of,
    encoding_of,
    is_marked_wide,
)
from model_understanding.errors import InputError

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
}
_NOT_TEXT = {
    ".parquet": "read_parquet",
    ".feather": "read_feather",
    ".xlsx": "read_excel",
    ".xls": "read_excel",
}


class FileFormat(StrEnum):
    """How texts are stored in a file."""

    LINES = "lines"
    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    JSON = "json"


def read_file(
    content: bytes, name: str, columns: Columns, file_format: FileFormat | None
) -> list[SourceText]:
    """Return the texts of a file.

    Args:
        content: The file's content.
        name: Its name, for messages; its suffix tells the format.
        columns: Which columns hold the texts.
        file_format: The format, if the caller names it.

    Raises:
        InputError: The file is no text file, or which column holds the texts is not clear.
    """
    suffix = PurePath(name).suffix.lower()
    if file_format is None and (suffix in _NOT_TEXT or _is_binary(content)):
        reader = _NOT_TEXT.get(suffix)
        raise InputError(
            f"{name} is not a text file. Allowed: a text per line, csv, tsv, jsonl and json.",
            hint=f"Convert it: python -c \"import pandas; pandas.{reader}('{name}').to_csv('texts.csv')\""
            if reader
            else "Unpack it, or export its texts as a csv file.",
        )
    text = _decoded(content, name)
    kind = file_format or FileFormat(_SUFFIXES.get(suffix, "lines"))
    if kind is FileFormat.LINES and not columns.given:
        if file_format is None:
            _warn_of_table(text, name)
        return list(_lines(text, name))
    if kind is FileFormat.LINES:  # a column was named
        kind = FileFormat.JSONL if _are_json_objects(text) else FileFormat.CSV
    if kind in (FileFormat.CSV, FileFormat.TSV):
        rows, columns = _table_rows(text, name, "\t" if kind is FileFormat.TSV else None, columns)
    elif kind is FileFormat.JSONL:
        rows = _json_lines(text, name)
    else:
        rows = _json_rows(text, name)
    return texts_of_rows(rows, name, columns)


def _is_binary(content: bytes) -> bool:
    return not is_marked_wide(content[:4]) and b"\0" in content[:4096]


def _decoded(content: bytes, name: str) -> str:
    """Return a file as text; in UTF-8, invalid bytes are kept as the lone surrogates that stand for them."""
    if is_marked_wide(content[:4]):
        encoding = encoding_of(content[:4])
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            raise InputError(
                f"{name} is not valid {encoding.upper()}: {error.reason}.", hint="Convert it to UTF-8."
            ) from error
    return content.decode("utf-8-sig", "surrogateescape")


def _lines(text: str, name: str) -> Iterator[SourceText]:
    # Not splitlines(), which also splits at line separators that only Unicode knows.
    for number, line in enumerate(text.split("\n"), start=1):
        if (content := line.removesuffix("\r")) and content.strip():
            yield checked_text(content, f"line {number} of {name}")


def _warn_of_table(text: str, name: str) -> None:
    """Refuse JSON records that would be read as lines, and warn where the lines look like rows of a table."""
    if _are_json_objects(text):
        raise InputError(
            f"The lines of {name} are JSON records, not plain texts.",
            hint="Pass --format jsonl, and --column NAME to choose the column; or --format lines to explain "
            "the lines as they are.",
        )
    sample = [line for line in text.split("\n")[:SAMPLE_ROWS] if line.strip()]
    for delimiter in DELIMITERS:
        rows = list(csv.reader(sample, delimiter=delimiter)) if len(sample) > 1 else []
        width = len(rows[0]) if rows else 0
        if width < 2 or any(len(row) != width for row in rows):
            continue
        names = {normalized(cell) for cell in rows[0]}
        has_header = all(map(could_be_name, rows[0])) and (width > 2 or names & KNOWN_NAMES)
        if delimiter == "\t" or has_header:
            cells = ", ".join(cell.strip() or "(empty)" for cell in rows[0])
            table = "tsv" if delimiter == "\t" else "csv"
            print_message(
                f"{name} looks like a table with the columns {cells}; each line is explained as one text. "
                f"Pass --format {table} to read a column.",
                label="warning",
                style="bold yellow",
            )
            return


def _are_json_objects(text: str) -> bool:
    sample = [line for line in text.split("\n")[:SAMPLE_ROWS] if line.strip()][:5]
    try:
        return bool(sample) and all(isinstance(json.loads(line), dict) for line in sample)
    except (ValueError, RecursionError):
        return False


def _table_rows(text: str, name: str, delimiter: str | None, columns: Columns) -> tuple[list[Row], Columns]:
    """Return the rows of a table, and its columns by name: a table without names has numbers from 1."""
    delimiter = delimiter or delimiter_of(text)
    records = list(_records(text, name, delimiter))
    if not records:
        return [], columns
    _, header = records[0]
    names = [cell.strip() for cell in header]
    numbered = [
        column
        for column in columns.given
        if column.isdecimal() and not (column in names and are_names(names))
    ]
    if numbered:
        names = [str(number) for number in range(1, len(header) + 1)]
        print_message(f"Reading {name} as a table without column names: its first row is a text.")
    else:
        records = records[1:]
    rows = []
    for number, (line, cells) in enumerate(records, start=1):
        source = f"row {number} (line {line}) of {name}"
        if any(cell.strip() for cell in cells[len(names) :]):
            problem = InputError(
                f"The row has {len(cells)} fields, but the table has {len(names)} columns.",
                hint=f"Put texts that contain {delimiter!r} in double quotes.",
            )
            rows.append(Row(source, problem=problem))
        elif any(cell.strip() for cell in cells):
            rows.append(Row(source, dict(zip(names, cells, strict=False))))
    if len(set(names)) < len(names):
        twice = next(column for column in names if names.count(column) > 1)
        raise InputError(
            f"{name} has two columns named {twice!r}.",
            hint="Rename one of them in the first row of the file.",
        )
    if not numbered and columns.text is None:
        require_names(names, rows, name)
    return rows, columns


def _records(text: str, name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each record begins, and its fields."""
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        source = io.StringIO(text, newline="")
        reader = csv.reader(source, delimiter=delimiter, quoting=quoting, strict=True)
        records, line = [], 1
        try:
            for cells in reader:
                if cells:
                    records.append((line, cells))
                line = reader.line_num + 1
        except csv.Error as error:
            if delimiter == "\t":  # where quotes are often part of the text
                continue
            raise InputError(
                f"{name} is not a valid csv file: the quotes in line {line} do not match ({error}).",
                hint='Write a double quote inside a quoted text twice: "He said ""no""."',
            ) from error
        yield from records
        return


def _json_lines(text: str, name: str) -> list[Row]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            source = f"line {number} of {name}"
            try:
                rows.append(_json_row(json.loads(line), source))
            except (ValueError, RecursionError) as error:
                problem = InputError(
                    f"The line is not JSON: {error}.",
                    hint="Write one JSON value per line, as json.dumps does.",
                )
                rows.append(Row(source, problem=problem))
    return rows


def _json_row(value: Any, source: str) -> Row:
    if isinstance(value, dict):
        return Row(source, {str(key): item for key, item in value.items()})
    return Row(source, single=value)


def _json_rows(text: str, name: str) -> list[Row]:
    """Return the records of a JSON file: of a list, of columns, or of lines."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if _are_json_objects(text):
            return _json_lines(text, name)
        raise InputError(
            f"{name} is not a JSON file: {error}.", hint="Pass a list of texts or records."
        ) from error
    if isinstance(value, dict):
        value = _from_columns(value)
    if not isinstance(value, list):
        raise InputError(
            f"{name} holds no list of texts or records.",
            hint='Write ["a text", "another"] or [{"text": "a text"}].',
        )
    return [_json_row(item, f"record {number} of {name}") for number, item in enumerate(value, start=1)]


def _from_columns(value: dict[str, Any]) -> Any:
    """Return the records of an object of columns, as pandas and data sets write them, or of its only list."""
    columns = {
        key: list(column.values()) if isinstance(column, dict) else column for key, column in value.items()
    }
    lists = [key for key, column in columns.items() if isinstance(column, list)]
    if len(lists) == 1 and isinstance((columns[lists[0]] or [None])[0], dict):
        return columns[lists[0]]
    lengths = {len(columns[key]) for key in lists}
    if len(lists) < len(columns) or len(lengths) != 1:
        return value
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
