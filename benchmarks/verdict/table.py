"""The verdict's error rates, for benchmarks/README.md: by kind of map, length and model."""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from model_understanding.evaluation.verdict import (
    MAX_CORRELATION,
    NAMED,
    STRONG,
    SUPPORTED,
)

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "benchmarks" / "README.md"
START, END = "<!-- verdict: start -->", "<!-- verdict: end -->"
SEPARATE = {
    # Both words always occur, so a model may use the position of one alone: no right map of the model.
    ("ordered pair", "truth"),
    # They average over almost fully masked inputs, on which the verdict is not based.
    ("demo:smollm2", "shapley_sampling"),
}
"""The beginning of a model's name, and the map: these are listed separately."""
NAMES = {
    "none": "wrong: none of the planted words",
    "part": "wrong: a part of them",
    "unknown": "wrong: no words planted",
}
"""What a wrong map names among its top tokens. Maps that name all are no wrong maps."""
UNKNOWN = ("attention_rollout", "input_x_gradient")
"""Maps that may be right where no words are planted: they count neither as right nor as wrong there."""
RESAMPLINGS = 4000
Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file; none if there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def kind_of(row: Row) -> str:
    """Return ``right``, ``wrong``, ``separate``, ``unknown``, or ``all``: it names every planted word."""
    if row["names"] == "unknown" and row["map"] in UNKNOWN:
        return "unknown"
    if row["names"] == "all":
        return "all"
    if row["names"] != "right":
        return "wrong"
    separate = any(row["model"].startswith(model) and row["map"] == name for model, name in SEPARATE)
    return "separate" if separate else "right"


def tables(rows: list[Row]) -> str:
    """Return the tables as Markdown."""
    parts = [part for part in ("calibration", "test") if any(row["part"] == part for row in rows)]
    lines = ["| maps | part | n | supported [95 %] | weak | not supported |", "|---|---|---|---|---|---|"]
    for kind in ("wrong", "right", "all", "separate", "unknown"):
        for part in parts:
            lines += _lines(kind, part, [row for row in rows if row["part"] == part and kind_of(row) == kind])
            if kind == "wrong":
                for names, title in NAMES.items():
                    own = [
                        row
                        for row in rows
                        if row["part"] == part and row["names"] == names and kind_of(row) == kind
                    ]
                    lines += _lines(title, part, own)
    test = [row for row in rows if row["part"] == parts[-1]]
    wrong = [row for row in test if kind_of(row) == "wrong"]
    right = [row for row in test if kind_of(row) == "right"]
    lines += ["", f"Share supported, {parts[-1]} part, by length (number of maps in brackets):", ""]
    lines += _by_length(wrong, lambda row: f"{row['map']}: {NAMES[row['names']].removeprefix('wrong: ')}")
    lines += [""]
    lines += _by_length(
        [row for row in test if kind_of(row) in ("right", "separate")],
        lambda row: f"{_task(row)}: {row['map']}{' (separate)' if kind_of(row) == 'separate' else ''}",
    )
    per_model: dict[str, list[bool]] = {}
    for row in right:
        per_model.setdefault(_trained_model(row), []).append(row["verdict"] == "supported")
    shares = sorted((float(np.mean(own)), model, len(own)) for model, own in per_model.items())
    below = sum(share < 0.8 for share, *_ in shares)
    worst = "; ".join(f"{model}: {_percent(share)} of {count}" for share, model, count in shares[:5])
    flips = [row["verdict"] != row["again"] for row in test]
    changed = [(row["verdict"] == "supported") != (row["again"] == "supported") for row in test]
    firsts = [row for row in test if row["map"] in ("truth", "leave_one_out") and row["variants"]]
    whole = {(row["model"], row["text"]): row for row in reversed(firsts)}.values()
    variants, forwards = ([row[key] for row in whole] for key in ("variants", "forwards"))
    lines += [
        "",
        f"Right maps by model: of {len(shares)} models {below} have less than 80 % supported. The lowest: "
        f"{worst}.",
        "",
        f"With another seed {_percent(np.mean(flips))} of {len(flips)} verdicts differ, "
        f"{_percent(np.mean(changed))} between supported and not.",
        "",
        f"The rule: a correlation of at least {SUPPORTED:g} standard deviations by Fisher's transformation "
        f"(at most {MAX_CORRELATION:g}), and no token with {100 * STRONG:.0f} % of the largest effect that "
        f"has less than {100 * NAMED:.0f} % of the largest score. The first right map of a text costs "
        f"{np.median(forwards):.0f} forward passes over the whole text in the median, "
        f"{np.mean(forwards):.0f} on average ({min(forwards):.0f} to {max(forwards):.0f}), for "
        f"{np.mean(variants):.0f} variants on average.",
    ]
    return "\n".join(lines)


def write(rows: list[Row]) -> None:
    """Put the tables into benchmarks/README.md."""
    before, rest = README.read_text(encoding="utf-8").split(START)
    _, after = rest.split(END)
    README.write_text(f"{before}{START}\n\n{tables(rows)}\n\n{END}{after}", encoding="utf-8")


def _lines(title: str, part: str, rows: list[Row]) -> list[str]:
    """Return the line of some maps; none if there are no maps."""
    if not rows:
        return []
    verdicts = [row["verdict"] for row in rows]
    first, *others = (
        _percent(verdicts.count(name) / len(verdicts)) for name in ("supported", "weak", "not supported")
    )
    low, high = _interval(rows)
    titles = {"all": "made wrong, but naming all planted words", "separate": "listed separately"}
    titles["unknown"] = "rollout, input × gradient: no words planted"
    return [
        f"| {titles.get(title, title)} | {part} | {len(rows)} | **{first}** [{_percent(low)}, "
        f"{_percent(high)}] | {' | '.join(others)} |"
    ]


def _by_length(rows: list[Row], title_of: Callable[[Row], str]) -> list[str]:
    """Return a table with one line per title and one column per range of lengths."""
    ranges = {"6 and 7 tokens": (0, 7), "8 to 10": (8, 10), "11 to 20": (11, 20), "more": (21, 10**6)}
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(title_of(row), []).append(row)
    lines = [f"| map | {' | '.join(ranges)} | all |", f"|---|{'---|' * (len(ranges) + 1)}"]
    for title, own in sorted(groups.items()):
        cells = [
            _share([row for row in own if low <= row["tokens"] <= high]) for low, high in ranges.values()
        ]
        lines.append(f"| {title} | {' | '.join(cells)} | {_share(own)} |")
    return lines


def _share(rows: list[Row]) -> str:
    if not rows:
        return "–"
    return f"{_percent(np.mean([row['verdict'] == 'supported' for row in rows]))} ({len(rows)})"


def _task(row: Row) -> str:
    return re.sub(r" of \d+ words", "", row["model"]).partition(",")[0]


def _trained_model(row: Row) -> str:
    return re.sub(r" of \d+ words", "", row["model"])


def _interval(rows: Iterable[Row]) -> tuple[float, float]:
    """Return the 95 % interval of the share supported, by a bootstrap over texts."""
    texts: dict[tuple[str, int], list[bool]] = {}
    for row in rows:
        texts.setdefault((row["model"], row["text"]), []).append(row["verdict"] == "supported")
    sums = np.array([(sum(one), len(one)) for one in texts.values()])
    drawn = sums[np.random.default_rng(0).integers(0, len(sums), (RESAMPLINGS, len(sums)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    return float(low), float(high)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
