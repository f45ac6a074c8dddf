"""The sources that a statement is attributed to, and the sentence of each, from what was measured."""

from collections.abc import Sequence

import numpy as np

from model_understanding.answer_map.answer_text import Words
from model_understanding.answer_map.measured import Measured, total
from model_understanding.answer_map.replacements import REPLACED, first_copies, replacing
from model_understanding.answer_map.statements import Clause
from model_understanding.results.answer_map import CITED, SourceEffect, StatedValue


def attributed_sources(
    measured: Measured, number: int, values: Sequence[StatedValue]
) -> tuple[SourceEffect, ...]:
    """Return the sources of a statement: those of its values, and those without which it drops.

    Args:
        measured: All that was measured.
        number: Index of the statement.
        values: The statement's values with their verdicts.
    """
    clause = measured.text.clauses[number]
    effects = total(measured.by_source, clause)
    replaced = replacing_in(measured, clause, values)
    of_values = {value.source for value in values if value.origin == "sources"}
    chosen = {int(i) for i in np.flatnonzero(effects >= CITED)} | of_values | set(replaced)
    alone = None if measured.alone is None else total(measured.alone, clause)

    def strength(source: int) -> float:
        by_itself = -np.inf if alone is None or source not in replaced else float(alone[source])
        return max(float(effects[source]), by_itself)

    found = []
    for source in sorted(chosen, key=lambda source: -strength(source)):
        said = _said_by(measured, source, clause, values)
        copies = first_copies(measured, source, said)
        place = copies[0] if copies else _named_sentence(measured, source, said, replaces=source in replaced)
        is_removed = place is not None and measured.is_removed[source][place]
        by_sentence = float(total(measured.by_sentence[source], clause)[place]) if is_removed else None
        found.append(
            SourceEffect(
                source=source,
                effect=float(effects[source]),
                sentence=place,
                sentence_effect=by_sentence,
                alone=float(alone[source]) if alone is not None and source in replaced else None,
                copies=tuple(copies),
            )
        )
    return tuple(found)


def replacing_in(measured: Measured, clause: Clause, values: Sequence[StatedValue]) -> list[int]:
    """Return the sources that replace each other for a value that comes from them, else for the statement.

    The rest of a statement may be likelier after any text of its form.
    """
    clear = [value for value, stated in zip(clause.values, values, strict=True) if stated.origin == "sources"]
    judged = clear or [clause]
    return list(dict.fromkeys(source for words in judged for source in replacing(measured, words)))


def _said_by(measured: Measured, source: int, clause: Clause, values: Sequence[StatedValue]) -> list[Words]:
    """Return the values of a statement that come from a source, the strongest first, else the statement.

    The sentence that says a value may not be the one that the rest of the statement depends on: “It
    opened in 1954.” stands behind one that names what opened.
    """
    found = [
        (stated.effect, value)
        for value, stated in zip(clause.values, values, strict=True)
        if stated.origin == "sources"
        and (
            source in (stated.source, *replacing(measured, value))
            or total(measured.by_source[source], value) >= CITED
        )
    ]
    return [value for _, value in sorted(found, key=lambda pair: -pair[0])] or [clause]


def _named_sentence(measured: Measured, source: int, said: Sequence[Words], *, replaces: bool) -> int | None:
    """Return the sentence of a source that says some words of a statement, where there is a clear one."""

    def together(effects: np.ndarray) -> np.ndarray:
        return np.sum([total(effects, words) for words in said], axis=0)

    count, is_removed = len(measured.text.sentences[source]), measured.is_removed[source]
    if replaces:
        alone = measured.sentence_alone
        kept = [place for place in range(count) if (source, place) in alone]
        if not kept:
            return 0 if count == 1 else None
        sums = np.array([together(alone[source, place]) for place in kept])
        assert measured.alone is not None
        is_clear = sums.max() >= min(CITED, REPLACED * float(together(measured.alone[source])))
        return kept[int(sums.argmax())] if count == 1 or is_clear else None
    if not is_removed.any():
        return None
    sums = np.where(is_removed, together(measured.by_sentence[source]), -np.inf)
    # A title says which source it is, also to the model; what the source says stands below it.
    is_title = np.array([measured.text.sources[source].is_title(place) for place in range(count)])
    below = np.where(is_title, -np.inf, sums)
    best = int((below if below.max() >= CITED else sums).argmax())
    is_clear = sums[best] >= min(CITED, REPLACED * float(together(measured.by_source[source])))
    return best if count == 1 or is_clear else None
