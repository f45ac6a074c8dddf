"""How words, classes and counts of data sets are written in sentences."""

from model_understanding.show.shared.words import printable

LEVEL = 0.05  # of an adjusted p-value
LABEL, _WORD = 40, 30  # characters


def counted(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def short(label: str | None, length: int = LABEL) -> str:
    """Return a class so that it fits in a sentence."""
    return printable(str(label), length)


def in_quotes(word: str) -> str:
    """Return a word in quotation marks, so that it fits in a sentence."""
    return f"“{printable(word, _WORD)}”"
