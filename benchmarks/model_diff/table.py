"""The results as a table of the README."""

from pathlib import Path
from typing import Any

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- model_diff: start -->", "<!-- model_diff: end -->"


def write_table(results: dict[str, dict[str, Any]]) -> None:
    """Write the table between its marks in the README, and print it."""
    before, rest = README.read_text(encoding="utf-8").split(START)
    text = table(results)
    README.write_text(f"{before}{START}\n\n{text}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")
    print(text)


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the results as Markdown."""
    lines = [
        "| models | texts | mean size of the change | sum − change, at most | modules that differ | "
        "largest 5 % restored | random 5 % restored | time against one forward pass of each model |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in results.items():
        if "first" not in row:
            shares = [f"{100 * row[key]:.0f} %" for key in ("restored", "random")]
            cells = [row["texts"], f"{row['change']:.2g}", f"{row['missing']:.0e}", row["modules"], *shares]
            lines.append(f"| {name} | {' | '.join(map(str, cells))} | {row['time']:.1f} × |")
    for name, row in results.items():
        if "first" in row:
            lines += ["", f"{name}: first in {row['first']} of {row['texts']}."]
    return "\n".join(lines)
