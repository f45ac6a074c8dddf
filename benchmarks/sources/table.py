"""The tables of the results for benchmarks/README.md."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]
README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- sources: start -->", "<!-- sources: end -->"
PROMPTS = {"planted": 60, "paragraphs": 20, "redundant": 20, "removed": 30, "unrelated": 30}
_METHODS = {
    "ours": "answer map",
    "exact": "exact deletion",
    "context_cite_32": "ContextCite, 32 ablations",
    "context_cite_64": "ContextCite, 64 ablations",
}
_NEEDED = 1  # nat: without its sentence, what a model says anyway is as likely
_MORE = 0.05  # of the linear datamodeling score of ContextCite with 64 ablations, that may be missing


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file; none if there is no file."""
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [*{(row["part"], row["key"]): row for row in rows}.values()]


def write(rows: Sequence[Row]) -> None:
    """Put the tables into benchmarks/README.md."""
    before, rest = README.read_text(encoding="utf-8").split(START)
    _, after = rest.split(END)
    README.write_text(f"{before}{START}\n\n{tables(rows)}\n\n{END}{after}", encoding="utf-8")


def tables(rows: Sequence[Row]) -> str:
    """Return the tables in Markdown; parts that are not measured are left out."""
    parts: dict[str, list[Row]] = {}
    for row in rows:
        parts.setdefault(row["part"], []).append(row)
    blocks = [
        _bars({part: parts[part] for part in ("language model", "copying") if part in parts}),
        *(_compared(part, parts[part]) for part in ("compared", "copying compared") if part in parts),
        *([_memory(parts["memory"])] if "memory" in parts else []),
    ]
    return "\n\n".join(block for block in blocks if block)


# The bars that need no other method.


def _bars(parts: dict[str, list[Row]]) -> str:
    if not parts:
        return ""
    models = [rows[0]["model"] for rows in parts.values()]
    lines = [f"| bar (goal) | {' | '.join(models)} |", f"|---|{'---|' * len(models)}"]

    def line(title: str, cell: Callable[[list[Row]], str]) -> None:
        lines.append(f"| {title} | {' | '.join(cell(rows) for rows in parts.values())} |")

    line("prompts recorded: planted, paragraphs, redundant, removed, unrelated", _recorded)
    direct, pronoun = (_where("planted", pronoun=value) for value in (False, True))
    line("planted sentence first (.98)", lambda rows: _share(direct(rows), "first", 0.98))
    line("planted sentence first, behind pronouns (.95)", lambda rows: _share(pronoun(rows), "first", 0.95))
    line(
        "the same, by the effects on the value's own words",
        lambda rows: _share(pronoun(rows), "value_first"),
    )
    paragraphs = _where("paragraphs")
    line("sentence of a real paragraph first (.98)", lambda rows: _share(paragraphs(rows), "first", 0.98))
    line(
        f"the same, where exact deletion of it makes the value less likely by {_NEEDED} nat or more",
        lambda rows: _share(_needed(paragraphs(rows)), "first"),
    )
    line(
        "document with the repeated question first (at most 3 %)",
        lambda rows: _share(
            [row for row in rows if row["set"] in ("planted", "redundant")],
            "distractor_first",
            0.03,
            at_most=True,
        ),
    )
    line("both copies found (.9)", lambda rows: _share(_where("redundant")(rows), "all_found", 0.9))
    line("positions / exact deletion (.20)", lambda rows: _cost(_where("planted")(rows), 0.20))
    line("positions / exact deletion, two copies (.35)", lambda rows: _cost(_where("redundant")(rows), 0.35))
    line("AUROC of “rests on nothing”: fact removed (.95)", lambda rows: _auroc_cell(rows, "removed"))
    line(
        "AUROC of “rests on nothing”: unrelated documents (.95)", lambda rows: _auroc_cell(rows, "unrelated")
    )
    for set_, title in (
        ("planted", "values that a sentence has"),
        ("removed", "removed facts"),
        ("unrelated", "unrelated"),
    ):
        line(
            f"{title}: sources, unclear, nothing, not judged",
            lambda rows, set_=set_: _origins(_where(set_)(rows)),
        )
    return "\n".join(lines)


def _recorded(rows: Sequence[Row]) -> str:
    counts = [f"{sum(row['set'] == set_ for row in rows)} of {count}" for set_, count in PROMPTS.items()]
    own = sum(row["own"] for row in rows)
    return f"{', '.join(counts)}; {own} answers are the model's own"


def _where(set_: str, *, pronoun: bool | None = None) -> Callable[[Iterable[Row]], list[Row]]:
    return lambda rows: [
        row for row in rows if row["set"] == set_ and (pronoun is None or row["pronoun"] == pronoun)
    ]


def _needed(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if (row["exact_drop"] or 0) >= _NEEDED]


def _share(rows: Sequence[Row], name: str, goal: float | None = None, *, at_most: bool = False) -> str:
    if not rows:
        return "–"
    count = sum(bool(row[name]) for row in rows)
    share = count / len(rows)
    is_met = goal is None or (share <= goal if at_most else share >= goal)
    return _marked(f"{count} of {len(rows)}", is_met=is_met)


def _cost(rows: Sequence[Row], goal: float) -> str:
    if not rows:
        return "–"
    shares = [row["share"] for row in rows]
    text = f"{np.mean(shares):.2f} [{min(shares):.2f}, {max(shares):.2f}]"
    return _marked(text, is_met=float(np.mean(shares)) <= goal)


def _auroc_cell(rows: Sequence[Row], set_: str) -> str:
    stated = [*_where("planted")(rows), *_needed(_where("paragraphs")(rows))]
    supported = [row["margin"] for row in stated if "margin" in row]
    others = [row["margin"] for row in rows if row["set"] == set_ and "margin" in row]
    if not supported or not others:
        return "–"
    value = auroc(supported, others)
    return _marked(f"{value:.3f} ({len(supported)} and {len(others)} values)", is_met=value >= 0.95)


def auroc(higher: Sequence[float], lower: Sequence[float]) -> float:
    """Return how often a value of one list is above one of another; half of each tie counts."""
    first, second = np.array(higher)[:, None], np.array(lower)[None]
    return float(np.mean((first > second) + (first == second) / 2))


def _origins(rows: Sequence[Row]) -> str:
    if not rows:
        return "–"
    found = [row.get("value_origin") for row in rows]
    return ", ".join(str(found.count(name)) for name in ("sources", "unclear", "nothing", None))


def _marked(text: str, *, is_met: bool) -> str:
    return text if is_met else f"**{text} missed**"


# Beside other methods.


def _compared(part: str, rows: Sequence[Row]) -> str:
    model = rows[0]["model"]
    lines = [
        f"| {model}, {len(rows)} prompts | planted sentence first | Pearson with exact: mean, worst | "
        "linear datamodeling score: mean | positions / exact |",
        "|---|---|---|---|---|",
    ]
    lds = {name: float(np.mean([row["lds"][name] or 0 for row in rows])) for name in _METHODS}
    for name, title in _METHODS.items():
        first = f"{sum(row['first'][name] for row in rows)} of {len(rows)}"
        # Equal effects of all sentences go with nothing.
        correlations = [row["pearson"].get(name, 0.0) for row in rows] if name != "exact" else []
        pearson = f"{np.mean(correlations):.3f}, {min(correlations):.3f}" if correlations else "–"
        score = f"{lds[name]:.2f}"
        if name == "ours":
            pearson = _marked(f"{pearson} (mean .95)", is_met=float(np.mean(correlations)) >= 0.95)
            least = lds["context_cite_64"] - _MORE
            score = _marked(f"{score} (ContextCite 64 − .05)", is_met=lds["ours"] >= least)
        lines.append(f"| {title} | {first} | {pearson} | {score} | {_relative(rows, name)} |")
    return "\n".join(lines)


def _relative(rows: Sequence[Row], name: str) -> str:
    if name in ("ours", "exact"):
        return "above" if name == "ours" else "1"
    count = int(name.rsplit("_", 1)[1])
    ratios = [count * row["ablation_positions"] / row["exact_positions"] for row in rows]
    return f"{np.mean(ratios):.2f}"


def _memory(rows: Sequence[Row]) -> str:
    lines = [
        "| prompt | growth of memory: answer map, plain forward pass | ratio (goal 1.5) |",
        "|---|---|---|",
    ]
    for row in rows:
        grown = row["megabytes"]
        text = f"{grown['ours']:.0f} MB, {grown['plain']:.0f} MB"
        without = f"{grown['plain, without cache']:.0f} MB without keys and values"
        ratio = _marked(f"{row['ratio']:.2f}", is_met=row["ratio"] <= 1.5)
        lines.append(f"| {row['key']} | {text} ({without}) | {ratio} |")
    return "\n".join(lines)
