"""The tables of the results for benchmarks/README.md."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]
README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- ledger: start -->", "<!-- ledger: end -->"
_MODELS = {"language model": "demo:smollm2", "classifier": "demo:sentiment"}
_GOALS = {"residual": "median .99, worst .95", "attention": "mean .93", "mlp": "mean .93"}


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
        _agreement(parts),
        *([_cost(parts["cost"])] if "cost" in parts else []),
        *([_architectures(parts["architectures"])] if "architectures" in parts else []),
        *([_faults(parts["faults"])] if "faults" in parts else []),
        *([_equality(parts["equality"])] if "equality" in parts else []),
    ]
    return "\n\n".join(block for block in blocks if block)


def _agreement(parts: dict[str, list[Row]]) -> str:
    lines = [
        "| model | pairs | states | ledger: median, mean, worst (goal) | gradient patching "
        "| one direction of patching with the other |",
        "|---|---|---|---|---|---|",
    ]
    notes = []
    groups = {_MODELS[part]: parts[part] for part in _MODELS if part in parts}
    for row in parts.get("experts", ()):
        groups.setdefault(f"tiny {row['model']}", []).append(row)
    for model, own in groups.items():
        own = [row for row in own if "omitted" not in row]
        for part in ("residual", "attention", "mlp"):
            if part not in own[0]:
                continue
            names = (part, f"{part}_gradient", f"{part}_directions")
            cells = [_summary([row[name] for row in own if name in row]) for name in names]
            goal = f" ({_GOALS[part]})" if not model.startswith("tiny") else ""
            lines.append(f"| {model} | {len(own)} | {part} | {cells[0]}{goal} | {cells[1]} | {cells[2]} |")
        faster = np.median([row["patching_seconds"] / row["seconds"] for row in own])
        note = f"- {model}: gap at most {max(row['gap'] for row in own):.0e}"
        if model.startswith("tiny"):
            shares = [row["routing"] for row in own]
            note += f"; {100 * np.mean(shares):.0f} % of the difference through the routers' correction"
        else:
            note += (
                f"; patching the residual stream of every block takes {faster:.0f} times as long (goal 20)"
            )
        notes.append(note + ".")
    return "\n".join([*lines, "", *notes]) if notes else ""


def _cost(rows: Sequence[Row]) -> str:
    lines = ["| text | ledger / one forward and backward pass (goal) |", "|---|---|"]
    for row in rows:
        if "megabytes" in row:
            ours, plain = (f"{row['megabytes'][way]:.0f} MB" for way in ("ledger", "plain"))
            lines.append(f"| {row['key']} | {row['ratio']:.2f} (2.5): {ours} to {plain} |")
        else:
            low, high = row["ratios"]
            lines.append(f"| {row['key']} | {row['ratio']:.2f} [{low:.2f}, {high:.2f}] (2) |")
    return "\n".join(lines)


def _architectures(rows: Sequence[Row]) -> str:
    gaps = [row["gap"] for row in rows if "gap" in row]
    refused = [f"{row['key']}: {row['refused']}" for row in rows if "refused" in row]
    text = (
        f"{len(rows)} tiny models (each architecture with fused attention, where it has it, and eager): "
        f"the largest gap of any state has the median {np.median(gaps):.0e}, is at most 1e-3 in "
        f"{sum(gap <= 1e-3 for gap in gaps)}, and at most {max(gaps):.0e}."
    )
    return text + (f" Refused: {'; '.join(refused)}." if refused else " None is refused.")


def _faults(rows: Sequence[Row]) -> str:
    exact = [row["key"] for row in rows if row.get("error", 1) <= 1e-4]
    missed = [row["key"] for row in rows if row.get("error", 0) > 1e-4]
    text = f"{len(rows)} planted faults (an operation without its rule, or not seen at all): "
    text += f"{sum('refused' in row for row in rows)} are refused"
    text += f"; {', '.join(exact)}: the ledger is the same, from a hook on activations" if exact else ""
    return text + (f"; missed: {', '.join(missed)}." if missed else ".")


def _equality(rows: Sequence[Row]) -> str:
    errors = ", ".join(f"{_equal(row)}: {row['error']:.0e}" for row in rows)
    return (
        "Largest relative difference with exchanged roles, of pairs in a batch of three to those alone, and "
        f"between fused and eager attention: {errors}."
    )


def _equal(row: Row) -> str:
    if "architectures" not in row:
        return row["key"]
    return f"{row['key']} on {row['architectures']} architectures, the worst being {row['worst']}"


def _summary(values: Sequence[float]) -> str:
    if not values:
        return "not measured"
    return f"{np.median(values):.3f}, {np.mean(values):.3f}, {np.min(values):.3f}"
