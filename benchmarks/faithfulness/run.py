"""Compares how faithfully attribution methods rank the tokens of a text, against random orders.

Run with ``scripts/bench faithfulness``. Each row is written as soon as it is measured, and existing rows are
skipped, so that an interrupted run continues. ``--table`` writes the tables and the plot.
"""

import argparse
import json
import logging
import time
from pathlib import Path
from typing import Any

import peer_scores
import table
import torch
from measuring import Judge
from samples import LONG_SETS, SETS, Sample, samples_of
from table import REFERENCE
from ways import ways_of

from model_understanding.errors import ModelUnderstandingError
from model_understanding.model.metering import PassCounter, counted_by
from model_understanding.passes.dry_run import dry_run

RESULTS = Path(__file__).parent / "results.jsonl"


def measured(judge: Judge, way: str, method: Any) -> dict[str, Any]:
    """Return the row of one method on one sample: its cost and its z-scores."""
    sample = judge.sample
    row: dict[str, Any] = {"set": sample.kind, "sample": sample.number, "method": way}
    counter, tokens = PassCounter(), sample.encoding.ids.shape[1]
    started = time.process_time()
    try:
        with counted_by(counter):
            found = method(sample.visualizer.runner, sample.encoding, [[sample.target]])
    except ModelUnderstandingError as error:
        return {**row, "refused": str(error)}
    scores = found.scores[0, 0]
    cost = {
        "tokens": tokens,
        "candidates": len(judge.candidates),
        "forwards": round(counter.positions / tokens, 2),
        "backwards": round(counter.backward_positions / tokens, 2),
        "seconds": round(time.process_time() - started, 3),
    }
    return {**row, **cost, **judged(judge, scores)}


def forwards_of(method: Any, sample: Sample) -> float:
    """Return the cost of a method without backward passes on a sample, by a dry run."""
    runner, encoding = sample.visualizer.runner, sample.encoding
    counter, _ = dry_run(runner, lambda one: method(one, encoding, [[sample.target]]), longest=True)
    return round(counter.positions / encoding.ids.shape[1], 2)


def judged(judge: Judge, scores: Any) -> dict[str, Any]:
    """Return the z-scores of an attribution against random orders, for each replacement."""
    return {
        "recall": judge.recall(scores),
        "advantages": {
            name: [round(part, 4) for part in parts] for name, parts in judge.advantages(scores).items()
        },
    }


def compare(sample: Sample, wanted: list[str], known: set[tuple[Any, ...]], out: Path) -> None:
    """Append the missing rows of a sample."""
    ways = ways_of(sample.kind)
    missing = [way for way in ways if (sample.kind, sample.number, way) not in known]
    missing = [way for way in missing if not wanted or way in wanted]
    if not missing:
        return
    judge = Judge(sample)
    # A method that is too slow to run on every long text can still be counted there.
    counted = {} if sample.kind not in LONG_SETS else {REFERENCE: forwards_of(ways[REFERENCE](), sample)}
    for way in missing:
        row = measured(judge, way, ways[way]()) | counted
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        judge.variants.save()
    print(f"{sample.kind} {sample.number}: {len(missing)} rows", flush=True)


def compare_peers(
    texts: dict[str, list[Sample]], wanted: list[str], known: set[tuple[Any, ...]], out: Path, threads: int
) -> None:
    """Append the missing rows of other packages."""
    judges: dict[tuple[str, int], Judge] = {}

    def judge_of(sample: Sample) -> Judge:
        place = (sample.kind, sample.number)
        judge = judges[place] = judges.get(place) or Judge(sample)
        return judge

    for way in peer_scores.WAYS:
        missing = [
            sample
            for kind in way.sets
            for sample in texts[kind]
            if (kind, sample.number, way.name) not in known and (not wanted or way.name in wanted)
        ]
        if not missing:
            continue
        for answer in peer_scores.answers_of(way, missing, lambda one: judge_of(one).value(), threads):
            sample = answer.sample
            row: dict[str, Any] = {"set": sample.kind, "sample": sample.number, "method": way.name}
            if answer.scores is None:
                row["refused"] = answer.refused
            else:
                judge = judge_of(sample)
                row |= {"tokens": len(answer.scores), "candidates": len(judge.candidates)}
                forwards, backwards = (round(part, 2) for part in answer.passes)
                row |= {"forwards": forwards, "backwards": backwards, **judged(judge, answer.scores)}
                judge.variants.save()
            with out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        print(f"{way.name}: {len(missing)} rows", flush=True)


def arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=24, help="number of sentences (default 24)")
    parser.add_argument("--prompts", type=int, default=8, help="number of prompts (default 8)")
    parser.add_argument("--needles", type=int, default=8, help="number of needles (default 8)")
    parser.add_argument("--passages", type=int, default=3, help="number of prompts of 256 tokens (default 3)")
    parser.add_argument("--facts", type=int, default=3, help="number of needles in 256 tokens (default 3)")
    parser.add_argument(
        "--methods", default="", metavar="NAMES", help="only these methods, separated by semicolons"
    )
    parser.add_argument("--peers", action="store_true", help="measure other packages instead of ours")
    parser.add_argument("--threads", type=int, default=1, help="number of threads (default 1)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="results file (default: the committed one)")
    parser.add_argument(
        "--table", action="store_true", help="write the tables and the plot without measuring"
    )
    return parser.parse_args()


def main() -> None:
    """Measure the missing rows, set by set, and print the tables."""
    options = arguments()
    torch.set_num_threads(options.threads)
    logging.disable(logging.WARNING)  # paths that have not converged are compared too
    if not options.table:
        known = {(row["set"], row["sample"], row["method"]) for row in table.read_rows(options.out)}
        wanted = [word.strip() for word in options.methods.split(";") if word.strip()]
        if options.peers:
            kinds = (*peer_scores.CLASSIFIER, *peer_scores.LANGUAGE)
            texts = {kind: list(samples_of(kind, getattr(options, kind))) for kind in kinds}
            compare_peers(texts, wanted, known, options.out, options.threads)
            return
        for kind in SETS:
            for sample in samples_of(kind, getattr(options, kind)):
                compare(sample, wanted, known, options.out)
    rows = table.read_rows(options.out)
    if options.table:
        table.write(rows)
    else:
        print(table.tables(rows))


if __name__ == "__main__":
    main()
