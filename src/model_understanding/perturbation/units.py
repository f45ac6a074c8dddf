"""What is removed together: tokens, words, sentences or windows, and how its score reaches its tokens."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.errors import InputError
from model_understanding.tokens import Tokens

Unit = Literal["token", "word", "sentence", "window"]
PlainUnit = Literal["token", "word", "sentence"]
Units = tuple[tuple[int, ...], ...]


def check_unit(unit: str, *, window: int = 1, stride: int = 1, windows: bool = True) -> None:
    """Raise InputError unless the unit is one that there is and its window makes sense.

    Args:
        unit: The unit.
        window: Tokens in a window.
        stride: Tokens from one window's start to the next.
        windows: Whether windows are allowed.

    Raises:
        InputError: The unit is unknown, or the windows would leave tokens out.
    """
    allowed = get_args(Unit if windows else PlainUnit)
    if unit not in allowed:
        raise InputError(
            f"Unit {unit!r} is unknown. Allowed: {', '.join(allowed)}.", hint="Use unit='token'."
        )
    if not 1 <= stride <= window:
        raise InputError(
            f"window={window} and stride={stride} do not fit: 1 ≤ stride ≤ window.",
            hint="Use for example window=3, stride=1.",
        )


def units_of(tokens: Tokens, unit: str, *, window: int = 1, stride: int = 1) -> Units:
    """Return the positions removed together; special and template tokens are in none.

    Args:
        tokens: The tokens.
        unit: ``token``, ``word``, ``sentence`` or ``window``.
        window: Tokens in a window.
        stride: Tokens from one window's start to the next; the last window ends at the last token.

    Returns:
        Units in reading order.

    >>> units_of(Tokens.from_pieces(["a", "b", "c"]), "window", window=2)
    ((0, 1), (1, 2))
    """
    content = np.flatnonzero(~tokens.special)
    if unit == "window":
        last = max(len(content) - window, 0)
        starts = [*range(0, last, stride), last]
        return tuple(tuple(int(p) for p in content[start : start + window]) for start in starts)
    groups = tokens.groups(unit)  # pyright: ignore[reportArgumentType]
    kept = (tuple(position for position in group if not tokens.special[position]) for group in groups)
    return tuple(group for group in kept if group)


def membership(units: Units, tokens: int) -> Bool[np.ndarray, "units tokens"]:
    """Return which tokens each unit holds."""
    member = np.zeros((len(units), tokens), dtype=bool)
    for number, unit in enumerate(units):
        member[number, list(unit)] = True
    return member


def shared(
    scores: Float[np.ndarray, "targets units"],
    units: Units,
    tokens: int,
    reach: Int[np.ndarray, " targets"] | None = None,
) -> Float[np.ndarray, "targets tokens"]:
    """Give each unit's score to its tokens.

    A unit's tokens share its score equally, so sums are kept; a token in several windows gets the mean
    of its shares. Tokens in no unit, and tokens where a target cannot look, get 0.

    Args:
        scores: A score for each unit.
        units: Positions of each unit.
        tokens: How many tokens there are.
        reach: How many of the first tokens each target can depend on; all where left out.

    Returns:
        A score for each token.

    >>> shared(np.array([[4.0, 1.0]]), ((0, 1), (2,)), 4)
    array([[2., 2., 1., 0.]])
    """
    limits = np.full(len(scores), tokens) if reach is None else reach
    member = membership(units, tokens)
    found = np.zeros((len(scores), tokens))
    for limit in np.unique(limits):
        within = (member & (np.arange(tokens) < limit)).astype(float)
        share = within / np.maximum(within.sum(axis=1, keepdims=True), 1)
        found[limits == limit] = scores[limits == limit] @ share / np.maximum(within.sum(axis=0), 1)
    return found
