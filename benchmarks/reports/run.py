"""Times a report and its page against the work that nobody can leave out: the answer itself.

Run with ``scripts/bench reports``. Each round takes all steps in turn, in one process, so that ratios compare
times of the same round. ``--table`` writes the table into benchmarks/README.md.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import table
from models import REPOSITORY
from pages import machine, put_between

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
README = REPOSITORY / "benchmarks" / "README.md"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that a report explains.

    Args:
        run: Computes the answer alone.
        analyze: Explains it, with options.
    """

    run: Callable[[], Any]
    analyze: Callable[..., Any]


def answer_of(row: table.Row) -> Answer:
    """Return the answer of a row, once everything that is measured once for each model is known."""
    from model_understanding import GenerativeModelVisualizer, ModelVisualizer

    if row.steps == 0:
        classifier = ModelVisualizer(row.model)
        answer = Answer(
            lambda: classifier.predict(row.text),
            partial(classifier.analyze, row.text, show=False),
        )
    else:
        generative = GenerativeModelVisualizer(row.model)
        answer = Answer(
            lambda: generative.generate(row.text, max_new_tokens=row.steps),
            partial(generative.analyze, row.text, max_new_tokens=row.steps, show=False),
        )
    answer.run()
    answer.analyze()
    return answer


def measured(row: table.Row, rounds: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Run a row for some rounds; the run before them is not timed.

    Args:
        row: The row.
        rounds: How many.
        clock: Returns seconds.
    """
    from model_understanding.model.metering import counting

    answer = answer_of(row)
    result: dict[str, Any] = {"answer": [], "first": [], "report": [], "page": []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            started = clock()
            answer.run()
            result["answer"].append(clock() - started)
            started = clock()
            answer.analyze(scores_only=True)
            result["first"].append(clock() - started)
            started = clock()
            report = answer.analyze()
            result["report"].append(clock() - started)
            report.save(Path(folder) / "page.html")
            result["page"].append(clock() - started)
            result["tokens"] = _tokens(report)
            result["bytes"] = (Path(folder) / "page.html").stat().st_size
    with counting() as counter:
        answer.analyze()
    rounded = {
        name: [round(seconds, 3) for seconds in values] if isinstance(values, list) else values
        for name, values in result.items()
    }
    counts = {
        name: getattr(counter, name) for name in ("forwards", "positions", "backwards", "backward_positions")
    }
    return {"row": row.key, **rounded, **counts}


def _tokens(report: Any) -> int:
    return len((report.prediction or report.generation).tokens)


def main() -> None:
    """Measure every row, and write each one as soon as it is measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="number of timed rounds, after an untimed one (default 5)"
    )
    parser.add_argument("--threads", type=int, default=2, help="threads (default 2)")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="measure the time that the process computes, not the time that passes: on a busy machine, with "
        "one thread",
    )
    parser.add_argument("--only", default="", metavar="KEY", help="only rows whose key contains this")
    parser.add_argument(
        "--out",
        type=Path,
        default=RESULTS,
        help="results file whose rows are replaced (default: the committed one)",
    )
    parser.add_argument("--table", action="store_true", help="write the table without measuring")
    options = parser.parse_args()
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads must be at least 1")
    lines = options.out.read_text(encoding="utf-8").splitlines() if options.out.exists() else []
    results = {result["row"]: result for result in map(json.loads, lines)}
    if options.table:
        page = README.read_text(encoding="utf-8")
        README.write_text(put_between(page, table.table(results), table.START, table.END), encoding="utf-8")
        return
    import torch

    torch.set_num_threads(options.threads)
    for row in table.ROWS:
        if options.only not in row.key:
            continue
        result = measured(row, options.rounds, time.process_time if options.cpu_time else time.perf_counter)
        results[row.key] = {
            **result,
            "rounds": options.rounds,
            "threads": options.threads,
            "clock": "CPU" if options.cpu_time else "wall",
            "machine": machine("cpu"),
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
        }
        order = [known.key for known in table.ROWS]
        kept = sorted(results.values(), key=lambda known: order.index(known["row"]))
        options.out.write_text("".join(json.dumps(known) + "\n" for known in kept), encoding="utf-8")
        print(table.table({row.key: results[row.key]}), flush=True)


if __name__ == "__main__":
    main()
