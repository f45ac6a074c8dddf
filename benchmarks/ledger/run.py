"""Measures ledgers: agreement with activation patching on minimal pairs, exactness, time and memory.

Run with ``scripts/bench ledger``. Rows are written as soon as they are measured, and existing rows are
skipped, so that an interrupted run continues. ``--table`` writes the tables.
"""

import argparse
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import agreement
import cost
import exactness
import table
import torch

RESULTS = Path(__file__).parent / "results.jsonl"
PARTS = {
    "cost": cost.rows,
    "architectures": exactness.architectures,
    "faults": exactness.faults,
    "equality": exactness.equality,
    "experts": agreement.experts,
    "classifier": agreement.classifier,
    "language model": agreement.language_model,
}
"""What measures the rows of each part that are not known yet."""


def arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, help="measure only this part")
    parser.add_argument("--out", type=Path, default=RESULTS, help="results file (default: the committed one)")
    parser.add_argument("--table", action="store_true", help="write the tables without measuring")
    return parser.parse_args()


def main() -> None:
    """Measure the missing rows, and print the tables."""
    options = arguments()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    for part in () if options.table else (options.part,) if options.part else PARTS:
        known = {row["key"] for row in table.read_rows(options.out) if row["part"] == part}
        measured: Iterator[dict[str, Any]] = PARTS[part](known)
        for row in measured:
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"part": part, **row}) + "\n")
            print(f"{part}: {row['key']}", flush=True)
    rows = table.read_rows(options.out)
    if options.table:
        table.write(rows)
    else:
        print(table.tables(rows))


if __name__ == "__main__":
    main()
