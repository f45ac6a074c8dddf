"""The records of a data set, one after the other: never more of it in memory than a few rows.

A source is a file or a folder (CSV, TSV, JSON lines, Parquet, plain lines), or an object (``objects.py``).
"""

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from model_understanding.dataset.objects import reader_of
from model_understanding.dataset.text_format import (
    SAMPLE_CHARACTERS,
    compression_of,
    delimiter_of,
    encoding_of,
    has_many_zeros,
    is_unmarked_wide,
    undecoded_byte,
)
from model_understanding.errors import InputError, MissingExtraError

EXAMPLES = {"demo:reviews": "reviews.csv"}
"""Data sets that are part of this package, and their files."""

_DELIMITED = {".csv": None, ".tsv": "\t", ".tab": "\t"}
_JSON_LINES = frozenset({".jsonl", ".ndjson"})
_START = 4096  # bytes that tell what a file is
_ROWS_AT_ONCE = 1024  # of a Parquet file


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a data set, before it is known which of its columns is the text.

    Args:
        place: Where it comes from, in words for a message: ``row 3 (line 4) of reviews.csv``.
        values: Its values by column; ``None`` where the record is a single value.
        single: That value.
        problem: Why it cannot be read; empty if it can.
    """

    place: str
    values: Mapping[str, Any] | None = None
    single: Any = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A data set that can be read from its start as often as needed, or once.

    Args:
        name: What it is called in messages and in the manifest.
        read: Begins to read its records.
        count: Returns how many records it has, or ``None`` if that takes more than reading a file.
        once: Whether it can be read only once.
        class_names: Names of the classes that a column has the numbers of.
    """

    name: str
    read: Callable[[], Iterator[Record]]
    count: Callable[[], int | None] = lambda: None
    once: bool = False
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def with_names(self, column: str, labels: Sequence[str]) -> "Source":
        """Return the data set with the names of classes in place of their numbers.

        A model may number the same names otherwise. Where it has other names, numbers remain.

        Args:
            column: The column with the numbers.
            labels: Names of the model's classes.
        """
        own = {label.casefold(): label for label in labels}
        names = [own.get(name.casefold()) for name in self.class_names.get(column, ())]
        if not names or None in names:
            return self

        def read() -> Iterator[Record]:
            for record in self.read():
                number = (record.values or {}).get(column)
                if isinstance(number, int) and not isinstance(number, bool) and record.values is not None:
                    name = names[number] if 0 <= number < len(names) else None  # -1: no class is known
                    record = replace(record, values={**record.values, column: name})
                yield record

        return replace(self, read=read)


def source_of(data: Any) -> Source:
    """Return a data set as a source of records.

    Args:
        data: A path, ``demo:reviews``, a data set, a table or an iterable.

    Raises:
        InputError: It is none of these, or the file cannot be read as one.
        MissingExtraError: Reading it needs a package that is not installed.
    """
    if isinstance(data, str) and data.startswith("demo:"):
        return replace(_of_path(_example(data)), name=data)
    if isinstance(data, str | os.PathLike):
        return _of_path(Path(data).expanduser())
    reader = reader_of(data)
    return Source(
        reader.name,
        lambda: _numbered(reader.read(), reader.item),
        reader.count,
        once=reader.once,
        class_names=reader.class_names,
    )


def _example(name: str) -> Path:
    """Return the file of a data set that is part of this package."""
    if name not in EXAMPLES:
        raise InputError(
            f"Unknown example data {name!r}. Allowed: {', '.join(EXAMPLES)}.",
            hint=f"Pass {next(iter(EXAMPLES))}, or the path of a file.",
        )
    return Path(__file__).parent / "examples" / EXAMPLES[name]


def _of_path(path: Path) -> Source:
    name, read = _readers_of(path)
    is_parquet = path.is_dir() or path.suffix.lower() == ".parquet"
    files = _parquet_files(path)
    if is_parquet:
        return Source(name, read, lambda: sum(_parquet_rows(file) for file in files))
    return Source(name, read, lambda: sum(1 for _ in read()))


def _parquet_files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*.parquet") if not file.name.startswith((".", "_")))
    return [path]


def _readers_of(path: Path) -> tuple[str, Callable[[], Iterator[Record]]]:
    """Return the name of a file or folder, and what begins to read it."""
    if path.is_dir():
        files = _parquet_files(path)
        if not files:
            raise InputError(
                f"The folder {str(path)!r} has no .parquet files.",
                hint="Pass a file, or a folder of Parquet files.",
            )
        return path.name, lambda: chain.from_iterable(_of_parquet(file) for file in files)
    if not path.is_file():
        raise InputError(f"There is no file {str(path)!r}.", hint="Check the path of the data set.")
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return path.name, lambda: _of_parquet(path)
    _check_readable(path)
    if suffix in _DELIMITED:
        return path.name, lambda: _of_table(path, _DELIMITED[suffix])
    if suffix in _JSON_LINES:
        return path.name, lambda: _of_json_lines(path)
    if suffix == ".json":
        raise InputError(
            f"{path.name} is one JSON document, which must be read whole.",
            hint='Convert it to JSON lines: python -c "import pandas; '
            f"pandas.read_json('{path.name}').to_json('rows.jsonl', orient='records', lines=True)\"",
        )
    return path.name, lambda: _of_lines(path)


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_START)


@contextmanager
def _opened(path: Path, newline: str) -> Iterator[TextIO]:
    """Open a text file; bytes that are not UTF-8 become lone surrogates.

    Raises:
        InputError: It is not valid in the encoding that its first bytes name.
    """
    encoding = encoding_of(_start(path))
    try:
        with path.open(encoding=encoding, errors="surrogateescape", newline=newline) as file:
            yield file
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path.name} is not valid {encoding.upper()}: {error.reason}.", hint="Convert it to UTF-8."
        ) from error


def _check_readable(path: Path) -> None:
    """Refuse a file that is no text, by its first bytes."""
    start = _start(path)
    if (compression := compression_of(start)) is not None:
        raise InputError(f"{path.name} is compressed ({compression}).", hint="Unpack it first.")
    if is_unmarked_wide(start):
        raise InputError(
            f"{path.name} is UTF-16 without a byte order mark.",
            hint=f"Convert it to UTF-8: iconv -f UTF-16LE -t UTF-8 {path.name} > utf8-{path.name}",
        )
    if has_many_zeros(start):
        raise InputError(
            f"{path.name} is not a data set that can be read: it is neither text nor Parquet.",
            hint="Convert it to CSV, JSON lines or Parquet.",
        )


def _of_table(path: Path, delimiter: str | None) -> Iterator[Record]:
    """Yield the rows of a table with a header; fields may hold line breaks within quotes."""
    with _opened(path, newline="") as file:
        if delimiter is None:
            delimiter = delimiter_of(file.read(SAMPLE_CHARACTERS))
            file.seek(0)
        rows = csv.reader(file, delimiter=delimiter)
        header = next((cells for cells in rows if cells), None)
        if header is None:
            return
        names = [name.strip() for name in header]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InputError(
                f"{path.name} has two columns named {twice!r}.",
                hint="Rename one of them in the first row of the file.",
            )
        number, line = 0, rows.line_num + 1
        while True:
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                number += 1
                yield Record(
                    f"row {number} (line {line}) of {path.name}", {}, problem=f"It is no row: {error}."
                )
                continue
            place, line = f"row {number + 1} (line {line}) of {path.name}", rows.line_num + 1
            if not cells:
                continue
            number += 1
            if any(cell.strip() for cell in cells[len(names) :]):
                problem = (
                    f"The row has {len(cells)} fields, but the table has {len(names)} columns: put texts "
                    f"that contain {delimiter!r} in double quotes."
                )
                yield Record(place, {}, problem=problem)
                continue
            values = dict(zip(names, cells, strict=False))
            yield Record(place, values, problem=_undecoded(cells))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file with their numbers; not at separators that only Unicode knows."""
    with _opened(path, newline="\n") as file:
        for number, line in enumerate(file, start=1):
            yield number, line.removesuffix("\n").removesuffix("\r")


def _of_lines(path: Path) -> Iterator[Record]:
    for number, line in _lines(path):
        if line.strip():
            yield Record(f"line {number} of {path.name}", single=line, problem=_undecoded([line]))


def _of_json_lines(path: Path) -> Iterator[Record]:
    for number, line in _lines(path):
        if not line.strip():
            continue
        place = f"line {number} of {path.name}"
        problem = _undecoded([line])
        if problem:
            yield Record(place, {}, problem=problem)
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Record(place, {}, problem=f"The line is not JSON: {error}.")
            continue
        yield Record(place, value) if isinstance(value, dict) else Record(place, single=value)


def _of_parquet(path: Path) -> Iterator[Record]:
    with _parquet_file(path) as file:
        yield from _of_batches(file.iter_batches(batch_size=_ROWS_AT_ONCE), "row", f" of {path.name}")


def _parquet_rows(path: Path) -> int:
    with _parquet_file(path) as file:
        return file.metadata.num_rows


def _of_batches(batches: Iterable[Any], what: str, where: str = "") -> Iterator[Record]:
    number = 0
    for batch in batches:
        for values in batch.to_pylist():
            number += 1
            yield Record(f"{what} {number}{where}", values)


def _parquet_file(path: Path) -> Any:
    parquet = _pyarrow_parquet(path)
    try:
        return parquet.ParquetFile(path)
    except (ValueError, OSError) as error:  # ArrowInvalid is a ValueError
        raise InputError(
            f"{path.name} is not a whole Parquet file: {str(error).splitlines()[0].rstrip('.')}.",
            hint="Write it again, or name it by what it is: .csv, .tsv or .jsonl.",
        ) from error


def _pyarrow_parquet(path: Path) -> Any:
    try:
        import pyarrow.parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError(
            f"Reading {path.name} requires the package pyarrow, which is not installed.",
            hint='Run: pip install "model-understanding[dataset]"',
        ) from error
    return pyarrow.parquet


def _numbered(items: Iterator[Any], what: str) -> Iterator[Record]:
    for number, item in enumerate(items, start=1):
        if isinstance(item, Mapping):
            yield Record(f"{what} {number}", {str(key): value for key, value in item.items()})
        else:
            yield Record(f"{what} {number}", single=item)


def _undecoded(cells: Iterable[str]) -> str:
    """Return what is wrong with a record that has bytes that are not UTF-8; empty if it has none."""
    bad = undecoded_byte(cells)
    return "" if bad is None else f"It is not valid UTF-8: invalid byte 0x{bad[0]:02x}."
