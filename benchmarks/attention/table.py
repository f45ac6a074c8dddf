"""Makes the table of ``benchmarks/README.md`` from the rows of ``results.jsonl``."""

import json
import statistics
from pathlib import Path
from typing import Any

from pages import judged, plain
from rows import ROWS, Row

START, END = "<!-- attention: start -->", "<!-- attention: end -->"


def read_results(path: Path) -> dict[str, dict[str, Any]]:
    """Return the results of a file by row and device; none if there is no file."""
    if not path.exists():
        return {}
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {f"{result['row']} {result['device']}": result for result in found}


def write_results(path: Path, results: dict[str, dict[str, Any]]) -> None:
    """Write results in the rows' order."""
    order = [row.key for row in ROWS]
    known = sorted(
        (result for result in results.values() if result["row"] in order),
        key=lambda result: (result["device"], order.index(result["row"])),
    )
    path.write_text("".join(json.dumps(result) + "\n" for result in known), encoding="utf-8")


def ratios(result: dict[str, Any], way: str, other: str) -> tuple[float, float, float]:
    """Return the median, minimum and maximum over the rounds of one implementation's time over another's."""
    ways = result["ways"]
    found = [a / b for a, b in zip(ways[way]["seconds"], ways[other]["seconds"], strict=True)]
    return statistics.median(found), min(found), max(found)


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return a table for each device."""
    rows = {row.key: row for row in ROWS}
    parts = []
    for device in sorted({result["device"] for result in results.values()}):
        chosen = [result for result in results.values() if result["device"] == device]
        conditions = sorted(
            {
                f"{result['rounds']} rounds, {result['threads']} thread(s), {result['machine']}, "
                f"{result['date']}"
                for result in chosen
            }
        )
        lines = [
            f"### {device}: {'; '.join(conditions)}",
            "",
            "| text | implementation | median s | time / plain [min, max] | time / eager [min, max] "
            "| peak memory; extra / eager's extra; whole process | max. difference from eager |",
            "|---|---|---|---|---|---|---|",
            *(
                _line(result, rows[result["row"]], way)
                for result in chosen
                for way in rows[result["row"]].ways
                if way in result["ways"]
            ),
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _line(result: dict[str, Any], row: Row, way: str) -> str:
    found, goals = result["ways"][way], row.goals.get(way, {})
    if "error" in found:
        return f"| {row.title} | {way} | did not run: {plain(found['error'])} | – | – | – | – |"
    times = [_ratio_cell(result, way, other, goals.get(other)) for other in ("plain", "eager")]
    extra, whole = found["peak_bytes"], found["peak_bytes"] + found["held_bytes"]
    memory = f"{extra / 1e6:.0f} MB"
    share = _memory_share(result, way)
    if share is not None:
        memory += f"; {judged(f'{share:.2f}', round(share, 2), goals.get('memory'))}"
    limit = goals.get("bytes")
    memory += f"; {judged(f'{whole / 1e9:.2f} GB', whole / 1e9, None if limit is None else limit / 1e9)}"
    name = f"{way} {found['version']}".strip()
    note = f"; {found['html_bytes'] / 1e6:.0f} MB of HTML" if "html_bytes" in found else ""
    apart = "–" if found.get("difference") is None else f"{found['difference']:.1g}"
    seconds = statistics.median(found["seconds"])
    return f"| {row.title} | {name} | {seconds:.3g}{note} | {times[0]} | {times[1]} | {memory} | {apart} |"


def _memory_share(result: dict[str, Any], way: str) -> float | None:
    """Return the extra memory of an implementation over that of eager, both beyond the plain forward pass."""
    peaks = {name: found.get("peak_bytes") for name, found in result["ways"].items()}
    plain_bytes, eager = peaks.get("plain"), peaks.get("eager")
    if way in ("plain", "eager") or not plain_bytes or not eager or eager <= plain_bytes:
        return None
    return max(0, peaks[way] - plain_bytes) / (eager - plain_bytes)


def _ratio_cell(result: dict[str, Any], way: str, other: str, goal: float | None) -> str:
    if way == other or "seconds" not in result["ways"].get(other, {}):
        return "–"
    middle, least, most = ratios(result, way, other)
    return judged(f"{middle:.2f} [{least:.2f}, {most:.2f}]", round(middle, 2), goal)
