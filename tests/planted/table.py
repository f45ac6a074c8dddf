"""Print precision of every method on every planted model as markdown, best on average first.

``python tests/planted/table.py --write`` puts the table between the marks of ``benchmarks/README.md``.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY / "src"), str(REPOSITORY / "tests")]
README = REPOSITORY / "benchmarks" / "README.md"
START, END = "<!-- planted: start -->", "<!-- planted: end -->"
# Of a long text few: a path for each of its tokens takes 20 seconds a text.
COUNTS = {"needle": 4}


def measured() -> tuple[list[str], dict[str, list[float]]]:
    """Return the columns' titles, and each method's precision on each planted model."""
    from model_understanding.registry import METHODS
    from planted.scoring import TEXTS, method_of, planted, precision, random_precision
    from planted.tasks import TASKS

    models = [planted(name, COUNTS.get(name, TEXTS)) for name in TASKS]
    for model in models:
        if model.accuracy != 1.0:
            raise SystemExit(f"{model.task.name}: accuracy {model.accuracy}, so nothing is known about it.")
    titles = [
        f"{m.task.name}: {m.truth.shape[1]} of {m.ranked[0].sum()} words, {len(m.texts)} texts"
        for m in models
    ]
    rows = {}
    for name in METHODS.names():
        started = time.perf_counter()
        rows[name] = [precision(model, method_of(name)) for model in models]
        print(f"{name}: {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)
    rows["random order"] = [random_precision(model) for model in models]
    return titles, rows


def table(titles: list[str], rows: dict[str, list[float]]) -> str:
    """Return a markdown table, methods that find most first."""
    lines = [f"| method | {' | '.join(titles)} | mean |", f"|---|{'---|' * (len(titles) + 1)}"]
    for name, values in sorted(rows.items(), key=lambda row: -np.mean(row[1])):
        lines.append(f"| {name} | {' | '.join(f'{v:.2f}' for v in [*values, float(np.mean(values))])} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table, and write it where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put it into benchmarks/README.md")
    arguments = parser.parse_args()
    text = table(*measured())
    print(text)
    if arguments.write:
        before, _, rest = README.read_text(encoding="utf-8").partition(START)
        _, _, after = rest.partition(END)
        scratch = README.with_suffix(".new")
        scratch.write_text(f"{before}{START}\n\n{text}\n\n{END}{after}", encoding="utf-8")
        scratch.replace(README)


if __name__ == "__main__":
    main()
