"""Results as colored text in the terminal; every color is also given as text or a number.

Text is passed to rich as ``Text`` objects, never as markup, with control characters made visible, so that no
text can color, move or erase the rest of the screen.
"""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from model_understanding.results import AttentionMap, Attribution, Generation, Report
from model_understanding.results.attention_sinks import SinkMode
from model_understanding.show.shared.colors import palette, text_on
from model_understanding.show.shared.words import (
    attention_note,
    attention_title,
    cautions_of,
    format_entry,
    printable,
    warning_text,
)
from model_understanding.show.terminal.verdicts import print_tests, trust_line
from model_understanding.show.views.answer import AnswerView
from model_understanding.show.views.answers import answer_view
from model_understanding.show.views.attention import MAX_CELLS, attention_view, top_keys
from model_understanding.show.views.links import LinksView, links_view
from model_understanding.show.views.reading import plain_sentence, readings
from model_understanding.show.views.report import MapView, map_views
from model_understanding.show.views.saliency import SaliencyView, Unit, saliency_view
from model_understanding.show.views.scale import scale_of, uniform_words
from model_understanding.show.views.sources import SourcesView, sources_view
from model_understanding.show.views.steps import step_views
from model_understanding.show.views.trust import NOT_MEASURED

_COLORS = palette("light")  # cells set their own background, so one theme works in any terminal
_MAX_ROWS = 24
_MAX_PROMPT, _MAX_ANSWER = 400, 2000  # characters that are printed at the top
_OTHER_CLASSES = 4
_LABEL = 28  # characters of a cell that names a row
_BAR = 12  # characters of the longest bar
_SINK_TREATMENTS: dict[SinkMode, str] = {
    "raw": "",
    "muted": "excluded below",
    "renormalized": "excluded, rows rescaled to 100 %",
}


def print_report(report: Report, console: Console | None = None) -> None:
    """Print a report: the answer, why, the colored text and the strongest words, then everything else.

    Args:
        report: The report.
        console: Where to print; standard output by default.
    """
    console = console or Console()
    maps = map_views(report)
    _print_answer(answer_view(report), console)
    if maps:
        console.print(trust_line(maps[0].reading.trust))
    print_cautions(cautions_of(report), console)
    for shown in maps[:1]:
        _print_map(shown, console)
    if report.generation is not None:
        _print_steps(
            report.generation, next((shown.sources for shown in maps if shown.sources), None), console
        )
    for shown in maps[:1]:
        if shown.sources is not None and report.generation is None:
            _print_targets(shown.sources, console)
    for shown in maps[1:]:
        _print_map(shown, console)
        if shown.sources is not None and not (report.generation is not None and shown.sources.by_step):
            _print_targets(shown.sources, console)
    if report.links is not None:
        _print_links(links_view(report.links), console)
    if report.contrasts is not None:
        note = (
            f"The report has {len(report.contrasts.targets)} contrasts with alternative tokens: open its "
            "page (.html) or call report.contrast(step, token)."
        )
        console.print(Padding(Text(note, style="dim"), (1, 2, 0, 2)))
    for attention in report.main_attention:
        _print_attention(attention, console)
    untested = sum(reading.trust == NOT_MEASURED for reading in readings(report))
    print_tests(report.evaluations, console, maps[0].reading.trust if maps else None, untested)


def print_beginning(report: Report, console: Console) -> None:
    """Print what is known of a report before its scores are tested: the answer, why, and the colored text.

    Args:
        report: The report so far.
        console: Where to print.
    """
    _print_answer(answer_view(report), console)
    for shown in map_views(report)[:1]:
        _print_map(shown, console)


def print_attribution(attribution: Attribution, console: Console | None = None) -> None:
    """Print an attribution: the text colored by score and the top words; a table for several targets.

    Args:
        attribution: The attribution.
        console: Where to print; standard output by default.
    """
    console = console or Console()
    print_cautions(cautions_of(attribution), console)
    if len(attribution.targets) == 1:
        view = saliency_view(attribution)
        _print_title(view.title, console)
        _print_saliency(view, console)
    else:
        _print_targets(sources_view(attribution), console)


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


def sentence_of(pieces: Sequence[str], console: Console) -> Text:
    """Return a sentence whose every second piece is a word of the text: bold, or in quotes where nothing is.

    Args:
        pieces: The sentence's own words, and words of the text, in turn.
        console: Where the sentence is printed.
    """
    if console.color_system is None:
        return Text(plain_sentence(pieces))
    return Text.assemble(
        *((piece, "bold" if index % 2 else "not bold") for index, piece in enumerate(pieces))
    )


def print_cautions(cautions: tuple[str, ...], console: Console) -> None:
    """Print the warnings about a result."""
    for caution in cautions:
        style = f"bold {_COLORS.caution_text} on {_COLORS.caution}"
        console.print(Text(f" ⚠ {warning_text(caution)} ", style=style))


def colored_bar(strength: float, kind: str, *, faded: bool = False) -> Text:
    """Return a bar of characters; where the scores are not supported, of light ones.

    Args:
        strength: Its length, from −1 to 1.
        kind: ``supports``, ``against``, ``unsigned`` or ``special``: a color of the palette.
        faded: Whether the scores are not supported.
    """
    length = max(round(_BAR * min(abs(strength), 1.0)), 1 if strength else 0)
    return Text(("░" if faded else "█") * length, style=getattr(palette("dark"), kind))


def side(signed: bool, value: float) -> str:
    """Return the kind of color of a value: that of its sign, if signs have a meaning."""
    return "unsigned" if not signed else "supports" if value >= 0 else "against"


def plain_table() -> Table:
    """Return a table without lines, for columns of text."""
    return Table(box=None, pad_edge=False, header_style="dim")


def add_rest(table: Table, count: int) -> None:
    """Add a row that says how many more there are."""
    if count > 0:
        table.add_row(Text(f"and {count} more", style="dim"))


def _print_title(title: str, console: Console) -> None:
    console.print()
    console.print(Text(title, style="bold"))


def _print_answer(answer: AnswerView, console: Console) -> None:
    parts = [
        Text((not answer.has_table and answer.facts) or answer.headline, style="bold"),
        *([Text(answer.model)] if answer.model else []),
    ]
    console.print(Rule(Text("  ·  ").join(parts), align="left"))
    if answer.has_table:
        _print_rows(answer, console)
        return
    others = "  ".join(f"{other.label} {other.value}" for other in answer.others(_OTHER_CLASSES))
    hidden = len(answer.rows) + answer.omitted - sum(entry.predicted for entry in answer.rows)
    if others:
        more = f"  and {hidden - _OTHER_CLASSES} more" if hidden > _OTHER_CLASSES else ""
        console.print(Text(f"{others}{more}", style="dim"))
    if not answer.is_text:
        return
    prompt = printable_lines(" / ".join(answer.texts), _MAX_PROMPT)
    console.print(Padding(Text(prompt, style="dim", overflow="fold"), (1, 2, 0, 2)))
    written = printable_lines(answer.title, _MAX_ANSWER)
    console.print(Padding(Text(written, style="bold", overflow="fold"), (0, 2, 1, 2)))


def _print_rows(answer: AnswerView, console: Console) -> None:
    """Print the texts with what the answer is about, and the table of answers."""
    if answer.facts:
        console.print(Text(answer.facts, style="dim"))
    texts = _marked(answer) if answer.marked else Text(" / ".join(answer.texts), style="dim", overflow="fold")
    if texts.plain:
        console.print(Padding(texts, (1, 2, 0, 2)))
    table = plain_table()
    has_groups, has_tags = any(row.group for row in answer.rows), bool(answer.columns[1])
    names = (*([""] if has_groups else []), answer.columns[0], *([answer.columns[1]] if has_tags else []))
    for name in names:
        table.add_column(name, overflow="fold")
    table.add_column(answer.columns[2], justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    group = ""
    for row in answer.rows[:_MAX_ROWS]:
        table.add_row(
            *([Text(row.group if row.group != group else "", style="dim")] if has_groups else []),
            Text(row.label, style="bold" if row.predicted else ""),
            *([Text(row.tag)] if has_tags else []),
            Text(row.value),
            Text("") if row.share is None else colored_bar(row.share, "muted"),
        )
        group = row.group
    add_rest(table, len(answer.rows) + answer.omitted - _MAX_ROWS)
    console.print(Padding(table, (1, 2, 1, 2)))


def _marked(answer: AnswerView) -> Text:
    text = Text(overflow="fold")
    for index, part in enumerate(answer.marked):
        if index:
            text.append("\n")
        if part.side:
            text.append(f"{part.side}: ", style="dim")
        for words, mark in part.parts:
            if mark < 0:
                text.append(words)
                continue
            text.append(words, style="bold underline")
            text.append(f" [{answer.marks[mark].label}]", style="dim")
    return text


def printable_lines(text: str, length: int) -> str:
    """Return the beginning of a text, its line breaks kept."""
    return text if len(text) <= length else f"{text[:length]}…"


def _print_map(shown: MapView, console: Console) -> None:
    title = Text(f"{shown.reading.title} ", style="bold")
    console.print()
    console.print(title.append_text(sentence_of(shown.reading.why, console)))
    if shown.reading.trust.is_faded:
        console.print(Text("The test does not support these scores; they are drawn pale.", style="dim"))
    if shown.is_brief:
        return
    _print_saliency(shown.saliency, console)


def _print_saliency(view: SaliencyView, console: Console) -> None:
    console.print(Padding(_colored(view), (1, 2)))
    if view.signed:
        legend = Text(style="dim").join(
            [
                _cell(f" + {view.signs[0]} ", 1.0, view),
                Text(" "),
                _cell(f" − {view.signs[1]} ", -1.0, view),
            ]
        )
    elif console.color_system is None:
        unit = view.unit_name.removesuffix("s")
        legend = Text(f"a longer bar means a higher score of the {unit}", style="dim")
    else:
        legend = Text.assemble("score, low to high: ", *(_cell("  ", step / 5, view) for step in range(6)))
    console.print(Padding(legend, (0, 2)))
    console.print(Padding(_unit_table(view, max(console.width - 48, 12)), (1, 2)))
    facts = " · ".join(filter(None, (view.title, view.value, view.gap, view.method)))
    for line in (facts, *view.notes):
        console.print(Text(line, style="dim"))


def _colored(view: SaliencyView) -> Text:
    text = Text(overflow="fold")
    for index, paragraph in enumerate(view.paragraphs):
        if index:
            text.append("\n")
        if paragraph.side:
            text.append(f"{paragraph.side}: ", style="dim")
        for run in paragraph.runs:
            unit = None if run.unit is None else view.units[run.unit]
            if run.is_pill and run.source >= 0:  # of a chat template: part of the text
                text.append(run.text, style="dim italic")
            elif run.is_pill:
                if text.plain and not text.plain[-1].isspace():
                    text.append(" ")
                text.append(run.text, style="dim italic")
                text.append(" ")
            elif unit is None or not unit.colored:
                text.append(run.text, style="bold" if unit is not None and unit.target else "")
            else:
                text.append(_cell(run.text, unit.strength, view))
            if run.is_unknown:
                text.stylize("underline", len(text) - len(run.text))
    return text


def _cell(text: str, strength: float, view: SaliencyView) -> Text:
    if view.faded:
        strength *= 0.35
    color = _COLORS.signed(strength) if view.signed else _COLORS.magnitude(strength)
    return Text(text, style=f"{text_on(color)} on {color}")


def _unit_table(view: SaliencyView, width: int) -> Table:
    units = view.top()
    table = plain_table()
    table.add_column(view.unit_name.removesuffix("s"), overflow="fold", max_width=width)
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    has_intervals = any(unit.interval is not None for unit in units)
    if has_intervals:
        table.add_column("± 95 %", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for unit in units:
        table.add_row(*_unit_cells(unit, view, has_intervals))
    count = sum(unit.rank is not None and bool(unit.score) for unit in view.units)
    add_rest(table, count - len(units))
    return table


def _unit_cells(unit: Unit, view: SaliencyView, has_intervals: bool) -> list[Text]:
    return [
        _with_side(printable(unit.label, 120), unit.side),
        Text(unit.share_text),
        Text(unit.score_text),
        *([Text(unit.interval_text, style="dim")] if has_intervals else []),
        colored_bar(unit.strength, side(view.signed, unit.score), faded=view.faded),
    ]


def _with_side(label: str, side: str) -> Text:
    return Text.assemble(label, (f" ({side})", "dim")) if side else Text(label)


def _print_links(view: LinksView, console: Console) -> None:
    _print_title(view.title, console)
    table = plain_table()
    for name in ("first text", "second text"):
        table.add_column(name, overflow="fold", max_width=_LABEL)
    table.add_column(f"adds to the {view.quantity}", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for link in view.links:
        kind = side(signed=True, value=link.score)
        table.add_row(
            Text(link.first), Text(link.second), Text(link.score_text), colored_bar(link.strength, kind)
        )
    add_rest(table, view.omitted)
    console.print(Padding(table, (1, 2)))
    for line in (view.sum_text, *view.notes, f"Method: {view.method}"):
        console.print(Text(line, style="dim"))


def _print_targets(sources: SourcesView, console: Console) -> None:
    _print_title(f"Saliency: {sources.title}", console)
    console.print(Text(" · ".join(filter(None, (sources.gap, sources.method))), style="dim"))
    table = plain_table()
    name = sources.noun
    table.add_column(name, overflow="fold", max_width=_LABEL)
    table.add_column("value", justify="right")
    width = _width_beside(console, (name, *sources.rows[:_MAX_ROWS]), ("value", *sources.values[:_MAX_ROWS]))
    table.add_column("top words (share; special tokens excluded)", overflow="fold", width=width)
    for row, label in enumerate(sources.rows[:_MAX_ROWS]):
        table.add_row(Text(label), Text(sources.values[row]), _packed(_top_sources(sources, row), width))
    add_rest(table, len(sources.rows) - _MAX_ROWS)
    console.print(Padding(table, (1, 2, 0, 2)))


def _top_sources(sources: SourcesView, row: int) -> list[tuple[str, str]]:
    return [(source.label, source.share_text) for source in sources.tops[row]]


def _width_beside(console: Console, *columns: Sequence[str]) -> int:
    """Return how much of a line is left beside columns of a table, of cells with a limited length."""
    taken = sum(min(max(map(cell_len, cells), default=0), _LABEL) + 2 for cells in columns)
    return max(console.width - 4 - taken, 12)


def _packed(entries: Sequence[tuple[str, str]], width: int, style: str = "") -> Text:
    """Return labels with their values in as few lines as they need, each pair on one line; ``–`` for none."""
    lines: list[str] = []
    for label, value in entries:
        entry = format_entry(label, value, max(min(20, width - cell_len(value) - 1), 3))
        if lines and cell_len(lines[-1]) + 3 + cell_len(entry) <= width:
            lines[-1] += f"   {entry}"
        else:
            lines.append(entry)
    return Text("\n".join(lines) or "–", style=style)


def _print_steps(generation: Generation, sources: SourcesView | None, console: Console) -> None:
    steps = step_views(generation)
    if sources is not None and len(sources.rows) != len(steps):
        sources = None
    _print_title(f"The {'answer' if sources is None else sources.answer}, token by token", console)
    table = plain_table()
    table.add_column("token", overflow="fold", max_width=_LABEL)
    table.add_column("probability", justify="right")
    width = (
        _width_beside(console, ("token", *(step.label for step in steps[:_MAX_ROWS])), ("probability",)) - 2
    )
    left = 0 if sources is None else width * 3 // 5
    if sources is not None:
        table.add_column("depends most on (share)", overflow="fold", width=left)
    table.add_column("instead", overflow="fold", width=width - left)
    for step in steps[:_MAX_ROWS]:
        others = [(other.label, other.probability) for other in step.alternatives[:2]]
        cells = [Text(printable(step.label, _LABEL)), Text(step.probability)]
        if sources is not None:
            entries = _top_sources(sources, step.index)[: 3 if width > 50 else 2]
            cells.append(_packed(entries, left))
        table.add_row(*cells, _packed(others, width - left, "dim"))
    add_rest(table, len(steps) - _MAX_ROWS)
    console.print(Padding(table, (1, 2, 0, 2)))


def _print_attention(attention: AttentionMap, console: Console, sinks: SinkMode | None = None) -> None:
    _print_title(attention_title(attention), console)
    count, is_excerpt = len(attention.queries), False
    if count * len(attention.keys) > MAX_CELLS:
        attention, is_excerpt = attention.selected(range(_MAX_ROWS)), True
    view = attention_view(attention, sinks=sinks)
    treatment = _SINK_TREATMENTS[view.mode]
    if is_excerpt:
        treatment = ", ".join(filter(None, (f"in the first {_MAX_ROWS} rows", treatment)))
    sink_text = view.sink_text([printable(label, 30) for label in view.keys.labels()], treatment)
    uniform = f"{uniform_words(view)}." if scale_of(view).is_uniform else ""
    for line in (*view.omissions, *filter(None, (sink_text, uniform))):
        console.print(Text(line, style="dim"))
    table = plain_table()
    labels = [printable(label, _LABEL) for label in view.rows.labels()[:_MAX_ROWS]]
    table.add_column(view.row_name, overflow="fold", max_width=_LABEL)
    width = _width_beside(console, (view.row_name, *labels))
    table.add_column(view.top_title, overflow="fold", width=width)
    for row, label in enumerate(labels):
        entries = [(key.label, view.format_weight(key.value)) for key in top_keys(view, row)]
        style = "dim italic" if view.rows.special[row] else ""
        table.add_row(Text(label, style=style), _packed(entries, width))
    add_rest(table, (count if is_excerpt else len(view.rows)) - _MAX_ROWS)
    console.print(Padding(table, (1, 2, 0, 2)))
    console.print(Text(attention_note(attention), style="dim italic"))
