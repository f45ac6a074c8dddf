"""Results as colored text in the terminal; every color is also given as text or a number.

Text is passed to rich as ``Text`` objects, never as markup, with control characters made visible, so that no
text can color, move or erase the rest of the screen.
"""

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from model_understanding.results import AttentionMap, Attribution, Generation, Report
from model_understanding.results.attention_sinks import SinkMode
from model_understanding.show.shared.colors import palette, text_on
from model_understanding.show.shared.runs import highlighted_runs
from model_understanding.show.shared.words import (
    attention_note,
    attention_title,
    cautions_of,
    explained_name,
    format_entry,
    format_number,
    format_percent,
    gap_text,
    method_name,
    model_name,
    printable,
    report_headline,
    sign_meanings,
    target_label,
    target_value,
    warning_text,
)
from model_understanding.show.terminal.verdicts import print_verdicts
from model_understanding.show.views.attention import (
    MAX_CELLS,
    attention_view,
    top_keys,
    top_tokens,
    units_by_size,
)

_COLORS = palette("light")  # cells set their own background, so one theme works in any terminal
_MAX_TOKENS, _MAX_ROWS = 8, 24
_MIN_STRENGTH = 0.06  # share of the largest score below which a word is not colored
_BAR = 12  # characters of the longest bar
_SINK_TREATMENTS: dict[SinkMode, str] = {
    "raw": "",
    "muted": "excluded below",
    "renormalized": "excluded, rows rescaled to 100 %",
}


def print_report(report: Report, console: Console | None = None) -> None:
    """Print a report: prediction, colored text, top tokens, verdict and attention.

    Args:
        report: The report.
        console: Where to print; standard output by default.
    """
    console = console or Console()
    headline = [Text(report_headline(report), style="bold")]
    if model := model_name(report.provenance):
        headline.append(Text(model))
    console.print(Rule(Text("  ·  ").join(headline), align="left"))
    print_cautions(cautions_of(report), console)
    if report.generation is not None:
        prompt, continuation = (
            printable(text).replace("↵", "↵\n") for text in (report.generation.prompt, report.generation.text)
        )
        text = Text.assemble((prompt, "dim"), " ▸ ", (continuation, "bold"), overflow="fold")
        console.print(Padding(text, (1, 2, 0, 2)))
    for attribution in report.attributions:
        _print_attribution(attribution, console)
    print_verdicts(report.evaluations, console)
    if report.generation is not None:
        _print_steps(report.generation, console)
    if report.contrasts is not None:
        note = (
            f"The report has {len(report.contrasts.targets)} contrasts with alternative tokens: open its "
            "page (.html) or call report.contrast(step, token)."
        )
        console.print(Padding(Text(note, style="dim"), (1, 2, 0, 2)))
    for attention in report.main_attention:
        _print_attention(attention, console)


def print_attribution(attribution: Attribution, console: Console | None = None) -> None:
    """Print an attribution: the text colored by score and the top tokens; a table for several targets.

    Args:
        attribution: The attribution.
        console: Where to print; standard output by default.
    """
    console = console or Console()
    print_cautions(cautions_of(attribution), console)
    _print_attribution(attribution, console)


def print_attention(
    attention: AttentionMap, console: Console | None = None, *, sinks: SinkMode | None = None
) -> None:
    """Print the keys with the largest weights for each query, and the attention sinks.

    Args:
        attention: The map; its mean over layers and heads is printed.
        console: Where to print; standard output by default.
        sinks: ``raw`` ranks sinks with the other keys, ``muted`` excludes them, ``renormalized`` also
            rescales each row; by default the sinks of raw attention are muted.
    """
    console = console or Console()
    print_cautions(cautions_of(attention), console)
    _print_attention(attention, console, sinks)


def print_cautions(cautions: tuple[str, ...], console: Console) -> None:
    """Print the warnings about a result."""
    for caution in cautions:
        style = f"bold {_COLORS.caution_text} on {_COLORS.caution}"
        console.print(Text(f" ⚠ {warning_text(caution)} ", style=style))


def _print_attribution(attribution: Attribution, console: Console) -> None:
    folded = attribution.folded("character")
    console.print()
    console.print(Text(f"Saliency: {explained_name(folded)}", style="bold"))
    if len(folded.targets) != 1:
        _print_targets(folded, console)
        return
    facts = [f"value {target_value(folded)}", gap_text(folded), method_name(folded)]
    console.print(Text(" · ".join(filter(None, facts)), style="dim"))
    console.print(Padding(_colored(folded), (1, 2)))
    if folded.signed:
        positive, negative = sign_meanings(folded.targets[0])
        legend = Text.assemble(_cell(f" + {positive} ", 1.0, True), " ", _cell(f" − {negative} ", -1.0, True))
    elif console.color_system is None:
        legend = Text("a longer bar means that the prediction is more sensitive to the token", style="dim")
    else:
        legend = Text.assemble("score, low to high: ", *(_cell("  ", step / 5, False) for step in range(6)))
    console.print(Padding(legend, (0, 2)))
    console.print(Padding(_token_table(folded), (1, 2, 0, 2)))


def _colored(attribution: Attribution) -> Text:
    scores = attribution.scores[0]
    peak = float(np.abs(scores).max(initial=0)) or 1.0
    text = Text(overflow="fold")
    source = None
    for run in highlighted_runs(attribution.tokens):
        if run.source >= 0 and source is not None and run.source != source:
            text.append("\n")
        source = run.source if run.source >= 0 else source
        if run.is_pill:
            if text.plain and not text.plain[-1].isspace():
                text.append(" ")
            text.append(run.text, style="dim italic")
            text.append(" ")
        elif run.unit is None or abs(scores[run.unit]) < _MIN_STRENGTH * peak:
            text.append(run.text)
        else:
            text.append(_cell(run.text, float(scores[run.unit]) / peak, attribution.signed))
    return text


def _cell(text: str, strength: float, signed: bool) -> Text:
    color = _COLORS.signed(strength) if signed else _COLORS.magnitude(strength)
    return Text(text, style=f"{text_on(color)} on {color}")


def _token_table(attribution: Attribution) -> Table:
    shares = attribution.normalized().scores[0]
    labels = attribution.tokens.labels()
    intervals = attribution.intervals()
    ranked = units_by_size(attribution, 0, _MAX_TOKENS)
    peak = max((abs(float(shares[unit])) for unit in ranked), default=0) or 1.0
    table = _plain_table()
    table.add_column("token", overflow="fold", max_width=30)
    table.add_column("share", justify="right")
    table.add_column("score", justify="right")
    if intervals is not None:
        table.add_column("± 95 %", justify="right")
    table.add_column("")
    for unit in ranked:
        score, share = float(attribution.scores[0, unit]), float(shares[unit])
        sign = "+" if attribution.signed and score > 0 else ""
        is_special = attribution.tokens.special[unit]
        color = _COLORS.special if is_special else _bar_color(attribution.signed, score)
        table.add_row(
            Text(printable(labels[unit], 30), style="dim italic" if is_special else ""),
            Text(sign + format_percent(share)),
            Text(sign + format_number(score)),
            *([] if intervals is None else [Text(format_number(float(intervals[0, unit])), style="dim")]),
            Text("█" * max(round(_BAR * abs(share) / peak), 1 if share else 0), style=color),
        )
    _add_rest(table, int(attribution.valid[0].sum()) - len(ranked))
    return table


def _bar_color(signed: bool, score: float) -> str:
    if not signed:
        return palette("dark").unsigned
    return palette("dark").supports if score >= 0 else palette("dark").against


def _print_targets(attribution: Attribution, console: Console) -> None:
    console.print(
        Text(" · ".join(filter(None, (gap_text(attribution), method_name(attribution)))), style="dim")
    )
    table = _plain_table()
    table.add_column("target", overflow="fold", max_width=28)
    table.add_column("value", justify="right")
    table.add_column("top tokens (share; special tokens excluded)", overflow="fold")
    for index, target in enumerate(attribution.targets[:_MAX_ROWS]):
        entries = [
            format_entry(token.label, format_percent(token.value)) for token in top_tokens(attribution, index)
        ]
        table.add_row(
            Text(target_label(target)),
            Text(format_number(float(attribution.outputs[index]))),
            Text("   ".join(entries) or "no scores"),
        )
    _add_rest(table, len(attribution.targets) - _MAX_ROWS)
    console.print(Padding(table, (1, 2, 0, 2)))


def _print_steps(generation: Generation, console: Console) -> None:
    console.print()
    console.print(Text("Probability of each generated token", style="bold"))
    table = _plain_table()
    table.add_column("token", overflow="fold", max_width=24)
    table.add_column("probability", justify="right")
    table.add_column("entropy (nats)", justify="right")
    table.add_column("top predictions", overflow="fold")
    labels = generation.continuation_tokens().labels()
    for step, label in enumerate(labels[:_MAX_ROWS]):
        entries = [
            format_entry(token, format_percent(float(probability)))
            for token, probability in zip(
                generation.top_labels[step][:3], generation.top_probabilities[step], strict=False
            )
        ]
        table.add_row(
            Text(printable(label, 24)),
            Text(format_percent(float(generation.probabilities[step]))),
            Text(f"{float(generation.entropies[step]):.2f}"),
            Text("   ".join(entries), style="dim"),
        )
    _add_rest(table, len(labels) - _MAX_ROWS)
    console.print(Padding(table, (1, 2, 0, 2)))


def _print_attention(attention: AttentionMap, console: Console, sinks: SinkMode | None = None) -> None:
    console.print()
    console.print(Text(attention_title(attention), style="bold"))
    count, is_excerpt = len(attention.queries), False
    if count * len(attention.keys) > MAX_CELLS:
        attention, is_excerpt = attention.selected(range(_MAX_ROWS)), True
    view = attention_view(attention, sinks=sinks)
    treatment = _SINK_TREATMENTS[view.mode]
    if is_excerpt:
        treatment = ", ".join(filter(None, (f"in the first {_MAX_ROWS} rows", treatment)))
    sink_text = view.sink_text([printable(label, 30) for label in view.keys.labels()], treatment)
    for line in (*view.omissions, *([sink_text] if sink_text else [])):
        console.print(Text(line, style="dim"))
    table = _plain_table()
    table.add_column("generated token" if view.has_steps else "from (query)", overflow="fold", max_width=28)
    table.add_column(
        "attends most to (key)" if view.is_attention else "largest contributions (key)", overflow="fold"
    )
    labels = view.rows.labels()
    for row in range(min(len(labels), _MAX_ROWS)):
        entries = [format_entry(key.label, view.format_weight(key.value)) for key in top_keys(view, row)]
        style = "dim italic" if view.rows.special[row] else ""
        table.add_row(
            Text(printable(labels[row], 28), style=style), Text("   ".join(entries) or "nothing else")
        )
    _add_rest(table, (count if is_excerpt else len(labels)) - _MAX_ROWS)
    console.print(Padding(table, (1, 2, 0, 2)))
    console.print(Text(attention_note(attention), style="dim italic"))


def _plain_table() -> Table:
    return Table(box=None, pad_edge=False, header_style="dim")


def _add_rest(table: Table, count: int) -> None:
    if count > 0:
        table.add_row(Text(f"and {count} more", style="dim"))
