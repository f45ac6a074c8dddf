"""Windows over a text pair that is longer than its model allows: one text whole, spans of the other."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from model_understanding.errors import InputError
from model_understanding.tokens import Tokens


class Window(NamedTuple):
    """A pair with a span of its long text.

    Args:
        tokens: Its tokens; their places are those in the whole texts.
        inputs: The tokenizer's inputs for them.
        span: Which tokens of the long text it has, counted from the first of these.
    """

    tokens: Tokens
    inputs: dict[str, list[int]]
    span: range


def windows_of(
    tokens: Tokens, inputs: Mapping[str, Sequence[int]], segment: int, limit: int, overlap: int
) -> list[Window]:
    """Return windows over one text of a pair, each with the other text and the special tokens.

    They are those of a tokenizer that truncates this text and returns what overflows.

    Args:
        tokens: The pair.
        inputs: The tokenizer's inputs for it.
        segment: The long text.
        limit: Most tokens of a window.
        overlap: Tokens that neighboring windows share.

    Returns:
        The windows, in the order of the text; a single one if the pair is short enough.

    Raises:
        InputError: What stands beside the text leaves no room for more than the overlap.
    """
    own = np.flatnonzero(tokens.segments == segment)
    if len(tokens) <= limit:
        return [_window(tokens, inputs, range(len(tokens)), range(len(own)))]
    room = limit - (len(tokens) - len(own))
    if room < 1:
        raise InputError(
            f"The question alone leaves no room for the context: with the special tokens it has "
            f"{len(tokens) - len(own)} tokens, and {limit} are read at a time.",
            hint="Pass a shorter question.",
        )
    if room <= overlap:
        raise InputError(
            f"The context has {len(own)} tokens, of which {room} fit beside the question at a time (of "
            f"{limit} tokens in all); neighboring windows share {overlap}, so that they would not advance.",
            hint=f"Pass a shorter question{', or a smaller doc_stride' if room > 1 else ''}.",
        )
    first, last = int(own[0]), int(own[-1])
    windows = []
    for start in range(0, len(own), room - overlap):
        span = range(start, min(start + room, len(own)))
        positions = [*range(first), *(first + offset for offset in span), *range(last + 1, len(tokens))]
        windows.append(_window(tokens, inputs, positions, span))
        if span.stop == len(own):
            break
    return windows


def _window(
    tokens: Tokens, inputs: Mapping[str, Sequence[int]], positions: Sequence[int], span: range
) -> Window:
    chosen = {name: [values[position] for position in positions] for name, values in inputs.items()}
    return Window(tokens.select(positions), chosen, span)
