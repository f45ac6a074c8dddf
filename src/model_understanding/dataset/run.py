"""Explain a data set into a folder: the function for it, and what it returns."""

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from model_understanding.attribution.choose import check_method
from model_understanding.checks import whole_number
from model_understanding.dataset.local import (
    Progress,
    Settings,
    check_explainer,
    explained,
    run_locally,
    seconds_per_row,
)
from model_understanding.dataset.model_identity import identity_of
from model_understanding.dataset.parts import OutputFolder, Shard, missing_parts, part_number, read_manifest
from model_understanding.dataset.quiet import quiet
from model_understanding.dataset.ray_engine import Job, Workers, check_ray, loader_of, run_on_ray
from model_understanding.dataset.rows import Columns, rows_of
from model_understanding.dataset.sources import Source, source_of
from model_understanding.dataset.summary.summarize import summarize_dataset
from model_understanding.dataset.table import PART_FIELDS, parts_of
from model_understanding.errors import InputError
from model_understanding.model.guard import explanation
from model_understanding.results.dataset_summary import DatasetSummary
from model_understanding.targets.classification import labels_of
from model_understanding.visualizers import visualizer
from model_understanding.visualizers.base import Visualizer

if TYPE_CHECKING:
    import pandas

Form = Literal["parquet", "jsonl"]
Engine = Literal["local", "ray"]
_SAMPLE = 256  # rows, of which some tell the pace before the run
ROWS_PER_PART = (
    2048  # texts of one length share batches among so many; a killed run repeats two parts at most
)


@dataclass(frozen=True, slots=True)
class DatasetRun:
    """What a run over a data set left.

    Args:
        folder: The folder with the parts and the manifest.
        rows: Rows of this process's parts, those that failed included.
        failed: Rows among them that were not explained; they say why.
        skipped: Rows that an earlier run had written.
        model: The model as it was given, for ``summary``: one that was given by its name is loaded again, so
            that it is not in memory until then.
        options: Further settings of its visualizer.
    """

    folder: Path
    rows: int
    failed: int
    skipped: int
    model: Any = field(default=None, repr=False, compare=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def parts(self) -> tuple[Path, ...]:
        """The files with the rows, in the order of the input."""
        return tuple(sorted(self.folder.glob("part-*.*")))

    @property
    def missing_parts(self) -> tuple[int, ...]:
        """Numbers of parts that are not there, those of other shards included, as far as is known."""
        return missing_parts(map(part_number, self.parts), self.manifest)

    @property
    def manifest(self) -> dict[str, Any]:
        """What was run: model, method, columns, labels and versions."""
        return read_manifest(self.folder)

    def summary(
        self,
        *,
        causal: bool | None = None,
        sample: int | None = None,
        seed: int = 0,
        progress: Callable[[str, int, int | None], Any] | None = None,
    ) -> DatasetSummary:
        """Say what the model relies on in these rows, and where it is wrong, as ``summarize_dataset`` does.

        Args:
            causal: Whether to test words causally; by default if the model is a classifier.
            sample: Rows whose scores are evaluated: 100 by default; 0 for none.
            seed: Seeds the bootstrap and the samples.
            progress: Called with what is being done and how far it is.
        """
        is_needed = self.model is not None and not (causal is False and sample == 0)
        explainer = _explainer_of(self.model, self.options) if is_needed else None
        return summarize_dataset(
            self.folder, explainer, causal=causal, sample=sample, seed=seed, progress=progress
        )

    def to_pandas(self) -> "pandas.DataFrame":
        """Return all rows as one table, for data sets that fit in memory."""
        import pandas

        def read(path: Path) -> "pandas.DataFrame":
            if path.suffix == ".jsonl":
                table = pandas.read_json(path, lines=True, dtype={"id": str, "label": str, "text": str})
                return table.drop(columns=list(PART_FIELDS))
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
    form: Form = "parquet",
    rows_per_part: int = ROWS_PER_PART,
    shard: tuple[int, int] = (0, 1),
    resume: bool = False,
    max_errors: int | None = None,
    max_new_tokens: int = 32,
    progress: Callable[[Progress], Any] | None = None,
    engine: Engine = "local",
    concurrency: int | None = None,
    num_gpus: float | None = None,
    **options: Any,
) -> DatasetRun:
    """Explain every row of a data set by a classifier or language model, in a folder of parts.

    The rows are read one after the other, and the results of at most two parts are in memory. A run
    that is killed loses at most the two parts that it was working on; ``resume=True`` goes on. A row that
    cannot be explained keeps its error and stops nothing.

    Args:
        model: A name, a folder, a model or a pipeline, or the visualizer of one.
        data: A file (CSV, TSV, JSON lines, Parquet, or a text per line), a folder of Parquet files,
            ``demo:reviews``, a data set of ``datasets``, a table, or an iterable of texts, pairs or
            dictionaries.
        out: The folder; created if it does not exist.
        columns: Which columns are ``text``, ``pair``, ``label``, ``target``, ``continuation``, ``chat`` and
            ``id``; those left out are guessed from their names.
        method: The attribution method, by its name: ``fast``, two passes a text, by default.
        quantity: ``logit``, ``log_prob`` or ``prob``; the default of the kind of model if left out.
        evaluate: Whether to measure how faithful each row's scores are, which takes some 100 forward passes.
        form: ``parquet`` or ``jsonl``.
        rows_per_part: Rows of a part.
        shard: This process's number, from 0, and how many there are: each writes its own parts.
        resume: Whether to go on with a run of the same job.
        max_errors: The most rows that may fail; any number by default.
        max_new_tokens: Most tokens that a language model writes, where no column holds its continuation.
        progress: Called before the first row and after each with how far the run is: ``rows``, ``failed``,
            ``total``, ``rate`` and ``seconds_left``; it stops the run by returning ``False``.
        engine: ``local``, this process; or ``ray``, actors of Ray Data on this machine or on a cluster.
        concurrency: How many actors, each with its own copy of the model; by default as many as there is room
            for.
        num_gpus: GPUs of each actor; by default one if the model is on a GPU.
        **options: Further settings of the visualizer, where ``model`` is a name.

    Returns:
        The run.

    Raises:
        InputError: The data cannot be read, the folder holds another run, or too many rows failed.
        MissingExtraError: The format or the engine needs a package that is not installed.
    """
    size = whole_number(rows_per_part, "rows_per_part")
    check_method(method)
    form_of_parts = parts_of(form)
    source = source_of(data)
    given = columns if isinstance(columns, Columns) else _columns(columns or {})
    workers = check_engine(engine, source, concurrency, num_gpus)
    resolved, rows, names = rows_of(source, given)
    explainer = _explainer_of(model, options)
    check_explainer(explainer, resolved)
    if resolved.label is not None and resolved.label in source.class_names:
        source = source.with_names(resolved.label, labels_of(explainer.runner.model.config))
        _, rows, _ = rows_of(source, resolved)
    settings = Settings(method=method, quantity=quantity, evaluate=evaluate, max_new_tokens=max_new_tokens)
    identity = identity_of(explainer)
    job = {
        **identity,
        "input": source.name,
        "columns": resolved.named(),
        **asdict(settings),
        "rows_per_part": size,
        "form": form,
        "shards": shard[1],
    }
    input_rows = source.count()
    data_set = {"input_rows": input_rows, "input_columns": names}
    folder = OutputFolder(out, job, form_of_parts, Shard(*shard), resume=resume, **data_set)
    explain = partial(explained, explainer, settings)
    starting = "" if workers is None else "Ray"
    done = Progress(source=source.name, columns=resolved.description(), starting=starting)
    # The weights must not change before the end, and each row keeps its own warnings.
    with folder.opened(), explanation(), quiet("model_understanding"):
        stopped = False
        if progress is not None:
            done.total = folder.shard.rows(input_rows, size)
            done.present = folder.present(size)
            sample = list(islice(rows, _SAMPLE))
            rows = chain(sample, rows)
            done.seconds_per_row = seconds_per_row(explain, sample)
            stopped = progress(done) is False
        if workers is None:
            run = run_locally(explain, rows, folder, size, done, max_errors)
        else:
            job_of_actor = Job(loader_of(explainer), settings, identity, folder)
            run = run_on_ray(job_of_actor, source, resolved, size, done, workers, max_errors)
        with closing(cast(Generator, run)):  # before the folder is given back
            for _ in () if stopped else run:
                if progress is not None and progress(done) is False:
                    break
    return DatasetRun(folder.path, done.rows, done.failed, done.skipped, model, options)


def _explainer_of(model: Any, options: Mapping[str, Any]) -> Visualizer:
    return model if isinstance(model, Visualizer) else visualizer(model, **options)


def check_engine(
    engine: str, source: Source, concurrency: int | None, num_gpus: float | None
) -> Workers | None:
    """Refuse settings that an engine does not have, or data that it cannot read.

    Args:
        engine: ``local`` or ``ray``.
        source: The data set.
        concurrency: How many actors.
        num_gpus: GPUs of each.

    Returns:
        The actors of Ray; ``None`` for the local engine.

    Raises:
        InputError: There is no such engine, it has no such setting, or it cannot read the data.
        MissingExtraError: Ray Data is not installed.
    """
    if engine == "ray":
        workers = Workers(concurrency=concurrency, num_gpus=num_gpus)
        check_ray(source)
        return workers
    if engine != "local":
        raise InputError(f"Unknown engine {engine!r}. Allowed: local, ray.", hint="Pass local.")
    for name, value in (("concurrency", concurrency), ("num_gpus", num_gpus)):
        if value is not None:
            raise InputError(
                f"{name} is a setting of the engine ray, but the engine is local.",
                hint=f'Leave {name} out, or pass --engine ray; engine="ray" in Python.',
            )
    return None


def _columns(columns: Mapping[str, str]) -> Columns:
    try:
        return Columns(**columns)
    except TypeError as error:
        allowed = ", ".join(Columns.__dataclass_fields__)
        raise InputError(
            f"Unknown columns in {dict(columns)!r}.", hint=f"Name columns for: {allowed}."
        ) from error
