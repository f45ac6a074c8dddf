"""What a reader must know about how a text was read, in sentences."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from model_understanding.pieces import is_blank
from model_understanding.tokens import Tokens, visible_text

_MOST_NAMED = 6  # tokens that a sentence lists


def cautions_about(tokens: Tokens, tokenizer: Any) -> tuple[str, ...]:
    """Return warnings about text that the model does not read as it is: unknown, dropped or without a place.

    Args:
        tokens: The tokens of a text.
        tokenizer: The tokenizer that read it.

    Returns:
        Up to three sentences.
    """
    cautions = []
    if tokens.unknown.any():
        cautions.append(_unknown_words(tokens, getattr(tokenizer, "unk_token", None) or "its unknown token"))
    starts, ends = tokens.offsets.T
    unplaced = [
        int(position)
        for position in np.flatnonzero((tokens.segments >= 0) & (starts == ends) & ~tokens.special)
        if not is_blank(tokens.pieces[position]) and not tokens.pieces[position].startswith("<id ")
    ]
    if unplaced:
        cautions.append(
            f"{len(unplaced)} of {int((~tokens.special).sum())} tokens {_are(unplaced)} not found in the "
            "text, which the tokenizer changes without reporting positions: they are shown as the "
            f"tokenizer's own pieces ({listed(tokens.select(unplaced).surfaces())})."
        )
    elif dropped := _dropped(tokens):
        cautions.append(f"The tokenizer drops {listed(dropped)}: the model does not read this text.")
    return tuple(cautions)


def _unknown_words(tokens: Tokens, name: str) -> str:
    """Return the sentence about words that the tokenizer does not know.

    Args:
        tokens: The tokens of a text.
        name: The unknown token.
    """
    if not any(np.ptp(tokens.offsets[position]) for position in np.flatnonzero(tokens.unknown)):
        count = int(tokens.unknown.sum())
        verb = "is" if count == 1 else "are"
        return f"{count} of {len(tokens)} tokens {verb} {name}, which stands for no particular text."
    words = [group for group in tokens.groups("word") if not tokens.special[list(group)].all()]
    unknown = [group for group in words if tokens.unknown[list(group)].any()]
    counted = [
        group
        for group in words
        if group in unknown or any(map(str.isalnum, "".join(tokens.fold([group]).surfaces())))
    ]
    is_whole = all(tokens.unknown[list(group)].all() for group in unknown)
    placed = [group for group in unknown if np.ptp(tokens.offsets[list(group)])]
    texts = [text.strip() for text in tokens.fold(placed).surfaces()] if placed else []
    one = len(unknown) == 1
    subject = f"{len(unknown)} of {len(counted)} words"
    if is_whole:
        start = f"{subject} {'is' if one else 'are'} unknown to the tokenizer and became {name}"
    else:
        start = f"{subject} {'has' if one else 'have'} parts unknown to the tokenizer that became {name}"
    distinct = len(set(texts)) > 1
    end = "; the model cannot tell them apart" if distinct and is_whole else ""
    return f"{start}{f': {listed(texts)}' if texts else ''}{end}."


def _dropped(tokens: Tokens) -> list[str]:
    """Return the visible text that no token covers."""
    dropped = []
    for segment, text in enumerate(tokens.texts):
        spans = sorted(tokens.offsets[tokens.segments == segment].tolist())
        gaps, reached = [], 0
        for start, end in spans:
            if start < end:
                gaps.append(text[reached:start])
                reached = max(reached, end)
        if reached:
            gaps.append(text[reached:])
            dropped += [part for gap in gaps for part in gap.split() if any(map(_is_visible, part))]
    return dropped


def _is_visible(character: str) -> bool:
    """Return whether a character is a letter, number, punctuation or symbol; accents and blanks are not."""
    return unicodedata.category(character)[0] in "LNPS"


def listed(texts: Sequence[str]) -> str:
    """Return the first few texts in quotes, as in ``'a', 'b' and 3 more``."""
    named = [f"'{visible_text(text)}'" for text in dict.fromkeys(texts)]
    more = len(named) - _MOST_NAMED
    return ", ".join(named[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _are(items: Sequence[int] | np.ndarray) -> str:
    return "is" if len(items) == 1 else "are"
