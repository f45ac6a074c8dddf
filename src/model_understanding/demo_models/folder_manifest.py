"""A manifest inside a cached folder that says cheaply whether the folder is complete and undamaged.

Small files are hashed each time. A large file is trusted by its size and modification time, and is
hashed only when the time differs, as after a copy of the cache.
"""

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
_SMALL = 8_000_000


def write(folder: Path, *, source: str) -> None:
    """Writes the manifest of the folder's present files and waits until all are on the disk.

    Args:
        folder: A folder of files, complete but for the manifest.
        source: Where the files come from, for the reader of the manifest.
    """
    files: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb+") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        status = path.stat()
        files[path.name] = {"bytes": status.st_size, "sha256": digest, "modified": status.st_mtime_ns}
    _replace(folder, {"schema": 1, "source": source, "files": files})


def is_intact(folder: Path) -> bool:
    """Whether the folder holds what its manifest says.

    Args:
        folder: A folder that may be missing, incomplete or damaged.

    Returns:
        True when every file is there and as it was written.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files: dict[str, dict[str, Any]] = manifest["files"]
        if manifest["schema"] != 1 or not files:
            return False
        touched = False
        for name, expected in files.items():
            path = folder / name
            status = path.stat()
            if status.st_size != expected["bytes"]:
                return False
            same_time = status.st_mtime_ns == expected["modified"]
            if status.st_size > _SMALL and same_time:
                continue
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != expected["sha256"]:
                    return False
            expected["modified"] = status.st_mtime_ns
            touched = touched or not same_time
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    if touched:
        # Spares the next call the hashing; a read-only cache does without.
        with suppress(OSError):
            _replace(folder, manifest)
    return True


def _replace(folder: Path, manifest: dict[str, Any]) -> None:
    """Writes the manifest at once: a reader sees the old one or the new one."""
    handle, temporary = tempfile.mkstemp(prefix=".manifest-", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(manifest, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(folder / MANIFEST)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
