"""Measures the error rates of the verdict: how many wrong maps it supports, and how many right ones.

Run with ``scripts/bench verdict``. Rows are written as soon as a text is evaluated, and existing texts are
skipped, so that an interrupted run continues. ``--table`` writes the table of both parts.
"""

import argparse
import json
import logging
from itertools import chain
from pathlib import Path
from typing import Any

import table
import torch
from maps import CALIBRATION, TEST, Judged, planted_texts, real_texts

from model_understanding.evaluation.ranked_text import candidates_of

RESULTS = Path(__file__).parent / "results.jsonl"
SEEDS = (0, 1)  # of the random orders: the verdict of the second is compared with that of the first


def judged_rows(judged: Judged) -> list[dict[str, Any]]:
    """Return the row of each map of a text."""
    attributions = [one.attribution for one in judged.maps]
    is_language_model = judged.visualizer.runner.is_language_model
    rows = []
    evaluated = [judged.visualizer.evaluate(attributions, seed=seed) for seed in SEEDS]
    for one, assessment, again in zip(judged.maps, *evaluated, strict=True):
        row = {"part": judged.part, "model": judged.model, "text": judged.text, "map": one.name}
        row |= {"names": one.names, "tokens": len(candidates_of(attributions[0], is_language_model))}
        (verdict,) = assessment.named("verdict")
        rows.append(
            {
                **row,
                "verdict": assessment.verdict,
                "again": again.verdict,
                "standing": round(verdict.value, 4),
                "each": {found.replacement: round(found.value, 4) for found in assessment.named("z_score")},
                "variants": assessment.variants,
                "forwards": assessment.forwards,
            }
        )
    return rows


def arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=(CALIBRATION, TEST), help="measure only this part")
    parser.add_argument("--threads", type=int, default=1, help="number of threads (default 1)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="results file (default: the committed one)")
    parser.add_argument("--table", action="store_true", help="write the table without measuring")
    return parser.parse_args()


def main() -> None:
    """Measure the missing texts, and print the table."""
    options = arguments()
    torch.set_num_threads(options.threads)
    logging.disable(logging.WARNING)
    if not options.table:
        known = {(row["part"], row["model"], row["text"]) for row in table.read_rows(options.out)}
        for part in (options.part,) if options.part else (CALIBRATION, TEST):
            for judged in chain(planted_texts(part, known), real_texts(part, known)):
                rows = "".join(json.dumps(row) + "\n" for row in judged_rows(judged))
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(rows)
                print(f"{part}: {judged.model}, text {judged.text}", flush=True)
    rows = table.read_rows(options.out)
    if options.table:
        table.write(rows)
    else:
        print(table.tables(rows))


if __name__ == "__main__":
    main()
