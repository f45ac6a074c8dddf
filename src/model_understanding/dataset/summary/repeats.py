"""Which rows repeat the text of another one: they say nothing more about the model."""

from collections import Counter as Tally

from model_understanding.dataset.summary.reading import StoredRow

_MOST_KNOWN = 200_000  # different texts that are remembered; those after them count as different


class Repeats:
    """Tells rows that repeat a text from others, in bounded memory.

    Rows are alike if they have the same text, second text and answer.

    Args:
        by_label: Whether they must also have the same right class.
    """

    def __init__(self, *, by_label: bool = False) -> None:
        self._by_label = by_label
        self._known: set[int] = set()
        self._repeated: set[int] = set()
        self.texts: Tally[str | None] = Tally()
        """Different texts of each answer."""
        self.rows = 0
        """Rows that repeat a text of another one."""

    def is_new(self, row: StoredRow) -> bool:
        """Count a row; return whether its text is no repetition."""
        key = self._key(row)
        if key in self._known:
            self._repeated.add(key)
            self.rows += 1
            return False
        if len(self._known) < _MOST_KNOWN:
            self._known.add(key)
        self.texts[row.answer] += 1
        return True

    def key(self, row: StoredRow) -> int | None:
        """Return what rows with the text of this one have in common; ``None`` if there is no other one."""
        key = self._key(row)
        return key if key in self._repeated else None

    def _key(self, row: StoredRow) -> int:
        return hash((row.answer, row.text, row.pair, row.label if self._by_label else None))
