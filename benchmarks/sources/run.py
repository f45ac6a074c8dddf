"""Measures answer maps on prompts whose source is known, beside exact deletion and ContextCite.

Run with ``scripts/bench sources``. Rows are written as soon as they are measured, and existing rows are
skipped, so that an interrupted run continues. ``--table`` writes the tables.
"""

import argparse
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import comparing
import copying
import measuring
import memory
import prompts
import table
import torch

from model_understanding import GenerativeModelVisualizer

RESULTS = Path(__file__).parent / "results.jsonl"
COPYING, LANGUAGE_MODEL = "copying model", "demo:smollm2"
_BUILT_IN = "Answer the question with the documents. Document 1 2 3 4 5 6 7 8 9 10 ( ) : Question Answer"
Measured = Iterator[dict[str, Any]]


def _copying() -> GenerativeModelVisualizer:
    listed = [prompt for set_ in (*prompts.COUNTS, "paragraphs") for prompt in measuring.of_set(set_)]
    return copying.copying_visualizer([*measuring.texts_of(listed), _BUILT_IN])


def copied(known: set[str], _: int | None) -> Measured:
    """Yield the rows of all prompts and the copying model, which is given the answers."""
    return measuring.rows(_copying(), COPYING, known, answers_itself=False)


def copied_compared(known: set[str], count: int | None) -> Measured:
    """Yield the rows of the copying model beside exact deletion and ContextCite."""
    return comparing.rows(_copying(), COPYING, known, count)


def answered(known: set[str], _: int | None) -> Measured:
    """Yield the rows of all prompts and SmolLM2, which answers by itself."""
    visualizer = GenerativeModelVisualizer(LANGUAGE_MODEL)
    return measuring.rows(visualizer, LANGUAGE_MODEL, known, answers_itself=True)


def compared(known: set[str], count: int | None) -> Measured:
    """Yield the rows of SmolLM2 beside exact deletion and ContextCite."""
    return comparing.rows(GenerativeModelVisualizer(LANGUAGE_MODEL), LANGUAGE_MODEL, known, count)


PARTS: dict[str, Callable[[set[str], int | None], Measured]] = {
    "copying": copied,
    "copying compared": copied_compared,
    "language model": answered,
    "memory": memory.rows,
    "compared": compared,
}
"""What measures the rows of each part that are not known yet."""


def arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, help="measure only this part")
    parser.add_argument("--count", type=int, help="compare only so many prompts (default: all)")
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
        for row in PARTS[part](known, options.count):
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
