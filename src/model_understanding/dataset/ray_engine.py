"""The engine for several machines: Ray Data reads windows of rows, and actors with the model write the parts.

One task reads the rows on the machine of the caller, window by window; Ray holds it back while the actors
are busy. An actor loads the model once. It explains a window as the local engine does and writes the part
itself, so all machines need the output folder. What has no part yet remains to be done, whatever died.
"""

import inspect
import pickle
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from model_understanding.dataset.local import Progress, Settings, explained, window_results, windows_of
from model_understanding.dataset.model_identity import identity_of
from model_understanding.dataset.parts import OutputFolder, differences_of, digest_of, read_manifest
from model_understanding.dataset.quiet import quiet
from model_understanding.dataset.ray_cluster import connected, ray_package
from model_understanding.dataset.rows import Columns, DataRow, rows_of
from model_understanding.dataset.sources import Source
from model_understanding.dataset.waiting import WaitingResults
from model_understanding.errors import InputError, ModelUnderstandingError
from model_understanding.loading import LoadingOptions
from model_understanding.model.guard import explanation
from model_understanding.model.memory import SteadyMemory
from model_understanding.visualizers.base import Visualizer

_TRIES = 3  # of a part whose actor dies, before the run is given up
_BEGUN = ".begun-part-"  # name of a file that counts them
_READ_AHEAD = 256 * 2**20  # bytes of windows that wait for an actor
_UPDATES = 16  # for each part


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """The actors of a run.

    Args:
        concurrency: How many there are; ``None`` for as many as there is room for.
        num_gpus: GPUs of each; ``None`` for one if the model is on a GPU, else none.
    """

    concurrency: int | None = None
    num_gpus: float | None = None

    def __post_init__(self) -> None:
        count, gpus = self.concurrency, self.num_gpus
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise InputError(
                f"concurrency is a number of actors, at least 1. Got {count!r}.", hint="Pass 2, for example."
            )
        if gpus is not None and (isinstance(gpus, bool) or not isinstance(gpus, int | float) or gpus < 0):
            raise InputError(
                f"num_gpus is the number of GPUs of an actor, at least 0. Got {gpus!r}.",
                hint="Pass 1, or 0.5 to let two actors share a GPU.",
            )


@dataclass(frozen=True, slots=True)
class Job:
    """What an actor needs to know.

    Args:
        load: Returns the visualizer, in a process of its own.
        settings: How rows are explained.
        model: What of the caller's model the rows depend on.
        folder: The folder, whose parts the actors write.
        threads: Threads of torch: with another number the last bits of the scores differ.
    """

    load: Callable[[], Visualizer]
    settings: Settings
    model: Mapping[str, Any]
    folder: OutputFolder
    threads: int = field(default_factory=torch.get_num_threads)


def check_ray(source: Source) -> None:
    """Refuse what Ray cannot read, before a model is loaded.

    Args:
        source: The data set.

    Raises:
        MissingExtraError: Ray Data is not installed.
        InputError: The data cannot be read in another process.
    """
    ray = ray_package()
    hint = 'Pass a file, a list, a table or a datasets.Dataset, or engine="local".'
    if source.once:
        raise InputError(
            f"Ray reads the data in another process, and again after a crash; {source.name} can be read only "
            "once.",
            hint=hint,
        )
    try:
        ray.cloudpickle.dumps(source)
    except Exception as error:  # an object's own
        raise InputError(
            f"Ray reads the data in another process, and {source.name} cannot be sent to one: {error}.",
            hint=hint,
        ) from error


def loader_of(explainer: Visualizer) -> Callable[[], Visualizer]:
    """Return what gives the same visualizer in another process.

    A model that was loaded by its name is loaded again there. Any other is sent to it, if it can be.

    Args:
        explainer: The visualizer.

    Raises:
        InputError: The model cannot be sent to another process.
    """
    if explainer.loaded_from is not None:
        name, tokenizer, options = explainer.loaded_from
        if options.device is not None and torch.device(options.device).type == "cuda":
            options = replace(options, device="cuda")  # an actor sees its own GPUs only
        tokenizer = None if tokenizer is None else _absolute(tokenizer)
        return partial(_loaded, type(explainer), _absolute(name), tokenizer, options)
    try:
        content = ray_package().cloudpickle.dumps(explainer)
    except Exception as error:  # an object's own
        raise InputError(
            f"This model cannot be sent to another process: {error}.",
            hint="Save it and its tokenizer with save_pretrained, and pass the folder.",
        ) from error
    return partial(pickle.loads, content)


def _loaded(kind: type[Visualizer], name: str, tokenizer: str | None, options: LoadingOptions) -> Visualizer:
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    taken = inspect.signature(Visualizer.__init__).parameters
    return kind(name, tokenizer=tokenizer, **{key: value for key, value in values.items() if key in taken})


def _absolute(name: str | Path) -> str:
    """Return a folder's or file's name as a process with another current folder finds it."""
    path = Path(name).expanduser()
    return str(path.absolute()) if path.exists() else str(name)


def run_on_ray(
    job: Job,
    source: Source,
    columns: Columns,
    size: int,
    progress: Progress,
    workers: Workers,
    max_errors: int | None = None,
) -> Iterator[Progress]:
    """Explain a data set by actors, each of which writes parts.

    Args:
        job: What an actor needs to know; its folder is open.
        source: The data set.
        columns: Its columns.
        size: Rows of a part.
        progress: Is brought up to date.
        workers: The actors.
        max_errors: The most rows that may fail; any number by default.

    Yields:
        How far the run is, several times for each part.

    Raises:
        InputError: The cluster has no room for the actors, a worker has another model or does not see the
            folder, more rows failed than allowed, or the input changed; parts that are written stay.
    """
    job = replace(job, folder=_for_workers(job.folder))
    for begun in job.folder.path.glob(f"{_BEGUN}*"):  # by a run that was killed as a whole
        if job.folder.shard.has(int(begun.name.removeprefix(_BEGUN))):
            begun.unlink(missing_ok=True)
    gpus = workers.num_gpus
    gpus = float(job.model["device"] == "cuda") if gpus is None else gpus
    with connected() as ray:
        cpus = 1 if gpus else job.threads
        concurrency = _concurrency(ray, workers.concurrency, cpus, gpus)
        if progress.total:
            concurrency = min(concurrency, -(-progress.total // size))
        parts = _Counts(progress)
        with _records(ray, job, source, columns, size, concurrency, cpus, gpus) as records:
            for record in records:
                parts.add(record)
                if max_errors is not None and progress.failed > max_errors:
                    failed = "1 row" if progress.failed == 1 else f"{progress.failed} rows"
                    raise InputError(
                        f"{failed} failed, more than the {max_errors} allowed. {record['problem']}",
                        hint="Raise --max-errors, or fix the input. The parts that are written stay.",
                    )
                yield progress
        job.folder.check_end(parts.end)


class _Counts:
    """Adds up what the actors report: each time the rows of a part that are done so far."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._begun: dict[int, tuple[int, int]] = {}
        self._whole = (0, 0)
        self._is_started = False
        self.end = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """Count a part's rows; a part that another actor began again counts as what it now is."""
        part, rows, failed = (int(record[name]) for name in ("part", "rows", "failed"))
        self._begun[part] = (rows, failed)
        if record["is_written"]:
            del self._begun[part]
            self._whole = (self._whole[0] + rows, self._whole[1] + failed)
            self._progress.skipped += rows if record["is_skipped"] else 0
            self.end = max(self.end, part + 1)
        counts = [self._whole, *self._begun.values()]
        self._progress.rows = sum(rows for rows, _ in counts)
        self._progress.failed = sum(failed for _, failed in counts)
        if not self._is_started and not record["is_skipped"]:  # Ray and the models take long to start
            self._is_started = True
            self._progress.start()


class _Actor:
    """Holds the model in a process of its own, and turns windows of rows into parts."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._memory = SteadyMemory()
        self._refused: Exception | None = None
        try:
            torch.set_num_threads(job.threads)
            self._explainer = job.load()
            self._check()
        except Exception as error:  # raised here, Ray would start the actor again
            self._refused = error

    def _check(self) -> None:
        """Refuse a worker whose rows would be others, or would be written elsewhere."""
        names = {"model", "tokenizer"}  # of the same folder they can differ
        expected, found = (
            {key: value for key, value in model.items() if key not in names}
            for model in (self._job.model, identity_of(self._explainer))
        )
        differences = differences_of(expected, found)
        if differences:
            raise InputError(
                f"A worker of Ray has another model or other versions than this process: "
                f"{'; '.join(differences[:3])}.",
                hint="Install the same versions on all machines, and start the run where the device is the "
                "workers'. A model that was changed after loading: save it with save_pretrained and pass "
                "the folder.",
            )
        folder = self._job.folder
        try:
            same = read_manifest(folder.path)
        except InputError as error:
            raise InputError(
                f"A worker of Ray does not see the folder {str(folder.path)!r}.",
                hint="Pass a folder that all machines share.",
            ) from error
        if differences := differences_of(folder.job, {name: same.get(name) for name in folder.job}):
            raise InputError(
                f"The folder {str(folder.path)!r} holds another run on a worker of Ray: {differences[0]}.",
                hint="Pass a folder that all machines share.",
            )

    def __call__(self, window: Mapping[str, Any]) -> Iterator[dict[str, list[Any]]]:
        for part, digest, rows in zip(window["part"], window["digest"], window["rows"], strict=True):
            try:
                for record in self._part(int(part), str(digest), pickle.loads(rows)):
                    yield {name: [value] for name, value in record.items()}
            except Exception as error:  # raised here, Ray would wrap it in its own
                yield {name: [value] for name, value in _record(int(part), error=error).items()}

    def _part(self, part: int, digest: str, window: list[DataRow] | Exception) -> Iterator[dict[str, Any]]:
        if self._refused is not None:
            raise self._refused
        if isinstance(window, Exception):
            raise window
        folder = self._job.folder
        if folder.is_done(part, digest):
            yield _record(part, len(window), folder.failed(part), is_written=True, is_skipped=True)
            return
        torch.set_num_threads(self._job.threads)
        results = WaitingResults()
        failed, problem = 0, ""
        with _tried(folder, part, f"{window[0].place} to {window[-1].place}"), explanation():
            explain = partial(explained, self._explainer, self._job.settings)
            for index, result in window_results(explain, window, self._memory):
                results[index] = result
                if result["error"] is not None:
                    failed += 1
                    problem = f"The last one is {window[index].place}: {result['error']}"
                if len(results) % max(1, len(window) // _UPDATES) == 0:
                    yield _record(part, len(results), failed, problem)
        folder.write(part, digest, results)
        yield _record(part, len(window), failed, problem, is_written=True)


@contextmanager
def _tried(folder: OutputFolder, part: int, rows: str) -> Iterator[None]:
    """Count how often a part's process died, which Ray would start again for ever.

    Raises:
        InputError: It died too often.
    """
    tries = folder.path / f"{_BEGUN}{part:06d}"
    with tries.open("ab") as file:
        file.write(b".")
        count = file.tell()
    try:
        if count > _TRIES:
            raise InputError(
                f"The process that explains {rows} died {_TRIES} times.",
                hint="A part often needs more memory than there is: pass a smaller --concurrency. The parts "
                "that are written stay, and --resume goes on.",
            )
        yield
    finally:
        tries.unlink(missing_ok=True)


def _record(
    part: int,
    rows: int = 0,
    failed: int = 0,
    problem: str = "",
    *,
    is_written: bool = False,
    is_skipped: bool = False,
    error: Exception | None = None,
) -> dict[str, Any]:
    """Return what an actor reports: numbers, and an error that ends the run."""
    return {
        "part": part,
        "rows": rows,
        "failed": failed,
        "problem": problem,
        "is_written": is_written,
        "is_skipped": is_skipped,
        "error": b"" if error is None else _pickled(error),
    }


def _pickled(error: Exception) -> bytes:
    """Return an error as another process raises it again."""
    try:
        content = pickle.dumps(error)
        pickle.loads(content)
    except Exception:  # an object's own
        content = pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return content


def _windows(source: Source, columns: Columns, folder: OutputFolder, size: int) -> Iterator[Any]:
    """Yield the windows of this shard's parts as Arrow tables of one row."""
    import pyarrow  # pyright: ignore[reportMissingImports]

    def table(part: int, digest: str, content: Any) -> Any:
        return pyarrow.table({"part": [part], "digest": [digest], "rows": [pickle.dumps(content)]})

    part = 0
    try:
        _, rows, _ = rows_of(source, columns)
        for part, window in enumerate(windows_of(rows, size)):
            if folder.shard.has(part):
                yield table(part, digest_of([row.plain() for row in window]), window)
    except Exception as error:
        yield table(part, "", pickle.loads(_pickled(error)))


@contextmanager
def _records(
    ray: Any,
    job: Job,
    source: Source,
    columns: Columns,
    size: int,
    concurrency: int,
    cpus: float,
    gpus: float,
) -> Iterator[Iterator[dict[str, Any]]]:
    """Run the pipeline, and give what the actors report, one record after the other."""
    import ray.data as data
    from ray.data.block import BlockMetadata
    from ray.data.datasource import Datasource, ReadTask

    windows = partial(_windows, source, columns, job.folder, size)

    class Windows(Datasource):
        def estimate_inmemory_data_size(self) -> None:
            return None

        def get_read_tasks(self, *_: Any, **__: Any) -> list[ReadTask]:
            metadata = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
            return [ReadTask(windows, metadata)]

    with quiet("ray.data"):  # a copy warns about each setting that is deprecated
        context = data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = 1  # each window and each report travels as soon as it is there
    context.execution_options.resource_limits = data.ExecutionResources(object_store_memory=_READ_AHEAD)
    with data.DataContext.current(context), quiet("ray.data"):
        pipeline = data.read_datasource(
            Windows(),
            override_num_blocks=1,
            num_cpus=0,
            label_selector={"ray.io/node-id": ray.get_runtime_context().get_node_id()},  # files are here
        ).map_batches(
            _Actor,
            fn_constructor_args=(job,),
            batch_size=1,
            compute=data.ActorPoolStrategy(size=concurrency, max_tasks_in_flight_per_actor=2),
            num_cpus=cpus,
            num_gpus=gpus,
        )

        def records(batches: Any) -> Generator[dict[str, Any], None, None]:
            try:
                for batch in batches:
                    for values in zip(*batch.values(), strict=True):
                        record = dict(zip(batch, values, strict=True))
                        if record["error"]:
                            raise pickle.loads(record["error"])
                        yield record
            except ray.exceptions.RayError as error:
                raise ModelUnderstandingError(
                    f"Ray stopped the run: {str(error).strip().splitlines()[-1]}",
                    hint="All machines need the same version of model-understanding, and enough memory for "
                    "an actor. The parts that are written stay, and --resume goes on.",
                ) from error

        with closing(records(pipeline.iter_batches(batch_size=None, prefetch_batches=0))) as reports:
            yield reports


def _concurrency(ray: Any, asked: int | None, cpus: float, gpus: float) -> int:
    """Return how many actors run, or refuse more than there is room for: Ray would wait for ever."""
    there = ray.cluster_resources()
    room = int(there.get("CPU", 0) // cpus)
    if gpus:
        room = min(room, int(there.get("GPU", 0) / gpus))
    needed = f"{cpus:g} CPU{'s' * (cpus != 1)}" + (f" and {gpus:g} GPU{'s' * (gpus != 1)}" if gpus else "")
    if room < max(asked or 1, 1):
        has = f"{there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs"
        fewer = f"Pass --concurrency {room}" if room else "Add machines"
        threads = (
            ", or set OMP_NUM_THREADS=1 (--resume of a run with more threads can differ in the last bits)"
        )
        raise InputError(
            f"{asked or 1} actor{'s' * ((asked or 1) != 1)} of {needed} each do not fit: Ray has {has}.",
            hint=f"{fewer}{'' if gpus or cpus == 1 else threads}.",
        )
    return asked or room


def _for_workers(folder: OutputFolder) -> OutputFolder:
    """Return a folder as a process with another current folder finds it."""
    return OutputFolder(folder.path.absolute(), folder.job, folder.form, folder.shard, resume=folder.resume)
