"""Measures runs over data sets; ``scripts/bench dataset`` runs all subjects, ``--only`` one.

Each subject is a module of this folder, named in ``SUBJECTS``. It has ``measure(options)``, which returns
rows, and ``table(rows)``, which returns Markdown. A row is a dictionary that JSON can hold, with ``kind``,
the subject's name, and ``key``, under which it replaces an older one in ``results.jsonl``. To add a subject,
add its module and its name here; its table then stands in ``benchmarks/README.md`` after ``--table``.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from models import REPOSITORY
from pages import put_between

RESULTS = Path(__file__).parent / "results.jsonl"
README = REPOSITORY / "benchmarks" / "README.md"
START, END = "<!-- dataset: start -->", "<!-- dataset: end -->"
SUBJECTS = {
    "speed": "Rows per second",
    "memory": "Memory and resuming",
    "ray_actors": "Ray",
}


def read_rows(path: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a file by their keys; none if there is no file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {row["key"]: row for row in map(json.loads, lines)}


def tables(rows: dict[str, dict[str, Any]]) -> str:
    """Return the tables of all subjects that have rows."""
    parts = []
    for subject, title in SUBJECTS.items():
        own = [row for row in rows.values() if row["kind"] == subject]
        if own:
            parts.append(f"### {title}\n\n{importlib.import_module(subject).table(own)}")
    return "\n\n".join(parts)


def arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="timed rounds, after an untimed one (default 5)"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of each process (default 1)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument(
        "--only", default="", metavar="NAME", help=f"one of {', '.join(SUBJECTS)}, or a method of speed"
    )
    parser.add_argument("--no-peers", action="store_true", help="omit other packages")
    parser.add_argument("--out", type=Path, default=RESULTS, help="results file whose rows are replaced")
    parser.add_argument("--table", action="store_true", help="write the tables without measuring")
    return parser.parse_args()


def main() -> None:
    """Measure, and write each subject's rows as soon as they are measured."""
    options = arguments()
    rows = read_rows(options.out)
    if options.table:
        page = README.read_text(encoding="utf-8")
        README.write_text(put_between(page, tables(rows), START, END), encoding="utf-8")
        return
    for subject in SUBJECTS:
        if subject == "speed" and options.only in SUBJECTS and options.only != "speed":
            continue
        if subject != "speed" and options.only not in ("", subject):
            continue
        for row in importlib.import_module(subject).measure(options):
            print(json.dumps(row), flush=True)
            rows[row["key"]] = row
            text = "".join(json.dumps(row) + "\n" for row in rows.values())
            options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
