"""A comparison as colored text in the terminal; every color is also said in numbers."""

from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from model_understanding.comparison import AttentionComparison, AttributionComparison, Comparison
from model_understanding.show.figures.bars import blanks_before
from model_understanding.show.shared.colors import palette, text_on
from model_understanding.show.shared.comparison_words import (
    MARKS,
    Change,
    agreement_words,
    answers,
    attention_words,
    attribution_methods,
    attribution_title,
    cell_changes,
    change_words,
    evaluation_changes,
    measure_words,
    names,
    output_changes,
    remarks,
    score_changes,
    stamps,
)
from model_understanding.show.shared.words import shown

_COLORS = palette("light")  # cells bring their own background, so one theme serves any terminal
_BARS = palette("dark")
_TOP, _TOP_ROWS = 8, 24
_BAR = 12  # characters of the longest bar
_FAINTEST = 0.06  # share of the largest difference below which a word stays plain


def print_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print a comparison: the answers, the aligned text colored by difference, the largest differences.

    Args:
        comparison: The comparison.
        console: Where to print; standard output where left out.
    """
    console = console or Console()
    title = Text("  →  ").join([Text(name, style="bold") for name in names(comparison)])
    console.print(Rule(title, align="left"))
    console.print(Text("  →  ").join(map(Text, answers(comparison))))
    for stamp in stamps(comparison):
        console.print(Text(f" ⚠ {stamp} ", style=f"bold {_COLORS.caution_text} on {_COLORS.caution}"))
    for remark in remarks(comparison):
        console.print(Text(remark, style="dim"))
    for part in comparison.attributions:
        _print_attribution(part, console)
    if comparison.outputs:
        _print_changes("Answers", "answer", list(output_changes(comparison.outputs))[:_TOP_ROWS], console)
        _print_rest(len(comparison.outputs) - _TOP_ROWS, console)
    for part in comparison.attention:
        _print_attention(part, console)
    _print_evaluations(comparison, console)
    console.print()
    console.print(Text(change_words(comparison), style="bold"))


def _print_attribution(part: AttributionComparison, console: Console) -> None:
    console.print()
    console.print(Text(attribution_title(part), style="bold"))
    console.print(Text(attribution_methods(part), style="dim"))
    console.print(Text(measure_words(part), style="dim"))
    if len(part.first.targets) > 1:
        _print_targets(part, console)
        return
    console.print(Text(agreement_words(part), style="dim"))
    console.print(Padding(_colored(part), (1, 2)))
    if console.color_system is not None:
        legend = Text.assemble(_cell(" − lower in the second ", -1.0), " ", _cell(" + higher ", 1.0))
        console.print(Padding(legend, (0, 2)))
    changes = sorted(score_changes(part), key=lambda change: -abs(change.size))
    _print_changes("", "token", changes[:_TOP], console)
    _print_rest(len(changes) - _TOP, console)


def _colored(part: AttributionComparison) -> Text:
    """Return one text of both: ``good→bad`` for what was replaced, ``−`` and ``+`` for what one lacks."""
    alignment, differences = part.alignment, part.differences[0]
    reach = float(np.abs(differences).max(initial=0)) or 1.0
    surfaces = [tokens.labels() for tokens in (alignment.first, alignment.second)]
    blanks = [blanks_before(tokens) for tokens in (alignment.first, alignment.second)]
    text = Text(overflow="fold")
    for unit, (kind, pair) in enumerate(zip(alignment.kinds(), alignment.pairs, strict=True)):
        held = [side for side in (0, 1) if pair[side] >= 0]
        if text.plain and blanks[held[-1]][pair[held[-1]]]:
            text.append(" ")
        words = [shown(surfaces[side][pair[side]], 60) for side in held]
        label = words[-1] if kind == "same" else MARKS[kind].strip("~") + "→".join(words)
        style = "dim" if kind not in ("same", "replaced") else ""
        if part.compared[0, unit] and abs(differences[unit]) >= _FAINTEST * reach:
            text.append(_cell(label, float(differences[unit]) / reach))
        else:
            text.append(label, style=style)
    return text


def _print_targets(part: AttributionComparison, console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("target", overflow="fold", max_width=28)
    table.add_column("agreement", overflow="fold")
    table.add_column("largest differences", overflow="fold")
    for row, (ours, theirs) in enumerate(zip(part.first.targets, part.second.targets, strict=True)):
        if row == _TOP_ROWS:
            break
        pair = [
            shown(
                target.name or ", ".join(label.strip() for label in target.labels) or target.description(), 28
            )
            for target in (ours, theirs)
        ]
        changes = sorted(score_changes(part, row), key=lambda change: -abs(change.size))[:3]
        largest = "   ".join(f"{change.label} {change.difference}" for change in changes if change.size)
        table.add_row(
            Text(pair[0] if pair[0] == pair[1] else " → ".join(pair)),
            Text(agreement_words(part, row)),
            Text(largest or "none"),
        )
    console.print(Padding(table, (1, 2, 0, 2)))
    _print_rest(len(part.first.targets) - _TOP_ROWS, console)


def _print_attention(part: AttentionComparison, console: Console) -> None:
    changes = cell_changes(part, _TOP)
    _print_changes(attention_words(part), "from (query) to (key)", changes, console, note=part.reason)
    if not changes:
        console.print(Padding(Text("no weight differs", style="dim"), (0, 2)))


def _print_evaluations(comparison: Comparison, console: Console) -> None:
    if not comparison.evaluations:
        return
    console.print()
    console.print(Text("How far to believe it", style="bold"))
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
        console.print(Text(shown(note, 200), style="dim"))
    if not changes:
        return
    reach = max(abs(change.size) for change in changes) or 1.0
    table = _table(name, "first", "second", "difference", "")
    for change in changes:
        color = _BARS.supports if change.size >= 0 else _BARS.against
        bar = "█" * max(round(_BAR * abs(change.size) / reach), 1 if change.size else 0)
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
    face = _COLORS.signed(strength)
    return Text(text, style=f"{text_on(face)} on {face}")
