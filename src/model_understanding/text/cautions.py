"""What a reader must know about how a text was read, in sentences."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_understanding.pieces import is_blank
from model_understanding.tokens import Tokens

_MOST_NAMED = 6  # tokens that a sentence lists


def cautions_about(tokens: Tokens, tokenizer: Any) -> tuple[str, ...]:
    """Return warnings about tokens that the tokenizer does not know or that have no place in the text.

    Args:
        tokens: The tokens of a text.
        tokenizer: The tokenizer that read it.

    Returns:
        No, one or two sentences.
    """
    cautions = []
    ordinary = int((~tokens.special).sum())
    starts, ends = tokens.offsets.T
    unknown = np.flatnonzero(tokens.unknown)
    if len(unknown):
        name = getattr(tokenizer, "unk_token", None) or "its unknown token"
        texts = listed(tokens.select(unknown[ends[unknown] > starts[unknown]]).surfaces())
        cautions.append(
            f"{len(unknown)} of {ordinary} tokens {_are(unknown)} unknown to the tokenizer: the model reads "
            f"{name}{f' in place of {texts}' if texts else ''}"
            f"{', and cannot distinguish them' if len(unknown) > 1 else ''}."
        )
    unplaced = [
        int(position)
        for position in np.flatnonzero((tokens.segments >= 0) & (starts == ends) & ~tokens.special)
        if not is_blank(tokens.pieces[position]) and not tokens.pieces[position].startswith("<id ")
    ]
    if unplaced:
        cautions.append(
            f"{len(unplaced)} of {ordinary} tokens {_are(unplaced)} not found in the text, which the "
            f"tokenizer changes without reporting positions: they are shown as the tokenizer's own pieces "
            f"({listed(tokens.select(unplaced).surfaces())})."
        )
    return tuple(cautions)


def listed(texts: Sequence[str]) -> str:
    """Return the first few texts in quotes, as in ``'a', 'b' and 3 more``."""
    named = [repr(text) for text in dict.fromkeys(texts)]
    more = len(named) - _MOST_NAMED
    return ", ".join(named[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _are(items: Sequence[int] | np.ndarray) -> str:
    return "is" if len(items) == 1 else "are"
