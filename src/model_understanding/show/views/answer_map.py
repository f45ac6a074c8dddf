"""What is drawn of an answer map: its sentence, the answer with marks, its sources, a table of effects."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from model_understanding.results import AnswerMap, Statement
from model_understanding.results.answer_map import CITED, CLEAR, AnswerSource, Origin, SourceEffect
from model_understanding.show.shared.words import format_number, printable

NOTE = (
    "“Comes from” is not “is supported by”: an effect says that the model used a source, not that the source "
    "says the same."
)
UNIT = "Effects are in nats: how much the log-probability of the statement drops without the source."
VERDICTS = (
    f"At least {CLEAR:g} nats above: it comes from that source. Else, if what an earlier statement says has "
    f"an effect of at least {CLEAR:g} nats: it repeats that statement. Else, {CITED:g} to {CLEAR:g} nats "
    "above, or if only all sources together have an effect: unclear. Else it rests on nothing in the sources."
)
REPLACING = (
    "Where sources replace each other, the effect of a source as the only one counts too; of three or more "
    "sources, how far it is above the smallest such effect."
)
OWN_KNOWLEDGE = (
    "What rests on nothing in the sources may still be true: a model also says what it knows by itself."
)
HIDDEN = (
    "When a document is hidden, the question and the answer cannot attend to it. Later documents can "
    "still read it and pass on what it says."
)
_PARTS: dict[Origin, tuple[str, str]] = {
    "answer": ("repeats an earlier statement", "repeat earlier statements"),
    "question": ("only has words of the question", "only have words of the question"),
    "unclear": ("is unclear", "are unclear"),
    "nothing": ("rests on nothing in the sources", "rest on nothing in the sources"),
}
_MARKS: dict[Origin, str] = {
    "question": "question",
    "unclear": "unclear",
    "nothing": "no source",
}
MOST_COLUMNS = 6
"""Sources in the table."""
_MOST_NAMED, _MOST_LISTED, _MOST_COMPARED = 3, 8, 8
_AFTER_MARK = " \n\t.,;:!?…。，；"  # what of a statement stands after its mark
_NAME, _SENTENCE, _STATEMENT = 40, 100, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPart:
    """A part of the answer.

    Args:
        text: Its text.
        mark: The mark that follows it: numbers of sources, or a word; empty for none.
        origin: Where the words come from, of a statement's value; ``None`` for other text.
    """

    text: str
    mark: str = ""
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """A source and what it does.

    Args:
        mark: Its mark in the answer.
        name: Its name.
        details: For each statement that is attributed to it the effect and the sentence, in words.
    """

    mark: str
    name: str
    details: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRow:
    """A statement in the table.

    Args:
        label: Its number and text.
        origin: Where it comes from.
        effects: The effect of each source that is a column.
        attributed: Whether it is attributed to that source.
        without: The effect of all sources together.
    """

    label: str
    origin: str
    effects: tuple[str, ...]
    attributed: tuple[bool, ...]
    without: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerMapView:
    """An answer map in words.

    Args:
        headline: Which statements come from which sources, in one sentence.
        answer: The answer in parts, with marks.
        sources: The sources that statements are attributed to.
        columns: The sources in the table.
        rows: The statements in the table.
        words: Words that rest on nothing in the sources, in one sentence; empty for none.
        facts: How the sources were found and removed, and what a reader must know.
    """

    headline: str
    answer: tuple[AnswerPart, ...]
    sources: tuple[SourceRow, ...]
    columns: tuple[str, ...]
    rows: tuple[StatementRow, ...]
    words: str
    facts: tuple[str, ...]


def answer_map_view(answer_map: AnswerMap, most_columns: int = MOST_COLUMNS) -> AnswerMapView:
    """Return what every output shows of an answer map.

    Args:
        answer_map: The answer map.
        most_columns: The number of sources that the table has room for.
    """
    columns = table_columns(answer_map, most_columns)
    return AnswerMapView(
        headline=headline(answer_map),
        answer=tuple(_parts(answer_map)),
        sources=tuple(_source_rows(answer_map)),
        columns=tuple(map(_number, columns)),
        rows=tuple(_rows(answer_map, columns)),
        words=unfounded_words(answer_map),
        facts=tuple(_facts(answer_map, columns)),
    )


def nats(effect: float) -> str:
    """Return an effect as a number; its third decimal says nothing.

    >>> nats(38.640), nats(-0.1905), nats(2e-5)
    ('38.6', '−0.19', '0')
    """
    return format_number(round(effect, 2) + 0.0)


def headline(answer_map: AnswerMap) -> str:
    """Return which statements come from which sources, and how many rest on nothing in them."""
    return "".join(text for text, _ in headline_parts(answer_map))


def headline_parts(answer_map: AnswerMap) -> tuple[tuple[str, int], ...]:
    """Return the parts of the headline, each with the index of the source that it names, else −1."""
    statements = answer_map.statements
    counts: dict[Origin, int] = {
        origin: sum(each.origin == origin for each in statements) for origin in _PARTS
    }
    total, own = len(statements), sum(each.origin == "sources" for each in statements)
    named = _listed_names(answer_map, [each for each in statements if each.origin == "sources"])
    rest = [f"{_counted(count)} {_PARTS[origin][count != 1]}" for origin, count in counts.items() if count]
    all_of_them = "Both" if total == 2 else f"All {total}"
    if total == 1:
        words = (("comes ", -1), *named) if own else ((_PARTS[statements[0].origin][0], -1),)
        text = printable(statements[0].text.strip(), _STATEMENT)
        return (f"“{text}” " if _is_span(statements[0]) else "The statement ", -1), *words, (".", -1)
    if own == total:
        return (f"{all_of_them} statements come ", -1), *named, (".", -1)
    if own:
        verb = "comes" if own == 1 else "come"
        return (f"{own} of {total} statements {verb} ", -1), *named, (f"; {joined(rest)}.", -1)
    if len(rest) == 1:
        return ((f"{all_of_them} statements {_PARTS[statements[0].origin][1]}.", -1),)
    return ((f"None of the {total} statements comes from the sources: {joined(rest)}.", -1),)


def prompt_outline(answer_map: AnswerMap) -> str:
    """Return the prompt with the name of each source in the place of its text; titles are as they are."""
    text, tokens = answer_map.prompt, answer_map.tokens
    spans = sorted(
        (int(tokens.offsets[run[0], 0]), int(tokens.offsets[run[-1], 1]), source.name)
        for source in answer_map.sources
        for run in _runs(_text_positions(source))
    )
    parts, end = [], 0
    for start, stop, name in spans:
        parts += [text[end:start], f"⟨{name}⟩"]
        end = stop
    return "".join([*parts, text[end:]])


def _text_positions(source: AnswerSource) -> Int[np.ndarray, " tokens"]:
    """Return the positions of a source without its title; all, where there is nothing else."""
    places = [each.positions for place, each in enumerate(source.sentences) if not source.is_title(place)]
    return np.concatenate(places) if places else source.positions


def _runs(positions: Int[np.ndarray, " tokens"]) -> list[Int[np.ndarray, " tokens"]]:
    """Return positions in runs without a gap."""
    return np.split(positions, np.flatnonzero(np.diff(positions) > 1) + 1)


# Sources.


def _number(source: int) -> str:
    """Return the mark of a source: its number in the order of the prompt."""
    return f"[{source + 1}]"


def main_sources(statement: Statement) -> list[int]:
    """Return the sources that a statement's values come from, and those that replace them."""
    of_values = [value.source for value in statement.values if value.origin == "sources"]
    replacing = [part.source for part in statement.sources if part.alone is not None]
    return list(dict.fromkeys([*of_values, *replacing]))


def _listed_names(answer_map: AnswerMap, statements: Sequence[Statement]) -> tuple[tuple[str, int], ...]:
    """Return “from” and the sources of statements in parts; unless each has all of them, with counts."""
    of_statements = [main_sources(each) for each in statements]
    counts = Counter(source for sources in of_statements for source in sources)
    names = [
        (count, printable(answer_map.sources[source].name, _NAME), source) for source, count in counts.items()
    ]
    if len(names) > _MOST_NAMED + 1:
        others = [source for _, _, source in names[_MOST_NAMED:]]
        count = sum(not set(others).isdisjoint(sources) for sources in of_statements)
        names = [*names[:_MOST_NAMED], (count, f"{len(others)} others", -1)]
    is_shared = all(len(sources) == len(counts) for sources in of_statements)
    lead = "from " if is_shared else "from the sources, "
    parts: list[tuple[str, int]] = []
    for place, (count, name, source) in enumerate(names, start=1):
        parts.append((lead if is_shared else f"{lead}{_counted(count)} from ", -1))
        parts.append((name, source))
        lead = " and " if place == len(names) - 1 else ", "
    return tuple(parts)


def _counted(count: int) -> str:
    return "one" if count == 1 else f"{count}"


def joined(parts: Sequence[str]) -> str:
    """Return parts as a list in words."""
    *first, last = parts or ("",)
    return f"{', '.join(first)} and {last}" if first else last


def _source_rows(answer_map: AnswerMap) -> Iterator[SourceRow]:
    for index, source in enumerate(answer_map.sources):
        details = [
            _detail(answer_map, place, part)
            for place, statement in enumerate(answer_map.statements, start=1)
            for part in statement.sources
            if part.source == index
        ]
        if details:
            yield SourceRow(mark=_number(index), name=printable(source.name, _NAME), details=tuple(details))


def _detail(answer_map: AnswerMap, place: int, part: SourceEffect) -> str:
    hidden = " when the document is hidden" if answer_map.removal == "hidden" else ""
    sizes = [f"effect {nats(part.effect)}{hidden}"]
    if part.alone is not None:
        sizes.append(f"{nats(part.alone)} as the only source")
    if part.copies:
        sizes.append(f"{len(part.copies)} sentences of it replace each other")
    if part.sentence_effect is not None:
        when = "hidden" if answer_map.removal == "hidden" else "deleted from the prompt"
        which = "strongest" if part.copies else ""
        noun = " ".join(filter(None, (which, _noun(answer_map, part))))
        sizes.append(f"{nats(part.sentence_effect)} when the {noun} is {when}")
    if part.deleted is not None and answer_map.removal == "hidden":
        what = "the document is" if part.sentence is None else f"the {_noun(answer_map, part)} is"
        what = "these sentences are" if part.copies else what
        sizes.append(f"{nats(part.deleted)} when {what} deleted from the prompt")
    text = f"statement {place}: {'; '.join(sizes)}"
    if part.sentence is None:
        return text
    sentence = answer_map.sources[part.source].sentences[part.sentence].text
    return f"{text} · “{printable(sentence, _SENTENCE)}”"


def _noun(answer_map: AnswerMap, part: SourceEffect) -> str:
    is_title = part.sentence is not None and answer_map.sources[part.source].is_title(part.sentence)
    return "title" if is_title else "sentence"


# The answer.


def _parts(answer_map: AnswerMap) -> Iterator[AnswerPart]:
    tokens, text = answer_map.answer_tokens(), answer_map.answer
    end = 0
    for statement in answer_map.statements:
        start, stop = _span(tokens.offsets, statement.first, statement.last)
        if start > end:
            yield AnswerPart(text=shown_lines(text[end:start]))
            end = start
        for value in statement.values:
            first, last = _span(tokens.offsets, value.first, value.last)
            inner = text[first:last]
            first += len(inner) - len(inner.lstrip())
            last -= len(inner) - len(inner.rstrip(_AFTER_MARK))
            if first < end or last <= first:
                continue
            yield AnswerPart(text=shown_lines(text[end:first]))
            yield AnswerPart(text=shown_lines(text[first:last]), origin=value.origin)
            end = last
        rest = text[end:stop]
        kept = rest.rstrip(_AFTER_MARK)
        yield AnswerPart(text=shown_lines(kept), mark=_mark(statement))
        end += len(kept)
    if text[end:]:
        yield AnswerPart(text=shown_lines(text[end:]))


def _span(offsets: np.ndarray, first: int, last: int) -> tuple[int, int]:
    return int(offsets[first, 0]), int(offsets[first:last, 1].max())


def shown_lines(text: str) -> str:
    """Return a text with control characters made visible; line breaks are kept."""
    return "\n".join(printable(line) if line.strip() else line for line in text.split("\n"))


def _mark(statement: Statement) -> str:
    if statement.origin == "sources":
        return "".join(map(_number, main_sources(statement)))
    return f"[{mark_words(statement)}]"


def mark_words(statement: Statement) -> str:
    """Return what stands after a statement in place of numbers of sources, without brackets."""
    if statement.origin == "answer" and statement.earlier is not None:
        return f"as statement {statement.earlier + 1}"
    return _MARKS.get(statement.origin, statement.origin)


# The table.


def table_columns(answer_map: AnswerMap, most: int) -> list[int]:
    """Return the sources in the table, in the order of the prompt: those attributed to, and the strongest.

    Sources that were only removed in groups are not among them.
    """
    attributed = {part.source for each in answer_map.statements for part in each.sources}
    largest = answer_map.statement_effects().max(axis=0, initial=-np.inf)
    measured = np.flatnonzero(~answer_map.is_source_screened).tolist()
    order = sorted(measured, key=lambda source: (source not in attributed, -largest[source]))
    return sorted(order[:most])


def _rows(answer_map: AnswerMap, columns: Sequence[int]) -> Iterator[StatementRow]:
    effects = answer_map.statement_effects()
    for place, statement in enumerate(answer_map.statements):
        attributed = {part.source for part in statement.sources}
        yield StatementRow(
            label=f"{place + 1}. {printable(statement.text, _STATEMENT)}",
            origin=_origin_name(statement),
            effects=tuple(nats(float(effects[place, source])) for source in columns),
            attributed=tuple(source in attributed for source in columns),
            without=nats(statement.without_sources),
        )


def _origin_name(statement: Statement) -> str:
    if statement.origin == "answer" and statement.earlier is not None:
        return f"statement {statement.earlier + 1}"
    return statement.origin


def unfounded_words(answer_map: AnswerMap) -> str:
    """Return the words that rest on nothing, of statements that come from sources by other words."""
    listed = [
        f"“{printable(value.text, _NAME)}” (statement {place})"
        for place, statement in enumerate(answer_map.statements, start=1)
        if statement.origin != "nothing"
        for value in statement.values
        if value.origin == "nothing"
    ]
    return f"Words that rest on nothing in the sources: {', '.join(listed)}." if listed else ""


def compared_words(answer_map: AnswerMap) -> str:
    """Return what the tokens of the answer are compared with; empty for nothing."""
    others = [f"“{printable(other.strip(' ') or other, _NAME)}”" for other in answer_map.against]
    if not others:
        return ""
    what = "Compared with" if len(others) == 1 else "Compared token by token with"
    more = " …" if len(others) > _MOST_COMPARED else ""
    return (
        f"{what} {', '.join(others[:_MOST_COMPARED])}{more}: effects are on how much likelier each token is "
        "than the one it is compared with."
    )


def rules(answer_map: AnswerMap) -> tuple[str, ...]:
    """Return how statements are judged, in sentences."""
    return (
        f"{_judged_on(answer_map)} above that of as much other text of the sources.",
        *([REPLACING] if any(each.is_redundant for each in answer_map.statements) else []),
        VERDICTS,
        OWN_KNOWLEDGE,
    )


def _is_span(statement: Statement) -> bool:
    """Return whether a text is judged as a whole, as a span of an answer is."""
    return [(value.first, value.last) for value in statement.values] == [(statement.first, statement.last)]


def _judged_on(answer_map: AnswerMap) -> str:
    if answer_map.statements and all(map(_is_span, answer_map.statements)):
        return "The text is judged as a whole: by how far the effect of a source on it is"
    return (
        "A statement is judged on its numbers and names, else on other words that are not in the question: "
        "by how far the effect of a source on one of them is"
    )


def removed_words(answer_map: AnswerMap) -> Iterator[str]:
    """Yield which sources and sentences were removed one by one, and which only have an estimate."""
    grouped, sources = int(answer_map.is_source_screened.sum()), len(answer_map.sources)
    if grouped:
        yield (
            f"{sources - grouped:,} of {sources:,} sources were removed one by one, the {grouped:,} others "
            f"in groups. Each group has an effect of less than {CITED / 2:g} nats on every statement and "
            "value; effects of sources in one group may cancel each other. The estimate of each source is an "
            "equal share of its group's effect."
        )
    listed = answer_map.sources
    is_text = [not each.is_title(place) for each in listed for place in range(len(each.sentences))]
    removed, count = int(answer_map.is_sentence_removed[is_text].sum()), sum(is_text)
    screened = int(answer_map.is_sentence_screened[is_text].sum())
    if removed == count:
        return
    yield f"{removed:,} of {count:,} sentences were removed one by one: " + (
        "those with the largest estimates, and those of groups that have an effect. The effects of "
        f"{screened:,} others are only estimated."
        if screened
        else "those of the two sources with the largest effects on each statement."
    )


def _facts(answer_map: AnswerMap, columns: Sequence[int]) -> Iterator[str]:
    yield NOTE
    yield UNIT
    if answer_map.against:
        yield compared_words(answer_map)
    yield from rules(answer_map)
    yield from removed_words(answer_map)
    if not columns:
        yield "The table has no room for single sources."
    elif len(columns) < len(answer_map.sources):
        count = len(answer_map.sources)
        yield f"The table has {len(columns)} of {count} sources, those with the largest effects."
    if answer_map.removal == "hidden":
        yield HIDDEN
    count = len(answer_map.sources)
    shown = range(count) if count <= _MOST_LISTED else columns
    names = [f"{_number(source)} {printable(answer_map.sources[source].name, _NAME)}" for source in shown]
    others = [f"{count - len(names)} others"] if len(names) < count else []
    yield f"Sources ({printable(answer_map.layout, 80)}): {', '.join([*names, *others])}"
    if answer_map.layout == "built-in prompt":
        yield f"Prompt: {printable(prompt_outline(answer_map), 400)}"
