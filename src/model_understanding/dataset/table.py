"""A row's result as a row of a table, and the two formats in which parts are written."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from model_understanding.dataset.rows import DataRow
from model_understanding.errors import InputError, MissingExtraError
from model_understanding.results import Attribution, Failure, Report

_DIGEST, _COUNT, _FAILED = "input_sha256", "rows_of_part", "failed_rows"
PART_FIELDS = (_DIGEST, _COUNT)
"""What the first row of a part of JSON lines has besides ``FIELDS``."""

FIELDS = {
    "row": "place of the row in the input, from 0",
    "id": "value of the id column, or the place",
    "text": "the text or prompt; chat messages as JSON",
    "pair": "the second text of a pair",
    "label": "the right class, from the data",
    "requested_target": "what the data says to explain, in place of the model's answer",
    "continuation": "what follows the prompt, where the data says it",
    "prediction": "the class that the model answers, or the text that it writes",
    "probabilities": "probability of each class, in the order of `labels` in the manifest; of each token "
    "that a language model writes",
    "method": "the attribution method",
    "target": "what the scores explain",
    "output": "value of the target: a logit, or a log-probability",
    "tokens": "text of each token",
    "segments": "which text a token is part of: 0, 1, or -1 for none",
    "offsets": "start and end of each token in its text, in characters",
    "special": "whether a token is a special or chat-template token",
    "scores": "score of each token",
    "words": "text of each word",
    "word_offsets": "start and end of each word in its text",
    "word_segments": "which text a word is part of: 0, 1, or -1 for special and chat-template tokens",
    "word_scores": "score of each word",
    "gap": "completeness gap: what the scores miss of the target's change; null for other methods",
    "verdict": "how far to believe the scores, where it was measured",
    "cautions": "warnings about this row",
    "error": "why the row was not explained; null for all others",
}
"""The columns of a part, in order, and what they hold."""


def result_of(row: DataRow, report: Report | Failure) -> dict[str, Any]:
    """Return a row's result as a row of the table.

    Args:
        row: The row.
        report: Its report, with the answer and at least one attribution; or why there is none.
    """
    given: dict[str, Any] = {
        "row": row.index,
        "id": row.id,
        "text": row.text if isinstance(row.text, str) else json.dumps(row.text, ensure_ascii=False),
        "pair": row.pair,
        "label": row.label,
        "requested_target": row.target,
        "continuation": row.continuation,
    }
    given = {name: _storable(value) if isinstance(value, str) else value for name, value in given.items()}
    if isinstance(report, Failure):
        return dict.fromkeys(FIELDS) | given | {"error": _storable(str(report))}
    attribution = _single(report.attributions[0])
    words = attribution.words()
    prediction, probabilities = _answer(report)
    verdict = next((found.verdict for found in report.evaluations if found.verdict is not None), None)
    return (
        dict.fromkeys(FIELDS)
        | given
        | {
            "prediction": prediction,
            "probabilities": None if probabilities is None else probabilities.astype(np.float32),
            "method": attribution.method,
            "target": attribution.targets[0].description(),
            "output": float(attribution.outputs[0]),
            "tokens": list(attribution.tokens.surfaces()),
            "segments": attribution.tokens.segments.astype(np.int8),
            "offsets": attribution.tokens.offsets.astype(np.int32),
            "special": attribution.tokens.special,
            "scores": attribution.scores[0],
            "words": list(words.tokens.surfaces()),
            "word_offsets": words.tokens.offsets.astype(np.int32),
            "word_segments": np.where(words.tokens.special, -1, words.tokens.segments).astype(np.int8),
            "word_scores": words.scores[0],
            "gap": None if attribution.gaps is None else float(attribution.gaps[0]),
            "verdict": verdict,
            "cautions": list(report.provenance.cautions),
        }
    )


def _single(attribution: Attribution) -> Attribution:
    """Return an attribution of one target; of a continuation's steps, that of their sum."""
    return attribution if len(attribution.targets) == 1 else attribution.summed()


def _answer(report: Report) -> tuple[str | None, np.ndarray | None]:
    if report.prediction is not None:
        answer = report.prediction
        value = answer.label if answer.probabilities is not None else f"{answer.logits[0]:.6g}"
        return value, answer.probabilities
    if report.generation is not None:
        return report.generation.text, report.generation.probabilities
    return None, None


def _storable(text: str) -> str:
    """Return a text without halves of characters, which no file can hold."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


_ROWS_READ, _ROWS_CONVERTED = 1024, 128  # at a time
_ARRAYS: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "probabilities": (np.float32, (-1,)),
    "segments": (np.int8, (-1,)),
    "offsets": (np.int32, (-1, 2)),
    "special": (np.bool_, (-1,)),
    "scores": (np.float32, (-1,)),
    "word_offsets": (np.int32, (-1, 2)),
    "word_segments": (np.int8, (-1,)),
    "word_scores": (np.float32, (-1,)),
}
"""The lists of numbers of JSON lines, as arrays."""


class ParquetParts:
    """Parts as Parquet files, with the digest of their input rows in the file's metadata."""

    suffix = "parquet"

    def __init__(self) -> None:
        self._arrow = _pyarrow()

    def write(self, rows: Any, digest: str, file: IO[bytes]) -> None:
        """Write rows, as ``result_of`` returns them."""
        table = self._table(rows)
        failed = table.num_rows - table["error"].null_count
        table = table.replace_schema_metadata({_DIGEST: digest, _FAILED: str(failed)})
        self._arrow.parquet.write_table(table, file, compression="zstd")
        del table
        self._arrow.default_memory_pool().release_unused()

    def digest(self, path: Path) -> str | None:
        """Return the digest that a part was written with; ``None`` if the file is not whole."""
        value = self._metadata(path).get(_DIGEST.encode())
        return None if value is None else value.decode()

    def failed(self, path: Path) -> int:
        """Return how many rows of a whole part were not explained."""
        return int(self._metadata(path)[_FAILED.encode()])

    def count(self, path: Path) -> int:
        """Return how many rows a whole part has."""
        return self._arrow.parquet.read_metadata(path).num_rows

    def read(self, path: Path, names: Sequence[str]) -> Iterator[Mapping[str, Sequence[Any]]]:
        """Yield columns of a whole part, some rows at a time; lists of numbers as arrays."""
        with self._arrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_READ, columns=list(names)):
                yield {name: _values(self._arrow, batch.column(name)) for name in names}

    def _metadata(self, path: Path) -> dict[bytes, bytes]:
        try:
            return self._arrow.parquet.read_schema(path).metadata or {}
        except (self._arrow.ArrowInvalid, OSError):
            return {}

    def _table(self, rows: Collection[dict[str, Any]]) -> Any:
        """Return rows as a table, of which some at a time are Python objects."""
        schema, remaining = arrow_schema(), iter(rows)
        batches = []
        while some := list(islice(remaining, _ROWS_CONVERTED)):
            batches.append(self._batch(some, schema))
        return self._arrow.Table.from_batches(batches, schema=schema)

    def _batch(self, rows: Sequence[dict[str, Any]], schema: Any) -> Any:
        arrow = self._arrow
        columns = []
        for field in schema:
            values = [row[field.name] for row in rows]
            if arrow.types.is_list(field.type) and arrow.types.is_fixed_size_list(field.type.value_type):
                columns.append(_pairs(arrow, values, field.type))
            else:
                columns.append(arrow.array(values, type=field.type))
        return arrow.RecordBatch.from_arrays(columns, schema=schema)


def _pairs(arrow: Any, values: Sequence[np.ndarray | None], kind: Any) -> Any:
    """Return lists of pairs of numbers as an Arrow array, without a Python object for each."""
    lengths = [0 if value is None else len(value) for value in values]
    flat = np.concatenate([np.zeros((0, 2), np.int32), *(value for value in values if value is not None)])
    inner = arrow.FixedSizeListArray.from_arrays(arrow.array(flat.reshape(-1)), 2)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    offsets = arrow.array(ends, mask=np.array([*(value is None for value in values), False]))
    return arrow.ListArray.from_arrays(offsets, inner).cast(kind)


class JsonLinesParts:
    """Parts as JSON lines; the first row of each also has the digest of the input rows, and their number."""

    suffix = "jsonl"

    def write(self, rows: Any, digest: str, file: IO[bytes]) -> None:
        """Write rows, as ``result_of`` returns them."""
        for index, row in enumerate(rows):
            plain = {name: _plain(value) for name, value in row.items()}
            if index == 0:
                plain |= {_DIGEST: digest, _COUNT: len(rows)}
            file.write(json.dumps(plain, ensure_ascii=False, allow_nan=False).encode() + b"\n")

    def digest(self, path: Path) -> str | None:
        """Return the digest that a part was written with; ``None`` if the file is not whole."""
        try:
            with path.open("rb") as file:
                first = json.loads(file.readline())
                count = 1 + sum(line.endswith(b"\n") for line in file)
            return first[_DIGEST] if first[_COUNT] == count else None
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def failed(self, path: Path) -> int:
        """Return how many rows of a whole part were not explained."""
        with path.open("rb") as file:  # within a text the quotes have backslashes
            return sum(b'"error": null' not in line for line in file)

    def count(self, path: Path) -> int:
        """Return how many rows a whole part has."""
        with path.open("rb") as file:
            return json.loads(file.readline())[_COUNT]

    def read(self, path: Path, names: Sequence[str]) -> Iterator[Mapping[str, Sequence[Any]]]:
        """Yield columns of a whole part, some rows at a time; lists of numbers as arrays."""
        with path.open("rb") as file:
            while lines := list(islice(file, _ROWS_READ)):
                rows = [json.loads(line) for line in lines]
                yield {name: [_array(name, row[name]) for row in rows] for name in names}


def _values(arrow: Any, column: Any) -> Sequence[Any]:
    """Return the values of a column of Arrow; the numbers of a list as a slice of one array."""
    if not arrow.types.is_list(column.type):
        return column.to_pylist()
    inner, ends = column.flatten(), np.cumsum([0, *column.value_lengths().fill_null(0).to_pylist()])
    if arrow.types.is_fixed_size_list(inner.type):
        flat: Any = inner.flatten().to_numpy(zero_copy_only=False).reshape(-1, 2)
    elif arrow.types.is_string(inner.type):
        flat = inner.to_pylist()
    else:
        flat = inner.to_numpy(zero_copy_only=False)
    missing = column.is_null().to_pylist()
    spans = zip(ends[:-1], ends[1:], missing, strict=True)
    return [None if is_missing else flat[start:end] for start, end, is_missing in spans]


def _array(name: str, value: Any) -> Any:
    if value is None or name not in _ARRAYS:
        return value
    dtype, shape = _ARRAYS[name]
    return np.array(value, dtype).reshape(shape)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.astype(str).astype(np.float64).tolist() if value.dtype == np.float32 else value.tolist()
    return value


def parts_of(form: str) -> ParquetParts | JsonLinesParts:
    """Return how parts of a format are written.

    Args:
        form: ``parquet`` or ``jsonl``.

    Raises:
        InputError: There is no such format.
        MissingExtraError: Parquet needs pyarrow, which is not installed.
    """
    kinds = {"parquet": ParquetParts, "jsonl": JsonLinesParts}
    if form not in kinds:
        raise InputError(f"Unknown format {form!r}. Allowed: parquet, jsonl.", hint="Pass parquet.")
    return kinds[form]()


def arrow_schema() -> Any:
    """Return the Arrow schema of a part."""
    arrow = _pyarrow()
    text, texts = arrow.string(), arrow.list_(arrow.string())
    numbers, pairs = arrow.list_(arrow.float32()), arrow.list_(arrow.list_(arrow.int32(), 2))
    kinds = {
        "row": arrow.int64(),
        "probabilities": numbers,
        "output": arrow.float32(),
        "tokens": texts,
        "segments": arrow.list_(arrow.int8()),
        "offsets": pairs,
        "special": arrow.list_(arrow.bool_()),
        "scores": numbers,
        "words": texts,
        "word_offsets": pairs,
        "word_segments": arrow.list_(arrow.int8()),
        "word_scores": numbers,
        "gap": arrow.float32(),
        "cautions": texts,
    }
    return arrow.schema([arrow.field(name, kinds.get(name, text)) for name in FIELDS])


def _pyarrow() -> Any:
    try:
        import pyarrow  # pyright: ignore[reportMissingImports]
        import pyarrow.parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError(
            "Parquet files require the package pyarrow, which is not installed.",
            hint='Run: pip install "model-understanding[dataset]", or pass --format jsonl.',
        ) from error
    return pyarrow
