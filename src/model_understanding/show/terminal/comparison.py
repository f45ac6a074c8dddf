"""A comparison as colored text in the terminal; every color is also given as a number."""

from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from model_understanding.comparison import AttentionComparison, AttributionComparison, Comparison
from model_understanding.show.shared.colors import palette, text_on
from model_understanding.show.shared.comparison_words import (
    MARKS,
    Change,
    agreement_text,
    attribution_methods,
    attribution_title,
    cell_changes,
    comparison_cautions,
    comparison_remarks,
    difference_title,
    evaluation_changes,
    headlines,
    largest_cell_change,
    largest_change,
    measure_sentence,
    output_changes,
    report_names,
    score_changes,
)
from model_understanding.show.shared.runs import blanks_before
from model_understanding.show.shared.words import printable, target_label
from model_understanding.show.terminal.report import print_cautions

_COLORS = palette("light")  # cells set their own background, so one theme works in any terminal
_BAR_COLORS = palette("dark")
_MAX_CHANGES, _MAX_ROWS = 8, 24
_BAR = 12  # characters of the longest bar
_MIN_STRENGTH = 0.06  # share of the largest difference below which a word is not colored


def print_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print a comparison: predictions, the aligned text colored by difference, and the largest differences.

    Args:
        comparison: The comparison.
        console: Where to print; standard output by default.
    """
    console = console or Console()
    title = Text("  →  ").join([Text(name, style="bold") for name in report_names(comparison)])
    console.print(Rule(title, align="left"))
    console.print(Text("  →  ").join(map(Text, headlines(comparison))))
    print_cautions(comparison_cautions(comparison), console)
    for remark in comparison_remarks(comparison):
        console.print(Text(remark, style="dim"))
    for part in comparison.attributions:
        _print_attribution(part, console)
    if comparison.outputs:
        changes = list(output_changes(comparison.outputs))
        _print_changes("Outputs", "output", changes[:_MAX_ROWS], console)
        _print_rest(len(changes) - _MAX_ROWS, console)
    for part in comparison.attention:
        _print_attention(part, console)
    _print_evaluations(comparison, console)
    console.print()
    console.print(Text(largest_change(comparison), style="bold"))


def _print_attribution(part: AttributionComparison, console: Console) -> None:
    console.print()
    console.print(Text(attribution_title(part), style="bold"))
    console.print(Text(attribution_methods(part), style="dim"))
    console.print(Text(measure_sentence(part), style="dim"))
    if len(part.first.targets) > 1:
        _print_targets(part, console)
        return
    console.print(Text(agreement_text(part), style="dim"))
    console.print(Padding(_colored(part), (1, 2)))
    if console.color_system is not None:
        legend = Text.assemble(
            _cell(" − lower in the second ", -1.0), " ", _cell(" + higher in the second ", 1.0)
        )
        console.print(Padding(legend, (0, 2)))
    changes = sorted(score_changes(part), key=lambda change: -abs(change.size))
    _print_changes("", "token", changes[:_MAX_CHANGES], console)
    _print_rest(len(changes) - _MAX_CHANGES, console)


def _colored(part: AttributionComparison) -> Text:
    """Return both texts as one: ``good→bad`` for replaced tokens, ``−`` and ``+`` for unmatched tokens."""
    alignment, differences = part.alignment, part.differences[0]
    peak = float(np.abs(differences).max(initial=0)) or 1.0
    labels = [tokens.labels() for tokens in (alignment.first, alignment.second)]
    blanks = [blanks_before(tokens) for tokens in (alignment.first, alignment.second)]
    text = Text(overflow="fold")
    for unit, (kind, pair) in enumerate(zip(alignment.kinds(), alignment.pairs, strict=True)):
        sides = [side for side in (0, 1) if pair[side] >= 0]
        if text.plain and blanks[sides[-1]][pair[sides[-1]]]:
            text.append(" ")
        words = [printable(labels[side][pair[side]], 60) for side in sides]
        label = words[-1] if kind == "same" else MARKS[kind].strip("~") + "→".join(words)
        style = "dim" if kind not in ("same", "replaced") else ""
        if part.compared[0, unit] and abs(differences[unit]) >= _MIN_STRENGTH * peak:
            text.append(_cell(label, float(differences[unit]) / peak))
        else:
            text.append(label, style=style)
    return text


def _print_targets(part: AttributionComparison, console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("target", overflow="fold", max_width=28)
    table.add_column("agreement", overflow="fold")
    table.add_column("largest differences", overflow="fold")
    targets = list(zip(part.first.targets, part.second.targets, strict=True))
    for row, (first, second) in enumerate(targets[:_MAX_ROWS]):
        labels = list(dict.fromkeys((target_label(first), target_label(second))))
        changes = sorted(score_changes(part, row), key=lambda change: -abs(change.size))[:3]
        largest = "   ".join(f"{change.label} {change.difference}" for change in changes if change.size)
        table.add_row(Text(" → ".join(labels)), Text(agreement_text(part, row)), Text(largest or "none"))
    console.print(Padding(table, (1, 2, 0, 2)))
    _print_rest(len(targets) - _MAX_ROWS, console)


def _print_attention(part: AttentionComparison, console: Console) -> None:
    of_one_head = largest_cell_change(part)
    changes = [*cell_changes(part, _MAX_CHANGES), *([of_one_head] if of_one_head else [])]
    _print_changes(difference_title(part), "from (query) to (key)", changes, console, note=part.reason)
    if not changes:
        console.print(Padding(Text("no differences", style="dim"), (0, 2)))


def _print_evaluations(comparison: Comparison, console: Console) -> None:
    if not comparison.evaluations:
        return
    console.print()
    console.print(Text("Faithfulness", style="bold"))
    table = _table("metric", "first", "second", "verdict")
    for row in evaluation_changes(comparison):
        table.add_row(*map(Text, row))
    console.print(Padding(table, (1, 2, 0, 2)))


def _print_changes(
    title: str, name: str, changes: Sequence[Change], console: Console, *, note: str = ""
) -> None:
    if title:
        console.print()
        console.print(Text(title, style="bold"))
    if note:
        console.print(Text(printable(note, 200), style="dim"))
    if not changes:
        return
    peak = max(abs(change.size) for change in changes) or 1.0
    table = _table(name, "first", "second", "difference", "")
    for change in changes:
        color = _BAR_COLORS.supports if change.size >= 0 else _BAR_COLORS.against
        bar = "█" * max(round(_BAR * abs(change.size) / peak), 1 if change.size else 0)
        cells = (change.label, change.first, change.second, change.difference)
        table.add_row(*map(Text, cells), Text(bar, style=color))
    console.print(Padding(table, (1, 2, 0, 2)))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        if column in ("first", "second", "difference"):
            table.add_column(column, justify="right")
        else:
            table.add_column(column, overflow="fold", max_width=60)
    return table


def _print_rest(count: int, console: Console) -> None:
    if count > 0:
        console.print(Padding(Text(f"and {count} more", style="dim"), (0, 2)))


def _cell(text: str, strength: float) -> Text:
    color = _COLORS.signed(strength)
    return Text(text, style=f"{text_on(color)} on {color}")
