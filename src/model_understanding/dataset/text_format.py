"""How text files are encoded, compressed and delimited: data sets, and the files of ``explain --file``."""

import codecs
import csv
import io
import re
from collections.abc import Iterable
from itertools import islice

DELIMITERS = (",", "\t", ";", "|")
SAMPLE_ROWS = 100  # rows that the delimiter and the column of texts are guessed from
SAMPLE_CHARACTERS = 200_000
"""How much of a file the delimiter is guessed from."""

_UNDECODED = re.compile("[\udc80-\udcff]")  # what "surrogateescape" makes of bytes that are not UTF-8
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # which begins as UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_STRAY_ZEROS, _ZEROS = 8, 0.02  # zero bytes, and share of them, up to which a file is text

csv.field_size_limit(2**31 - 1)  # a field may be a whole document


def encoding_of(start: bytes) -> str:
    """Return the encoding that a file's first bytes name, else UTF-8.

    Args:
        start: The first bytes.

    >>> encoding_of(b"text,label")
    'utf-8-sig'
    """
    marked = (encoding for mark, encoding in _BYTE_ORDER_MARKS if start.startswith(mark))
    return next(marked, "utf-8-sig")


def is_marked_wide(start: bytes) -> bool:
    """Return whether a file begins with the byte order mark of UTF-16 or UTF-32."""
    return encoding_of(start) != "utf-8-sig"


def compression_of(start: bytes) -> str | None:
    """Return how a file is compressed; ``None`` if it is not.

    Args:
        start: The first bytes.
    """
    return next((name for mark, name in _COMPRESSED.items() if start.startswith(mark)), None)


def is_unmarked_wide(start: bytes) -> bool:
    """Return whether a file is UTF-16 without a byte order mark: nearly every second byte is zero.

    Args:
        start: The first bytes.
    """
    zeros = [start[place::2].count(0) for place in (0, 1)]
    return not is_marked_wide(start) and max(zeros) > 0.4 * len(start) and min(zeros) < 0.1 * len(start)


def has_many_zeros(start: bytes) -> bool:
    """Return whether so many bytes are zero that a file is no text.

    Args:
        start: The first bytes.
    """
    return not is_marked_wide(start) and start.count(0) > max(_STRAY_ZEROS, _ZEROS * len(start))


def undecoded_byte(texts: Iterable[str]) -> tuple[int, int] | None:
    r"""Return the first byte of some texts that is not UTF-8, and its place in its text; else ``None``.

    Args:
        texts: Texts that were decoded with ``surrogateescape``.

    >>> undecoded_byte(["fine", b"b\xe9d".decode("utf-8", "surrogateescape")])
    (233, 1)
    """
    bad = next((found for text in texts if (found := _UNDECODED.search(text))), None)
    return None if bad is None else (ord(bad.group()) - 0xDC00, bad.start())


def delimiter_of(sample: str) -> str:
    r"""Return the delimiter that splits the first rows of a table into as many fields as its header has.

    Args:
        sample: The beginning of the table.

    >>> delimiter_of("text;label\nA film, a plot;1\n")
    ';'
    """

    def agreement(delimiter: str) -> tuple[float, int]:
        lines = io.StringIO(sample[:SAMPLE_CHARACTERS], newline="")
        rows = [row for row in islice(csv.reader(lines, delimiter=delimiter), SAMPLE_ROWS + 1) if row]
        if len(sample) >= SAMPLE_CHARACTERS and 1 < len(rows) <= SAMPLE_ROWS:
            rows.pop()  # it may be cut
        width = len(rows[0]) if rows else 0
        if width < 2:
            return (0.0, 0)
        return (sum(len(row) == width for row in rows) / len(rows), width)

    return max(DELIMITERS, key=agreement)
