"""Makes the tables of ``benchmarks/README.md`` from the rows of ``results.jsonl``."""

import json
import statistics
from pathlib import Path
from typing import Any

from pages import judged, plain, put_between
from tasks import PEERS, TASKS, Task

START, END = "<!-- attribution: start -->", "<!-- attribution: end -->"
CORRECT = 0.99  # the lowest correlation at which a package counts as correct


def read_rows(path: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a file by task and device; none if there is no file."""
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row_key(row): row for row in rows}


def row_key(row: dict[str, Any]) -> str:
    """Return the key under which a new measurement replaces an old one."""
    return f"{row['task']} {row['device']}"


def write_rows(path: Path, rows: dict[str, dict[str, Any]]) -> None:
    """Write rows in the order of the tasks."""
    order = [task.key for task in TASKS]
    known = sorted(
        (row for row in rows.values() if row["task"] in order),
        key=lambda row: (row["device"], order.index(row["task"])),
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in known), encoding="utf-8")


def ratios(row: dict[str, Any], other: str) -> list[float]:
    """Return the minimum, median and maximum over the rounds of our time over another's."""
    ways = row["ways"]
    found = [
        own / theirs for own, theirs in zip(ways["ours"]["seconds"], ways[other]["seconds"], strict=True)
    ]
    return [min(found), statistics.median(found), max(found)]


def is_correct(way: dict[str, Any]) -> bool:
    """Return whether an implementation ran and its scores are correct."""
    return "error" not in way and way.get("agreement") is not None and way["agreement"] >= CORRECT


def correct_peers(row: dict[str, Any]) -> list[str]:
    """Return the correct packages, fastest first."""
    found = [name for name in row["ways"] if name in PEERS and is_correct(row["ways"][name])]
    return sorted(found, key=lambda name: statistics.median(row["ways"][name]["seconds"]))


def _time_cell(row: dict[str, Any], other: str, goal: float | None) -> str:
    least, middle, most = ratios(row, other)
    return judged(f"{middle:.2f} [{least:.2f}, {most:.2f}]", round(middle, 2), goal)


def _memory_cell(row: dict[str, Any], task: Task) -> str:
    ours, floor = (row["ways"][way]["peak_megabytes"] for way in ("ours", "floor"))
    peers = [row["ways"][peer]["peak_megabytes"] for peer in correct_peers(row)]
    cell = judged(f"{ours / floor:.2f}", round(ours / floor, 2), task.memory_goal)
    if peers:
        cell += f"; {judged(f'{ours / min(peers):.2f}', round(ours / min(peers), 2), 1.0)}"
    return f"{ours:.0f} MB: {cell}"


def main_line(row: dict[str, Any], task: Task) -> str:
    """Return a task's line: our time and memory against the floor and the fastest correct package."""
    ours, floor = row["ways"]["ours"], row["ways"]["floor"]
    failed = next((way["error"] for way in (ours, floor) if "error" in way), None)
    if failed is not None:
        return f"| {task.title} | failed: {plain(failed)} | – | – | – |"
    best = correct_peers(row)[:1]
    peer = f"{best[0]} {_time_cell(row, best[0], task.peer_goal)}" if best else "–"
    seconds = f"{statistics.median(ours['seconds']):.3g}"
    title = task.title if row["model"] == task.model else f"{task.title} (random weights)"
    return (
        f"| {title} | {seconds} | {_time_cell(row, 'floor', task.floor_goal)} | {peer} "
        f"| {_memory_cell(row, task)} |"
    )


def way_line(row: dict[str, Any], task: Task, name: str) -> str:
    """Return the line of one implementation of a task: its figures, or its error."""
    way = row["ways"][name]
    called = f"{name} {way.get('version', '')}".strip()
    title = f"| {task.key} | {called} "
    if "error" in way:
        return f"{title}| did not run: {plain(way['error'])} | – | – | – | – |"
    seconds = statistics.median(way["seconds"])
    share = way["share"]
    note = ""
    if "times" in share:
        part = (
            f"{share['nodes']} of {task.nodes} nodes"
            if "nodes" in share
            else f"{share['first']} of {task.texts} texts"
        )
        note = f" ({part}, × {share['times']})"
    elif "nodes" in share:
        note = f" ({share['nodes']} nodes)"
    compared = "–" if way.get("agreement") is None else f"{way['agreement']:.4f}"
    if name in PEERS and not is_correct(way):
        reason = task.notes.get(name)
        compared += f" **incorrect**: {reason}" if reason else " **incorrect**"
    missing = "–" if way.get("gap") is None else f"{100 * way['gap']:.2g} %"
    ratio = "–" if "error" in row["ways"]["ours"] else f"{ratios(row, name)[1]:.2f}"
    return f"{title}| {seconds:.3g}{note} | {ratio} | {way['peak_megabytes']:.0f} | {compared} | {missing} |"


def tables(rows: dict[str, dict[str, Any]]) -> str:
    """Return both tables of each device: ours against the best, then all implementations of all tasks."""
    tasks = {task.key: task for task in TASKS}
    found = []
    for device in sorted({row["device"] for row in rows.values()}):
        chosen = [row for row in rows.values() if row["device"] == device]
        conditions = sorted(
            {
                f"{row['rounds']} rounds, {row['threads']} thread(s), {row['machine']}, {row['date']}"
                for row in chosen
            }
        )
        lines = [
            f"### {device}: {'; '.join(conditions)}",
            "",
            "| task | ours, s | ours / floor: median [min, max] "
            "| ours / fastest correct package: median [min, max] "
            "| peak memory: ours; ours / floor; ours / smallest correct package |",
            "|---|---|---|---|---|",
            *(main_line(row, tasks[row["task"]]) for row in chosen),
            "",
            "<details><summary>All implementations of all tasks</summary>",
            "",
            "| task | implementation | median s | ours / it | peak MB | agreement | completeness gap |",
            "|---|---|---|---|---|---|---|",
            *(way_line(row, tasks[row["task"]], way) for row in chosen for way in row["ways"]),
            "",
            "</details>",
        ]
        found.append("\n".join(lines))
    return "\n\n".join(found)


def put_between_markers(page: str, content: str) -> str:
    """Return the page with new tables."""
    return put_between(page, content, START, END)
