"""The verdict's error rates on both parts, for benchmarks/README.md, by the current rule."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from model_understanding.evaluation.verdict import SUPPORTED, support_threshold, verdict_and_reasons

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "benchmarks" / "README.md"
START, END = "<!-- verdict: start -->", "<!-- verdict: end -->"
WRONG = ("permuted", "random")
SEPARATE = {
    # Both words always occur, so a model may use the position of one alone: no right map of the model.
    ("ordered pair", "truth"),
    # They average over almost fully masked inputs, on which the verdict is not based.
    ("demo:smollm2", "shapley_sampling"),
}
"""The beginning of a model's name, and the map: these are listed separately."""
RESAMPLINGS = 4000
THRESHOLDS = (2.0, 2.1, 2.2, 2.3, 2.4, 2.5)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file; none if there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def verdict_of(row: dict[str, Any]) -> str:
    """Return the verdict of a row."""
    each = row["each"]
    return verdict_and_reasons(row["standing"], list(each.values()), tuple(each), row["tokens"])[0]


def kind_of(row: dict[str, Any]) -> str:
    """Return ``right``, ``wrong`` or ``separate``."""
    if row["map"] in WRONG:
        return "wrong"
    separate = any(row["model"].startswith(model) and row["map"] == name for model, name in SEPARATE)
    return "separate" if separate else "right"


def thresholds(rows: list[dict[str, Any]]) -> str:
    """Return the shares of right and wrong maps of the calibration part that each threshold supports."""
    mine = [row for row in rows if row["part"] == "calibration"]
    lines = ["threshold  right  wrong"]
    for threshold in THRESHOLDS:
        shares = []
        for kind in ("right", "wrong"):
            own = [row for row in mine if kind_of(row) == kind]
            passed = [
                row["standing"] >= support_threshold(row["tokens"], threshold)
                and min(row["each"].values()) > 0
                for row in own
            ]
            shares.append(np.mean(passed))
        lines.append(f"{threshold:9.1f}  {shares[0]:.3f}  {shares[1]:.3f}")
    return "\n".join(lines)


def tables(rows: list[dict[str, Any]]) -> str:
    """Return the tables as Markdown."""
    lines = ["| maps | part | n | supported [95 %] | weak | not supported |", "|---|---|---|---|---|---|"]
    for kind in ("wrong", "right", "separate"):
        for part in ("calibration", "test"):
            own = [row for row in rows if row["part"] == part and kind_of(row) == kind]
            lines += [_line(kind, part, own)] if own else []
    lines += [
        "",
        "| test part: model | map | n | supported | weak | not supported |",
        "|---|---|---|---|---|---|",
    ]
    test = [row for row in rows if row["part"] == "test"]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in test:
        groups.setdefault((row["model"].partition(",")[0], row["map"]), []).append(row)
    for (model, name), own in groups.items():
        mark = " (listed separately)" if kind_of(own[0]) == "separate" else ""
        shares = " | ".join(_percent(share) for share in _shares(own).values())
        lines.append(f"| {model} | {name}{mark} | {len(own)} | {shares} |")
    firsts = [row for row in rows if row["map"] in ("truth", "leave_one_out") and row["variants"]]
    whole = {(row["part"], row["model"], row["text"]): row for row in reversed(firsts)}.values()
    variants, forwards = ([row[key] for row in whole] for key in ("variants", "forwards"))
    lines += [
        "",
        f"The rule: a map is supported from z = {SUPPORTED:g} (less for short texts). The first right map "
        f"of a text costs {np.median(forwards):.0f} forward passes over the whole text in the median, "
        f"{np.mean(forwards):.0f} on average ({min(forwards):.0f} to {max(forwards):.0f}), for "
        f"{np.mean(variants):.0f} variants on average.",
    ]
    return "\n".join(lines)


def write(rows: list[dict[str, Any]]) -> None:
    """Put the tables into benchmarks/README.md."""
    before, rest = README.read_text(encoding="utf-8").split(START)
    _, after = rest.split(END)
    README.write_text(f"{before}{START}\n\n{tables(rows)}\n\n{END}{after}", encoding="utf-8")


def _line(title: str, part: str, rows: list[dict[str, Any]]) -> str:
    shares = _shares(rows)
    low, high = _interval(rows)
    first, *others = (_percent(share) for share in shares.values())
    return (
        f"| {title} | {part} | {len(rows)} | **{first}** [{_percent(low)}, {_percent(high)}] | "
        f"{' | '.join(others)} |"
    )


def _shares(rows: list[dict[str, Any]]) -> dict[str, float]:
    verdicts = [verdict_of(row) for row in rows]
    return {name: verdicts.count(name) / len(verdicts) for name in ("supported", "weak", "not supported")}


def _interval(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """Return the 95 % interval of the share supported, by a bootstrap over texts."""
    texts: dict[tuple[str, int], list[bool]] = {}
    for row in rows:
        texts.setdefault((row["model"], row["text"]), []).append(verdict_of(row) == "supported")
    sums = np.array([(sum(one), len(one)) for one in texts.values()])
    drawn = sums[np.random.default_rng(0).integers(0, len(sums), (RESAMPLINGS, len(sums)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    return float(low), float(high)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
