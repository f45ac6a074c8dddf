"""A comparison as colored text in the terminal; every color is also given as a number."""

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from model_understanding.comparison import AttentionComparison, AttributionComparison, Comparison
from model_understanding.show.shared.colors import palette, text_on
from model_understanding.show.shared.runs import blanks_before
from model_understanding.show.shared.words import printable
from model_understanding.show.terminal.report import print_cautions, sentence_of
from model_understanding.show.views.compared_attention import difference_title, largest_changes, shown_maps
from model_understanding.show.views.compared_scores import (
    ScoresView,
    attribution_methods,
    attribution_title,
    measure_sentence,
    scores_view,
    target_name_of,
)
from model_understanding.show.views.compared_words import Change
from model_understanding.show.views.comparison import comparison_view, evaluation_changes
from model_understanding.show.views.trust import NOT_MEASURED

_COLORS = palette("light")  # cells set their own background, so one theme works in any terminal
_BAR_COLORS = palette("dark")
_MARKS = {"same": ("", ""), "replaced": ("", ""), "first only": ("[-", "-]"), "second only": ("{+", "+}")}
_MAX_ROWS = 24
_MIN_BAR = 0.005  # part of the longest bar from which a bar is drawn
_BAR = 12  # characters of the longest bar


def print_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print a comparison: both answers, why they differ, the aligned text, and the largest differences.

    Args:
        comparison: The comparison.
        console: Where to print; standard output by default.
    """
    console = console or Console()
    view = comparison_view(comparison)
    names = [Text(answer.name, style="bold") for answer in view.answers]
    console.print(Rule(Text("  →  ").join(names), align="left"))
    console.print(Text("  →  ").join(Text(answer.words, style="bold") for answer in view.answers))
    console.print(Text(view.inputs, style="dim"))
    print_cautions(view.cautions, console)
    for scores, part in zip(view.scores, comparison.attributions, strict=False):
        _print_scores(scores, console)
        if len(part.first.targets) > 1:
            _print_targets(part.words(), comparison, console)
    if view.outputs:
        full = 1.0 if all(pair.quantity == "probability" for pair in comparison.outputs) else 0.0
        _print_changes("Outputs", "output", view.outputs[:_MAX_ROWS], console, full=full)
        _print_rest(len(view.outputs) - _MAX_ROWS, console)
    for part in shown_maps(comparison):
        _print_attention(part, console)
    _print_evaluations(comparison, console)
    if view.remarks:
        console.print()
    for remark in view.remarks:
        console.print(Text(remark, style="dim"))
    if view.largest:
        console.print()
        console.print(Text(view.largest.sentence, style="bold"))


def _print_scores(view: ScoresView, console: Console) -> None:
    console.print()
    console.print(sentence_of(view.why, console))
    verdicts = [
        f"{name} {trust.symbol} {trust.verdict}"
        for name, trust in zip(("first", "second"), view.trust, strict=True)
    ]
    console.print(Text(f"Faithfulness: {' · '.join(verdicts)}", style="dim"))
    for name, trust in zip(("First", "Second"), view.trust, strict=True):
        if trust.verdict == NOT_MEASURED.verdict and trust.words:
            console.print(Text(f"{name}: {trust.words}", style="dim"))
    console.print(Padding(_colored(view), (1, 2, 0, 2)))
    if view.is_same:
        console.print()
    else:
        if console.color_system is not None:
            legend = Text.assemble(
                _cell(" − lower in the second ", -1.0), " ", _cell(" + higher in the second ", 1.0)
            )
            console.print(Padding(legend, (1, 2, 0, 2)))
        changes = [unit.formatted for unit in view.largest]
        _print_changes("", "word", changes, console)
        smaller = sum(not unit.special for unit in view.units) - len(changes)
        _print_rest(smaller, console, "with smaller differences")
    part = view.part
    details = (attribution_title(part), attribution_methods(part), measure_sentence(part), view.agreement)
    for detail in details:
        console.print(Text(detail, style="dim"))


def _colored(view: ScoresView) -> Text:
    """Return both texts as one: ``good→bad`` for replaced words, ``[-very-]`` and ``{+very+}`` for others."""
    alignment = view.part.alignment
    labels = [tokens.labels() for tokens in (alignment.first, alignment.second)]
    blanks = [blanks_before(tokens) for tokens in (alignment.first, alignment.second)]
    text = Text(overflow="fold")
    for unit, pair in zip(view.units, alignment.pairs, strict=True):
        sides = [side for side in (0, 1) if pair[side] >= 0]
        if text.plain and blanks[sides[-1]][pair[sides[-1]]]:
            text.append(" ")
        words = [printable(labels[side][pair[side]], 60) for side in sides]
        before, after = _MARKS[unit.kind]
        label = words[-1] if unit.kind == "same" else f"{before}{'→'.join(words)}{after}"
        if unit.strength:
            text.append(_cell(label, unit.strength))
        else:
            text.append(label, style="dim" if unit.special else "")
    return text


def _print_targets(part: AttributionComparison, comparison: Comparison, console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("target", overflow="fold", max_width=28)
    table.add_column("agreement", overflow="fold")
    table.add_column("largest differences", overflow="fold")
    count = len(part.first.targets)
    for row in range(min(count, _MAX_ROWS)):
        of_row = scores_view(part, row, comparison)
        largest = "   ".join(f"{unit.label} {unit.change_text}" for unit in of_row.largest[:3])
        table.add_row(Text(target_name_of(part, row)), Text(of_row.agreement), Text(largest or "none"))
    console.print(Padding(table, (1, 2, 0, 2)))
    _print_rest(count - _MAX_ROWS, console)


def _print_attention(part: AttentionComparison, console: Console) -> None:
    changes = largest_changes(part)
    _print_changes(difference_title(part), "from (query) to (key)", changes, console, note=part.reason)
    if not changes:
        console.print(Padding(Text("no difference", style="dim"), (0, 2)))


def _print_evaluations(comparison: Comparison, console: Console) -> None:
    if not comparison.evaluations:
        return
    console.print()
    console.print(Text("How was this tested?", style="bold"))
    table = _table("metric", "first", "second", "verdict")
    for row in evaluation_changes(comparison):
        table.add_row(*map(Text, row))
    console.print(Padding(table, (1, 2, 0, 2)))


def _print_changes(
    title: str,
    name: str,
    changes: Sequence[Change],
    console: Console,
    *,
    note: str = "",
    full: float = 0.0,
) -> None:
    if title:
        console.print()
        console.print(Text(title, style="bold"))
    if note:
        console.print(Text(printable(note, 200), style="dim"))
    if not changes:
        return
    peak = full or max(abs(change.size) for change in changes) or 1.0
    table = _table(name, "first", "second", "difference", "")
    for change in changes:
        color = _BAR_COLORS.supports if change.size >= 0 else _BAR_COLORS.against
        bar = "█" * max(round(_BAR * abs(change.size) / peak), 1 if abs(change.size) > _MIN_BAR * peak else 0)
        cells = (change.label, change.first, change.second, change.difference)
        table.add_row(*map(Text, cells), Text(bar, style=color))
    console.print(Padding(table, (1, 2, 0, 2)))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        if column in ("first", "second", "difference"):
            table.add_column(column, justify="right", no_wrap=True)
        else:
            table.add_column(column, overflow="fold", max_width=60)
    return table


def _print_rest(count: int, console: Console, words: str = "") -> None:
    if count > 0:
        console.print(
            Padding(Text(" ".join(filter(None, (f"and {count} more", words))), style="dim"), (0, 2))
        )


def _cell(text: str, strength: float) -> Text:
    color = _COLORS.signed(strength)
    return Text(text, style=f"{text_on(color)} on {color}")
