"""A text that its user has split into words."""

from typing import Any


class Words(tuple[str, ...]):
    """A text that is split into words already, as a treebank or a tagger gives it.

    The tokenizer gets the words with ``is_split_into_words=True``, and each token belongs to the word that
    it comes from. A list of two or more such texts can also be a list of lists of words.

    >>> Words(["New", "York", "'s"])
    Words(['New', 'York', "'s"])
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Words({list(self)!r})"

    @property
    def text(self) -> str:
        """The words, joined by spaces: the text that views show."""
        return " ".join(self)

    def starts(self) -> list[int]:
        """Return the position of each word in the text."""
        lengths = [len(word) + 1 for word in self]
        return [sum(lengths[:index]) for index in range(len(self))]


def words_or_text(value: Any) -> Any:
    """Return a list of words in a list of texts as ``Words``; anything else as it is."""
    is_words = isinstance(value, list) and bool(value) and all(isinstance(word, str) for word in value)
    return Words(value) if is_words else value
