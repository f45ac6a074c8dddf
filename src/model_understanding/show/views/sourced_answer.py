"""An answer map word by word and sentence by sentence, as its page and its figure draw it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float

from model_understanding.line_breaks.wrapped import unwrapped
from model_understanding.results import AnswerMap, Statement
from model_understanding.results.answer_map import CITED, Origin, SourceEffect, StatedValue
from model_understanding.show.shared.runs import direction_of, highlighted_runs
from model_understanding.show.shared.units import unit_groups
from model_understanding.show.shared.words import format_number, model_name, printable
from model_understanding.show.views.answer_map import (
    HIDDEN,
    NOTE,
    compared_words,
    joined,
    main_sources,
    mark_words,
    nats,
    prompt_outline,
    removed_words,
    rules,
    shown_lines,
    table_columns,
)
from model_understanding.tokens import Tokens

SCALE = 3.0
"""Nats of an effect whose color is at 63 % of its full strength: colors mean the same on every page."""
NUMBERS = (
    "An effect is how much the log-probability of words drops when a source is hidden from the model. Its "
    "unit is the nat: 1 nat less means 2.7 times less likely, 2.5 nats 12 times, 5 nats 148 times, 10 nats "
    "22,000 times.",
    "The effect on a statement is the sum over its words. A long statement that is copied from a source "
    "easily has an effect of 30 nats; a name or a number, of 5 to 10.",
    "A negative effect means that the words are likelier without the source.",
    "Sources can replace each other: where two say the same, hiding one of them changes little, and hiding "
    "all changes much.",
)
MOST_COLUMNS = 10
REACH = 0.62
"""The part of the color scale that texts use: words are hard to read on the rest of it."""
_MOST_WHOLE = 6  # sentences up to which a source is shown whole
_QUOTE, _NAME, _VALUE = 220, 60, 40
_MOST_TIMES = 1e6
_GROUPED = (
    "Removed only together with other sources, which had little effect: its effects are estimates, and its "
    "sentences have no color of their own."
)
_WHOLE = "Only the whole source was removed, not its sentences: they have no color of their own."


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRun:
    """A piece of the answer.

    Args:
        text: Its text.
        statement: Index of its statement; −1 outside of statements.
        word: Index of its word; −1 between words.
        origin: Where it comes from, if the statement is judged on it.
        is_pill: Whether it is set apart from the text: a special token.
    """

    text: str
    statement: int
    word: int
    origin: Origin | None = None
    is_pill: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSentence:
    """A sentence of a source.

    Args:
        text: Its text, with the blanks up to the next sentence.
        row: Its row in the effects of sentences; −1 if it has none.
        is_estimate: Whether its effects are estimates.
        is_title: Whether it is the source's name.
        is_kept: Whether it is shown where the source is folded.
        effect: Its largest effect on a statement.
    """

    text: str
    row: int
    is_estimate: bool
    is_title: bool
    is_kept: bool
    effect: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSource:
    """A source with its sentences.

    Args:
        name: Its name.
        direction: The reading direction of its text.
        statements: Indices of the statements that come from it.
        others: Indices of other statements that it changes.
        sentences: Its sentences.
        hint: Why its sentences have no color; empty where they have effects.
        is_estimate: Whether its effects are estimates.
        effect: Its largest effect on a statement.
    """

    name: str
    direction: Literal["ltr", "rtl"]
    statements: tuple[int, ...]
    others: tuple[int, ...]
    sentences: tuple[ShownSentence, ...]
    hint: str
    is_estimate: bool
    effect: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEffect:
    """What a source does to a statement, in words.

    Args:
        source: Index of the source.
        effect: The effect in nats.
        words: What the effect means.
        sentence: Index of the sentence with the largest effect; −1 if none was removed by itself.
        quote: The sentence.
        more: What the sentence and a deletion change, and what the source explains alone.
        is_main: Whether the statement comes from the source, rather than that it also changes the statement.
    """

    source: int
    effect: float
    words: str
    sentence: int
    quote: str
    more: str
    is_main: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownStatement:
    """A statement, with what is known of it in words.

    Args:
        text: The statement.
        origin: Where it comes from.
        mark: What stands after it in place of numbers of sources; empty for none.
        sources: Indices of the sources that it comes from.
        verdict: Where it comes from, in a sentence; each part with the source that it names, else −1.
        effects: The sources that change it, the strongest first.
        values: The words that it is judged on, each with its effect.
        more: What else was measured, as names and values.
    """

    text: str
    origin: Origin
    mark: str
    sources: tuple[int, ...]
    verdict: tuple[tuple[str, int], ...]
    effects: tuple[ShownEffect, ...]
    values: tuple[tuple[str, Origin, str], ...]
    more: tuple[tuple[str, str], ...]


def strength_of(effect: float) -> float:
    """Return the strength of an effect's color, from −1 to 1.

    >>> round(strength_of(2.5), 2), round(strength_of(-10.0), 2)
    (0.57, -0.96)
    """
    return math.copysign(-math.expm1(-abs(effect) / SCALE), effect) if effect else 0.0


def likelihood_words(effect: float, *, is_compared: bool = False) -> str:
    """Return what an effect means for the likelihood of the words without the source.

    Args:
        effect: The effect in nats.
        is_compared: Whether the effect is on how much likelier they are than another text.

    >>> likelihood_words(2.5), likelihood_words(-1.0), likelihood_words(0.01)
    ('12 times less likely without it', '2.7 times likelier without it', 'as likely without it')
    """
    times = math.exp(min(abs(effect), 100.0))
    if times < 1.05:
        return "as likely without it"
    if times >= _MOST_TIMES:
        words = "more than a million times"
    elif times < 9.95:
        words = f"{times:.1f} times"
    else:
        digits = 2 if times >= 1000 else 0
        size = 10 ** max(math.floor(math.log10(times)) + 1 - digits, 0) if digits else 1
        words = f"{round(times / size) * size:,.0f} times"
    compared = " than the other text" if is_compared else ""
    return f"{words} {'less likely' if effect > 0 else 'likelier'}{compared} without it"


def origin_of(answer_map: AnswerMap) -> str:
    """Return what a page is of, in a few words."""
    return " · ".join(filter(None, ("sources of an answer", model_name(answer_map.provenance))))


class SourcedAnswer:
    """What is drawn of an answer map.

    Args:
        answer_map: The answer map.
    """

    def __init__(self, answer_map: AnswerMap) -> None:
        self.answer_map = answer_map
        self.tokens = answer_map.answer_tokens()
        self.words = _words(self.tokens)
        self._surfaces = self.tokens.surfaces()
        self.measured = np.flatnonzero(answer_map.is_sentence_removed)
        """The sentences, of all sources, that were removed by themselves."""
        self.estimated = np.flatnonzero(answer_map.is_sentence_screened)
        """The sentences that have an estimate only; their rows follow those of the measured ones."""

    @cached_property
    def statement_effects(self) -> Float[np.ndarray, "statements sources"]:
        """The effect of each source on each statement; an estimate where it was only removed in a group."""
        effects, is_estimate = self.answer_map.statement_effects(), self.answer_map.is_source_screened
        if is_estimate.any():
            effects[:, is_estimate] = self.answer_map.screened_source_effects[:, is_estimate]
        return effects

    @cached_property
    def sentence_effects(self) -> Float[np.ndarray, "statements rows"]:
        """The effect on each statement of each sentence: those that were measured, then estimates."""
        effects = self.answer_map.sentence_effects[self.measured]
        statements = self.answer_map.statements
        sums = [effects[:, each.first : each.last].sum(1, dtype=np.float64) for each in statements]
        measured = np.array(sums).reshape(len(statements), len(self.measured))
        estimates = self.answer_map.screened_effects[:, self.estimated]
        return np.hstack([measured, estimates.reshape(len(statements), len(self.estimated))])

    def by_word(self, effects: Float[np.ndarray, "rows tokens"]) -> Float[np.ndarray, "rows words"]:
        """Return effects on tokens as effects on words.

        Args:
            effects: A row for each source or sentence.
        """
        starts = [word[0] for word in self.words]
        return np.add.reduceat(np.asarray(effects, dtype=np.float64), starts, axis=1)

    @cached_property
    def runs(self) -> tuple[AnswerRun, ...]:
        """The answer in pieces, in reading order; blanks within a statement are part of it."""
        found = highlighted_runs(self.tokens.fold(self.words))
        runs = [
            AnswerRun(
                text=run.text.replace("↵\n", "\n"),
                statement=-1 if run.unit is None else self._statement_of(run.unit),
                word=-1 if run.unit is None else run.unit,
                origin=None if run.unit is None else self._origin_of(run.unit),
                is_pill=run.is_pill,
            )
            for run in found
        ]
        runs = [part for run in runs for part in _without_breaks(run)]
        after = -1
        for index in range(len(runs) - 1, -1, -1):
            if runs[index].word >= 0:
                after = runs[index].statement
                continue
            before = next((run.statement for run in reversed(runs[:index]) if run.word >= 0), -1)
            if before == after:
                runs[index] = replace(runs[index], statement=after)
        return tuple(runs)

    def columns(self) -> tuple[int, ...]:
        """Return the sources that the table shows first: those attributed to, and the strongest others."""
        return tuple(table_columns(self.answer_map, MOST_COLUMNS))

    @property
    def direction(self) -> Literal["ltr", "rtl"]:
        """The reading direction of the answer."""
        return direction_of(run.text for run in self.runs if not run.is_pill)

    def _statement_of(self, word: int) -> int:
        """Return the statement of a word: that of its first token that is no blank, else of another one."""
        for token in sorted(self.words[word], key=lambda token: not self._surfaces[token].strip()):
            for index, each in enumerate(self.answer_map.statements):
                if each.first <= token < each.last:
                    return index
        return -1

    def _origin_of(self, word: int) -> Origin | None:
        first, last = self.words[word][0], self.words[word][-1] + 1
        for each in self.answer_map.statements:
            for value in each.values:
                if value.first < last and first < value.last:
                    return value.origin
        return None

    # Sources.

    @cached_property
    def sources(self) -> tuple[ShownSource, ...]:
        """The sources, in the order of the prompt."""
        return tuple(self._source(index) for index in range(len(self.answer_map.sources)))

    def _source(self, index: int) -> ShownSource:
        answer_map, source = self.answer_map, self.answer_map.sources[index]
        lines = answer_map.sentence_rows(index)
        known = [*self.measured.tolist(), *self.estimated.tolist()]
        row_of = {line: row for row, line in enumerate(known)}
        rows = [row_of.get(line, -1) for line in lines]
        best = self.sentence_effects.max(axis=0, initial=0.0)
        effects = [float(best[row]) if row >= 0 else 0.0 for row in rows]
        is_measured = [0 <= row < len(self.measured) for row in rows]
        sizes = [effect if each else 0.0 for effect, each in zip(effects, is_measured, strict=True)]
        named = {
            part.sentence
            for each in answer_map.statements
            for part in each.sources
            if part.source == index and part.sentence is not None
        }
        own = tuple(number for number, each in enumerate(self.statements) if index in each.sources)
        texts = self._texts(index)
        is_title = [source.is_title(place) for place in range(len(lines))]
        return ShownSource(
            name=printable(source.name, _NAME),
            direction=direction_of(texts),
            statements=own,
            others=tuple(
                number
                for number, each in enumerate(answer_map.statements)
                if number not in own and any(part.source == index for part in each.sources)
            ),
            sentences=tuple(
                ShownSentence(
                    text=text,
                    row=row,
                    is_estimate=row >= len(self.measured),
                    is_title=title,
                    is_kept=kept or title,
                    effect=effect,
                )
                for text, row, title, kept, effect in zip(
                    texts, rows, is_title, _kept(sizes, named), effects, strict=True
                )
            ),
            hint=self._hint(index, has_rows=max(rows) >= 0),
            is_estimate=bool(answer_map.is_source_screened[index]),
            effect=float(self.statement_effects[:, index].max(initial=0.0)),
        )

    def _hint(self, index: int, *, has_rows: bool) -> str:
        """Return why the sentences of a source have no color, if they have none."""
        if has_rows or not self.answer_map.statements:
            return ""
        return _GROUPED if self.answer_map.is_source_screened[index] else _WHOLE

    @cached_property
    def _prompt(self) -> str:
        return unwrapped(self.answer_map.prompt)

    def _texts(self, index: int) -> list[str]:
        """Return the sentences of a source, with the blanks between them."""
        source, tokens = self.answer_map.sources[index], self.answer_map.tokens
        prompt = self._prompt
        spans = [
            (int(tokens.offsets[each.positions[0], 0]), int(tokens.offsets[each.positions[-1], 1]))
            for each in source.sentences
        ]
        texts = []
        for place, sentence in enumerate(source.sentences):
            end = spans[place][1]
            follows = place + 1 < len(spans)
            between = prompt[end : max(spans[place + 1][0], end)] if follows else ""
            inner = prompt[slice(*spans[place])]
            lead = inner[: len(inner) - len(inner.lstrip())] if place else ""
            trail = inner[len(inner.rstrip()) :] + (between if not between.strip() else "\n")
            texts.append(shown_lines(f"{lead}{sentence.text}{trail if follows else ''}"))
        return texts

    # Statements.

    @cached_property
    def statements(self) -> tuple[ShownStatement, ...]:
        """The statements, in order."""
        return tuple(self._statement(each) for each in self.answer_map.statements)

    def _statement(self, statement: Statement) -> ShownStatement:
        main = main_sources(statement)
        own = sorted(statement.sources, key=lambda part: (part.source not in main, -part.effect))
        return ShownStatement(
            text=printable(statement.text.strip()),
            origin=statement.origin,
            mark="" if statement.origin == "sources" else mark_words(statement),
            sources=tuple(main) if statement.origin == "sources" else (),
            verdict=tuple(self._verdict(statement)),
            effects=tuple(self._effect(part, part.source in main) for part in own),
            values=tuple(
                (printable(value.text.strip(), _VALUE), value.origin, _value_words(value))
                for value in statement.values
            ),
            more=tuple(self._more(statement)),
        )

    def name(self, source: int) -> str:
        """Return a source with its number, as in ``[2] river.txt``."""
        return f"[{source + 1}] {printable(self.answer_map.sources[source].name, _NAME)}"

    def _verdict(self, statement: Statement) -> Iterator[tuple[str, int]]:
        values = joined([f"“{printable(value.text.strip(), _VALUE)}”" for value in statement.values][:3])
        match statement.origin:
            case "sources":
                yield "Comes from ", -1
                sources = main_sources(statement)
                for place, source in enumerate(sources):
                    yield self.name(source), source
                    left = len(sources) - place - 1
                    yield (", " if left > 1 else " and " if left else ""), -1
                alone = f"; each of them explains {_explained_part(statement)} alone."
                yield (alone if statement.is_redundant else "."), -1
            case "answer":
                number = "" if statement.earlier is None else f", statement {statement.earlier + 1}"
                yield (
                    f"Repeats an earlier statement{number}; no source has a clear effect on what it says.",
                    -1,
                )
            case "question":
                yield "Only has words of the question, so there is nothing to judge.", -1
            case "unclear":
                yield "Unclear: the sources have some effect, but no single one has a clear effect.", -1
            case _:
                of = f" on {values}" if values else ""
                yield f"Rests on nothing in the sources: none has a clear effect{of}.", -1

    def _effect(self, part: SourceEffect, is_main: bool) -> ShownEffect:
        source = self.answer_map.sources[part.source]
        more = []
        if part.sentence_effect is not None and part.sentence is not None:
            noun = "title" if source.is_title(part.sentence) else "sentence"
            more.append(f"this {noun} by itself: {nats(part.sentence_effect)}")
        if part.alone is not None:
            more.append(f"as the only source: {nats(part.alone)}")
        if part.deleted is not None and self.answer_map.removal == "hidden":
            more.append(f"deleted from the prompt: {nats(part.deleted)}")
        return ShownEffect(
            source=part.source,
            effect=float(part.effect),
            words=likelihood_words(part.effect, is_compared=bool(self.answer_map.against)),
            sentence=-1 if part.sentence is None else part.sentence,
            quote="" if part.sentence is None else printable(source.sentences[part.sentence].text, _QUOTE),
            more=" · ".join(more),
            is_main=is_main,
        )

    def _more(self, statement: Statement) -> Iterator[tuple[str, str]]:
        yield "all sources hidden", f"effect {nats(statement.without_sources)}"
        if statement.earlier is not None:
            yield f"statement {statement.earlier + 1} hidden", f"effect {nats(statement.earlier_effect)}"
            yield (
                "all sources and earlier statements hidden",
                f"effect {nats(statement.without_all)}",
            )
        yield "log-probability", format_number(statement.log_prob)


def _words(tokens: Tokens) -> tuple[tuple[int, ...], ...]:
    """Return the tokens of each word; blanks that are tokens of their own are part of the next word."""
    groups: list[tuple[int, ...]] = []
    blanks: tuple[int, ...] = ()
    surfaces = tokens.surfaces()
    for group in unit_groups(tokens, "word"):
        joined_group = blanks + group
        is_blank = not "".join(surfaces[token] for token in group).strip(" ")
        blanks = joined_group if is_blank and not tokens.special[group[0]] else ()
        if not blanks:
            groups.append(joined_group)
    return (*groups, blanks) if blanks else tuple(groups)


def _without_breaks(run: AnswerRun) -> Iterator[AnswerRun]:
    """Split the line breaks at its end off a word, so that a mark stands on its line."""
    text = run.text.rstrip("\n")
    if run.is_pill or text == run.text:
        yield run
        return
    if text:
        yield replace(run, text=text)
    yield AnswerRun(text=run.text[len(text) :], statement=-1, word=-1)


def _explained_part(statement: Statement) -> str:
    """Return what each of the sources that replace each other explains: a statement, or a value of it."""
    alone = [part.alone for part in statement.sources if part.alone is not None]
    return "it" if min(alone, default=0.0) >= 0.5 * statement.without_sources else "a part of it"


def _value_words(value: StatedValue) -> str:
    return f"effect {nats(value.effect)} (as much other text: {nats(value.control)})"


def _kept(effects: Sequence[float], named: set[int]) -> list[bool]:
    """Return which sentences of a source are shown where it is folded: those that matter, and neighbors."""
    count = len(effects)
    if count <= _MOST_WHOLE:
        return [True] * count
    matter = {place for place, effect in enumerate(effects) if effect >= CITED} | named or {0}
    kept = [bool({place - 1, place, place + 1} & matter) for place in range(count)]
    for place in range(1, count - 1):  # a fold of one sentence would take as much room
        kept[place] = kept[place] or (kept[place - 1] and kept[place + 1])
    return kept


def how_to_read(answer_map: AnswerMap) -> Iterator[str]:
    """Yield what a reader of the page must know, and how sources were removed."""
    yield from rules(answer_map)
    yield (
        "Words in color are those that the model is less likely to write without the sources (blue), or "
        "likelier (orange). Bold words are those that a statement is judged on."
    )
    if answer_map.removal == "hidden":
        yield HIDDEN
    else:
        yield "A source is removed by deleting its tokens from the prompt."
    yield from removed_words(answer_map)


def note_of(answer_map: AnswerMap) -> str:
    """Return what a reader must know first: what is compared, and what an answer map does not say."""
    return " ".join(filter(None, (compared_words(answer_map), NOTE)))


def prompt_text(answer_map: AnswerMap) -> str:
    """Return the prompt with the name of each source in the place of its text, on lines of its own."""
    return shown_lines(prompt_outline(answer_map))
