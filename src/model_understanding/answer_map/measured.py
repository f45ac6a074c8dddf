"""What the steps of an answer map measured, from which everything else is concluded."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.answer_map.answer_text import AnswerText, Words

AnswerEffect = Float[np.ndarray, " answer"]


@dataclass(frozen=True, slots=True)
class SourceGroup:
    """Sources that were removed, or kept, together only.

    Args:
        sources: Their indices.
        effect: What they do together.
    """

    sources: tuple[int, ...]
    effect: AnswerEffect


@dataclass(kw_only=True)
class Measured:
    """Effects on each token of an answer, in nats; each step adds its own.

    Args:
        text: The answer and its sources.
        log_probs: The log-probability of each token with everything in the prompt.
        by_source: The effect of removing each source; −∞ where it was not removed by itself, so that it is
            never the strongest.
        without: That of removing all sources.
        groups: Sources that were removed together only; none of these groups has an effect that counts.
        by_sentence: For each source the effect of removing each of its sentences; 0 where none is measured.
        is_removed: For each source which of its sentences were removed by themselves.
        alone: How much each token rises with each source as the only one, compared with none; −∞ where it
            was not kept by itself. ``None`` where no source may replace another.
        sentence_alone: The same with one sentence as the only one, by source and sentence.
        kept: How much each token rises with one sentence of a source as the only one of it, compared with
            none of this source, by source and sentence.
        by_statement: The effect of removing each statement but the last one from what follows it.
        joint_source: For each statement the source that is removed with an earlier statement.
        joint: For each statement the effect of removing that source and the earlier statement.
        without_all: For each statement the effect of removing all sources and all that is before it.
        controls: The effects of other parts of the sources on a value, by its statement and its place there.
        repeated: What the values of earlier statements do to a value, where it may come from one of them.
    """

    text: AnswerText
    log_probs: AnswerEffect
    by_source: Float[np.ndarray, "sources answer"]
    without: AnswerEffect
    groups: tuple[SourceGroup, ...] = ()
    by_sentence: list[Float[np.ndarray, "sentences answer"]] = field(default_factory=list)
    is_removed: list[Bool[np.ndarray, " sentences"]] = field(default_factory=list)
    alone: Float[np.ndarray, "sources answer"] | None = None
    sentence_alone: dict[tuple[int, int], AnswerEffect] = field(default_factory=dict)
    kept: dict[tuple[int, int], AnswerEffect] = field(default_factory=dict)
    by_statement: Float[np.ndarray, "earlier answer"] = field(default_factory=lambda: np.zeros((0, 0)))
    joint_source: list[int] = field(default_factory=list)
    joint: list[AnswerEffect] = field(default_factory=list)
    without_all: Float[np.ndarray, "statements answer"] = field(default_factory=lambda: np.zeros((0, 0)))
    controls: dict[tuple[int, int], tuple[float, ...]] = field(default_factory=dict)
    repeated: dict[tuple[int, int], float] = field(default_factory=dict)

    @property
    def is_single(self) -> Bool[np.ndarray, " sources"]:
        """Which sources were removed by themselves."""
        return np.asarray(np.isfinite(self.by_source).all(axis=1))

    def shares(self) -> Float[np.ndarray, "statements sources"]:
        """Return what each source has of its group's effect on each statement; 0 where it is in no group."""
        shares = np.zeros((len(self.text.clauses), len(self.text.sources)))
        for group in self.groups:
            for number, clause in enumerate(self.text.clauses):
                shares[number, list(group.sources)] = total(group.effect, clause) / len(group.sources)
        return shares

    def strongest_source(self, number: int) -> int:
        """Return the source with the largest effect on a statement."""
        return int(total(self.by_source, self.text.clauses[number]).argmax())

    def earlier(self, number: int) -> int:
        """Return the earlier statement with the largest effect on a statement that is not the first."""
        return int(total(self.by_statement[:number], self.text.clauses[number]).argmax())


def total(effects: np.ndarray, words: Words) -> np.ndarray:
    """Return effects summed over the tokens of a statement or a value."""
    return effects[..., words.first : words.last].sum(-1)
