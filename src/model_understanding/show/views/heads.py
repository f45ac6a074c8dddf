"""Attention heads in the order of a score."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from model_understanding.results import AttentionMap, HeadScores, RankedHead
from model_understanding.show.shared.words import (
    format_entry,
    format_number,
    format_percent,
    printable,
    stack_name,
)

_KEYS = 2  # keys with the largest mean weight that are listed


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRow:
    """A head in a ranking.

    Args:
        rank: Its rank, from 1.
        layer: Index of the layer.
        head: Index of the head.
        score: Its score as text, with a plus sign if it is positive and signs have a meaning.
        strength: Its score as a part of the longest bar, from −1 to 1.
        keys: The keys that it attends most to on average, each with its weight; empty if they are not known.
    """

    rank: int
    layer: int
    head: int
    score: str
    strength: float
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadsView:
    """Heads in the order of a score.

    Args:
        by: Name of the score.
        meaning: What a high score means; empty if it is not known.
        signed: Whether the sign of a score has a meaning.
        rows: The heads, those with the largest scores first.
        omitted: Number of heads that are not listed.
    """

    by: str
    meaning: str
    signed: bool
    rows: tuple[HeadRow, ...]
    omitted: int


def ranked_heads(attention: AttentionMap, meaning: str = "", max_score: float | None = None) -> HeadsView:
    """Return the ranking of a map, with the keys that each head attends most to.

    Args:
        attention: A map with a ranking.
        meaning: What a high score means.
        max_score: Score of the longest bar; by default the largest score.
    """
    folded = attention.folded("character")
    labels = folded.keys.labels()
    format_weight = format_percent if attention.is_attention else format_number

    def keys_of(ranked: RankedHead) -> tuple[str, ...]:
        weights = np.abs(folded.matrix(ranked.layer, ranked.head)).mean(axis=0)
        keys = [key for key in np.argsort(-weights, kind="stable")[:_KEYS] if weights[key] > 0]
        return tuple(format_entry(labels[key], format_weight(float(weights[key]))) for key in keys)

    signed = any(ranked.score < 0 for ranked in attention.ranking)
    keys = [keys_of(ranked) for ranked in attention.ranking]
    return _view(attention.ranking, keys, signed, meaning, max_score)


def scored_heads(scores: HeadScores, count: int = 5, index: int = 0) -> HeadsView:
    """Return the heads with the largest score, by default the first, which measures their effect if one does.

    Args:
        scores: The scores of all heads.
        count: Maximum number of heads.
        index: Index of the score.
    """
    ranking = scores.ranking(scores.names[index])
    listed, meaning = ranking[:count], scores.meanings[index]
    view = _view(listed, [()] * len(listed), scores.signed[index], meaning, None, len(ranking) - len(listed))
    return view if scores.stack is None else replace(view, by=f"{view.by} ({stack_name(scores.stack)})")


def _view(
    ranking: Sequence[RankedHead],
    keys: Sequence[tuple[str, ...]],
    signed: bool,
    meaning: str,
    max_score: float | None,
    omitted: int = 0,
) -> HeadsView:
    peak = max_score or max((abs(ranked.score) for ranked in ranking), default=0) or 1.0
    return HeadsView(
        by=printable(ranking[0].by) if ranking else "",
        meaning=printable(meaning, 200),
        signed=signed,
        rows=tuple(
            HeadRow(
                rank=rank,
                layer=layer,
                head=head,
                score=("+" if signed and score > 0 else "") + format_number(score),
                strength=min(max(score / peak, -1.0), 1.0),
                keys=listed,
            )
            for rank, ((layer, head, score), listed) in enumerate(zip(ranking, keys, strict=True), 1)
        ),
        omitted=omitted,
    )
