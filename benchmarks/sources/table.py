"""The tables of the results for benchmarks/README.md."""

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file; none if there is no file."""
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [*{(row["part"], row["key"]): row for row in rows}.values()]


def write(rows): ...


def tables(rows):
    return ""
