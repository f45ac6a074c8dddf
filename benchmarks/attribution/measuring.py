"""Times the implementations of a task round by round, each in its own process, and compares their scores."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environments import python_of
from models import kind_of, model_folder, text_ids
from processes import WayError, WorkerProcess
from tasks import PEERS, Task

HERE = Path(__file__).parent
INDEX = 1  # the class or vocabulary id that is explained
TEXTS_AT_ONCE = 32
# Kinds of scores, the best comparison first; one kind is the same quantity in every implementation.
KINDS = ("signed", "probability", "other", "norm", "absolute", "product")


@dataclass(frozen=True)
class Conditions:
    """The conditions of a run."""

    rounds: int
    threads: int
    device: str


class Worker(WorkerProcess):
    """A process that runs one implementation of a task."""

    def __init__(self, task: Task, way: str, conditions: Conditions, share: dict[str, Any]) -> None:
        self.way = way
        peer = way in PEERS
        python = python_of(way) if peer else Path(sys.executable)
        file = HERE / "peers" / f"{way}.py" if peer else HERE / ("ours.py" if way == "ours" else "floors.py")
        job = self._job(task, conditions, share, file, PEERS.get(way, ""))
        super().__init__(python, job, conditions.threads)

    @staticmethod
    def _job(
        task: Task, conditions: Conditions, share: dict[str, Any], file: Path, package: str
    ) -> dict[str, Any]:
        ids = text_ids(task.model, task.tokens, task.texts)[: share.get("first")]
        return {
            "way_file": str(file),
            "package": package,
            "kind": kind_of(task.model),
            "model_folder": str(model_folder(task.model)[1]),
            "work": task.work,
            "method": task.method,
            "ids": ids,
            "prompt": task.prompt,
            "nodes": share.get("nodes", task.nodes),
            "entities": entities_of(task),
            "index": INDEX,
            "mask_id": 103,
            "batch": TEXTS_AT_ONCE,
            "dtype": task.dtype,
            "device": conditions.device,
            "threads": conditions.threads,
        }


def entities_of(task: Task) -> list[list[int]]:
    """Return the tokens of each entity: one to three, spread over the text."""
    if not task.entities:
        return []
    step = (task.tokens - 2) // task.entities
    return [list(range(1 + step * number, 2 + step * number + number % 3)) for number in range(task.entities)]


def agreement(found: dict[str, Any], reference: dict[str, Any]) -> float | None:
    """Return the lowest correlation between a target's scores and the reference's.

    Correlation, not equality: a probability's gradient is a multiple of the log-probability's.

    Args:
        found: Scores by kind, one list for each target or text.
        reference: The reference's scores.

    Returns:
        The correlation; ``None`` if they share no kind of scores or a target's scores are constant.
    """
    import numpy as np

    for kind in KINDS:
        if kind in found and kind in reference:
            rows = zip(found[kind], reference[kind], strict=False)
            if len(found[kind]) != len(reference[kind]):
                return None
            values = [float(np.corrcoef(own[: len(right)], right[: len(own)])[0, 1]) for own, right in rows]
            lowest = float(np.min(values))
            return lowest if np.isfinite(lowest) else None
    return None


def gap(found: dict[str, Any], reference: dict[str, Any]) -> float | None:
    """Return the largest relative gap between a text's scores and the change they should sum to."""
    if "signed" not in found or "changes" not in reference:
        return None
    rows = zip(found["signed"], reference["changes"], strict=True)
    return max(abs(sum(scores) - change) / abs(change) for scores, change in rows)


def measured(task: Task, ways: list[str], conditions: Conditions, errors: dict[str, str]) -> dict[str, Any]:
    """Run the implementations of a task in turn, round by round.

    The first round is not timed: it gives the peak memory of a fresh process, and the scores.

    Args:
        task: The task.
        ways: The implementations; ``ours`` and ``floor`` first.
        conditions: Rounds, threads and device.
        errors: The packages without an environment, and the reasons.

    Returns:
        The row: seconds, peak memory and agreement of each implementation, or its error.
    """
    row: dict[str, Any] = {
        "task": task.key,
        "model": model_folder(task.model)[0],
        "rounds": conditions.rounds,
        "threads": conditions.threads,
        "device": conditions.device,
        "ways": {way: {"error": errors[way]} for way in ways if way in errors},
    }
    workers: dict[str, Worker] = {}
    scores: dict[str, dict[str, Any]] = {}

    def drop(way: str, error: WayError) -> None:
        row["ways"][way] = {"error": str(error)}
        if way in workers:
            workers.pop(way).close()

    try:
        for way in ways:
            if way in errors:
                continue
            try:
                workers[way] = Worker(task, way, conditions, dict(task.shares.get(way, {})))
                peak = workers[way].run()["peak_bytes"]
                scores[way] = workers[way].read()
            except WayError as error:
                drop(way, error)
                continue
            row["ways"][way] = {
                "version": workers[way].version,
                "share": dict(task.shares.get(way, {})),
                "peak_megabytes": round(peak / 1e6, 1),
                "seconds": [],
            }
        for _ in range(conditions.rounds):
            for way in list(workers):
                try:
                    times = task.shares.get(way, {}).get("times", 1)
                    row["ways"][way]["seconds"].append(round(workers[way].run()["seconds"] * times, 5))
                except WayError as error:
                    drop(way, error)
    finally:
        for worker in workers.values():
            worker.close()
    _compare(task, conditions, scores, row)
    row["date"] = time.strftime("%Y-%m-%d", time.gmtime())
    return row


def _compare(
    task: Task, conditions: Conditions, scores: dict[str, dict[str, Any]], row: dict[str, Any]
) -> None:
    """Add to the row how far each implementation agrees with the floor on the same texts and nodes."""
    references: dict[str, dict[str, Any]] = {}
    for way, found in scores.items():
        if way == "floor" or "seconds" not in row["ways"][way]:
            continue
        # No floor has other backward rules: there, packages are compared with ours, which our tests check.
        if task.method:
            reference = scores.get("ours", {}) if way != "ours" else {}
        else:
            own = {key: value for key, value in task.shares.get(way, {}).items() if key == "first"}
            if "floor" in task.shares:  # the floor runs a part too: give it as many nodes
                own["nodes"] = task.shares.get(way, {}).get("nodes", task.nodes)
            key = json.dumps(own, sort_keys=True)
            if key not in references:
                references[key] = _reference(task, conditions, own) if own else scores.get("floor", {})
            reference = references[key]
        lowest, missing = agreement(found, reference), gap(found, reference)
        row["ways"][way] |= {
            "agreement": None if lowest is None else round(lowest, 6),
            "gap": None if missing is None else round(missing, 6),
        }


def _reference(task: Task, conditions: Conditions, share: dict[str, Any]) -> dict[str, Any]:
    """Return the floor's scores for a share of the task."""
    worker = Worker(task, "floor", conditions, share)
    try:
        worker.run()
        return worker.read()
    finally:
        worker.close()
