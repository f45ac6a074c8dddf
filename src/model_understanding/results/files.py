"""Files of results: written atomically, and read without running code from them."""

import errno
import math
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from model_understanding.errors import InputError

if TYPE_CHECKING:
    import pandas

FIGURE_SUFFIXES = (".png", ".svg", ".pdf")
_FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")
"""What a spreadsheet takes for the start of a formula, in full width too."""
_DAMAGED_ARCHIVE = (zipfile.BadZipFile, zlib.error)
_LARGE, _MOST_RATIO = 16 << 20, 200
"""From this size on, an array may unpack to this many times its compressed size; real ones stay below 100."""


def size_words(count: int) -> str:
    """Return a number of bytes in words.

    >>> size_words(900), size_words(153_940), size_words(5_177_182)
    ('1 kB', '154 kB', '5.2 MB')
    """
    return f"{count / 1e6:.1f} MB" if count >= 999_500 else f"{max(1, round(count / 1e3))} kB"


def save_as(path: str | os.PathLike[str], suffixes: tuple[str, ...], render: Callable[[str], bytes]) -> Path:
    """Write a result in the format of the file's suffix.

    Args:
        path: File to write; it is written atomically.
        suffixes: Supported suffixes.
        render: Returns the bytes for a suffix.

    Returns:
        The path written.

    Raises:
        InputError: The suffix is not supported, or the file cannot be written.
    """
    file = Path(path).expanduser()
    suffix = file.suffix.lower()
    if suffix not in suffixes:
        raise InputError(
            f"Cannot save {file.name!r}: its suffix is {suffix or 'missing'}.",
            hint=f"Use one of {', '.join(suffixes)}.",
        )
    write_atomically(file, render(suffix))
    return file


def csv_text(table: "pandas.DataFrame") -> str:
    """Return a table as CSV; cells that a spreadsheet would run as formulas get a leading tab."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    for column, dtype in table.dtypes.items():
        if not (is_numeric_dtype(dtype) or is_bool_dtype(dtype)):
            table[column] = [
                f"\t{cell}" if str(cell)[:1] in _FORMULA_STARTS else cell for cell in table[column]
            ]
    return table.to_csv(index=False, lineterminator="\r\n")  # with "\n", pandas does not quote "\r"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it, so that no incomplete file is ever left.

    Args:
        path: File to write; missing folders are created.
        content: Content of the file.

    Raises:
        InputError: The file cannot be written.
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
        raise InputError(f"Cannot write {path}: {reason}.", hint="Save to another path.") from error


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before the work whose result it is to hold.

    Args:
        path: File that ``write_atomically`` is to write later.

    Raises:
        InputError: It is a folder, or its folder cannot be written or created.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "It is a folder")
        folder = path.parent
        while not folder.exists():
            folder = folder.parent
        with tempfile.TemporaryFile(prefix=f".{path.name[:40]}-", dir=folder):
            pass
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"Cannot write {path}: {reason}.", hint="Save to another path.") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def reading(what: str, source: Path, writers: str) -> Iterator[None]:
    """Turn the errors of a missing or damaged file into an ``InputError``.

    Args:
        what: What is read, for example ``a report``.
        source: The file.
        writers: The calls that write such files, for the hint.

    Raises:
        InputError: The file does not exist, or its content is something else.
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"Cannot read {what} from {source}: {error.message}", hint=error.hint) from error
    except (OSError, ValueError, EOFError, KeyError, RecursionError, *_DAMAGED_ARCHIVE) as error:
        reason = error.args[0] if isinstance(error, KeyError) else str(error)
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        raise InputError(
            f"Cannot read {what} from {source}: {reason.rstrip('.')}.",
            hint=f"Pass a file that {writers} wrote.",
        ) from error


def read_array(source: Path, name: str) -> np.ndarray:
    """Return one array of an ``.npz`` file.

    Pickled objects, which could run code, are refused, and arrays that are not as large as they say or that
    unpack to many times their size in the file, before memory is taken for them.
    """
    with source.open("rb") as file, zipfile.ZipFile(file) as archive:
        entry = archive.getinfo(f"{name}.npy")
        if entry.file_size > _LARGE and entry.file_size > _MOST_RATIO * entry.compress_size:
            raise ValueError(
                f"{name} unpacks to {entry.file_size // max(1, entry.compress_size)} times its size"
            )
        with archive.open(entry) as member:
            _check_size(member, entry.file_size, name)
        with archive.open(entry) as member:
            return np.lib.format.read_array(member, allow_pickle=False)


def _check_size(member: IO[bytes], size: int, name: str) -> None:
    """Refuse an array whose header announces more or less than its file has."""
    version = np.lib.format.read_magic(member)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read_header is None:
        raise ValueError(f"{name} has the unknown format version {version}")
    shape, _, dtype = read_header(member)
    announced = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and announced != size - member.tell():
        raise ValueError(f"{name} announces {announced} bytes and has {size - member.tell()}")


def array_names(source: Path) -> set[str]:
    """Return the names of the arrays of an ``.npz`` file."""
    with source.open("rb") as file, zipfile.ZipFile(file) as archive:
        return {name.removesuffix(".npy") for name in archive.namelist()}
