"""Runs 100,000 generated reviews end to end on the command line, and keeps what the run was.

``PYTHONPATH=src python benchmarks/dataset/long_run.py`` writes ``long_run.json``: the command, the manifest,
the hash of all rows in order, rows per second, size per row, and the peak memory, also of fewer rows.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from reviews import generated_reviews

from model_understanding.dataset.parts import read_manifest
from model_understanding.dataset.summary.reading import StoredRows
from model_understanding.dataset.table import FIELDS

FEW = (1_000, 2_048)  # rows whose memory is measured too: less than a part, and one


def main() -> None:
    """Run, measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--method", default="fast")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = {rows: measured(folder, rows, options.method) for rows in (*FEW, options.rows)}
        many = runs[options.rows]
        manifest = read_manifest(folder / many["out"])
        peaks = {rows: run["peak_megabytes"] for rows, run in runs.items()}
        results = {
            "rows": options.rows,
            **many,
            "peak_megabytes_of_rows": peaks,
            "peak_memory_ratios": {rows: round(peaks[options.rows] / peaks[rows], 3) for rows in FEW},
            "rows_sha256": digest_of_rows(folder / many["out"]),
            "manifest": manifest,
        }
    text = json.dumps(results, indent=1, ensure_ascii=False)
    Path(__file__).with_name("long_run.json").write_text(f"{text}\n", encoding="utf-8")
    print(text)


def measured(folder: Path, rows: int, method: str) -> dict[str, Any]:
    """Run so many reviews in a process of its own, and return what it took."""
    data, out = f"reviews-{rows}.jsonl", f"explained-{rows}"
    with (folder / data).open("w", encoding="utf-8") as file:
        for review in generated_reviews(rows):
            file.write(f"{json.dumps(review)}\n")
    arguments = ["dataset", "demo:sentiment", data, "--method", method, "--out", out]
    arguments += ["--no-summary", "--json"]
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "model_understanding", *arguments], cwd=folder, env=environment()
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    assert os.waitstatus_to_exitcode(status) == 0
    size = sum(part.stat().st_size for part in (folder / out).glob("part-*"))
    return {
        "command": shlex.join(["model-understanding", *arguments]),
        "out": out,
        "seconds": round(seconds, 1),
        "rows_per_second": round(rows / seconds, 1),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "rows_per_processor_second": round(rows / (usage.ru_utime + usage.ru_stime), 1),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "bytes_per_row_in": round((folder / data).stat().st_size / rows, 1),
        "bytes_per_row_out": round(size / rows, 1),
        "peak_megabytes": round(usage.ru_maxrss / 1024, 1),
    }


def environment() -> dict[str, str]:
    """Return the environment of the process, in which paths do not depend on the folder."""
    paths = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def digest_of_rows(folder: Path) -> str:
    """Return the SHA-256 of all rows in order, whatever format they are in."""
    digest = sha256()
    for values in StoredRows(folder).columns(*FIELDS):
        plain = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
        digest.update(json.dumps(plain, ensure_ascii=True, default=list).encode() + b"\n")
    return digest.hexdigest()


if __name__ == "__main__":
    main()
