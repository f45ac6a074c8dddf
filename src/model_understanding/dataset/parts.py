"""The folder of a run over a data set: part files, each of which is whole or does not exist.

A part holds a fixed range of the input's rows, so what a killed run left says what remains to be done. It is
written under another name, flushed to the disk and renamed; nothing is ever written into a part again. The
manifest says what was run, and a run that differs from it is refused.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Protocol
from uuid import uuid4

from filelock import FileLock, Timeout

from model_understanding.errors import InputError

MANIFEST = "manifest.json"
SCHEMA = 1
_INPUT_ROWS = "input_rows"  # of the manifest, but not of the job: data may grow
_INPUT_COLUMNS = "input_columns"  # likewise: those that are not used do not matter
_NAMED_SHARDS = 4
_OF_SCORES = (
    *("weights_sha256", "tokenizer_sha256", "dtype", "method", "quantity", "evaluate", "max_new_tokens"),
)
"""What of a job the scores of a row depend on, wherever it is computed."""
_TEMPORARY = re.compile(r"\.part-(\d{6,})\.[a-z0-9]+\.\d+\.tmp")
_PART = re.compile(r"part-(\d{6,})\.[a-z0-9]+")


class PartFormat(Protocol):
    """How the rows of a part are written and read."""

    suffix: str

    def write(self, rows: Any, digest: str, file: IO[bytes]) -> None:
        """Write rows, with the digests of the job and of the input rows, to an open file."""
        ...

    def digest(self, path: Path) -> str | None:
        """Return the digest that a part was written with; ``None`` if the file is not whole."""
        ...

    def failed(self, path: Path) -> int:
        """Return how many rows of a whole part were not explained."""
        ...

    def count(self, path: Path) -> int:
        """Return how many rows a whole part has."""
        ...

    def read(self, path: Path, names: Sequence[str]) -> Iterator[Mapping[str, Sequence[Any]]]:
        """Yield columns of a whole part, some rows at a time; lists of numbers as arrays."""
        ...


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several processes or machines that share the parts of a run.

    Args:
        index: Its number, from 0.
        count: How many there are.

    >>> Shard(1, 3).parts(7)
    [1, 4]
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise InputError(
                f"There is no shard {self.index} of {self.count}.",
                hint=f"Pass a number from 0 to {self.count - 1}, such as --shard 0/{self.count}.",
            )

    def has(self, part: int) -> bool:
        """Return whether a part is one of this shard's."""
        return part % self.count == self.index

    def parts(self, count: int) -> list[int]:
        """Return which of so many parts are this shard's."""
        return [part for part in range(count) if self.has(part)]

    def rows(self, count: int | None, size: int) -> int | None:
        """Return how many of so many rows are in this shard's parts of a size.

        >>> Shard(1, 2).rows(25, 10)
        10
        """
        if count is None:
            return None
        return sum(min(size, count - part * size) for part in self.parts(-(-count // size)))


class OutputFolder:
    """The folder that a run writes to.

    Args:
        path: The folder; created if it does not exist.
        job: What is run: everything that the rows depend on, as plain values.
        form: How parts are written.
        shard: Which of the parts this run writes.
        resume: Whether to go on with a run of the same job; otherwise the folder must be empty.
        input_rows: How many rows the data set has; ``None`` if that is not known.
        input_columns: Names of all of its columns; ``None`` if they are not known.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        job: Mapping[str, Any],
        form: PartFormat,
        shard: Shard | None = None,
        *,
        resume: bool = False,
        input_rows: int | None = None,
        input_columns: Sequence[str] | None = None,
    ) -> None:
        self.path = Path(path).expanduser()
        self.job: dict[str, Any] = json.loads(json.dumps(dict(job)))  # as it will be read again
        self._scores_digest = digest_of([{key: self.job.get(key) for key in _OF_SCORES}])[:16]
        self.form = form
        self.shard = shard or Shard()
        self.resume = resume
        self.input_rows = input_rows
        self.input_columns = None if input_columns is None else list(input_columns)

    @contextmanager
    def opened(self) -> Iterator["OutputFolder"]:
        """Hold the folder for one run: no other one may write the same parts meanwhile.

        Raises:
            InputError: Another process writes to it, it holds another job or other files, or it cannot be
                written to.
        """
        with _refusing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / f".lock-{self.shard.index}-of-{self.shard.count}")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                f"Another process writes to {str(self.path)!r}.",
                hint="Wait until it ends, or pass another folder.",
            ) from error
        try:
            with FileLock(self.path / ".lock"):  # shards begin at one time
                self._check_job()
            self._remove_temporary()
            yield self
        finally:
            lock.release()

    def part_path(self, part: int) -> Path:
        """Return the file of a part."""
        return self.path / f"part-{part:06d}.{self.form.suffix}"

    def is_done(self, part: int, digest: str) -> bool:
        """Return whether a part is there and whole.

        Args:
            part: The part's number.
            digest: Digest of the input rows that it should come from.

        Raises:
            InputError: It comes from another run, or from other rows: the input has changed.
        """
        path = self.part_path(part)
        if not path.exists():
            return False
        written = self.form.digest(path)
        if written is None:  # a disk that lied about a flush, or a copy that was cut off
            return False
        scores, _, rows = written.rpartition("-")
        if scores != self._scores_digest:
            raise InputError(
                f"{path.name} is a part of another run: it was computed by another model or method.",
                hint="Remove it; --resume computes it again.",
            )
        if rows != digest:
            raise InputError(
                f"The input has changed: {path.name} was computed from other rows than those that are there "
                "now.",
                hint="Pass the input as it was, or another --out folder.",
            )
        return True

    def failed(self, part: int) -> int:
        """Return how many rows of a part that is done were not explained."""
        return self.form.failed(self.part_path(part))

    def check_end(self, count: int) -> None:
        """Check that the input has not become shorter.

        Args:
            count: How many parts the input has.

        Raises:
            InputError: There are parts of rows that are no longer in the input.
        """
        if more := [part for part in self._own_parts() if part >= count]:
            raise InputError(
                f"The input has changed: {self.part_path(min(more)).name} was computed from rows that are no "
                "longer there.",
                hint="Pass the input as it was, or another --out folder.",
            )

    def write(self, part: int, digest: str, rows: Any) -> None:
        """Write a part, so that it is whole or absent even if the process or the machine dies.

        Args:
            part: The part's number.
            digest: Digest of the input rows that it comes from.
            rows: What the format writes.

        Raises:
            InputError: The disk is full, or the folder cannot be written to.
        """
        path = self.part_path(part)
        temporary = self.path / f".{path.name}.{uuid4().int}.tmp"  # processes of two machines share numbers

        def save(file: IO[bytes]) -> None:
            self.form.write(rows, f"{self._scores_digest}-{digest}", file)

        with _refusing(self.path):
            write_whole(path, temporary, save)

    def _check_job(self) -> None:
        """Write the manifest, or compare the job with the one that is there."""
        path = self.path / MANIFEST
        if not path.exists():
            others = [entry.name for entry in self.path.iterdir() if not entry.name.startswith(".")]
            if others:
                raise InputError(
                    f"The folder {str(self.path)!r} is not empty: it holds {', '.join(sorted(others)[:3])}.",
                    hint="Pass a new folder.",
                )
            self._write_manifest()
            return
        before = read_manifest(self.path)
        input_rows = before.pop(_INPUT_ROWS, None)  # the data may have grown
        input_columns = before.pop(_INPUT_COLUMNS, None)
        differences = differences_of(before, {"schema": SCHEMA, **self.job})
        if differences:
            raise InputError(
                f"The folder {str(self.path)!r} holds another run: {'; '.join(differences[:3])}.",
                hint="Run the same as before with --resume, or pass another --out folder.",
            )
        if self._own_parts() and not self.resume:
            raise InputError(
                f"The folder {str(self.path)!r} already holds this run, or a part of it.",
                hint="Pass --resume to go on with it, or another --out folder.",
            )
        if self.input_rows not in (None, input_rows) or self.input_columns not in (None, input_columns):
            self._write_manifest()

    def _write_manifest(self) -> None:
        data = {_INPUT_ROWS: self.input_rows, _INPUT_COLUMNS: self.input_columns}
        known = {name: value for name, value in data.items() if value is not None}
        text = json.dumps({"schema": SCHEMA, **self.job, **known}, indent=1, ensure_ascii=False)
        with _refusing(self.path):
            temporary = self.path / f".{MANIFEST}.{os.getpid()}.tmp"
            write_whole(self.path / MANIFEST, temporary, lambda file: _write_text(file, text))

    def _remove_temporary(self) -> None:
        """Remove what a killed run of this shard left half-written."""
        for entry in self.path.iterdir():
            match = _TEMPORARY.fullmatch(entry.name)
            if match and self.shard.has(int(match[1])):
                entry.unlink(missing_ok=True)

    def present(self, size: int) -> int:
        """Return about how many rows an earlier run has written, of parts of a size; not yet checked."""
        return len(self._own_parts()) * size

    def _own_parts(self) -> list[int]:
        """Return the numbers of the parts of this shard that are there."""
        names = (_PART.fullmatch(entry.name) for entry in self.path.iterdir())
        return [part for name in names if name and self.shard.has(part := int(name[1]))]


def write_whole(path: Path, temporary: Path, save: Callable[[IO[bytes]], None]) -> None:
    """Write a file under another name, flush it to the disk, and give it its name.

    Args:
        path: The file.
        temporary: The other name, in the same folder.
        save: Writes the content to the open file.
    """
    try:
        with temporary.open("wb") as file:
            save(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def read_manifest(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a folder's run was.

    Args:
        folder: The folder.

    Raises:
        InputError: It is no folder of a run.
    """
    path = Path(folder).expanduser() / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"{str(folder)!r} is not the folder of a run: it has no {MANIFEST}.",
            hint="Pass the folder that model-understanding dataset --out wrote.",
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}.", hint="Run it again.") from error
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise InputError(
            f"{str(path)!r} was written by another version of model-understanding.",
            hint="Use that version, or run it again.",
        )
    return manifest


def part_number(path: Path) -> int:
    """Return the number of a part.

    >>> part_number(Path("part-000012.parquet"))
    12
    """
    return int(path.name.removeprefix("part-").partition(".")[0])


def missing_parts(present: Iterable[int], manifest: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the numbers of the parts that are not there: all of them if the size of the data set is known.

    >>> missing_parts([0, 2], {"rows_per_part": 64, "input_rows": 320}), missing_parts([0, 2], {})
    ((1, 3, 4), (1,))

    Args:
        present: The numbers of those that are.
        manifest: What the run was.
    """
    numbers = set(present)
    count = max(numbers, default=-1) + 1
    if rows := manifest.get(_INPUT_ROWS):
        count = max(count, -(-rows // manifest["rows_per_part"]))
    return tuple(sorted(set(range(count)) - numbers))


def how_to_complete(missing: Sequence[int], shards: int) -> str:
    """Say which parts are missing, and what computes them.

    >>> how_to_complete([1, 3], 2)
    'Still missing: 2 parts of --shard 1/2.'

    Args:
        missing: Their numbers.
        shards: How many processes share the parts.
    """
    if shards == 1:
        parts = "1 part is" if len(missing) == 1 else f"{len(missing):,} parts are"
        return f"{parts} missing: the same command with --resume computes what is missing."
    counts = sorted(Counter(part % shards for part in missing).items())
    named = [f"{count:,} part{'s' * (count != 1)} of --shard {index}/{shards}" for index, count in counts]
    more = len(named) - _NAMED_SHARDS
    rest = [f"those of {more:,} more shard{'s' * (more != 1)}"] if more > 0 else []
    return f"Still missing: {', '.join(named[:_NAMED_SHARDS] + rest)}."


def digest_of(rows: Iterator[Any] | list[Any]) -> str:
    """Return the SHA-256 of input rows, as plain values in their order."""
    digest = sha256()
    for row in rows:
        digest.update(json.dumps(row, ensure_ascii=True, sort_keys=True, default=str).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _write_text(file: IO[bytes], text: str) -> None:
    file.write(text.encode("utf-8", "surrogatepass"))


def differences_of(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in words what differs between two jobs.

    >>> differences_of({"method": "fast"}, {"method": "saliency"})
    ['method was "fast", now "saliency"']
    """
    differences: list[str] = []
    for key in dict.fromkeys([*before, *now]):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):  # versions, columns
            differences += (f"{key}: {difference}" for difference in differences_of(old, new))
        elif old != new:
            differences.append(f"{key} was {_shown(old)}, now {_shown(new)}")
    return differences


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, where the system has a way."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _refusing(folder: Path) -> Iterator[None]:
    """Turn what the file system refuses into an error that says so."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(
            f"{str(folder)!r} is a file, or in one.", hint="Pass a folder; it need not exist."
        ) from error
    except OSError as error:
        raise InputError(
            f"Cannot write to {str(folder)!r}: {error.strerror or error}.",
            hint="Free some space or pass another folder; what is written stays, and --resume goes on.",
        ) from error
