"""Which sources each statement of an answer comes from, and which statements rest on nothing in them."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.errors import NumericalError
from model_understanding.results.provenance import Provenance
from model_understanding.results.rendering import Drawn
from model_understanding.results.serialization import JsonResult
from model_understanding.tokens import Tokens, read_only

if TYPE_CHECKING:
    import pandas

Origin = Literal["sources", "answer", "question", "unclear", "nothing"]
"""Where a statement comes from: sources, earlier statements, the question's own words, or nothing of it."""
Removal = Literal["hidden", "deleted"]
CLEAR = 2.5
"""Nats above the controls from which on a value comes from a source."""
CITED = 1.0
"""Nats above the controls below which a value rests on nothing.

A statement whose log-probability drops by as much without a source is attributed to it.
"""


_NUMBERED = re.compile(r" \(\d+\)$")  # after a name that several sources have


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceSentence(JsonResult):
    """A sentence of a source.

    Args:
        text: Its text in the prompt, with wrapped lines joined.
        positions: The positions of its tokens in the prompt.
    """

    text: str
    positions: Int[np.ndarray, " tokens"]

    def __post_init__(self) -> None:
        object.__setattr__(self, "positions", read_only(self.positions, np.int64, (None,), "positions"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnswerSource(JsonResult):
    """A source of an answer: a document, or a tool's message.

    Args:
        name: Its name: a file's, a title, or its number.
        sentences: Its sentences as they are in the prompt; all of its tokens are in one of them.
    """

    name: str
    sentences: tuple[SourceSentence, ...]

    @property
    def positions(self) -> Int[np.ndarray, " tokens"]:
        """The positions of its tokens in the prompt."""
        return np.concatenate([sentence.positions for sentence in self.sentences])

    def is_title(self, sentence: int) -> bool:
        """Return whether a sentence is the source's name, which the prompt says before its text."""
        title = _letters(self.sentences[sentence].text)
        return title in (_letters(self.name), _letters(_NUMBERED.sub("", self.name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEffect(JsonResult):
    """What one source does to a statement, in nats of the statement's log-probability.

    Args:
        source: Index of the source.
        effect: How much the log-probability drops without the source.
        sentence: Index of the sentence of the source that has the largest effect on the statement's values
            that come from the source, or on the statement where none does; if sentences were removed.
        sentence_effect: How much the log-probability drops without this sentence.
        alone: How much it rises with this source as the only one, compared with none; only where sources
            replace each other.
        deleted: How much it drops if the sentence with its copies, or the source where there is no sentence,
            is deleted from the prompt; a confirmation that does not change the order.
        copies: Indices of the sentences of the source that replace each other, the strongest first: each
            explains the statement when it is the only one of them that is left; empty where there are none.
    """

    source: int
    effect: float
    sentence: int | None = None
    sentence_effect: float | None = None
    alone: float | None = None
    deleted: float | None = None
    copies: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedValue(JsonResult):
    """Words of a statement that say something of their own: a number, a name, or words not in the question.

    Args:
        text: The words.
        first: Their first token, counted in the answer.
        last: The token after their last one.
        effect: The largest drop of their log-probability without one source or sentence, or, where sources
            replace each other, the largest rise with one source alone.
        control: The largest effect on them of the same kind, of as much other text of the sources; 0 if
            there is none, or none above 0.
        source: Index of the source with the largest effect.
        without_sources: How much their log-probability drops without all sources.
        without_all: How much it drops without all sources and earlier statements.
        origin: Where they come from.
        controls: The effect on them of each part of the sources that was removed as a control; ``control`` is
            the largest above 0, unless sources replace each other.
    """

    text: str
    first: int
    last: int
    effect: float
    control: float
    source: int
    without_sources: float
    without_all: float
    origin: Origin
    controls: tuple[float, ...] = ()

    @property
    def margin(self) -> float:
        """The effect above that of as much other text."""
        return self.effect - self.control


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement(JsonResult):
    """A clause of the answer.

    Args:
        text: The clause.
        first: Its first token, counted in the answer.
        last: The token after its last one.
        log_prob: Its log-probability, with everything in the prompt.
        origin: Where it comes from, judged on its values, the best of which counts: ``sources``: one has an
            effect of at least 2.5 nats above its control, or, where sources replace each other, with one
            source alone; ``answer``: what earlier statements say has, their form alone does not count;
            ``nothing``: the effect is less than 1 nat above the control; ``unclear``: between both, or all
            sources together have an effect and it is not known which; ``question``: it has no values.
        sources: The sources that it is attributed to, the strongest first: those of its values, and those
            without which its log-probability drops by at least 1 nat.
        values: The words that this is judged on.
        without_sources: How much its log-probability drops without all sources.
        is_redundant: Whether sources replace each other: several explain the statement, or a value of it,
            alone, and without all of them its log-probability drops by more than twice the sum of what it
            drops without each.
        earlier: Index of the earlier statement with the largest effect; ``None`` for the first statement.
        earlier_effect: How much the log-probability drops without that statement.
        joint_effect: How much it drops without that statement and one source.
        joint_source: Index of that source: the strongest of this statement, or, where none has an effect, of
            the earlier one.
        without_all: How much it drops without all sources and all earlier statements.
    """

    text: str
    first: int
    last: int
    log_prob: float
    origin: Origin
    sources: tuple[SourceEffect, ...] = ()
    values: tuple[StatedValue, ...] = ()
    without_sources: float = 0.0
    is_redundant: bool = False
    earlier: int | None = None
    earlier_effect: float = 0.0
    joint_effect: float = 0.0
    joint_source: int | None = None
    without_all: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AnswerMap(Drawn):
    """Which sources a language model's answer comes from, and which statements rest on nothing in them.

    ``effect = log p(answer token | everything) − log p(answer token | without the source)``, in nats, summed
    over the tokens of a statement. A source is removed by hiding its keys and values from all that follows
    the sources, with every position unchanged, or, in models where that cannot be done, by deleting its
    tokens. That a statement comes from a source does not mean that the source supports it, and one that rests
    on nothing in the sources may be true: what the model would say without them has no source.

    Args:
        tokens: Tokens of the prompt and the answer.
        prompt_length: Number of tokens of the prompt.
        sources: The D sources.
        statements: The statements of the answer, in order.
        log_probs: Log-probability of each of the A tokens of the answer, shape ``(A,)``.
        effects: Effect of each source on each token, shape ``(D, A)``; 0 where it was not measured.
        without_sources: Effect of all sources together, shape ``(A,)``.
        sentence_effects: Effect of each sentence, those of all sources in order, shape ``(S, A)``.
        is_sentence_removed: Which sentences were removed by themselves, shape ``(S,)``; the effects of the
            others are 0 because they were not measured.
        screened_effects: Estimated effect of each sentence on each of the T statements, shape ``(T, S)``,
            where there were too many to remove each: the first order of hiding it, or its share of what its
            group of neighbors does. Shape ``(0, S)`` otherwise.
        is_sentence_screened: Which sentences have an estimate only, shape ``(S,)``.
        screened_source_effects: Estimated effect of each source on each statement, shape ``(T, D)``, where
            there were too many to remove each: its share of what its group of neighbors does, which is less
            than half a nat for every statement and value. Shape ``(0, D)`` otherwise.
        is_source_screened: Which sources have an estimate only, shape ``(D,)``; no statement comes from them.
        removal: How sources were removed: ``hidden`` or ``deleted``.
        layout: How the sources got into the prompt, or where in it they were found.
        missing: Names of documents that the prompt does not contain.
        question: The question about the documents; empty where it was not given by itself.
        given: Whether the answer was given by the caller rather than generated.
        against: Texts of the tokens that those of the answer, or of the span of it that is explained, are
            compared with. Then the effects are on ``log p(token) − log p(other)``. Empty for none.
        provenance: Model, software and warnings.

    Raises:
        ValueError: The shapes do not match.
        NumericalError: An effect is not finite.

    >>> source = AnswerSource(name="a.txt", sentences=(SourceSentence(text="x", positions=[0]),))
    >>> answers = AnswerMap(tokens=Tokens.from_pieces(["x", "y"]), prompt_length=1, sources=(source,),
    ...     statements=(Statement(text="y", first=0, last=1, log_prob=-1.0, origin="sources"),),
    ...     log_probs=[-1.0], effects=[[2.5]], without_sources=[2.5], sentence_effects=[[0.0]],
    ...     is_sentence_removed=[False], removal="hidden", layout="documents", given=True)
    >>> answers.statement_effects().tolist(), answers.unsupported
    ([[2.5]], ())
    """

    tokens: Tokens
    prompt_length: int
    sources: tuple[AnswerSource, ...]
    statements: tuple[Statement, ...]
    log_probs: Float[np.ndarray, " tokens"]
    effects: Float[np.ndarray, "sources tokens"]
    without_sources: Float[np.ndarray, " tokens"]
    sentence_effects: Float[np.ndarray, "sentences tokens"]
    is_sentence_removed: Bool[np.ndarray, " sentences"]
    removal: Removal
    layout: str
    missing: tuple[str, ...] = ()
    question: str = ""
    given: bool = False
    screened_effects: Float[np.ndarray, "statements sentences"] = field(
        default_factory=lambda: np.zeros((0, 0))
    )
    is_sentence_screened: Bool[np.ndarray, " sentences"] = field(default_factory=lambda: np.zeros(0, bool))
    screened_source_effects: Float[np.ndarray, "statements sources"] = field(
        default_factory=lambda: np.zeros((0, 0))
    )
    is_source_screened: Bool[np.ndarray, " sources"] = field(default_factory=lambda: np.zeros(0, bool))
    against: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        count = len(self.tokens) - self.prompt_length
        if count < 1 or self.prompt_length < 1:
            raise ValueError(f"prompt_length must be from 1 to {len(self.tokens) - 1}.")
        for statement in self.statements:
            for part in (statement, *statement.values):
                if not 0 <= part.first < part.last <= count:
                    raise ValueError(
                        f"A statement has the tokens {part.first} to {part.last} of {count} of the answer."
                    )
        sentences = sum(len(source.sentences) for source in self.sources)
        shapes = {
            "log_probs": (count,),
            "effects": (len(self.sources), count),
            "without_sources": (count,),
            "sentence_effects": (sentences, count),
        }
        for name, shape in shapes.items():
            array = read_only(getattr(self, name), np.float32, shape, name)
            object.__setattr__(self, name, array)
            if not np.isfinite(array).all():
                raise NumericalError(
                    "The effects of the sources are not finite.",
                    hint="Load the model with dtype='float32' and try again.",
                )
        self._complete_estimates("is_sentence_screened", "screened_effects", sentences)
        self._complete_estimates("is_source_screened", "screened_source_effects", len(self.sources))
        removed = read_only(self.is_sentence_removed, np.bool_, (sentences,), "is_sentence_removed")
        object.__setattr__(self, "is_sentence_removed", removed)

    def _complete_estimates(self, which: str, estimates: str, count: int) -> None:
        """Give a mask of what has estimates only, and these, the shapes of all sentences or sources."""
        if not np.size(getattr(self, which)):
            object.__setattr__(self, which, np.zeros(count, dtype=bool))
            object.__setattr__(self, estimates, np.zeros((0, count)))
        rows = len(self.statements) if len(getattr(self, estimates)) else 0
        for name, dtype, shape in ((which, np.bool_, (count,)), (estimates, np.float32, (rows, count))):
            object.__setattr__(self, name, read_only(getattr(self, name), dtype, shape, name))

    @property
    def prompt(self) -> str:
        """The prompt as the model reads it."""
        return self.tokens.texts[0]

    @property
    def answer(self) -> str:
        """The answer."""
        return self.tokens.texts[1] if len(self.tokens.texts) > 1 else ""

    @property
    def unsupported(self) -> tuple[Statement, ...]:
        """The statements that rest on nothing in the sources."""
        return tuple(statement for statement in self.statements if statement.origin == "nothing")

    def answer_tokens(self) -> Tokens:
        """Return the tokens of the answer."""
        return self.tokens.select(range(self.prompt_length, len(self.tokens)))

    def statement_effects(self) -> Float[np.ndarray, "statements sources"]:
        """Return the effect of each source on each statement, summed over its tokens.

        It is 0 for a source that was not removed by itself, which ``is_source_screened`` marks.
        """
        rows = [self.effects[:, part.first : part.last].sum(1, dtype=np.float64) for part in self.statements]
        return np.array(rows).reshape(len(self.statements), len(self.sources))

    def sentence_rows(self, source: int) -> range:
        """Return which rows of ``sentence_effects`` are the sentences of a source."""
        start = sum(len(other.sentences) for other in self.sources[:source])
        return range(start, start + len(self.sources[source].sentences))

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a row for each statement and source, followed by those of its sentences that were measured.

        ``attributed`` says whether the statement is attributed to the source; ``sentence`` is missing in the
        row of a whole source. ``screened`` is the estimated effect of a source or sentence that was not
        removed by itself, whose ``effect`` is missing. ``is_title`` marks what is no sentence but the name of
        the source in the prompt.
        """
        import pandas

        rows = []
        for number, statement in enumerate(self.statements):
            attributed = {part.source: part for part in statement.sources}
            for index, source in enumerate(self.sources):
                part = attributed.get(index)
                in_group = bool(self.is_source_screened[index])
                row = {
                    "statement": number,
                    "text": statement.text,
                    "origin": statement.origin,
                    "source": source.name,
                    "sentence": None,
                    "is_title": False,
                    "effect": None if in_group else self._effect(self.effects[index], statement),
                    "screened": float(self.screened_source_effects[number, index]) if in_group else None,
                    "attributed": part is not None,
                    "alone": None if part is None else part.alone,
                    "deleted": None if part is None or part.sentence is not None else part.deleted,
                }
                rows.append(row)
                for place, line in enumerate(self.sentence_rows(index)):
                    is_removed, is_screened = self.is_sentence_removed[line], self.is_sentence_screened[line]
                    if not (is_removed or is_screened):
                        continue
                    effect = self._effect(self.sentence_effects[line], statement)
                    is_named = part is not None and part.sentence == place
                    of_sentence = {
                        "sentence": source.sentences[place].text,
                        "is_title": source.is_title(place),
                        "effect": effect if is_removed else None,
                        "screened": float(self.screened_effects[number, line]) if is_screened else None,
                        "attributed": is_named,
                        "alone": None,
                        "deleted": part.deleted if part is not None and is_named else None,
                    }
                    rows.append({**row, **of_sentence})
        columns = ["statement", "text", "origin", "source", "sentence", "effect", "attributed"]
        return pandas.DataFrame(rows, columns=[*columns, "alone", "deleted", "is_title", "screened"])

    @staticmethod
    def _effect(effects: Float[np.ndarray, " tokens"], statement: Statement) -> float:
        return float(effects[statement.first : statement.last].sum(dtype=np.float64))
