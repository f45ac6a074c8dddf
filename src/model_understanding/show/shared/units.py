"""The units of a text that views show: visible characters, words or sentences."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from model_understanding.results import Attribution
from model_understanding.tokens import Level, Tokens

MAX_TOKENS_AS_WORDS = 150
"""Tokens of a text, special ones excluded, above which sentences are shown first."""
_MIN_SENTENCES = 5  # of a long text; fewer would say nothing


def default_level(tokens: Tokens) -> Level:
    """Return the level at which a text is shown first: words, or the sentences of a long text."""
    if int((~tokens.special).sum()) <= MAX_TOKENS_AS_WORDS:
        return "word"
    sentences = sum(not tokens.special[group[0]] for group in tokens.groups("sentence"))
    return "sentence" if sentences >= _MIN_SENTENCES else "word"


def unit_groups(tokens: Tokens, level: Level) -> tuple[tuple[int, ...], ...]:
    """Return the tokens of each unit at a level, joined where a visible character would be split.

    Args:
        tokens: The tokens.
        level: ``token``, ``character``, ``word`` or ``sentence``.
    """
    if level in ("token", "character"):
        return tokens.groups(level)
    starts = {group[0] for group in tokens.groups("character")}
    groups: list[tuple[int, ...]] = []
    for group in tokens.groups(level):
        if groups and group[0] not in starts:
            groups[-1] += group
        else:
            groups.append(group)
    return tuple(groups)


class TextUnits:
    """The units of a text at one level with their labels, prepared once for many maps over the text.

    Args:
        tokens: The tokens.
        level: ``token``, ``character``, ``word`` or ``sentence``.
    """

    def __init__(self, tokens: Tokens, level: Level) -> None:
        self._tokens = tokens
        self._groups = unit_groups(tokens, level)
        self._characters = {group[0] for group in tokens.groups("character")}
        self._labels: dict[tuple[int, ...], str] = {}

    def groups(self, valid: np.ndarray) -> tuple[tuple[int, ...], ...]:
        """Return the tokens of each unit, divided where the scores of a map end.

        Of a word that the model is just writing, only the tokens before the target have a score, and no unit
        should be named by text that has none. Visible characters are not divided.

        Args:
            valid: Which tokens have a score, shape ``(T,)``; ``(N, T)`` to divide for N maps at once.
        """
        rows = np.atleast_2d(valid)
        ends = np.flatnonzero((rows[:, 1:] != rows[:, :-1]).any(axis=0)) + 1
        cuts = {int(end) for end in ends} & self._characters
        if not cuts:
            return self._groups
        return tuple(part for group in self._groups for part in _divided(group, cuts))

    def label(self, group: tuple[int, ...]) -> str:
        """Return the label of a unit."""
        if not self._labels:
            self._labels = dict(zip(self._groups, self._tokens.fold(self._groups).labels(), strict=True))
        if group not in self._labels:
            (self._labels[group],) = self._tokens.fold([group]).labels()
        return self._labels[group]


def unit_scores(
    attribution: Attribution, row: int, groups: Sequence[Sequence[int]]
) -> Float[np.ndarray, " units"]:
    """Return the scores of one target joined over groups of neighbors, as ``Attribution.joined`` does.

    Args:
        attribution: The attribution.
        row: Index of the target.
        groups: The tokens of each unit, in reading order; every token belongs to one.
    """
    values = attribution.scores[row].astype(np.float64)
    starts = [group[0] for group in groups]
    norm = "l1" if attribution.signed else attribution.parameters.get("norm", "l2")
    if norm == "l2":
        scores = np.sqrt(np.add.reduceat(values**2, starts))
    else:
        scores = (np.maximum if norm == "max" else np.add).reduceat(values, starts)
    return scores.astype(np.float32).astype(np.float64)


def _divided(group: tuple[int, ...], cuts: set[int]) -> list[tuple[int, ...]]:
    if len(group) == 1:
        return [group]
    edges = [group[0], *(token for token in group[1:] if token in cuts), group[-1] + 1]
    return [tuple(range(start, end)) for start, end in pairwise(edges)]
