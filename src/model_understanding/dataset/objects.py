"""Data sets that are Python objects: of ``datasets``, tables, queries, and any iterable."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from typing import Any

from model_understanding.errors import InputError, MissingExtraError

_ROWS_AT_ONCE = 1024
_MISSING = ("NAType", "NaTType")  # of pandas


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How an object is read.

    Args:
        name: What it is called in messages and in the manifest.
        read: Begins to read its items: dictionaries by column, or single values.
        count: Returns how many there are; ``None`` if that takes reading them.
        once: Whether it can be read only once.
        item: What an item is called.
        class_names: Names of the classes that a column has the numbers of.
    """

    name: str
    read: Callable[[], Iterator[Any]]
    count: Callable[[], int | None] = lambda: None
    once: bool = False
    item: str = "row"
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def reader_of(data: Any) -> Reader:
    """Return how an object is read, never more of it at once than a few rows.

    Args:
        data: A data set of ``datasets``, a table of pandas, polars or Arrow, a query of DuckDB or polars, or
            an iterable of texts, pairs or dictionaries.

    Raises:
        InputError: It is none of these, or several data sets.
        MissingExtraError: Reading it needs a package that is not installed.
    """
    kind = type(data)
    name = f"a {kind.__name__}"
    package = kind.__module__.partition(".")[0]
    if package == "datasets" and isinstance(data, Mapping):
        return _of_splits(data, kind.__name__)
    if package == "datasets" and hasattr(data, "with_format"):
        data = data.with_format(None)  # plain values, not tensors or tables
    if package == "polars" and kind.__name__ == "LazyFrame":
        return Reader(name=name, read=lambda: _of_lazy_frame(data))
    if package == "polars" and hasattr(data, "iter_rows"):
        return Reader(name=name, read=lambda: data.iter_rows(named=True), count=lambda: len(data))
    if hasattr(data, "itertuples") and hasattr(data, "columns"):  # pandas
        return Reader(name=name, read=lambda: _of_pandas(data), count=lambda: len(data))
    if hasattr(data, "scanner") and hasattr(data, "count_rows"):  # a data set of Arrow
        return Reader(name=name, read=lambda: _of_batches(data.to_batches()), count=data.count_rows)
    if hasattr(data, "__arrow_c_stream__") and (hasattr(data, "schema") or hasattr(data, "columns")):
        return Reader(
            name=name,
            read=lambda: _of_stream(data, kind.__name__),
            count=lambda: _rows(data),
            once=hasattr(data, "read_next_batch"),
        )
    if hasattr(data, "to_pylist"):  # an array of Arrow
        return Reader(name=name, read=lambda: (value.as_py() for value in data), count=lambda: len(data))
    if isinstance(data, Mapping | bytes) or not isinstance(data, Iterable):
        raise InputError(
            f"A data set cannot be a {kind.__name__}.",
            hint="Pass a file, a folder of Parquet files, a datasets.Dataset, a table, or an iterable of "
            "texts or dictionaries.",
        )
    return Reader(
        name=getattr(getattr(data, "info", None), "dataset_name", None) or name,
        read=lambda: iter(data),
        count=lambda: len(data) if isinstance(data, Sized) else None,
        once=iter(data) is data,
        item="record",
        class_names=_class_names(getattr(data, "features", None)),
    )


def _of_splits(data: Mapping[Any, Any], kind: str) -> Reader:
    """Return how the only split of several possible ones is read."""
    if len(data) == 1:
        return reader_of(next(iter(data.values())))
    names = ", ".join(repr(str(name)) for name in data)
    example = "test" if "test" in data else next(iter(data), "train")
    has = f"has {len(data)} splits: {names}" if data else "is empty"
    raise InputError(
        f"A data set is one split, but this {kind} {has}.", hint=f"Pass one of them: data[{str(example)!r}]."
    )


def _class_names(features: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(features, Mapping):
        return {}
    names = {str(column): getattr(feature, "names", None) for column, feature in features.items()}
    return {column: tuple(map(str, each)) for column, each in names.items() if isinstance(each, list | tuple)}


def _of_lazy_frame(frame: Any) -> Iterator[Any]:
    """Yield the rows of a query of polars, batch by batch where this version has a way."""
    if hasattr(frame, "collect_batches"):
        for batch in frame.collect_batches(chunk_size=_ROWS_AT_ONCE, maintain_order=True):
            yield from batch.iter_rows(named=True)
    else:
        yield from frame.collect().iter_rows(named=True)


def _of_pandas(table: Any) -> Iterator[Any]:
    names = [str(name) for name in table.columns]
    for cells in table.itertuples(index=False, name=None):
        yield {name: None if is_missing(cell) else cell for name, cell in zip(names, cells, strict=True)}


def is_missing(cell: Any) -> bool:
    """Return whether a cell of a table is empty: ``None``, or what tables write for none."""
    return cell is None or (isinstance(cell, float) and cell != cell) or type(cell).__name__ in _MISSING


def _of_stream(data: Any, kind: str) -> Iterator[Any]:
    try:
        import pyarrow  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError(
            f"Reading a {kind} requires the package pyarrow, which is not installed.",
            hint='Run: pip install "model-understanding[dataset]"',
        ) from error
    return _of_batches(pyarrow.RecordBatchReader.from_stream(data))


def _of_batches(batches: Iterable[Any]) -> Iterator[Any]:
    for batch in batches:
        for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
            yield from batch.slice(start, _ROWS_AT_ONCE).to_pylist()


def _rows(data: Any) -> int | None:
    count = getattr(data, "num_rows", None)
    return count if isinstance(count, int) else None
