"""Sources and sentences that replace each other: each alone explains what none of them does by itself."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from model_understanding.answer_map.answer_text import Words
from model_understanding.answer_map.measured import Measured, total
from model_understanding.answer_map.statements import Clause, Value
from model_understanding.results.answer_map import CITED

REPLACED = 0.5
"""Share of the joint effect that single parts explain where none replaces another."""


def is_unexplained(measured: Measured, words: Words) -> bool:
    """Return whether single sources do not explain what all of them do to some words."""
    joint = float(total(measured.without, words))
    grouped = [source for group in measured.groups for source in group.sources]
    singles = float(np.maximum(np.delete(total(measured.by_source, words), grouped), 0).sum())
    singles += sum(max(float(total(group.effect, words)), 0.0) for group in measured.groups)
    return joint >= CITED and singles < REPLACED * joint


def is_unexplained_by_sentences(measured: Measured, source: int, words: Words) -> bool:
    """Return whether single sentences of a source do not explain what it does to some words."""
    if measured.is_removed[source].sum() < 2:
        return False
    singles = float(np.maximum(total(measured.by_sentence[source], words), 0).sum())
    return singles < REPLACED * float(total(measured.by_source[source], words))


def explaining(measured: Measured, words: Words) -> list[int] | None:
    """Return the sources of which each alone explains some words, beyond what any source does.

    ``None`` where single sources explain them, so that none was kept alone for them.
    """
    if measured.alone is None or not is_unexplained(measured, words):
        return None
    sums = total(measured.alone, words)
    above = sums - any_alone(measured, words)
    least = least_alone(measured, words)
    return [int(i) for i in np.argsort(-sums, kind="stable") if above[i] >= least]


def replacing(measured: Measured, words: Words) -> list[int]:
    """Return the sources of which each alone explains some words, if several do."""
    found = explaining(measured, words) or []
    return found if len(found) > 1 else []


def least_alone(measured: Measured, words: Words) -> float:
    """Return how much a source does to some words alone, beyond what any does, if it explains them."""
    return max(CITED, REPLACED * float(total(measured.without, words)))


def any_alone(measured: Measured, words: Words) -> float:
    """Return what any source does to some words alone, whatever it says."""
    assert measured.alone is not None
    alone = total(measured.alone, words)
    return of_any(alone[np.isfinite(alone)])


def of_any(alone: Float[np.ndarray, " parts"]) -> float:
    """Return what any part does alone, whatever it says; with two parts nothing tells it."""
    return max(float(alone.min()), 0.0) if len(alone) > 2 else 0.0


def copies(measured: Measured, source: int, words: Words) -> list[int]:
    """Return the sentences of a source of which each explains some words alone, if several do."""
    if source in replacing(measured, words):
        assert measured.alone is not None
        rows, whole = measured.sentence_alone, float(total(measured.alone[source], words))
    elif is_unexplained_by_sentences(measured, source, words):
        rows, whole = measured.kept, float(total(measured.by_source[source], words))
    else:
        return []
    places = [place for place in range(len(measured.text.sentences[source])) if (source, place) in rows]
    if len(places) < 2:
        return []
    sums = np.array([float(total(rows[source, place], words)) for place in places])
    above = sums - of_any(sums)
    order = np.argsort(-sums, kind="stable")
    # A sentence alone may do more than its whole source; the form of any sentence then explains half of that.
    least = max(CITED, REPLACED * max(whole, float(above.max())))
    found = [places[i] for i in order if above[i] >= least]
    return found if len(found) > 1 else []


def first_copies(measured: Measured, source: int, said: Sequence[Words]) -> list[int]:
    """Return the copies of the first of some words that has any."""
    return next(filter(None, (copies(measured, source, words) for words in said)), [])


def is_undecided(measured: Measured, value: Value, clause: Clause) -> bool:
    """Return whether all sources together matter to a value, and it is not known which.

    What any document does to it, whatever it says, is not what one of them says.
    """
    without = float(total(measured.without, value))
    if measured.alone is None or without < CITED:
        return False
    if explaining(measured, clause) == []:
        return True
    is_tested = explaining(measured, value) is not None and not replacing(measured, value)
    return is_tested and without - any_alone(measured, value) >= CITED
