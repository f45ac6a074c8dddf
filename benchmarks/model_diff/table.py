"""The results as tables of the README."""

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

README = Path(__file__).parents[1] / "README.md"
Results = dict[str, dict[str, Any]]
START, END = "<!-- model_diff: start -->", "<!-- model_diff: end -->"


def write_table(results: Results) -> None:
    """Write the table between its marks in the README, and print it."""
    before, rest = README.read_text(encoding="utf-8").split(START)
    text = table(results)
    README.write_text(f"{before}{START}\n\n{text}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")
    print(text)


def table(results: Results) -> str:
    """Return the results as Markdown."""
    pairs = {name: row for name, row in results.items() if "restored" in row}
    plants = {name: row for name, row in results.items() if "planted" in row}
    alone = {name: row for name, row in results.items() if "alone" in row}
    return "\n\n".join(
        "\n".join(lines) for lines in (_pairs(pairs), _alone(alone), _plants(plants)) if len(lines) > 2
    )


def _pairs(rows: Results) -> list[str]:
    lines = [
        "| models | texts | mean size of the change | sum − change, at most | modules that differ | "
        "largest 5 % restored | random 5 % restored | time against one forward pass of each model |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        shares = [f"{100 * row[key]:.0f} %" for key in ("restored", "random")]
        cells = [row["texts"], f"{row['change']:.2g}", f"{row['missing']:.0e}", row["modules"], *shares]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} | {row['time']:.1f} × |")
    return lines


def _alone(rows: Results) -> list[str]:
    lines = [
        "| models | texts | with restoring alone: Pearson, Spearman (median, worst) | both ways | "
        "the module ranked first moves the answer most | its effect / the largest (median, worst) |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        texts = row["alone"]
        one_way, both_ways = (
            "; ".join(_median_and_worst(each[key] for each in of) for key in ("pearson", "spearman") if of)
            for of in (texts, [each["both_ways"] for each in texts if "both_ways" in each])
        )
        first = sum(each["first"] == 1 for each in texts)
        of_largest = _median_and_worst(each["of_largest"] for each in texts)
        lines.append(
            f"| {name} | {len(texts)} | {one_way} | {both_ways} | {first} of {len(texts)} | {of_largest} |"
        )
    return lines


def _plants(rows: Results) -> list[str]:
    lines = [
        "| planted | texts | size against the weights | first | first by its effect alone | "
        "first, or what is first moves the answer more |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        texts = row["alone"]
        sizes = [each["size"] for each in texts]
        first, by_effect = (sum(each[key] == 1 for each in texts) for key in ("place", "place_by_effect"))
        right = sum(each["place"] == 1 or each["first"] < each["place_by_effect"] for each in texts)
        lines.append(
            f"| {name} | {len(texts)} | {100 * min(sizes):.1f}–{100 * max(sizes):.1f} % | "
            f"{first} of {len(texts)} | {by_effect} | {right} |"
        )
    return lines


def _median_and_worst(values: Iterable[float]) -> str:
    values = list(values)
    return f"{statistics.median(values):.3f}, {min(values):.3f}"
