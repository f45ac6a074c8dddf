"""Results as colored text in the terminal; every color is also said in words or numbers.

Text goes into rich as ``Text`` objects, never as markup, with control characters made visible, so that
nothing in it can color, move or erase what stands on the screen.
"""

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from model_understanding.results import AttentionMap, Attribution, Generation, Report
from model_understanding.results.attention_sinks import SinkMode
from model_understanding.show.shared.attention_view import (
    MOST_CELLS,
    attention_view,
    largest_units,
    top_links,
    top_sources,
)
from model_understanding.show.shared.colors import palette, text_on
from model_understanding.show.shared.runs import highlighted_runs
from model_understanding.show.shared.words import (
    answer_words,
    attention_title,
    cautions,
    method_name,
    number,
    output_words,
    percent,
    shown,
    sign_words,
    source_words,
    target_name,
    targets_name,
)
from model_understanding.show.terminal.verdicts import print_verdicts

_COLORS = palette("light")  # cells bring their own background, so one theme serves any terminal
_TOP_TOKENS, _TOP_ROWS = 8, 24
_FAINTEST = 0.06  # share of the largest score below which a word stays plain
_BAR = 12  # characters of the longest bar
_ASIDE: dict[SinkMode, str] = {
    "raw": "",
    "muted": ", left aside below",
    "renormalized": ", left out; each row is divided by what remains",
}


def print_report(report: Report, console: Console | None = None) -> None:
    """Print a report: the answer, the colored text, the top tokens, where the model looked.

    Args:
        report: The report.
        console: Where to print; standard output where left out.
    """
    console = console or Console()
    answer = Text(answer_words(report), style="bold")
    console.print(
        Rule(Text("  ·  ").join((answer, *map(Text, source_words(report.provenance)))), align="left")
    )
    print_cautions(cautions(report), console)
    if report.generation is not None:
        prompt, answer = (
            shown(text).replace("↵", "↵\n") for text in (report.generation.prompt, report.generation.text)
        )
        console.print(
            Padding(Text.assemble((prompt, "dim"), " ▸ ", (answer, "bold"), overflow="fold"), (1, 2, 0, 2))
        )
    for attribution in report.attributions:
        _print_attribution(attribution, console)
    print_verdicts(report.evaluations, console)
    if report.generation is not None:
        _print_steps(report.generation, console)
    if report.contrasts is not None:
        words = (
            f"{len(report.contrasts.targets)} contrasts with likely other tokens are in the report: its page "
            "(.html) shows them, report.contrast(step, token) returns one."
        )
        console.print(Padding(Text(words, style="dim"), (1, 2, 0, 2)))
    for attention in report.main_attention:
        _print_attention(attention, console)


def print_attribution(attribution: Attribution, console: Console | None = None) -> None:
    """Print an attribution: the text colored by score and the top tokens; a table for many targets.

    Args:
        attribution: The attribution.
        console: Where to print; standard output where left out.
    """
    console = console or Console()
    print_cautions(cautions(attribution), console)
    _print_attribution(attribution, console)


def print_attention(
    attention: AttentionMap, console: Console | None = None, *, sinks: SinkMode | None = None
) -> None:
    """Print what each query looks at most, and the sinks.

    Args:
        attention: The map; the mean over the layers and heads that it holds is printed.
        console: Where to print; standard output where left out.
        sinks: ``raw`` ranks sinks with the rest, ``muted`` leaves them aside, ``renormalized`` also divides
            each row by what remains; where left out, the sinks of plain attention are muted.
    """
    console = console or Console()
    print_cautions(cautions(attention), console)
    _print_attention(attention, console, sinks)


def print_cautions(words: tuple[str, ...], console: Console) -> None:
    """Print what a reader must know first."""
    for caution in words:
        console.print(Text(f" ⚠ {caution} ", style=f"bold {_COLORS.caution_text} on {_COLORS.caution}"))


def _print_attribution(attribution: Attribution, console: Console) -> None:
    folded = attribution.folded("character")
    if len(folded.targets) != 1:
        _print_targets(folded, console)
        return
    console.print()
    console.print(_heading(f"Saliency: {target_name(folded.targets[0])}"))
    console.print(Text(f"value {output_words(folded)} · {method_name(folded)}", style="dim"))
    console.print(Padding(_colored(folded), (1, 2)))
    if folded.signed:
        up, down = sign_words(folded.targets[0])
        legend = Text.assemble(_cell(f" + {up} ", 1.0, True), " ", _cell(f" − {down} ", -1.0, True))
    elif console.color_system is None:
        legend = Text("the longer the bar, the more the answer reacts to the token", style="dim")
    else:
        legend = Text.assemble("score, from low to high: ", *(_cell("  ", s / 5, False) for s in range(6)))
    console.print(Padding(legend, (0, 2)))
    console.print(Padding(_top_table(folded), (1, 2, 0, 2)))


def _colored(attribution: Attribution) -> Text:
    scores = attribution.scores[0]
    reach = float(np.abs(scores).max(initial=0)) or 1.0
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
        elif run.unit is None or abs(scores[run.unit]) < _FAINTEST * reach:
            text.append(run.text)
        else:
            text.append(_cell(run.text, float(scores[run.unit]) / reach, attribution.signed))
    return text


def _cell(text: str, strength: float, signed: bool) -> Text:
    face = _COLORS.signed(strength) if signed else _COLORS.magnitude(strength)
    return Text(text, style=f"{text_on(face)} on {face}")


def _top_table(attribution: Attribution) -> Table:
    shares = attribution.normalized().scores[0]
    labels = attribution.tokens.labels()
    ranked = largest_units(attribution, 0, _TOP_TOKENS)
    reach = max((abs(float(shares[unit])) for unit in ranked), default=0) or 1.0
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("token", overflow="fold", max_width=30)
    table.add_column("share", justify="right")
    table.add_column("score", justify="right")
    table.add_column("")
    for unit in ranked:
        score, share = float(attribution.scores[0, unit]), float(shares[unit])
        sign = "+" if attribution.signed and score > 0 else ""
        color = _COLORS.special if attribution.tokens.special[unit] else _bar_color(attribution.signed, score)
        table.add_row(
            Text(shown(labels[unit], 30), style="dim italic" if attribution.tokens.special[unit] else ""),
            Text(sign + percent(share)),
            Text(sign + number(score)),
            Text("█" * max(round(_BAR * abs(share) / reach), 1 if share else 0), style=color),
        )
    rest = int(attribution.valid[0].sum()) - len(ranked)
    if rest > 0:
        table.add_row(Text(f"and {rest} more", style="dim"))
    return table


def _bar_color(signed: bool, score: float) -> str:
    if not signed:
        return palette("dark").unsigned
    return palette("dark").supports if score >= 0 else palette("dark").against


def _print_targets(attribution: Attribution, console: Console) -> None:
    console.print()
    console.print(_heading(f"Saliency: {targets_name(attribution.targets)}"))
    console.print(Text(method_name(attribution), style="dim"))
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("target", overflow="fold", max_width=28)
    table.add_column("value", justify="right")
    table.add_column("because of (share; special tokens left aside)", overflow="fold")
    for target in range(min(len(attribution.targets), _TOP_ROWS)):
        chosen = attribution.targets[target]
        name = chosen.name or ", ".join(chosen.labels) or chosen.description()
        sources = [_named_share(source.label, source.share) for source in top_sources(attribution, target)]
        table.add_row(
            Text(shown(name.strip(" ") or name, 28)),
            Text(number(float(attribution.outputs[target]))),
            Text("   ".join(sources) or "no score"),
        )
    _add_rest(table, len(attribution.targets))
    console.print(Padding(table, (1, 2, 0, 2)))


def _print_steps(generation: Generation, console: Console) -> None:
    console.print()
    console.print(_heading("How sure the model was of each token"))
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("token", overflow="fold", max_width=24)
    table.add_column("probability", justify="right")
    table.add_column("entropy (nats)", justify="right")
    table.add_column("likeliest", overflow="fold")
    labels = generation.continuation_tokens().labels()
    for step in range(min(len(labels), _TOP_ROWS)):
        likeliest = [
            _named_share(label.strip(" ") or label, float(probability))
            for label, probability in zip(
                generation.top_labels[step][:3], generation.top_probabilities[step], strict=False
            )
        ]
        table.add_row(
            Text(shown(labels[step], 24)),
            Text(percent(float(generation.probabilities[step]))),
            Text(f"{float(generation.entropies[step]):.2f}"),
            Text("   ".join(likeliest), style="dim"),
        )
    _add_rest(table, len(labels))
    console.print(Padding(table, (1, 2, 0, 2)))


def _print_attention(attention: AttentionMap, console: Console, sinks: SinkMode | None = None) -> None:
    console.print()
    console.print(_heading(attention_title(attention)))
    count, where = len(attention.queries), ""
    if count * len(attention.keys) > MOST_CELLS:
        attention, where = attention.selected(range(_TOP_ROWS)), f", in the first {_TOP_ROWS} rows"
    view = attention_view(attention, sinks=sinks)
    names = [shown(label, 30) for label in view.keys.labels()]
    taken = f"{view.sink_name}: {view.sink_list(names)}{where}{_ASIDE[view.mode]}"
    for line in (*view.left_out, *([taken] if view.sinks else [])):
        console.print(Text(line, style="dim"))
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("token produced" if view.produced else "from (query)", overflow="fold", max_width=28)
    table.add_column(
        "looked most at (key)" if view.is_attention else "most comes from (key)", overflow="fold"
    )
    labels = view.rows.labels()
    for row in range(min(len(labels), _TOP_ROWS)):
        links = [_named_share(link.label, link.share) for link in top_links(view, row)]
        style = "dim italic" if view.rows.special[row] else ""
        table.add_row(Text(shown(labels[row], 28), style=style), Text("   ".join(links) or "nothing else"))
    _add_rest(table, len(labels) if not where else count)
    console.print(Padding(table, (1, 2, 0, 2)))
    note = "Attention says where the model looked" if view.is_attention else "The map says what reached what"
    console.print(Text(f"{note}, not why it answered.", style="dim italic"))


def _named_share(label: str, share: float) -> str:
    """Return a token with its share, without the blank at which a narrow table would break it."""
    return f"{shown(label, 20)} {percent(share).replace(' %', '%')}"


def _add_rest(table: Table, count: int) -> None:
    if count > _TOP_ROWS:
        table.add_row(Text(f"and {count - _TOP_ROWS} more", style="dim"))


def _heading(words: str) -> Text:
    return Text(words, style="bold")
