"""What a run over a data set says, and how two runs differ, as text in the terminal."""

from collections.abc import Iterable, Sequence
from textwrap import wrap

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from model_understanding.results.dataset_summary import (
    AnswerSummary,
    DatasetComparison,
    DatasetSummary,
    ErrorSlice,
    OverusedWord,
    RowExample,
    Shortcut,
    WordEffect,
)
from model_understanding.show.shared.changed_text import changed_pieces
from model_understanding.show.shared.words import format_number, format_percent, printable
from model_understanding.show.terminal.sentences import Sentence
from model_understanding.show.views.dataset_comparison import (
    changed_rows,
    changed_word,
    changed_words,
    compared_headline,
    compared_reading_notes,
    compared_topics,
    run_names,
    run_origins,
)
from model_understanding.show.views.dataset_findings import Topic, common_words, mistake, topics
from model_understanding.show.views.dataset_summary import (
    DECIDING,
    HOW_OVERUSED,
    HOW_TESTED,
    NOTHING_TESTED,
    SIGN_HINT,
    adjusted_text,
    headline,
    interval_text,
    measure,
    origin,
    points_text,
    share_columns,
    trust_sentence,
    warnings,
)

_WORDS, _PHRASES, _ANSWERS, _ROWS, _WRONG, _TEXT = 8, 4, 8, 10, 5, 100
_INTERVAL = "95 % interval"
_LEFT_OUT_FIRST = (_INTERVAL, "adjusted p")  # on a narrow terminal
_TOPIC = 12  # columns of what a sentence is about
_HEADER, _LEAST_TEXT = 10, 16  # columns of a name over numbers, and of text, at least if there is as much


def print_dataset_summary(summary: DatasetSummary, console: Console | None = None) -> None:
    """Print a summary: the headline, words of each answer, tested words, groups of errors, trust, notes.

    Args:
        summary: The summary.
        console: Where to print; standard output by default.
    """
    console = console or Console()
    _print_top(headline(summary), topics(summary), [origin(summary)], console)
    _print_words(summary, console)
    if summary.shortcuts is not None:
        _print_shortcuts(summary.shortcuts, summary, console)
    if summary.overused:
        _print_overused(summary.overused, console)
    if summary.slices is not None:
        _print_slices(summary.slices, summary, console)
    _print_wrong(summary, console)
    _print_trust(summary, console)
    if summary.errors:
        _title("Rows that failed", console)
        _print_table(
            ["rows", "reason"], [[f"{n:,}", printable(e, 200)] for e, n in summary.errors.items()], console
        )
    _print_notes((*summary.notes, *warnings(summary), *summary.reading_notes), console)


def print_dataset_comparison(comparison: DatasetComparison, console: Console | None = None) -> None:
    """Print how two runs differ: the headline, the words that changed their role, and answers that changed.

    Args:
        comparison: The comparison.
        console: Where to print; standard output by default.
    """
    console = console or Console()
    first, second = run_names(comparison)
    headline_, origins = compared_headline(comparison), run_origins(comparison)
    _print_top(headline_, compared_topics(comparison), origins, console)
    rows = [
        [
            printable(changed_word(change), 40),
            printable(str(change.label or ""), 30),
            "" if change.before is None else format_number(change.before.effect),
            "" if change.after is None else format_number(change.after.effect),
            format_number(change.difference),
            interval_text(change.interval),
            adjusted_text(change.adjusted),
        ]
        for change in changed_words(comparison)[: 2 * _ROWS]
    ]
    if rows:
        _title("Words that changed their role", console)
        header = ["word", "answer", first, second, "difference", _INTERVAL, "adjusted p"]
        _print_table(header, rows, console)
        _print_rest(len(changed_words(comparison)) - len(rows), console)
    if comparison.examples:
        _title("Answers that changed", console)
        changed = changed_rows(comparison)[:_ROWS]
        was = [f"{printable(answer, 30)} becomes " if answer else "" for _, answer in changed]
        _print_rows([row for row, _ in changed], console, was, labeled=True)
        _print_rest(comparison.changed_answers - min(len(comparison.examples), _ROWS), console)
    _print_notes((*comparison.notes, *compared_reading_notes(comparison)), console)


def _print_top(title: str, topics_: Iterable[Topic], origins: Iterable[str], console: Console) -> None:
    console.print(Text(f"{title}.", style="bold"), soft_wrap=True)
    for topic in topics_:
        grid = Table.grid(padding=(0, 2, 0, 0))
        if topic.name:
            grid.add_column(no_wrap=True, style="dim", width=_TOPIC)
        grid.add_column(overflow="fold")
        for index, finding in enumerate(topic.findings):
            pieces = ((piece, "bold" if place % 2 else "") for place, piece in enumerate(finding))
            names = ["" if index else topic.name] if topic.name else []
            grid.add_row(*names, Sentence.of(*pieces))
        console.print(grid)
    for line in origins:
        console.print(Text(line, style="dim"))


def _print_words(summary: DatasetSummary, console: Console) -> None:
    if not summary.answers:
        return
    name = measure(summary)
    _title(f"Words by {name}", console)
    meaning = (
        "Above 0 a word supports the answer, below 0 it opposes it."
        if summary.signed
        else "1 is an average word of the same row. An important word may support the answer or oppose it."
    )
    _say(f"Mean score of a word in rows with this answer: a correlation, not a cause. {meaning}", console)
    if not summary.signed:
        _say(SIGN_HINT, console)
    answers = sorted((answer for answer in summary.answers if answer.rows), key=lambda each: -each.rows)
    total = sum(answer.rows for answer in answers)
    for answer in answers[:_ANSWERS]:
        rows = f"{answer.rows:,} row{'' if answer.rows == 1 else 's'}"
        if answer.label is not None:
            share = format_percent(answer.rows / total)
            title = Text.assemble((printable(answer.label, 40), "bold"), f"  {rows}, {share} of the answers")
            console.print()
            console.print(title)
        _print_effects(answer, summary, console)
    _print_rest(len(answers) - _ANSWERS, console, "answers")


def _print_effects(answer: AnswerSummary, summary: DatasetSummary, console: Console) -> None:
    effects = [*answer.words[:_WORDS], *answer.phrases[:_PHRASES]]
    if not effects:
        _say("No word stands out: rows with this answer are few, or their words differ.", console)
        return
    has_labels = any(effect.label_precision is not None for effect in effects)
    header = ["word", measure(summary), _INTERVAL, "rows"]
    answered, labeled = share_columns(answer.label)
    header += [] if answer.label is None else [answered]
    header += [labeled] if has_labels else []
    _print_table(
        header, [_effect_cells(effect, answer.label is not None, has_labels) for effect in effects], console
    )
    more = len(answer.words) + len(answer.phrases) - len(effects)
    _print_rest(more, console, "word or phrase" if more == 1 else "words and phrases")


def _effect_cells(effect: WordEffect, has_class: bool, has_labels: bool) -> list[str]:
    cells = [
        printable(effect.word, 40),
        format_number(effect.effect),
        interval_text(effect.interval),
        f"{effect.rows:,}",
    ]
    if has_class:
        cells.append("" if effect.answer_share is None else format_percent(effect.answer_share))
    if has_labels:
        cells.append("" if effect.label_precision is None else format_percent(effect.label_precision))
    return cells


def _print_shortcuts(shortcuts: Sequence[Shortcut], summary: DatasetSummary, console: Console) -> None:
    _title("Words that decide an answer by themselves", console)
    if not shortcuts:
        _say(NOTHING_TESTED, console)
        return
    _say(f"{HOW_TESTED} The rates say how many texts then get the word's answer. {DECIDING}", console)
    header = ["word", "answer", "with it", "controls", "points", "adjusted p", "decides"]
    rows = [
        [
            printable(shortcut.word.word, 40),
            printable(str(shortcut.word.label), 30),
            format_percent(shortcut.inserted.flip_rate),
            format_percent(shortcut.inserted.control_flip_rate),
            points_text(shortcut.inserted.difference),
            adjusted_text(shortcut.inserted.adjusted),
            "yes" if shortcut.confirmed else "no",
        ]
        for shortcut in shortcuts[:_ROWS]
    ]
    _print_table(header, rows, console)
    _print_rest(len(shortcuts) - len(rows), console, "words")
    _print_change(shortcuts[0], summary, console)


def _print_change(shortcut: Shortcut, summary: DatasetSummary, console: Console) -> None:
    """Print the first row whose answer a word changes, with the word where it was put."""
    if not shortcut.changes:
        return
    change = shortcut.changes[0]
    before, word, after = changed_pieces(change, _TEXT // 2)
    old = summary.examples.get(change.row)
    was = "" if old is None else f"{printable(str(old.prediction), 30)}{_share(old.probability)} becomes "
    name = str(change.row) if old is None else old.id
    new = f"{was}{printable(change.answer, 30)}{_share(change.probability)}"
    text = Sentence.of(
        (f"{printable(name, 40)}: ", "dim"), before, (f"[{word}]", "bold"), after, (f"  ({new})", "dim")
    )
    _write(text, console, 2)


def _share(probability: float | None) -> str:
    return "" if probability is None else f" {format_percent(probability)}"


def _print_overused(words: Sequence[OverusedWord], console: Console) -> None:
    _title("Words with which an answer is given too often", console)
    _say(HOW_OVERUSED, console)
    header = ["word", "answer", "rows", "answered so", "labeled so", "points", _INTERVAL, "adjusted p"]
    rows = [
        [
            printable(word.word, 40),
            printable(word.label, 30),
            f"{word.rows:,}",
            format_percent(word.answered_share),
            format_percent(word.labeled_share),
            points_text(word.answered_share - word.labeled_share),
            " to ".join(map(points_text, word.interval)),
            adjusted_text(word.adjusted),
        ]
        for word in words[:_ROWS]
    ]
    _print_table(header, rows, console)
    _print_rest(len(words) - len(rows), console, "words")


def _print_slices(slices: Sequence[ErrorSlice], summary: DatasetSummary, console: Console) -> None:
    if not slices:
        return
    _title("Groups of errors", console)
    for slice_ in slices[: _ROWS // 2]:
        words = ", ".join(f"“{printable(word, 30)}”" for word in slice_.words)
        sentence = (
            f"{words}: {slice_.errors:,} of {slice_.size:,} rows with words like these are {mistake(slice_)} "
            f"({format_percent(slice_.precision)})."
        )
        _write(Sentence.of(sentence, (f" ({common_words(slice_)})", "dim")), console)
        _print_rows([summary.examples[row] for row in slice_.rows[:2] if row in summary.examples], console)
    _print_rest(len(slices) - _ROWS // 2, console, "groups")


def _print_wrong(summary: DatasetSummary, console: Console) -> None:
    rows = [summary.examples[row] for row in summary.wrong[:_WRONG] if row in summary.examples]
    if rows:
        _title("Wrong answers, most confident first", console)
        _print_rows(rows, console, labeled=True)


def _print_trust(summary: DatasetSummary, console: Console) -> None:
    trust = summary.trust
    if trust is None or not (trust.rows or trust.cautions):
        return
    _title("Faithfulness of the scores", console)
    if trust.rows:
        _write(Sentence(trust_sentence(trust, summary.rows - summary.failed)), console)
    for caution in trust.cautions:
        _say(f"warning: {printable(caution, 400)}", console)


def _print_rows(
    rows: Sequence[RowExample], console: Console, before: Sequence[str] = (), labeled: bool = False
) -> None:
    """Print rows, each with what is said before its answer."""
    for place, row in enumerate(rows):
        probability = "" if row.probability is None else f" {format_percent(row.probability)}"
        said = before[place] if before else ""
        pair = "" if row.pair is None else f" | {printable(row.pair, _TEXT // 2)}"
        right = f"; labeled {printable(row.label, 30)}" if labeled and row.label is not None else ""
        end = f"  ({said}{printable(str(row.prediction), 30)}{probability}{right})"
        start = (f"{printable(row.id, 40)}: ", "dim")
        _write(Sentence.of(start, printable(row.text, _TEXT), pair, (end, "dim")), console, 2)


def _print_notes(notes: Sequence[str], console: Console) -> None:
    if notes:
        console.print()
    for note in notes:
        _say(printable(note, 400), console)


def _title(title: str, console: Console) -> None:
    console.print()
    console.print(Text(title, style="bold"))


def _say(sentence: str, console: Console) -> None:
    _write(Sentence(sentence, style="dim"), console)


def _write(sentence: Sentence, console: Console, indent: int = 0) -> None:
    console.print(Padding(sentence, (0, indent)))  # by itself, print would make it plain text


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    """Print a table; where there is no room, text is broken, and some columns are left to the page."""
    columns = {
        name: _Column(name, cells) for name, cells in zip(header, zip(*rows, strict=True), strict=True)
    }
    for name in _LEFT_OUT_FIRST:
        if sum(column.least + 2 for column in columns.values()) > console.width:
            columns.pop(name, None)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns.values():
        table.add_column(
            column.header,
            justify="left" if column.is_text else "right",
            overflow="fold",
            min_width=column.least,
            max_width=60,
            no_wrap=not column.is_text,
        )
    for cells in zip(*(column.cells for column in columns.values()), strict=True):
        table.add_row(*map(Text, cells))
    console.print(Padding(table, (0, 0, 0, 2)))


class _Column:
    """A column of a table, with the width that it needs: its name may be broken between words."""

    def __init__(self, name: str, cells: Sequence[str]) -> None:
        self.cells, self.is_text = cells, name in ("word", "answer", "reason")
        widest = max(map(cell_len, cells))
        lines = wrap(name, max(widest, _HEADER), break_long_words=False)
        self.header = "\n".join(lines)
        self.least = max(min(widest, _LEAST_TEXT) if self.is_text else widest, *map(cell_len, lines))


def _print_rest(count: int, console: Console, what: str = "") -> None:
    if count > 0:
        console.print(Padding(Text(f"{count:,} more {what}".strip(), style="dim"), (0, 2)))
