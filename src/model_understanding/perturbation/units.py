"""Units of a text that are removed together: tokens, words, sentences or windows."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.checks import one_of, whole_number
from model_understanding.tokens import Tokens

Unit = Literal["token", "word", "sentence", "window"]
PlainUnit = Literal["token", "word", "sentence"]
Units = tuple[tuple[int, ...], ...]


def check_unit(unit: str, *, window: int = 1, stride: int = 1, windows: bool = True) -> None:
    """Check a unit and the size of its windows.

    Args:
        unit: The unit.
        window: Tokens in a window.
        stride: Tokens from one window's start to the next.
        windows: Whether windows are allowed.

    Raises:
        InputError: The unit is unknown, or the stride is larger than the window and would skip tokens.
    """
    one_of(unit, "unit", get_args(Unit if windows else PlainUnit))
    whole_number(window, "window", example=3)
    whole_number(stride, "stride", most=window)


def units_of(tokens: Tokens, unit: str, *, window: int = 1, stride: int = 1) -> Units:
    """Return the positions of each unit; special and template tokens belong to none.

    Args:
        tokens: The tokens.
        unit: ``token``, ``word``, ``sentence`` or ``window``.
        window: Tokens in a window.
        stride: Tokens from one window's start to the next; the last window ends at the last token.

    Returns:
        The units, in reading order.

    >>> units_of(Tokens.from_pieces(["a", "b", "c"]), "window", window=2)
    ((0, 1), (1, 2))
    """
    content = np.flatnonzero(~tokens.special)
    if unit == "window":
        last = max(len(content) - window, 0)
        starts = [*range(0, last, stride), last]
        return tuple(tuple(int(p) for p in content[start : start + window]) for start in starts)
    groups = tokens.groups(unit)  # pyright: ignore[reportArgumentType]
    units = (tuple(position for position in group if not tokens.special[position]) for group in groups)
    return tuple(unit for unit in units if unit)


def membership(units: Units, tokens: int) -> Bool[np.ndarray, "units tokens"]:
    """Return which tokens belong to each unit."""
    is_member = np.zeros((len(units), tokens), dtype=bool)
    for index, unit in enumerate(units):
        is_member[index, list(unit)] = True
    return is_member


def token_scores(
    scores: Float[np.ndarray, "targets units"],
    units: Units,
    tokens: int,
    visible_length: Int[np.ndarray, " targets"] | None = None,
) -> Float[np.ndarray, "targets tokens"]:
    """Divide each unit's score equally among its tokens.

    This preserves the sum; a token in several windows gets the mean of its shares. Tokens in no unit, and
    tokens that are not visible to a target, get 0.

    Args:
        scores: Scores of the units.
        units: Positions of each unit.
        tokens: Number of tokens.
        visible_length: Number of leading tokens that each target can depend on; default: all.

    Returns:
        Scores of the tokens.

    >>> token_scores(np.array([[4.0, 1.0]]), ((0, 1), (2,)), 4)
    array([[2., 2., 1., 0.]])
    """
    lengths = np.full(len(scores), tokens) if visible_length is None else visible_length
    is_member = membership(units, tokens)
    result = np.zeros((len(scores), tokens))
    for length in np.unique(lengths):
        visible = (is_member & (np.arange(tokens) < length)).astype(float)
        share = visible / np.maximum(visible.sum(axis=1, keepdims=True), 1)
        result[lengths == length] = scores[lengths == length] @ share / np.maximum(visible.sum(axis=0), 1)
    return result
