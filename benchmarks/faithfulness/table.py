"""Makes the tables of the results for benchmarks/README.md, and a plot of faithfulness."""

import json
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "benchmarks" / "README.md"
PLOT = Path(__file__).parent / "faithfulness.png"
START, END = "<!-- faithfulness: start -->", "<!-- faithfulness: end -->"
LONG = "Language model, texts of about 256 tokens"
GROUPS = {
    "Classifier": ("sentences",),
    "Language model": ("prompts", "needles"),
    LONG: ("passages", "facts"),
}
# The methods that attribution/choose.py chose from these tables.
CHOSEN = {
    "Classifier": {"deep_lift": "default", "gradient_weighted_attention": "fast"},
    "Language model": {"guided_ablation": "default", "guided_ablation, 8 removals": "fast"},
}
CHOSEN[LONG] = CHOSEN["Language model"]
RESAMPLINGS = 4000
FEWEST = 6  # samples: with fewer, an interval is meaningless
FEWEST_LONG = 3  # long samples, each of which takes minutes
REFERENCE = "leave_one_out"  # costs are compared with it; rows of long texts hold its forward passes too
LEAST_FAILURES = 2  # texts on which a method must fail to be listed as failing


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file; none if there is no file."""
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    # Parallel runs may have measured a row twice: it counts once.
    return [*{(row["set"], row["sample"], row["method"]): row for row in rows}.values()]


def pooled(row: dict[str, Any]) -> float:
    """Return a row's mean over replacements, comprehensiveness and sufficiency."""
    return float(np.mean([*row["advantages"].values()]))


def interval(values: list[float]) -> tuple[float, float, float]:
    """Return a mean and the 95 % interval of its bootstrap."""
    drawn = np.random.default_rng(0).integers(0, len(values), (RESAMPLINGS, len(values)))
    low, high = np.quantile(np.array(values)[drawn].mean(1), [0.025, 0.975])
    return float(np.mean(values)), float(low), float(high)


def passes(row: dict[str, Any]) -> float:
    """Return a row's cost in forward passes; a backward pass counts as two."""
    return row["forwards"] + 2 * row["backwards"]


def summaries(rows: list[dict[str, Any]], title: str) -> list[dict[str, Any]]:
    """Return the figures of each method in a table, the best first."""
    found, sets = [], GROUPS[title]
    mine = [row for row in rows if row["set"] in sets]
    default = next(name for name, choice in CHOSEN[title].items() if choice == "default")
    best = {
        (row["set"], row["sample"]): pooled(row)
        for row in mine
        if row["method"] == default and "advantages" in row
    }
    for method in dict.fromkeys(row["method"] for row in mine):
        own = [row for row in mine if row["method"] == method]
        done = [row for row in own if "advantages" in row]
        if len(done) < (FEWEST_LONG if title == LONG else FEWEST):
            continue
        parts = {
            kind: [np.mean([*row["advantages"].values()], axis=0) for row in done if row["set"] == kind]
            for kind in sets
        }
        recalls = [row["recall"] for row in done if row["recall"] is not None]
        names = list(done[0]["advantages"])
        places = [(row["set"], row["sample"]) for row in done]
        shares = [passes(row) / row[REFERENCE] for row in done if REFERENCE in row]
        behind = [best[place] - pooled(row) for row, place in zip(done, places, strict=True) if place in best]
        found.append(
            {
                "method": method,
                "n": len(done),
                "refused": len(own) - len(done),
                "forwards": float(np.mean([row["forwards"] for row in done])),
                "backwards": float(np.mean([row["backwards"] for row in done])),
                "behind": interval(behind) if behind and method != default else None,
                "share": float(np.mean(shares)) if shares else None,
                "overall": interval([pooled(row) for row in done]),
                "parts": {kind: np.mean(values, axis=0) for kind, values in parts.items() if values},
                "replacements": {
                    name: float(np.mean([row["advantages"][name] for row in done])) for name in names
                },
                "recall": float(np.mean(recalls)) if recalls else None,
            }
        )
    return sorted(found, key=lambda summary: -summary["overall"][0])


def tables(rows: list[dict[str, Any]]) -> str:
    """Return the tables as Markdown."""
    parts = []
    for title, sets in GROUPS.items():
        found = summaries(rows, title)
        if not found:
            continue
        replacements = list(found[0]["replacements"])
        heads = ["method", "n", "forward + backward passes"]
        heads += ["cost / leave-one-out"] if title == LONG else []
        heads += [
            "z-score [95 %]",
            "default − method [95 %]",
            *(f"{kind}: comp. / suff." for kind in sets),
            *replacements,
        ]
        has_recall = any(one["recall"] is not None for one in found)
        heads += ["needle recall"] if has_recall else []
        lines = [f"### {title}", "", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
        for one in found:
            mean, low, high = one["overall"]
            choice = CHOSEN[title].get(one["method"])
            cells = [
                one["method"] + (f" (**{choice}**)" if choice else ""),
                str(one["n"]),
                f"{one['forwards']:.1f} + {one['backwards']:.1f}",
            ]
            if title == LONG:
                cells.append("–" if one["share"] is None else f"{one['share']:.2f}")
            cells.append(f"{mean:.2f} [{low:.2f}, {high:.2f}]")
            cells.append("–" if one["behind"] is None else "{:.2f} [{:.2f}, {:.2f}]".format(*one["behind"]))
            for kind in sets:
                part = one["parts"].get(kind)
                cells.append("–" if part is None else f"{part[0]:.2f} / {part[1]:.2f}")
            cells += [f"{one['replacements'][name]:.2f}" for name in replacements]
            if has_recall:
                cells.append("–" if one["recall"] is None else f"{one['recall']:.2f}")
            lines.append(f"| {' | '.join(cells)} |")
        lines += failures(rows, title)
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def failures(rows: list[dict[str, Any]], title: str) -> list[str]:
    """Return the errors of packages that gave no scores on a table's texts, as lines below it."""
    words: dict[str, list[str]] = {}
    done = {row["method"] for row in rows if row["set"] in GROUPS[title] and "advantages" in row}
    for row in rows:
        if row["set"] in GROUPS[title] and "refused" in row and row["method"] not in done:
            words.setdefault(row["method"], []).append(row["refused"])
    told = {method: found for method, found in words.items() if len(found) >= LEAST_FAILURES}
    lines = [f"- {method}, {len(found)} texts: `{_quoted(found[0])}`" for method, found in told.items()]
    return ["", "No scores:", "", *lines] if lines else []


def _quoted(words: str) -> str:
    """Return a text that can be put between backquotes."""
    return words.replace("`", "'")


def write(rows: list[dict[str, Any]]) -> None:
    """Put the tables into benchmarks/README.md and draw the plot beside the rows."""
    page = README.read_text(encoding="utf-8")
    before, rest = page.split(START)
    _, after = rest.split(END)
    README.write_text(f"{before}{START}\n\n{tables(rows)}\n\n{END}{after}", encoding="utf-8")
    _draw(rows)


def _draw(rows: list[dict[str, Any]]) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    shown = {title: found for title in GROUPS if (found := summaries(rows, title)[::-1])}
    first, *others = shown
    # The first panel takes the left; the others stand on top of each other beside it.
    mosaic = [[first, other] for other in others] or [[first]]
    heights = [len(shown[other]) + 3 for other in others] or [1]
    rows_high = max(len(shown[first]), sum(heights))
    figure, panels = plt.subplot_mosaic(
        mosaic, figsize=(9.5 * len(mosaic[0]), 1.2 + 0.19 * rows_high), height_ratios=heights
    )
    for title, found in shown.items():
        axes = panels[title]
        for place, one in enumerate(found):
            mean, low, high = one["overall"]
            axes.plot([low, high], [place, place], color="#8a8f98", linewidth=2, zorder=1)
            is_package = ": " in one["method"]
            color = "#cc6c13" if one["method"] in CHOSEN[title] else "#1f6feb"
            axes.plot(mean, place, "o", color=color, mfc="white" if is_package else color, zorder=2)
        choices = [CHOSEN[title].get(one["method"]) for one in found]
        labels = [
            (f"{choice}: " if choice else "")
            + f"{one['method']}  ({one['forwards']:.0f} + {one['backwards']:.0f})"
            for choice, one in zip(choices, found, strict=True)
        ]
        axes.set_yticks(range(len(found)), labels, fontsize=9)
        axes.axvline(0, color="#444", linewidth=1)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("z-score against random orders")
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("In parentheses: forward + backward passes. Hollow: other packages.", fontsize=10)
    figure.tight_layout()
    figure.savefig(PLOT, dpi=90, facecolor="white")
    plt.close(figure)
