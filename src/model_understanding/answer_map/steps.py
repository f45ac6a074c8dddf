"""The steps that measure an answer: sources, their sentences, replacements, earlier statements, controls."""

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.answer_map.answer_text import AnswerText, Unit
from model_understanding.answer_map.measured import AnswerEffect, Measured, total
from model_understanding.answer_map.measuring import Effects, Mask
from model_understanding.answer_map.replacements import (
    is_unexplained,
    is_unexplained_by_sentences,
    least_alone,
    of_any,
    replacing,
)
from model_understanding.answer_map.screening import Screen
from model_understanding.answer_map.source_groups import (
    MOST_SOURCES,
    Groups,
    first_groups,
    measured_in_groups,
)
from model_understanding.answer_map.statements import Value, occurrences_of
from model_understanding.answer_map.verdicts import strongest_parts, value_of
from model_understanding.results.answer_map import CITED

DOCUMENTS = "Measuring the documents"
_HALVES = "Measuring documents of groups that have an effect"
_SENTENCES = "Measuring their sentences"
_REPLACEMENTS, _COPIES = "Keeping single documents", "Keeping single sentences"
_STATEMENTS, _OTHERS = "Measuring earlier statements", "Measuring controls"

_STRONGEST = 2  # sources of each statement whose sentences are removed
_CONTROLS = 3  # other parts of the sources that are removed for each one that counts


def measured_answer(text: AnswerText, effects: Effects, screen: Screen) -> Measured:
    """Return the effects of everything that an answer may come from.

    Args:
        text: The answer and its sources.
        effects: Removes tokens.
        screen: Estimates what sentences do.
    """
    steps = _Steps(text, effects, screen)
    steps.remove_sentences()
    steps.keep_single_sources()
    steps.keep_single_sentences()
    steps.remove_statements()
    steps.measure_controls()
    steps.measure_repetitions()
    return steps.measured


class _Steps:
    """One answer while it is measured; the sources come first."""

    def __init__(self, text: AnswerText, effects: Effects, screen: Screen) -> None:
        self._text, self._effects, self._screen = text, effects, screen
        self._all = self._joined(range(len(text.sources)))
        count = len(text.sources)
        strongest = screen.strongest_sources() if count > MOST_SOURCES else ()
        groups = first_groups(count, strongest)
        sources = measured_in_groups(count, groups, self._without_groups, self._counting)
        self.measured = Measured(
            text=text,
            log_probs=effects.removals.log_probs,
            by_source=sources.rows,
            groups=sources.groups,
            without=effects.of([self._all], DOCUMENTS)[0],
        )

    def _without_groups(self, groups: Sequence[Sequence[int]], halvings: int) -> Groups:
        """Return the effects of removing groups of sources; those of all sources are measured on the way."""
        masks = [self._joined(group) for group in groups]
        if halvings:
            return self._effects.of(masks, _HALVES)
        return self._effects.of([*masks, self._all], DOCUMENTS)[:-1]

    def _counting(self, _: Sequence[Sequence[int]], rows: Groups) -> Bool[np.ndarray, " groups"]:
        """Return which groups have an effect, or the largest one, on a statement or a value.

        Half of the effect that counts is enough, since effects of a group's sources may cancel each other.
        """
        sums = np.array([total(rows, words) for words in self._text.judged])
        is_largest = np.isin(np.arange(len(rows)), sums.argmax(axis=1))
        return is_largest | (np.abs(sums) >= CITED / 2).any(axis=0)

    def remove_sentences(self) -> None:
        """Remove the sentences of the strongest sources of each statement, and of the one of each value.

        The source of a value may oppose the rest of its statement.
        """
        by_source = self.measured.by_source
        chosen = {
            int(source)
            for clause in self._text.clauses
            for source in np.argsort(-total(by_source, clause), kind="stable")[:_STRONGEST]
        }
        of_values = [total(by_source, value) for clause in self._text.clauses for value in clause.values]
        chosen |= {int(effects.argmax()) for effects in of_values if effects.max() >= CITED}
        units = self._sentences_of(chosen)

        def measure(groups: Sequence[Sequence[int]], _: int) -> Groups:
            masks = [self._effects.mask(*(units[index].positions for index in group)) for group in groups]
            return self._effects.of(masks, _SENTENCES)

        first = self._screen.first_groups(units)
        effects = measured_in_groups(len(units), first, measure, self._counting).rows
        single = np.flatnonzero(np.isfinite(effects).all(axis=1))
        rows = _rows([units[index] for index in single], effects[single])
        # The only sentence of a source was removed with it.
        only = [source for source, sentences in enumerate(self._text.sentences) if len(sentences) == 1]
        rows |= {(source, 0): by_source[source] for source in only if self.measured.is_single[source]}
        none = np.zeros(len(self._text.answer))
        for source, sentences in enumerate(self._text.sentences):
            places = [(source, place) for place in range(len(sentences))]
            self.measured.is_removed.append(np.array([place in rows for place in places]))
            self.measured.by_sentence.append(np.array([rows.get(place, none) for place in places]))

    def keep_single_sources(self) -> None:
        """Keep each source alone where single ones do not explain what all do to a statement or a value.

        Sources replace each other where several explain it alone. Where none stands out, all of them may, or
        only that there are documents at all.
        """
        tested = [words for words in self._text.judged if is_unexplained(self.measured, words)]
        if not tested or len(self._text.sources) < 2:
            return
        measured, without, count = self.measured, self.measured.without, len(self._text.sources)
        singles: list[AnswerEffect] = []

        def alone(groups: Sequence[Sequence[int]], _: int) -> Groups:
            masks = [self._all & ~self._joined(group) for group in groups]
            return without - self._effects.of(masks, _REPLACEMENTS)

        def counting(groups: Sequence[Sequence[int]], rows: Groups) -> Bool[np.ndarray, " groups"]:
            singles.extend(row for group, row in zip(groups, rows, strict=True) if len(group) == 1)
            counts = np.zeros(len(rows), dtype=bool)
            for words in tested:
                least = least_alone(measured, words) + of_any(total(np.array(singles), words))
                counts |= total(rows, words) >= least
            return counts

        known = {*np.flatnonzero(measured.is_single).tolist(), 0, count // 2, count - 1}
        kept = measured_in_groups(count, first_groups(count, known), alone, counting)
        measured.alone = kept.rows
        self._remove_too(np.flatnonzero(np.isfinite(kept.rows).all(axis=1) & ~measured.is_single))
        keepers = {
            source
            for words in tested
            for source in replacing(measured, words)
            if len(self._text.sentences[source]) > 1
        }
        units = self._screen.shortlisted(self._sentences_of(keepers))
        masks = [self._all & ~self._effects.mask(unit.positions) for unit in units]
        measured.sentence_alone = _rows(units, without - self._effects.of(masks, _REPLACEMENTS))

    def _remove_too(self, sources: Int[np.ndarray, " some"]) -> None:
        """Remove sources by themselves that were only removed in a group, which had no effect that counts."""
        masks = [self._joined([source]) for source in sources.tolist()]
        self.measured.by_source[sources] = self._effects.of(masks, _REPLACEMENTS)

    def keep_single_sentences(self) -> None:
        """Keep each sentence of a source as its only one where single ones do not explain the source."""
        measured = self.measured
        tested = {
            source
            for words in self._text.judged
            for source in np.flatnonzero(total(measured.by_source, words) >= CITED).tolist()
            if source not in replacing(measured, words)
            and is_unexplained_by_sentences(measured, source, words)
        }
        units = self._screen.shortlisted(self._sentences_of(tested))
        masks = [
            self._effects.mask(self._text.sources[unit.source].positions)
            & ~self._effects.mask(unit.positions)
            for unit in units
        ]
        whole = measured.by_source[[unit.source for unit in units]]
        measured.kept = _rows(units, whole - self._effects.of(masks, _COPIES))

    def remove_statements(self) -> None:
        """Remove each statement from those after it, alone and together with sources."""
        text, measured = self._text, self.measured
        count, begin = len(text.clauses), text.prompt_length
        spans = [self._effects.mask(range(begin + each.first, begin + each.last)) for each in text.clauses]
        measured.by_statement = self._effects.of(spans[:-1], _STATEMENTS)
        measured.joint_source = [self._joint_source(number) for number in range(count)]
        before = [
            self._effects.mask(range(begin, begin + each.first))
            if text.follows(number)
            else self._effects.mask()
            for number, each in enumerate(text.clauses)
        ]
        joint = [
            self._effects.mask(text.sources[measured.joint_source[number]].positions)
            | spans[measured.earlier(number)]
            for number in range(1, count)
        ]
        everything = [self._all | mask for mask in before]
        rows = self._effects.of([*joint, *everything], _STATEMENTS)
        measured.joint = [np.zeros(len(text.answer)), *rows[: count - 1]]
        measured.without_all = rows[count - 1 :]

    def measure_controls(self) -> None:
        """Remove as much other text of the sources as the part with the largest effect on each value has."""
        wanted: dict[tuple[int, int], list[Mask]] = {}
        for number, place in self._text.values:
            value = self._value(number, place)
            wanted[number, place] = self._control_masks(*strongest_parts(self.measured, value))
        self._effects.of([mask for masks in wanted.values() for mask in masks], _OTHERS)
        for (number, place), masks in wanted.items():
            effects = total(self._effects.of(masks, _OTHERS), self._value(number, place))
            self.measured.controls[number, place] = tuple(effects.tolist())

    def measure_repetitions(self) -> None:
        """Remove only what earlier statements say, where a value seems to come from one of them.

        A whole statement also has an effect by its form: after “The river is 48 km long.”, any number is
        likelier in “The lake is 12 m deep.”
        """
        seeming = [key for key in self._text.values if value_of(self.measured, *key).origin == "answer"]
        said = [self._said_before(*key) for key in seeming]
        rows = self._effects.of([*said, *(self._all | mask for mask in said)], _STATEMENTS)
        alone, together = rows[: len(said)], rows[len(said) :]
        for key, by_itself, with_sources in zip(seeming, alone, together, strict=True):
            effect, joint, without = (
                float(total(row, self._value(*key)))
                for row in (by_itself, with_sources, self.measured.without)
            )
            self.measured.repeated[key] = max(effect, joint - max(without, 0.0))

    def _sentences_of(self, sources: Collection[int]) -> list[Unit]:
        return [unit for source in sorted(sources) for unit in self._text.sentences[source]]

    def _joined(self, sources: Sequence[int]) -> Mask:
        """Return the tokens of some sources."""
        return self._effects.mask(*(self._text.sources[source].positions for source in sources))

    def _value(self, number: int, place: int) -> Value:
        return self._text.clauses[number].values[place]

    def _joint_source(self, number: int) -> int:
        """Return the source that may replace an earlier statement: the strongest of this one, or of that."""
        strongest = self.measured.strongest_source(number)
        if number and float(total(self.measured.by_source[strongest], self._text.clauses[number])) < CITED:
            return self.measured.strongest_source(self.measured.earlier(number))
        return strongest

    def _said_before(self, number: int, place: int) -> Mask:
        """Return the values of what the answer says before a value, and the value's own words there."""
        text, before = self._text, self._text.clauses[number].first
        values = [
            range(text.prompt_length + first, text.prompt_length + last)
            for clause in text.said
            for _, first, last in clause.values
            if last <= before
        ]
        words = occurrences_of(self._value(number, place).text, text.answer, before)
        return self._effects.mask(*values, [text.prompt_length + position for position in words])

    def _control_masks(self, strongest: Unit, others: Sequence[Unit]) -> list[Mask]:
        """Return parts of the sources of a unit's length, evenly spaced, outside of what has an effect."""
        excluded = self._effects.mask(strongest.positions, *(unit.positions for unit in others))
        left = np.flatnonzero(self._all & ~excluded)
        length = len(strongest.positions)
        if not len(left):
            return []
        last = max(len(left) - length, 0)
        starts = sorted({round(last * part / (_CONTROLS - 1)) for part in range(_CONTROLS)})
        return [self._effects.mask(left[start : start + length]) for start in starts]


def _rows(
    units: Sequence[Unit], effects: Float[np.ndarray, "units answer"]
) -> dict[tuple[int, int], AnswerEffect]:
    """Return the effects of sentences by source and sentence."""
    return {
        (unit.source, unit.sentence): row
        for unit, row in zip(units, effects, strict=True)
        if unit.sentence is not None
    }
