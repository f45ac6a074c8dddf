"""Times attribution against hand-written floors and other packages, round by round.

Run with ``scripts/bench attribution``. Each implementation of a task runs in a process of its own, and the
processes take turns; ratios are ours / other in the same round. ``--table`` writes the tables into
benchmarks/README.md.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import environments
import table
from measuring import Conditions, measured
from models import REPOSITORY
from pages import machine
from tasks import PEERS, TASKS, Task

RESULTS = Path(__file__).parent / "results.jsonl"
README = REPOSITORY / "benchmarks" / "README.md"


def chosen_tasks(words: str, *, gpu: bool) -> list[Task]:
    """Return the tasks whose keys contain one of some words separated by commas."""
    wanted = words.split(",")
    found = [
        task for task in TASKS if any(word in task.key for word in wanted) and (gpu or not task.gpu_only)
    ]
    if not found:
        keys = ", ".join(task.key for task in TASKS)
        raise SystemExit(f"error: No task's key contains {words!r}.\nhint: The keys are {keys}.")
    return found


def printed(row: dict[str, Any]) -> str:
    """Return a row on one line."""
    ways = {
        name: {key: value for key, value in way.items() if key not in ("share", "version")}
        for name, way in row["ways"].items()
    }
    return json.dumps({"task": row["task"], **ways})


def arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=9, help="number of timed rounds, after an untimed one (default 9)"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of each process (default 1)")
    parser.add_argument(
        "--device", default="cpu", help="cpu or cuda (default cpu); cuda adds the tasks with a 1B model"
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="KEYS",
        help="only tasks whose key contains one of these, comma-separated",
    )
    parser.add_argument("--no-peers", action="store_true", help="omit other packages")
    parser.add_argument(
        "--peers", default="", metavar="NAMES", help=f"only these packages of {','.join(PEERS)}"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=RESULTS,
        help="results file whose rows are replaced (default: the committed one)",
    )
    parser.add_argument("--table", action="store_true", help="write the tables without measuring")
    options = parser.parse_args()
    unknown = set(filter(None, options.peers.split(","))) - set(PEERS)
    if unknown:
        parser.error(f"unknown packages {', '.join(sorted(unknown))}; allowed: {', '.join(PEERS)}")
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads must be at least 1")
    return options


def main() -> None:
    """Measure every task, and write each row as soon as it is measured."""
    options = arguments()
    rows = table.read_rows(options.out)
    if options.table:
        page = README.read_text(encoding="utf-8")
        README.write_text(table.put_between_markers(page, table.tables(rows)), encoding="utf-8")
        return
    tasks = chosen_tasks(options.only, gpu=options.device != "cpu")
    allowed = [] if options.no_peers else list(filter(None, options.peers.split(","))) or list(PEERS)
    needed = [peer for peer in allowed if any(peer in task.peers for task in tasks)]
    errors = environments.make_environments(needed, Path(__file__).parent / "peers")
    conditions = Conditions(options.rounds, options.threads, options.device)
    for task in tasks:
        ways = ["ours", "floor", *(peer for peer in task.peers if peer in needed)]
        row = {**measured(task, ways, conditions, errors), "machine": machine(options.device)}
        print(printed(row), flush=True)
        rows[table.row_key(row)] = row
        table.write_rows(options.out, rows)


if __name__ == "__main__":
    sys.exit(main())
