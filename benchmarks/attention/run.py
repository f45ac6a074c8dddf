"""Times attention maps against a plain forward pass, an eager model and BertViz, round by round.

Run with ``scripts/bench attention``. Each implementation runs in a process of its own, and the processes take
turns; ratios compare times of the same round. ``--table`` writes the table into benchmarks/README.md.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import environments
import table
from models import REPOSITORY, model_folder, text_ids
from pages import machine, put_between
from processes import WayError, WorkerProcess
from rows import PEERS, ROWS, WAYS, Row

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
README = REPOSITORY / "benchmarks" / "README.md"


def started(row: Row, way: str, options: argparse.Namespace) -> WorkerProcess:
    """Return a process that runs one implementation of a row."""
    file, work, implementation = WAYS[way]
    job = {
        "way_file": str(HERE / f"{file}.py"),
        "package": PEERS.get(way, ""),
        "kind": "causal",
        "model_folder": str(model_folder(row.model)[1]),
        "work": work,
        "implementation": implementation,
        "ids": text_ids(row.model, row.tokens),
        "dtype": "float32",
        "device": options.device,
        "threads": options.threads,
    }
    python = environments.python_of(way) if way in PEERS else Path(sys.executable)
    return WorkerProcess(python, job, options.threads)


def measured(
    row: Row, ways: list[str], options: argparse.Namespace, errors: dict[str, str]
) -> dict[str, Any]:
    """Run the implementations of a row in turn; the first round measures memory and is not timed.

    Args:
        row: The row.
        ways: The implementations.
        options: Rounds, threads and device.
        errors: The packages without an environment, and the reasons.

    Returns:
        Seconds and memory of each implementation, or its error.
    """
    result: dict[str, Any] = {
        "row": row.key,
        "rounds": options.rounds,
        "threads": options.threads,
        "device": options.device,
        "ways": {way: {"error": errors[way]} for way in ways if way in errors},
    }
    workers: dict[str, WorkerProcess] = {}
    last_rows: dict[str, list[list[float]]] = {}

    def drop(way: str, error: WayError) -> None:
        result["ways"][way] = {"error": str(error)}
        if way in workers:
            workers.pop(way).close()

    try:
        for way in (way for way in ways if way not in errors):
            try:
                workers[way] = started(row, way, options)
                first, found = workers[way].run(), workers[way].read()
            except WayError as error:
                drop(way, error)
                continue
            last_rows[way] = found.pop("last_rows", [])
            memory = {name: first[name] for name in ("peak_bytes", "held_bytes")}
            result["ways"][way] = {"version": workers[way].version, **memory, **found, "seconds": []}
        for _ in range(options.rounds):
            for way in list(workers):
                try:
                    result["ways"][way]["seconds"].append(round(workers[way].run()["seconds"], 5))
                except WayError as error:
                    drop(way, error)
    finally:
        for worker in workers.values():
            worker.close()
    for way, rows in last_rows.items():
        if way not in ("plain", "eager") and rows and last_rows.get("eager"):
            pairs = zip(rows, last_rows["eager"][-len(rows) :], strict=True)
            apart = max(abs(a - b) for own, theirs in pairs for a, b in zip(own, theirs, strict=True))
            result["ways"][way]["difference"] = float(f"{apart:.2g}")
    return result | {"machine": machine(options.device), "date": time.strftime("%Y-%m-%d", time.gmtime())}


def arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=7, help="number of timed rounds, after an untimed one (default 7)"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of each process (default 1)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument(
        "--only",
        default="",
        metavar="KEYS",
        help="only rows whose key contains one of these, comma-separated",
    )
    parser.add_argument("--no-peers", action="store_true", help="omit BertViz")
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
    return options


def main() -> None:
    """Measure every row, and write each one as soon as it is measured."""
    options = arguments()
    results = table.read_results(options.out)
    if options.table:
        page = README.read_text(encoding="utf-8")
        README.write_text(put_between(page, table.table(results), table.START, table.END), encoding="utf-8")
        return
    rows = [row for row in ROWS if any(word in row.key for word in options.only.split(","))]
    if not rows:
        keys = ", ".join(row.key for row in ROWS)
        raise SystemExit(f"error: No row's key contains {options.only!r}.\nhint: The keys are {keys}.")
    needed = [] if options.no_peers else [peer for peer in PEERS if any(peer in row.ways for row in rows)]
    errors = environments.make_environments(needed, HERE / "peers")
    for row in rows:
        ways = [way for way in row.ways if way not in PEERS or way in needed]
        result = measured(row, ways, options, errors)
        results[f"{row.key} {options.device}"] = result
        table.write_results(options.out, results)
        print(table.table({row.key: result}), flush=True)


if __name__ == "__main__":
    main()
