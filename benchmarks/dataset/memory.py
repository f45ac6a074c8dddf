"""Peak memory of a process at 1,000 rows and at many more, and what resuming a finished run costs."""

import subprocess
import sys
import time
from typing import Any

from pages import machine

ROWS = (1_000, 6_144)  # less than a part, and three; long_run.py measures 100,000
MOST = 1.05  # goal: the peak of many rows over that of few
CODE = """
import resource, sys, tempfile, time
import torch
torch.set_num_threads(int(sys.argv[2]))
from texts import short_texts
from model_understanding import explain_dataset, visualizer
count = int(sys.argv[1])
model = visualizer("demo:sentiment", device="cpu")
texts = (text for part in range(0, count, 1000) for text in short_texts(1000, seed=part))
with tempfile.TemporaryDirectory() as folder:
    started = time.process_time()
    explain_dataset(model, texts, folder, method="fast")
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    texts = (text for part in range(0, count, 1000) for text in short_texts(1000, seed=part))
    started = time.process_time()
    explain_dataset(model, texts, folder, method="fast", resume=True)
    print(seconds, time.process_time() - started, peak * 1024)
"""


def measure(options: Any) -> list[dict[str, Any]]:
    """Return a row for each number of rows; ``ru_maxrss`` counts kilobytes, as on Linux."""
    found = []
    for count in ROWS:
        done = subprocess.run(
            [sys.executable, "-c", CODE, str(count), str(options.threads)],
            capture_output=True,
            text=True,
            check=True,
            cwd=__file__.rpartition("/")[0],
        )
        seconds, resumed, peak = map(float, done.stdout.split())
        found.append(
            {
                "kind": "memory",
                "key": f"memory {count}",
                "rows": count,
                "processor_seconds": round(seconds, 2),
                "resume_processor_seconds": round(resumed, 3),
                "peak_megabytes": round(peak / 1e6, 1),
                "machine": machine("cpu"),
                "date": time.strftime("%Y-%m-%d", time.gmtime()),
            }
        )
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| rows | peak MB | over the first | going on with the finished run, share of its processor time |",
        "|---|---|---|---|",
    ]
    for row in rows:
        ratio = row["peak_megabytes"] / rows[0]["peak_megabytes"]
        cell = f"{ratio:.3f} (goal {MOST:g})" if ratio <= MOST else f"**{ratio:.3f} (goal {MOST:g}) missed**"
        share = 100 * row["resume_processor_seconds"] / row["processor_seconds"]
        lines.append(f"| {row['rows']:,} | {row['peak_megabytes']:.0f} | {cell} | {share:.2g} % |")
    return "\n".join(lines)
