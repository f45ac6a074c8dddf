"""The records of a data set, one after the other: never more of it in memory than a few rows.

A source is a file or a folder (CSV, TSV, JSON lines, Parquet, plain lines), a data set of Hugging Face's
``datasets``, a table of pandas or polars, or any iterable of texts, pairs or dictionaries.
"""

import csv
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from model_understanding.errors import InputError, MissingExtraError

EXAMPLES = {"demo:reviews": "reviews.csv"}
"""Data sets that are part of this package, and their files."""

_DELIMITED = {".csv": None, ".tsv": "\t", ".tab": "\t"}
_JSON_LINES = frozenset({".jsonl", ".ndjson"})
_DELIMITERS = (",", "\t", ";", "|")
_SAMPLE = 200_000  # characters that the delimiter is guessed from
_ROWS_AT_ONCE = 1024  # of a Parquet file
_LONGEST_CELL = 2**31 - 1
_UNDECODED = re.compile("[\udc80-\udcff]")  # what "surrogateescape" makes of bytes that are not UTF-8


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
    """

    name: str
    read: Callable[[], Iterator[Record]]
    count: Callable[[], int | None] = lambda: None


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
    kind = type(data).__name__
    if hasattr(data, "iter_rows") and hasattr(data, "columns"):  # polars
        return Source(f"a {kind}", lambda: _numbered(data.iter_rows(named=True), "row"), lambda: len(data))
    if hasattr(data, "itertuples") and hasattr(data, "columns"):  # pandas
        return Source(f"a {kind}", lambda: _of_pandas(data), lambda: len(data))
    if hasattr(data, "to_batches") and hasattr(data, "num_rows"):  # pyarrow
        return Source(f"a {kind}", lambda: _of_batches(data.to_batches(), "row"), lambda: data.num_rows)
    if isinstance(data, Mapping | bytes) or not isinstance(data, Iterable):
        raise InputError(
            f"A data set cannot be a {kind}.",
            hint="Pass a file, a folder of Parquet files, a datasets.Dataset, a table, or an iterable of "
            "texts or dictionaries.",
        )
    return Source(
        getattr(getattr(data, "info", None), "dataset_name", None) or f"a {kind}",
        lambda: _numbered(iter(data), "record"),
        lambda: len(data) if isinstance(data, Sized) else None,
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
    if _is_binary(path):
        raise InputError(
            f"{path.name} is not a data set that can be read: it is neither text nor Parquet.",
            hint="Convert it to CSV, JSON lines or Parquet.",
        )
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


def _is_binary(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(4096)
    return b"\0" in start and not start.startswith((b"\xff\xfe", b"\xfe\xff"))


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    return "utf-16" if start.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"


def _of_table(path: Path, delimiter: str | None) -> Iterator[Record]:
    """Yield the rows of a table with a header; fields may hold line breaks within quotes."""
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding=_encoding(path), errors="surrogateescape", newline="") as file:
        if delimiter is None:
            delimiter = _delimiter(file.read(_SAMPLE))
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


def _delimiter(sample: str) -> str:
    """Return the delimiter that splits the first rows into as many fields as the header has."""
    lines = sample.split("\n")
    sample_lines = lines[:-1] if len(lines) > 1 else lines  # the last one may be cut

    def agreement(delimiter: str) -> tuple[float, int]:
        rows = [row for row in islice(csv.reader(sample_lines, delimiter=delimiter), 100) if row]
        width = len(rows[0]) if rows else 0
        return (0.0, 0) if width < 2 else (sum(len(row) == width for row in rows) / len(rows), width)

    return max(_DELIMITERS, key=agreement)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file with their numbers; not at separators that only Unicode knows."""
    with path.open(encoding=_encoding(path), errors="surrogateescape", newline="\n") as file:
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
    parquet = _pyarrow_parquet(path)
    with parquet.ParquetFile(path) as file:
        yield from _of_batches(file.iter_batches(batch_size=_ROWS_AT_ONCE), "row", f" of {path.name}")


def _parquet_rows(path: Path) -> int:
    return _pyarrow_parquet(path).ParquetFile(path).metadata.num_rows


def _of_batches(batches: Iterable[Any], what: str, where: str = "") -> Iterator[Record]:
    number = 0
    for batch in batches:
        for values in batch.to_pylist():
            number += 1
            yield Record(f"{what} {number}{where}", values)


def _pyarrow_parquet(path: Path) -> Any:
    try:
        import pyarrow.parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError(
            f"Reading {path.name} requires the package pyarrow, which is not installed.",
            hint='Run: pip install "model-understanding[dataset]"',
        ) from error
    return pyarrow.parquet


def _of_pandas(table: Any) -> Iterator[Record]:
    names = [str(name) for name in table.columns]
    for number, cells in enumerate(table.itertuples(index=False, name=None), start=1):
        values = {name: None if _is_missing(cell) else cell for name, cell in zip(names, cells, strict=True)}
        yield Record(f"row {number}", values)


def _is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and cell != cell)


def _numbered(items: Iterator[Any], what: str) -> Iterator[Record]:
    for number, item in enumerate(items, start=1):
        if isinstance(item, Mapping):
            yield Record(f"{what} {number}", {str(key): value for key, value in item.items()})
        else:
            yield Record(f"{what} {number}", single=item)


def _undecoded(cells: Iterable[str]) -> str:
    """Return what is wrong with a record that has bytes that are not UTF-8; empty if it has none."""
    bad = next((found for cell in cells if (found := _UNDECODED.search(cell))), None)
    if bad is None:
        return ""
    return f"It is not valid UTF-8: invalid byte 0x{ord(bad.group()) - 0xDC00:02x}."
