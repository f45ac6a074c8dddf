"""Results as files: written whole or not at all, and read without running what they hold."""

import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model_understanding.errors import InputError

if TYPE_CHECKING:
    import pandas

FIGURE_SUFFIXES = (".png", ".svg", ".pdf")


def save_as(path: str | os.PathLike[str], suffixes: tuple[str, ...], render: Callable[[str], bytes]) -> Path:
    """Write a result in the format that a file's suffix names.

    Args:
        path: Where to write; the file appears whole or not at all.
        suffixes: The formats there are.
        render: Makes the bytes of a format.

    Returns:
        The path written.

    Raises:
        InputError: The suffix is none of these, or the file cannot be written.
    """
    target = Path(path).expanduser()
    suffix = target.suffix.lower()
    if suffix not in suffixes:
        raise InputError(
            f"Cannot save {target.name!r}: its suffix is {suffix or 'missing'}.",
            hint=f"Use one of {', '.join(suffixes)}.",
        )
    write_atomically(target, render(suffix))
    return target


def csv_text(table: "pandas.DataFrame") -> str:
    """Return a table as CSV; a cell that a spreadsheet would run as a formula is quoted by a tab."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    for column, kind in table.dtypes.items():
        if not (is_numeric_dtype(kind) or is_bool_dtype(kind)):
            table[column] = [
                f"\t{cell}" if str(cell)[:1] in tuple("=+-@\t\r") else cell for cell in table[column]
            ]
    return table.to_csv(index=False, lineterminator="\r\n")  # with "\n" alone a "\r" is not quoted


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it, so that it appears whole or not at all.

    Args:
        path: Where to write. Missing folders are made.
        content: What to write.

    Raises:
        InputError: The folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:40]}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(
            f"Cannot write {path}: {reason}.", hint="Choose another place to save to."
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def reading(what: str, source: Path, writers: str) -> Iterator[None]:
    """Turn whatever a damaged or missing file raises into an error that says what to pass instead.

    Args:
        what: What is read, as ``a report``.
        source: The file.
        writers: The calls that write such files.

    Raises:
        InputError: The file does not exist or holds something else.
    """
    try:
        yield
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, InputError):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(
            f"Cannot read {what} from {source}: {reason.rstrip('.')}.",
            hint=f"Pass a file that {writers} wrote.",
        ) from error


def array_in(source: Path, name: str) -> np.ndarray:
    """Return one array of an ``.npz`` file; objects in it, which could run code, are not read."""
    with source.open("rb") as file, zipfile.ZipFile(file) as archive, archive.open(f"{name}.npy") as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def names_in(source: Path) -> set[str]:
    """Return the names of the arrays of an ``.npz`` file."""
    with source.open("rb") as file, zipfile.ZipFile(file) as archive:
        return {name.removesuffix(".npy") for name in archive.namelist()}
