"""Explain a data set into a folder: one function for every engine, and what it returns."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from model_understanding.checks import one_of, whole_number
from model_understanding.dataset.local import Settings, explained, run_locally
from model_understanding.dataset.parts import OutputFolder, Shard, read_manifest
from model_understanding.dataset.rows import Columns, rows_of
from model_understanding.dataset.sources import source_of
from model_understanding.dataset.table import parts_of
from model_understanding.errors import InputError
from model_understanding.visualizers import visualizer
from model_understanding.visualizers.base import Visualizer

if TYPE_CHECKING:
    import pandas

Engine = Literal["local", "ray"]
Form = Literal["parquet", "jsonl"]
ROWS_PER_PART = 2048  # texts of one length share batches among so many; a killed run repeats as many at most


@dataclass(frozen=True, slots=True)
class DatasetRun:
    """What a run over a data set left.

    Args:
        folder: The folder with the parts and the manifest.
        rows: Rows that are in its parts, those that failed included.
        failed: Rows among those that this run wrote that were not explained; they say why.
        skipped: Rows that an earlier run had written.
    """

    folder: Path
    rows: int
    failed: int
    skipped: int

    @property
    def parts(self) -> tuple[Path, ...]:
        """The files with the rows, in the order of the input."""
        return tuple(sorted(self.folder.glob("part-*.*")))

    @property
    def manifest(self) -> dict[str, Any]:
        """What was run: model, method, columns, labels and versions."""
        return read_manifest(self.folder)

    def to_pandas(self) -> "pandas.DataFrame":
        """Return all rows as one table, for data sets that fit in memory."""
        import pandas

        def read(path: Path) -> "pandas.DataFrame":
            if path.suffix == ".jsonl":
                return pandas.read_json(path, lines=True, dtype={"id": str})
            return pandas.read_parquet(path)

        return pandas.concat([read(path) for path in self.parts], ignore_index=True)


def explain_dataset(
    model: Any,
    data: Any,
    out: str | os.PathLike[str],
    *,
    columns: Mapping[str, str] | Columns | None = None,
    method: str = "fast",
    quantity: str | None = None,
    evaluate: bool = False,
    engine: Engine = "local",
    form: Form = "parquet",
    rows_per_part: int = ROWS_PER_PART,
    shard: tuple[int, int] = (0, 1),
    resume: bool = False,
    max_errors: int | None = None,
    progress: Callable[[int, int, float], Any] | None = None,
    **options: Any,
) -> DatasetRun:
    """Explain every row of a data set, and write the results to a folder in parts.

    The rows are read one after the other, so a million of them take no more memory than a thousand. A run
    that is killed loses at most the part that it was writing; ``resume=True`` goes on. A row that cannot be
    explained keeps its error and stops nothing.

    Args:
        model: A name, a folder, a model or a pipeline, or the visualizer of one.
        data: A file (CSV, TSV, JSON lines, Parquet, or a text per line), a folder of Parquet files, a data
            set of ``datasets``, a table, or an iterable of texts, pairs or dictionaries.
        out: The folder; created if it does not exist.
        columns: Which columns are ``text``, ``pair``, ``label``, ``target``, ``continuation``, ``chat`` and
            ``id``; those left out are guessed from their names.
        method: The attribution method, by its name.
        quantity: ``logit``, ``log_prob`` or ``prob``; the default of the kind of model if left out.
        evaluate: Whether to measure how faithful each row's scores are, which takes some 100 forward passes.
        engine: ``local``, or ``ray`` for several machines.
        form: ``parquet`` or ``jsonl``.
        rows_per_part: Rows of a part.
        shard: This process's number, from 0, and how many there are: each writes its own parts.
        resume: Whether to go on with a run of the same job.
        max_errors: The most rows that may fail; any number by default.
        progress: Called after each part with the rows that are done, those that failed, and the rows per
            second; it stops the run by returning ``False``.
        **options: Further settings of the visualizer, where ``model`` is a name.

    Returns:
        The run.

    Raises:
        InputError: The data cannot be read, the folder holds another run, or too many rows failed.
        MissingExtraError: The format or the engine needs a package that is not installed.
    """
    one_of(engine, "engine", ("local", "ray"))
    size = whole_number(rows_per_part, "rows_per_part")
    explainer = model if isinstance(model, Visualizer) else visualizer(model, **options)
    given = columns if isinstance(columns, Columns) else _columns(columns or {})
    source = source_of(data)
    resolved, rows = rows_of(source, given)
    settings = Settings(method=method, quantity=quantity, evaluate=evaluate)
    job = {
        **_model_of(explainer),
        "input": source.name,
        "columns": resolved.named(),
        "method": method,
        "quantity": quantity,
        "evaluate": evaluate,
        "rows_per_part": size,
        "form": form,
        "shards": shard[1],
    }
    folder = OutputFolder(out, job, parts_of(form), Shard(*shard), resume=resume)
    with folder.opened():
        run = DatasetRun(folder.path, 0, 0, 0)
        for done in run_locally(
            partial(explained, explainer, settings=settings), rows, folder, size, max_errors
        ):
            run = DatasetRun(folder.path, done.rows, done.failed, done.skipped)
            if progress is not None and progress(done.rows, done.failed, done.rate) is False:
                break
    return run


def _columns(columns: Mapping[str, str]) -> Columns:
    try:
        return Columns(**columns)
    except TypeError as error:
        allowed = ", ".join(Columns.__dataclass_fields__)
        raise InputError(
            f"Unknown columns in {dict(columns)!r}.", hint=f"Name columns for: {allowed}."
        ) from error


def _model_of(explainer: Visualizer) -> dict[str, Any]:
    """Return what of the model the rows depend on."""
    from model_understanding.targets.classification import labels_of
    from model_understanding.targets.names import SEQUENCE_CLASSIFICATION

    model = explainer.runner.model
    origin = model.loaded.provenance
    return {
        "model": origin.model,
        "task": origin.task,
        "architecture": origin.architecture,
        "revision": origin.revision,
        "dtype": origin.dtype,
        "tokenizer": origin.tokenizer,
        "labels": list(labels_of(model.config)) if model.task == SEQUENCE_CLASSIFICATION else None,
        "versions": dict(origin.versions),
    }
