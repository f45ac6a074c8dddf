"""The rows of the benchmark of reports, and the table that ``benchmarks/README.md`` has of them."""

import statistics
from dataclasses import dataclass
from typing import Any

from pages import judged

START, END = "<!-- reports: start -->", "<!-- reports: end -->"
STORY = "Once upon a time, in a small village by the sea, there lived a"
REVIEW = (
    "The plot is thin, but the acting is wonderful and the music made me happy; I would watch it again with "
    "all of my friends tomorrow."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One text on one model.

    Args:
        key: Name in the results and for ``--only``.
        title: Title in the table.
        model: The model, as a visualizer takes it.
        text: The text or prompt.
        steps: How many tokens are generated; 0 for a classifier.
        goal: The maximum of the time of the page over that of the answer.
    """

    key: str
    title: str
    model: str
    text: str
    steps: int = 0
    goal: float | None = None


ROWS = (
    Row(key="sentiment-30", title="embedded classifier", model="demo:sentiment", text=REVIEW),
    Row(
        key="smollm2-32",
        title="SmolLM2-135M, 32 generated tokens",
        model="demo:smollm2",
        text=STORY,
        steps=32,
        goal=4,
    ),
)


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the table."""
    rows = {row.key: row for row in ROWS}
    conditions = sorted(
        {
            f"{result['rounds']} rounds, {result['threads']} thread(s), {result['clock']} time, "
            f"{result['machine']}, {result['date']}"
            for result in results.values()
        }
    )
    return "\n".join(
        [
            f"{'; '.join(conditions)}",
            "",
            "| text | tokens | answer, median s | first colors / answer | report / answer "
            "| page / answer [min, max] | passes forward + backward | positions forward + backward | page |",
            "|---|---|---|---|---|---|---|---|---|",
            *(_line(result, rows[key]) for key, result in results.items()),
        ]
    )


def _line(result: dict[str, Any], row: Row) -> str:
    answers = result["answer"]
    first, report, page = (
        [seconds / answer for seconds, answer in zip(result[name], answers, strict=True)]
        for name in ("first", "report", "page")
    )
    middle = statistics.median(page)
    words = f"{middle:.1f} [{min(page):.1f}, {max(page):.1f}]"
    return (
        f"| {row.title} | {result['tokens']} | {statistics.median(answers):.3g} "
        f"| {statistics.median(first):.1f} | {statistics.median(report):.1f} "
        f"| {judged(words, round(middle, 1), row.goal)} "
        f"| {result['forwards']} + {result['backwards']} "
        f"| {result['positions']:,} + {result['backward_positions']:,} | {result['bytes'] / 1e3:.0f} kB |"
    )
