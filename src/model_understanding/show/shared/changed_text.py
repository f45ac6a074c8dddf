"""A text into which a word was put, in pieces: what is before the word, the word, and what is after it."""

from model_understanding.results.dataset_summary import ChangedRow
from model_understanding.tokens import visible_text

_CUT = "…"


def changed_pieces(change: ChangedRow, around: int) -> tuple[str, str, str]:
    """Return what is before an inserted word, the word, and what is after it, on one line.

    Args:
        change: The row with the word.
        around: Most characters on each side.
    """
    text = change.text if change.segment == 0 else change.pair or ""
    before, word, after = text[: change.start], text[change.start : change.end], text[change.end :]
    if len(before) > around:
        before = _CUT + before[-around:]
    if len(after) > around:
        after = after[:around] + _CUT
    return _visible(before), _visible(word), _visible(after)


def _visible(text: str) -> str:
    flat = "".join(" " if character in "\n\t\r" else character for character in text)
    return visible_text(flat) if flat.strip(" ") else flat
