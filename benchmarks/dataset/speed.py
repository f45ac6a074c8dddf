"""Rows per second: ours from texts to files, the floor, captum and interpreto, round by round."""

import statistics
import sys
import time
from pathlib import Path
from typing import Any

from environments import make_environments, python_of
from pages import machine, plain
from processes import WayError, WorkerProcess
from texts import short_texts

HERE = Path(__file__).parent
PEERS = {"captum": "captum", "interpreto": "interpreto"}
ROWS = {"saliency": 2000, "fast": 2000, "integrated_gradients": 200}
BATCH = 32
LEAST = {"floor": 0.9, "peer": 1.3}  # goals: our rate over the floor's, and over the fastest package's


def measure(options: Any) -> list[dict[str, Any]]:
    """Return a row for each method.

    Args:
        options: ``rounds``, ``threads``, ``device``, ``only`` and ``no_peers``.
    """
    peers = [] if options.no_peers else list(PEERS)
    errors = make_environments(peers, HERE / "peers")
    methods = [method for method in ROWS if options.only in ("", "speed", method)]
    return [_measured(method, peers, errors, options) for method in methods]


def _worker(way: str, method: str, options: Any) -> WorkerProcess:
    import model_understanding.demo_models as demo_models

    job = {
        "way_file": str(HERE / "peers" / f"{way}.py" if way in PEERS else HERE / _file_of(way)),
        "package": PEERS.get(way, ""),
        "kind": "classifier",
        "model_folder": str(Path(demo_models.__file__).parent / "sentiment"),
        "ids": [[2, 3]],
        "strings": short_texts(ROWS[method]),
        "method": method,
        "batch": BATCH,
        "dtype": "float32",
        "device": options.device,
        "threads": options.threads,
    }
    if way == "floor" and method == "fast":
        job["implementation"] = "eager"
    return WorkerProcess(python_of(way) if way in PEERS else Path(sys.executable), job, options.threads)


def _file_of(way: str) -> str:
    return "ours.py" if way == "ours" else "floors.py"


def _measured(method: str, peers: list[str], errors: dict[str, str], options: Any) -> dict[str, Any]:
    ways = ["ours", "floor", *(peer for peer in peers if method != "fast")]  # peers have no such method
    row: dict[str, Any] = {way: {"error": errors[way]} for way in ways if way in errors}
    workers: dict[str, WorkerProcess] = {}
    scores: dict[str, Any] = {}
    try:
        for way in ways:
            if way in errors:
                continue
            try:
                workers[way] = _worker(way, method, options)
                peak = workers[way].run()["peak_bytes"]  # also a warm-up
                scores[way] = workers[way].read()["scores"]
                row[way] = {
                    "version": workers[way].version,
                    "peak_megabytes": round(peak / 1e6),
                    "seconds": [],
                    "processor_seconds": [],
                }
            except WayError as error:
                row[way] = {"error": str(error)}
                if way in workers:
                    workers.pop(way).close()
        for _ in range(options.rounds):
            for way, worker in workers.items():
                taken = worker.run()
                for kind in ("seconds", "processor_seconds"):
                    row[way][kind].append(round(taken[kind], 3))
    finally:
        for worker in workers.values():
            worker.close()
    for way, found in scores.items():
        row[way]["agreement"] = _agreement(found, scores["floor"])
    return {
        "kind": "speed",
        "key": f"speed {method} {options.device}",
        "method": method,
        "rows": ROWS[method],
        "rounds": options.rounds,
        "threads": options.threads,
        "machine": machine(options.device),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "ways": row,
    }


def _agreement(found: list[list[float]], reference: list[list[float]]) -> float | None:
    """Return the lowest correlation of a text's scores with the floor's; ``None`` where tokens differ."""
    import numpy as np

    if any(len(own) != len(other) for own, other in zip(found, reference, strict=True)):
        return None
    return round(min(float(np.corrcoef(*pair)[0, 1]) for pair in zip(found, reference, strict=True)), 4)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table, on a CPU in its processor's time."""
    lines = [
        "| method | rows | rows per second: ours | ours / floor: median [min, max] "
        "| ours / captum | ours / interpreto | peak MB: ours, floor |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ways = row["ways"]
        # Other programs do not change the processor's time, which says little of a GPU.
        seconds = "processor_seconds" if row["key"].endswith(" cpu") else "seconds"
        ours = statistics.median(ways["ours"][seconds])
        cells = [
            row["method"],
            str(row["rows"]),
            f"{row['rows'] / ours:.0f}",
            _ratio(ways, "floor", LEAST["floor"], seconds),
            _ratio(ways, "captum", LEAST["peer"], seconds),
            _ratio(ways, "interpreto", LEAST["peer"], seconds),
            ", ".join(str(ways[way]["peak_megabytes"]) for way in ("ours", "floor")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    conditions = {
        f"{row['rounds']} rounds, {row['threads']} thread(s), {row['machine']}, {row['date']}" for row in rows
    }
    return "\n".join([*lines, "", f"{'; '.join(sorted(conditions))}."])


def _ratio(ways: dict[str, Any], other: str, goal: float, seconds: str) -> str:
    if other not in ways:
        return "–"
    if "error" in ways[other]:
        return f"did not run: {plain(ways[other]['error'])}"
    pairs = zip(ways["ours"][seconds], ways[other][seconds], strict=True)
    found = [theirs / own for own, theirs in pairs]
    middle = statistics.median(found)
    agreement = ways[other].get("agreement")
    words = f"{middle:.2f} [{min(found):.2f}, {max(found):.2f}] (goal {goal:g})"
    if other in PEERS:
        words += f", agreement {'–' if agreement is None else agreement}"
    return words if middle >= goal else f"**{words} missed**"
