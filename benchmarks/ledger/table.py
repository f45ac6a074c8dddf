"""The table of the benchmark."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def written(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table of both models in Markdown."""
    lines = [
        "| model, pairs | states | ledger: median, mean, worst | gradient patching: median, mean, worst |",
        "|---|---|---|---|",
    ]
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        for part in ("residual", "attention", "mlp"):
            cells = [_summary([row[name] for row in own]) for name in (part, f"{part}_gradient")]
            lines.append(f"| {model}, {len(own)} | {part} | {cells[0]} | {cells[1]} |")
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        share = np.median([row["patching_seconds"] / row["seconds"] for row in own])
        gap = max(row["gap"] for row in own)
        lines += [
            "",
            f"{model}: patching the residual stream takes {share:.0f} times as long; gap at most {gap:.0e}.",
        ]
    return "\n".join(lines)


def _summary(values: Sequence[float]) -> str:
    return f"{np.median(values):.3f}, {np.mean(values):.3f}, {np.min(values):.3f}"
