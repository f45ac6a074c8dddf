"""Ray with one and two actors against the local engine: seconds to the first rows, then rows per second."""

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from texts import short_texts

from model_understanding import explain_dataset, visualizer

ROWS, ROWS_PER_PART, METHOD = 1000, 100, "saliency"
WAYS: dict[str, dict[str, Any]] = {
    "local": {},
    "1 actor": {"engine": "ray", "concurrency": 1},
    "2 actors": {"engine": "ray", "concurrency": 2},
}


def measure(options: Any) -> list[dict[str, Any]]:
    """Return a row for each way, all in the same rounds, each with a Ray of its own.

    Args:
        options: ``rounds`` and ``threads``, which is the number of each actor.
    """
    torch.set_num_threads(options.threads)
    explainer = visualizer("demo:sentiment", device=options.device)
    texts = short_texts(ROWS)
    rows: dict[str, dict[str, Any]] = {
        way: {
            "kind": "ray_actors",
            "key": f"ray_actors/{way}",
            "way": way,
            "rows": ROWS,
            "rows_per_part": ROWS_PER_PART,
            "threads": options.threads,
            "cores": os.cpu_count(),
            "first_seconds": [],
            "rates": [],
        }
        for way in WAYS
    }
    parts = {}
    for _ in range(options.rounds):
        for way, settings in WAYS.items():
            with tempfile.TemporaryDirectory() as folder:
                first, rate, parts[way] = _timed(explainer, texts, Path(folder), settings)
            rows[way]["first_seconds"].append(round(first, 2))
            rows[way]["rates"].append(round(rate, 2))
            rows[way]["same_as_local"] = parts[way] == parts["local"]
    return list(rows.values())


def _timed(
    explainer: Any, texts: list[str], folder: Path, settings: dict[str, Any]
) -> tuple[float, float, list[bytes]]:
    """Return the seconds until the first row, the rows per second after it, and the parts."""
    started = time.perf_counter()
    seen: list[tuple[float, int]] = []

    def progress(state: Any) -> None:
        if state.rows:
            seen.append((time.perf_counter(), state.rows))

    run = explain_dataset(
        explainer,
        texts,
        folder,
        method="saliency",
        rows_per_part=ROWS_PER_PART,
        progress=progress,
        **settings,
    )
    (first, before), (last, after) = seen[0], seen[-1]
    return first - started, (after - before) / (last - first), [part.read_bytes() for part in run.parts]


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table: medians of the rounds, and ratios within a round."""
    local = next(row for row in rows if row["way"] == "local")
    lines = [
        f"{local['rows']:,} short texts in parts of {local['rows_per_part']}, demo classifier, {METHOD}, on "
        f"{local['cores']} cores of a CPU; threads per process: {local['threads']}.",
        "",
        "| engine | seconds until the first rows | rows per second after them | against local | same bits |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = statistics.median(a / b for a, b in zip(row["rates"], local["rates"], strict=True))
        same = "yes" if row["same_as_local"] else "no"
        first, rate = statistics.median(row["first_seconds"]), statistics.median(row["rates"])
        lines.append(f"| {row['way']} | {first:.1f} | {rate:.0f} | {ratio:.2f} | {same} |")
    return "\n".join(lines)
