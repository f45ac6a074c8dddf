"""The units of a text that views show: visible characters, words or sentences."""

from collections.abc import Sequence
from itertools import pairwise

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


def unit_groups(
    tokens: Tokens, level: Level, valid: Sequence[bool] | None = None
) -> tuple[tuple[int, ...], ...]:
    """Return the tokens of each unit at a level, joined where a visible character would be split.

    Args:
        tokens: The tokens.
        level: ``token``, ``character``, ``word`` or ``sentence``.
        valid: Which tokens have a score, to divide words and sentences where scores end: of a word that the
            model is just writing, only the tokens before the target have one, and no unit should be named by
            text that has none.
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
    if valid is None:
        return tuple(groups)
    return tuple(part for group in groups for part in _divided(group, starts, valid))


def _divided(group: Sequence[int], starts: set[int], valid: Sequence[bool]) -> list[tuple[int, ...]]:
    cuts = [after for before, after in pairwise(group) if valid[before] != valid[after] and after in starts]
    edges = [group[0], *cuts, group[-1] + 1]
    return [tuple(range(start, end)) for start, end in pairwise(edges)]
