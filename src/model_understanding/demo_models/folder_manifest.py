"""A manifest in a cached folder, to check quickly whether the folder is complete and undamaged.

Small files are hashed each time. A large file is checked by its size and modification time, and hashed
only if the time differs, as after a copy of the cache.
"""

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
_SMALL_BYTES = 8_000_000


def write(folder: Path, *, source: str) -> None:
    """Write the manifest of a folder's files, after flushing all of them to disk.

    Args:
        folder: A folder of files, complete except for the manifest.
        source: Where the files come from, for readers of the manifest.
    """
    files: dict[str, dict[str, Any]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb+") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        status = path.stat()
        files[path.relative_to(folder).as_posix()] = {
            "bytes": status.st_size,
            "sha256": digest,
            "modified": status.st_mtime_ns,
        }
    _replace(folder, {"schema": 1, "source": source, "files": files})


def is_intact(folder: Path) -> bool:
    """Return whether a folder has exactly the files of its manifest, unchanged.

    Args:
        folder: A folder that may be missing, incomplete or damaged.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files: dict[str, dict[str, Any]] = manifest["files"]
        if manifest["schema"] != 1 or not files:
            return False
        times_changed = False
        for name, expected in files.items():
            path = folder / name
            status = path.stat()
            if status.st_size != expected["bytes"]:
                return False
            same_time = status.st_mtime_ns == expected["modified"]
            if status.st_size > _SMALL_BYTES and same_time:
                continue
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != expected["sha256"]:
                    return False
            expected["modified"] = status.st_mtime_ns
            times_changed = times_changed or not same_time
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    if times_changed:
        # Saves the next call the hashing, except in a read-only cache.
        with suppress(OSError):
            _replace(folder, manifest)
    return True


def _replace(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest atomically: a reader sees the old one or the new one."""
    handle, name = tempfile.mkstemp(prefix=".manifest-", dir=folder)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(manifest, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(folder / MANIFEST)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
