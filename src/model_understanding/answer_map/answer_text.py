"""An answer with the sources, sentences and statements that are measured, before anything is."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

from model_understanding.answer_map.prompt import SourcedPrompt, without_headings
from model_understanding.answer_map.source_tokens import sources_of, text_outside
from model_understanding.answer_map.statements import Clause, Value, clauses_of
from model_understanding.errors import InputError
from model_understanding.results import Target
from model_understanding.results.answer_map import AnswerSource
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

Words = Clause | Value
"""Tokens of the answer: a statement, or a value of one."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is removed by itself: a source, or one of its sentences.

    Args:
        source: Index of the source.
        sentence: Index of the sentence in it; ``None`` for the whole source.
        positions: The positions of its tokens.
    """

    source: int
    sentence: int | None
    positions: Int[np.ndarray, " tokens"]


@dataclass(frozen=True)
class AnswerText:
    """The parts of a prompt and its answer.

    Args:
        tokens: Those of both.
        prompt_length: Number of tokens of the prompt.
        sources: The sources that have tokens.
        missing: Names of documents that the prompt does not contain.
        clauses: What is explained: the statements of the answer, or one span of it.
        said: All statements of the answer.
        is_span: Whether a span is explained.
    """

    tokens: Tokens
    prompt_length: int
    sources: tuple[AnswerSource, ...]
    missing: tuple[str, ...]
    clauses: tuple[Clause, ...]
    said: tuple[Clause, ...]
    is_span: bool

    @cached_property
    def answer(self) -> Tokens:
        """The tokens of the answer."""
        return self.tokens.select(range(self.prompt_length, len(self.tokens)))

    @cached_property
    def sentences(self) -> list[list[Unit]]:
        """The sentences of each source."""
        return [
            [Unit(index, place, sentence.positions) for place, sentence in enumerate(source.sentences)]
            for index, source in enumerate(self.sources)
        ]

    @property
    def judged(self) -> list[Words]:
        """The statements and their values."""
        return [words for clause in self.clauses for words in (clause, *clause.values)]

    @property
    def values(self) -> list[tuple[int, int]]:
        """The statement of each value, and its place there."""
        return [
            (number, place)
            for number, clause in enumerate(self.clauses)
            for place in range(len(clause.values))
        ]

    @property
    def after_sources(self) -> int:
        """The first position after the sources, at the latest the one that the answer is predicted from."""
        last = max(int(source.positions.max()) for source in self.sources)
        return min(last + 1, self.prompt_length - 1)

    def follows(self, number: int) -> bool:
        """Return whether the answer says something before a statement."""
        return number > 0 or (self.is_span and self.clauses[number].first > 0)


def answer_text_of(
    encoding: Encoding, prompt: SourcedPrompt, target: Target | None, *, given: bool
) -> AnswerText:
    """Return the parts of a prompt and its answer.

    Args:
        encoding: Both.
        prompt: The prompt's sources.
        target: What is explained of the answer; all of it by default.
        given: Whether the answer was given by the caller.

    Raises:
        InputError: No token of the prompt belongs to a source, or the answer has no words.
    """
    assert encoding.prompt_length is not None
    tokens, prompt_length = encoding.tokens[0], encoding.prompt_length
    answer = tokens.select(range(prompt_length, len(tokens)))
    sources, empty = sources_of(tokens, prompt_length, prompt)
    if not sources:
        raise InputError(
            "The sources have no tokens before the last one of the prompt.",
            hint="Let the question, or the turn of the assistant, follow the documents.",
        )
    is_span = target is not None and len(target.positions) < len(answer)
    outside = without_headings(text_outside(tokens, prompt_length, sources), prompt)
    said = clauses_of(answer, outside)
    clauses = (_span(target, prompt_length),) if target is not None and is_span else said
    if not clauses:
        raise InputError(
            "The answer has no words." if given else "The answer that the model generated has no words.",
            hint="Pass an answer with at least one word"
            + ("." if given else ", or another question; if the answer was cut, raise max_new_tokens."),
        )
    missing = (*prompt.missing, *empty)
    return AnswerText(tokens, prompt_length, sources, missing, clauses, said, is_span)


def _span(target: Target, prompt_length: int) -> Clause:
    """Return the span of the answer that is explained; it is judged as a whole."""
    explained = target.positions
    first, last = explained[0] + 1 - prompt_length, explained[-1] + 2 - prompt_length
    text = str(target.name)
    return Clause(text, first, last, (Value(text, first, last),))
