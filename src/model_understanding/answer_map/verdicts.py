"""Where values and statements of an answer come from, concluded from what was measured."""

from collections.abc import Sequence

import numpy as np

from model_understanding.answer_map.answer_text import Unit
from model_understanding.answer_map.attributed import attributed_sources, replacing_in
from model_understanding.answer_map.measured import Measured, total
from model_understanding.answer_map.replacements import any_alone, is_undecided, replacing
from model_understanding.answer_map.statements import Value
from model_understanding.results.answer_map import CITED, CLEAR, Origin, StatedValue, Statement

_BEST_FIRST: tuple[Origin, ...] = ("sources", "answer", "unclear", "nothing")


def statement_of(measured: Measured, number: int) -> Statement:
    """Return a statement with its verdict and its sources.

    Args:
        measured: All that was measured.
        number: Index of the statement.
    """
    clause = measured.text.clauses[number]
    values = tuple(value_of(measured, number, place) for place in range(len(clause.values)))
    origins: list[Origin] = [value.origin for value in values]
    earlier = measured.earlier(number) if number else None
    return Statement(
        text=clause.text,
        first=clause.first,
        last=clause.last,
        log_prob=float(total(measured.log_probs, clause)),
        origin=min(origins, key=_BEST_FIRST.index) if origins else "question",
        sources=attributed_sources(measured, number, values),
        values=values,
        without_sources=float(total(measured.without, clause)),
        is_redundant=bool(replacing_in(measured, clause, values)),
        earlier=earlier,
        earlier_effect=0.0 if earlier is None else float(total(measured.by_statement[earlier], clause)),
        joint_effect=float(total(measured.joint[number], clause)),
        joint_source=measured.joint_source[number] if number else None,
        without_all=float(total(measured.without_all[number], clause)),
    )


def value_of(measured: Measured, number: int, place: int) -> StatedValue:
    """Return a value of a statement with its verdict.

    Args:
        measured: All that was measured; what repeats the value may be missing.
        number: Index of the statement.
        place: Index of the value in it.
    """
    clause = measured.text.clauses[number]
    value = clause.values[place]
    strongest, _ = strongest_parts(measured, value)
    effect = float(total(measured.by_source, value)[strongest.source])
    if strongest.sentence is not None:
        of_sentence = measured.by_sentence[strongest.source][strongest.sentence]
        effect = max(effect, float(total(of_sentence, value)))
    controls = measured.controls[number, place]
    source, control = strongest.source, max((0.0, *controls))
    if measured.alone is not None and (replacing(measured, value) or replacing(measured, clause)):
        alone = total(measured.alone, value)
        by_any = any_alone(measured, value)
        if float(alone.max()) - by_any > effect - control:
            source, effect, control = int(alone.argmax()), float(alone.max()), by_any
    without = float(total(measured.without, value))
    without_all = float(total(measured.without_all[number], value))
    earlier = 0.0
    if measured.text.follows(number):
        by_earlier = float(total(measured.by_statement[:number], value).max(initial=0.0))
        earlier = max(by_earlier, without_all - max(without, 0.0))
    return StatedValue(
        text=value.text,
        first=value.first,
        last=value.last,
        effect=effect,
        control=control,
        source=source,
        without_sources=without,
        without_all=without_all,
        controls=controls,
        origin=_origin(
            effect - control,
            min(earlier, measured.repeated.get((number, place), earlier)),
            is_undecided=is_undecided(measured, value, clause),
        ),
    )


def strongest_parts(measured: Measured, value: Value) -> tuple[Unit, Sequence[Unit]]:
    """Return the part of the sources with the largest effect on a value, and all that have one.

    A part is a sentence where one of its source has an effect that counts, else the source.
    """
    found: list[tuple[float, Unit]] = []
    for index, source in enumerate(measured.text.sources):
        whole = float(total(measured.by_source[index], value))
        sentences = total(measured.by_sentence[index], value)
        strongest = int(sentences.argmax())
        for place in np.flatnonzero(sentences >= CITED):
            # The strongest sentence stands for its source, whose effect may be larger.
            size = max(float(sentences[place]), whole) if place == strongest else float(sentences[place])
            found.append((size, measured.text.sentences[index][place]))
        if sentences[strongest] < CITED:
            found.append((whole, Unit(index, None, source.positions)))
    strongest_part = max(found, key=lambda part: part[0])[1]
    return strongest_part, [unit for effect, unit in found if effect >= CITED]


def _origin(margin: float, earlier: float, *, is_undecided: bool) -> Origin:
    """Return where a value comes from.

    Args:
        margin: Its largest effect above the controls.
        earlier: What earlier statements do to it.
        is_undecided: Whether all sources together matter to it, and it is not known which.
    """
    if margin >= CLEAR:
        return "sources"
    if earlier >= CLEAR:
        return "answer"
    return "unclear" if margin >= CITED or is_undecided else "nothing"
