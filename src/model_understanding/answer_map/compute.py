"""The steps of an answer map: sources, their sentences, replacements, earlier statements, controls."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from model_understanding.answer_map.first_order import first_order_cost, first_order_effects
from model_understanding.answer_map.measuring import Effects, Follow, Mask, unfollowed
from model_understanding.answer_map.prompt import SourcedPrompt, without_headings
from model_understanding.answer_map.removal import HiddenTokens, removals_of
from model_understanding.answer_map.shortlist import MOST_SENTENCES, groups_of, shortlist
from model_understanding.answer_map.source_tokens import control_tokens_caution, sources_of, text_outside
from model_understanding.answer_map.statements import Clause, Value, clauses_of, occurrences_of
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.model.causality import is_causal
from model_understanding.model.model import Model
from model_understanding.model.prefixes import read_in_one_pass
from model_understanding.results import AnswerMap, Target
from model_understanding.results.answer_map import (
    CITED,
    CLEAR,
    Origin,
    SourceEffect,
    StatedValue,
    Statement,
)
from model_understanding.text.encoding import Encoding

_STRONGEST = 2  # sources of each statement whose sentences are removed
_REPLACED = 0.5  # share of the drop without all sources that single ones explain where none replaces another
_CONTROLS = 3  # other parts of the sources that are removed for each one that counts
_MOST_LISTED = 8  # skipped files that a warning names
_NO_CONTROL = (
    "The sources have no other text to remove as a control for statement{} {}; only the effect of the source "
    "itself counts there."
)
_DELETED = (
    "{} has no cache of keys and values whose positions can be hidden, so sources were deleted from the "
    "prompt: what follows them moves up."
)


Words = Clause | Value
"""Tokens of the answer: a statement, or a value of one."""

DOCUMENTS = "Measuring the documents"
_SCREEN, _SENTENCES = "Screening their sentences", "Measuring their sentences"
_REPLACEMENTS, _COPIES = "Keeping single documents", "Keeping single sentences"
_STATEMENTS, _OTHERS = "Measuring earlier statements", "Measuring controls"
_DELETING = "Confirming by deletion"


@dataclass(frozen=True, slots=True)
class _Unit:
    """What was removed by itself: a source, or one of its sentences."""

    source: int
    sentence: int | None
    positions: Int[np.ndarray, " tokens"]


def mapped_answer(
    model: Model,
    encoding: Encoding,
    prompt: SourcedPrompt,
    *,
    given: bool,
    target: Target | None = None,
    follow: Follow = unfollowed,
) -> AnswerMap:
    """Return which sources an answer comes from.

    Args:
        model: A causal language model.
        encoding: The prompt and the answer.
        prompt: The prompt's sources.
        given: Whether the answer was given by the caller.
        target: What is explained of the answer: a span of it, or its tokens with contrasts; all of it by
            default.
        follow: Runs each step's passes.

    Raises:
        InputError: No token of the prompt belongs to a source, or the answer has no words.
        UnsupportedModelError: The model is not causal, or has an encoder.
    """
    require_sources(model)
    begun = perf_counter()
    encoding = read_in_one_pass(model, encoding, "The effects come")
    return _Mapping(model, encoding, prompt, target, follow).result(given, begun)


def require_sources(model: Model) -> None:
    """Refuse a model whose answer does not follow a prompt that holds its sources.

    Args:
        model: A language model.

    Raises:
        UnsupportedModelError: The model is not causal, or has an encoder.
    """
    if model.reads_two_sequences or not is_causal(model):
        raise UnsupportedModelError(
            f"{model.name} is not a causal language model, and an answer map is of one.",
            hint="Explain its answer with compute_saliency, whose scores are over all tokens that it reads.",
        )


class _Mapping:
    """One answer while it is measured."""

    def __init__(
        self,
        model: Model,
        encoding: Encoding,
        prompt: SourcedPrompt,
        target: Target | None,
        follow: Follow,
    ) -> None:
        assert encoding.prompt_length is not None
        self.model, self.encoding, self.prompt = model, encoding, prompt
        self.tokens, self.prompt_length = encoding.tokens[0], encoding.prompt_length
        self.answer = self.tokens.select(range(self.prompt_length, len(self.tokens)))
        self.sources, empty = sources_of(self.tokens, self.prompt_length, prompt)
        self.missing = (*prompt.missing, *empty)
        if not self.sources:
            raise InputError(
                "The sources have no tokens before the last one of the prompt.",
                hint="Let the question, or the turn of the assistant, follow the documents.",
            )
        self.target, self.follow = target, follow
        self.is_span = target is not None and len(target.positions) < len(self.answer)
        self.outside = without_headings(text_outside(self.tokens, self.prompt_length, self.sources), prompt)
        self.clauses = self._explained_clauses()
        if not self.clauses:
            raise InputError("The answer has no words.", hint="Pass another answer, or more max_new_tokens.")
        start = min(max(int(source.positions.max()) for source in self.sources) + 1, self.prompt_length - 1)
        removals, self.deletions = removals_of(model, encoding, start, self._contrasts())
        self.removals = removals
        self.effects = Effects(removals, len(self.tokens), follow)
        self.units = [
            [_Unit(index, place, sentence.positions) for place, sentence in enumerate(source.sentences)]
            for index, source in enumerate(self.sources)
        ]
        self.all = self._mask(*(source.positions for source in self.sources))
        self.lacks_control: set[int] = set()
        self.estimates: dict[int, Float[np.ndarray, " parts"]] = {}  # by the sentence's index among all
        self.first_sentence = np.cumsum([0, *map(len, self.units)])

    def result(self, given: bool, begun: float) -> AnswerMap:
        """Take all steps."""
        documents = [self._mask(source.positions) for source in self.sources]
        *alone, without = self.effects.of([*documents, self.all], DOCUMENTS)
        self.by_source, self.without = np.array(alone), without
        self._remove_sentences()
        self._find_replacements()
        self._find_copies()
        self._remove_statements()
        self._measure_controls()
        self._measure_repetitions()
        statements = self._confirmed([self._statement(number) for number in range(len(self.clauses))])
        cautions = [] if self.removals.removal == "hidden" else [_DELETED.format(self.model.name)]
        if self.lacks_control:
            listed = ", ".join(str(number + 1) for number in sorted(self.lacks_control))
            cautions.append(_NO_CONTROL.format("s" * (len(self.lacks_control) > 1), listed))
        if self.missing:
            cautions.append(f"Not in the prompt, so not measured: {', '.join(self.missing)}.")
        cautions += control_tokens_caution(self.model.tokenizer, self.tokens, self.prompt_length, self.prompt)
        if self.prompt.skipped:
            listed = ", ".join(self.prompt.skipped[:_MOST_LISTED])
            others = len(self.prompt.skipped) - _MOST_LISTED
            more = f" and {others} others" if others > 0 else ""
            cautions.append(f"Not read: {listed}{more}.")
        provenance = self.model.provenance(self.encoding, perf_counter() - begun)
        return AnswerMap(
            tokens=self.tokens,
            prompt_length=self.prompt_length,
            sources=self.sources,
            statements=tuple(statements),
            log_probs=self.removals.log_probs,
            effects=self.by_source,
            without_sources=self.without,
            sentence_effects=np.concatenate(self.by_sentence),
            is_sentence_removed=np.concatenate(self.is_removed),
            **self._screened(),
            against=() if self.target is None else self.target.against_labels,
            removal=self.removals.removal,
            layout=self.prompt.layout,
            missing=self.missing,
            question=self.prompt.question,
            given=given,
            provenance=provenance.with_cautions(tuple(cautions)),
        )

    # Steps.

    def _remove_sentences(self) -> None:
        """Remove the sentences of the strongest sources of each statement."""
        chosen = {
            int(source)
            for clause in self.clauses
            for source in np.argsort(-_sum(self.by_source, clause), kind="stable")[:_STRONGEST]
        }
        units = self._shortlisted([unit for source in sorted(chosen) for unit in self.units[source]])
        rows = self._rows(units, self.effects.of([self._mask(unit.positions) for unit in units], _SENTENCES))
        self.is_removed = [
            np.array([(unit.source, unit.sentence) in rows for unit in units]) for units in self.units
        ]
        self.by_sentence = [
            np.array([rows.get((source, place), np.zeros(len(self.answer))) for place in range(len(units))])
            for source, units in enumerate(self.units)
        ]

    def _shortlisted(self, units: list[_Unit]) -> list[_Unit]:
        """Return sentences to remove or keep by themselves: of too many, those with large estimates."""
        if len(units) <= MOST_SENTENCES:
            return units
        missing = [unit for unit in units if self._index(unit) not in self.estimates]
        if missing:
            self._estimate(missing)
        estimates = np.array([self.estimates[self._index(unit)] for unit in units]).T
        return [units[index] for index in shortlist(estimates, MOST_SENTENCES)]

    def _estimate(self, units: list[_Unit]) -> None:
        """Estimate the effect of sentences on each statement and value, with few passes.

        By the first order of hiding, which gives all sentences; where that cannot be had, the effect of a
        group of neighbors is divided among them.
        """
        parts = [(clause.first, clause.last) for clause in self.clauses]
        parts += [(first, last) for clause in self.clauses for _, first, last in clause.values]
        hidden = self.removals
        slopes = None
        if isinstance(hidden, HiddenTokens):
            cost = first_order_cost(hidden, len(parts))
            slopes = self.follow(_SCREEN, cost, lambda: first_order_effects(hidden, parts))
        if slopes is not None:
            for unit in (unit for units in self.units for unit in units):
                self.estimates[self._index(unit)] = slopes[:, unit.positions].sum(1)
            return
        sources = [unit.source for unit in units]
        groups = [
            [units[index] for index in group]
            for group in groups_of([sources.count(source) for source in dict.fromkeys(sources)])
        ]
        masks = [self._mask(*(unit.positions for unit in group)) for group in groups]
        for group, row in zip(groups, self.effects.of(masks, _SCREEN), strict=True):
            effects = np.array([row[first:last].sum() for first, last in parts])
            for unit in group:
                self.estimates[self._index(unit)] = effects / len(group)

    def _screened(self) -> dict[str, Any]:
        """Return the estimates of each sentence on each statement, and which sentences have nothing else."""
        if not self.estimates:
            return {}
        count, statements = int(self.first_sentence[-1]), len(self.clauses)
        estimates = np.zeros((statements, count))
        for index, values in self.estimates.items():
            estimates[:, index] = values[:statements]
        has_estimate = np.isin(np.arange(count), list(self.estimates))
        return {
            "screened_effects": estimates,
            "is_sentence_screened": has_estimate & ~np.concatenate(self.is_removed),
        }

    def _find_replacements(self) -> None:
        """Keep each source alone where single ones do not explain what all do to a statement or a value.

        Sources replace each other where several explain it alone. Where none stands out, all of them may, or
        only that there are documents at all.
        """
        tested = [words for words in self._judged() if self._is_unexplained(words)]
        self.explaining: dict[Words, list[int]] = {}
        self.alone: Float[np.ndarray, "sources answer"] | None = None
        self.sentence_alone: dict[tuple[int, int], Float[np.ndarray, " answer"]] = {}
        if not tested or len(self.sources) < 2:
            return
        masks = [self.all & ~self._mask(source.positions) for source in self.sources]
        alone = self.alone = self.without - self.effects.of(masks, _REPLACEMENTS)
        self.explaining = {words: self._explained_by(words, alone) for words in tested}
        keepers = {
            source for words in tested for source in self._replacing(words) if len(self.units[source]) > 1
        }
        units = self._shortlisted([unit for source in sorted(keepers) for unit in self.units[source]])
        masks = [self.all & ~self._mask(unit.positions) for unit in units]
        self.sentence_alone = self._rows(units, self.without - self.effects.of(masks, _REPLACEMENTS))

    def _find_copies(self) -> None:
        """Keep each sentence of a source as its only one where single ones do not explain the source."""
        self.kept: dict[tuple[int, int], Float[np.ndarray, " answer"]] = {}
        tested = {
            source
            for words in self._judged()
            for source in np.flatnonzero(_sum(self.by_source, words) >= CITED).tolist()
            if source not in self._replacing(words) and self._is_unexplained_by_sentences(source, words)
        }
        units = [
            unit
            for source in sorted(tested)
            for unit, is_removed in zip(self.units[source], self.is_removed[source], strict=True)
            if is_removed
        ]
        masks = [
            self._mask(self.sources[unit.source].positions) & ~self._mask(unit.positions) for unit in units
        ]
        whole = self.by_source[[unit.source for unit in units]]
        self.kept = self._rows(units, whole - self.effects.of(masks, _COPIES))

    def _is_unexplained_by_sentences(self, source: int, words: Words) -> bool:
        if self.is_removed[source].sum() < 2:
            return False
        singles = float(np.maximum(_sum(self.by_sentence[source], words), 0).sum())
        return singles < _REPLACED * float(_sum(self.by_source[source], words))

    def _copies(self, source: int, words: Words) -> list[int]:
        """Return the sentences of a source of which each explains some words alone, if several do."""
        replaces = source in self._replacing(words)
        rows = self.sentence_alone if replaces else self.kept
        if replaces:
            assert self.alone is not None
            whole = float(_sum(self.alone[source], words))
        else:
            whole = float(_sum(self.by_source[source], words))
            if not self._is_unexplained_by_sentences(source, words):
                return []
        places = [place for place in range(len(self.units[source])) if (source, place) in rows]
        if len(places) < 2:
            return []
        sums = np.array([float(_sum(rows[source, place], words)) for place in places])
        above = sums - _of_any(sums)
        order = np.argsort(-sums, kind="stable")
        found = [places[i] for i in order if above[i] >= max(CITED, _REPLACED * whole)]
        return found if len(found) > 1 else []

    def _judged(self) -> list[Words]:
        """Return the statements and their values."""
        return [words for clause in self.clauses for words in (clause, *clause.values)]

    def _is_unexplained(self, words: Words) -> bool:
        total = float(_sum(self.without, words))
        singles = float(np.maximum(_sum(self.by_source, words), 0).sum())
        return total >= CITED and singles < _REPLACED * total

    def _explained_by(self, words: Words, alone: Float[np.ndarray, "sources answer"]) -> list[int]:
        """Return the sources of which each alone explains some words, beyond what any source does."""
        sums = _sum(alone, words)
        least = max(CITED, _REPLACED * float(_sum(self.without, words)))
        above = sums - _of_any(sums)
        return [int(i) for i in np.argsort(-sums, kind="stable") if above[i] >= least]

    def _replacing(self, words: Words) -> list[int]:
        """Return the sources of which each alone explains some words, if several do."""
        found = self.explaining.get(words, [])
        return found if len(found) > 1 else []

    def _replacing_in(self, clause: Clause, values: Sequence[StatedValue]) -> list[int]:
        """Return the sources that replace each other for a statement, or for a value that comes from them."""
        clear = [
            value for value, stated in zip(clause.values, values, strict=True) if stated.origin == "sources"
        ]
        return list(dict.fromkeys(source for words in (clause, *clear) for source in self._replacing(words)))

    def _is_undecided(self, value: Value, clause: Clause) -> bool:
        """Return whether all sources together matter to a value, and it is not known which.

        What any document does to it, whatever it says, is not what one of them says.
        """
        without = float(_sum(self.without, value))
        if self.alone is None or without < CITED:
            return False
        if self.explaining.get(clause) == []:
            return True
        is_tested = value in self.explaining and not self._replacing(value)
        return is_tested and without - _of_any(_sum(self.alone, value)) >= CITED

    def _remove_statements(self) -> None:
        """Remove each statement from those after it, alone and together with sources."""
        count = len(self.clauses)
        spans = [
            self._mask(range(self.prompt_length + each.first, self.prompt_length + each.last))
            for each in self.clauses
        ]
        self.by_statement = self.effects.of(spans[:-1], _STATEMENTS)
        self.joint_source = [self._joint_source(number) for number in range(count)]
        before = [
            self._mask(range(self.prompt_length, self.prompt_length + each.first))
            if self._follows(number)
            else self._mask()
            for number, each in enumerate(self.clauses)
        ]
        joint = [
            self._mask(self.sources[self.joint_source[number]].positions) | spans[self._earlier(number)]
            for number in range(1, count)
        ]
        everything = [self.all | mask for mask in before]
        rows = self.effects.of([*joint, *everything], _STATEMENTS)
        none = [np.zeros(len(self.answer))]
        self.joint = [*none, *rows[: count - 1]]
        self.without_all = rows[count - 1 :]

    def _follows(self, number: int) -> bool:
        """Return whether the answer says something before a statement."""
        return number > 0 or (self.is_span and self.clauses[number].first > 0)

    def _joint_source(self, number: int) -> int:
        """Return the source that may replace an earlier statement: the strongest of this one, or of that."""
        strongest = self._strongest(number)
        if number and float(_sum(self.by_source[strongest], self.clauses[number])) < CITED:
            return self._strongest(self._earlier(number))
        return strongest

    def _measure_controls(self) -> None:
        """Remove as much other text of the sources as the part with the largest effect on each value has."""
        self.controls: dict[tuple[int, int], tuple[float, ...]] = {}
        wanted: dict[tuple[int, int], list[Mask]] = {}
        for number, clause in enumerate(self.clauses):
            for place, (_, first, last) in enumerate(clause.values):
                wanted[number, place] = self._control_masks(*self._parts(first, last))
                if not wanted[number, place]:
                    self.lacks_control.add(number)
        self.effects.of([mask for masks in wanted.values() for mask in masks], _OTHERS)
        for (number, place), masks in wanted.items():
            _, first, last = self.clauses[number].values[place]
            effects = self.effects.of(masks, _OTHERS)[:, first:last].sum(1)
            self.controls[number, place] = tuple(effects.tolist())

    def _measure_repetitions(self) -> None:
        """Remove only what earlier statements say, where a value seems to come from one of them.

        A whole statement also has an effect by its form: after “The river is 48 km long.”, any number is
        likelier in “The lake is 12 m deep.”
        """
        self.repeated: dict[tuple[int, int], float] = {}
        seeming = [
            (number, place)
            for number, clause in enumerate(self.clauses)
            for place in range(len(clause.values))
            if self._value(number, place).origin == "answer"
        ]
        said = [self._said(number, place) for number, place in seeming]
        rows = self.effects.of([*said, *(self.all | mask for mask in said)], _STATEMENTS)
        alone, together = rows[: len(said)], rows[len(said) :]
        for (number, place), by_itself, with_sources in zip(seeming, alone, together, strict=True):
            _, first, last = self.clauses[number].values[place]
            effect, total, without = (
                float(row[first:last].sum()) for row in (by_itself, with_sources, self.without)
            )
            self.repeated[number, place] = max(effect, total - max(without, 0.0))

    def _said(self, number: int, place: int) -> Mask:
        """Return the values of what the answer says before a value, and the value's own words there."""
        before = self.clauses[number].first
        clauses = clauses_of(self.answer, self.outside) if self.is_span else self.clauses
        values = [
            range(self.prompt_length + first, self.prompt_length + last)
            for clause in clauses
            for _, first, last in clause.values
            if last <= before
        ]
        words = occurrences_of(self.clauses[number].values[place][0], self.answer, before)
        return self._mask(*values, [self.prompt_length + position for position in words])

    def _control_masks(self, strongest: _Unit, others: Sequence[_Unit]) -> list[Mask]:
        """Return parts of the sources of a unit's length, evenly spaced, outside of what has an effect."""
        excluded = self._mask(strongest.positions, *(unit.positions for unit in others))
        left = np.flatnonzero(self.all & ~excluded)
        length = len(strongest.positions)
        if not len(left):
            return []
        last = max(len(left) - length, 0)
        starts = sorted({round(last * part / (_CONTROLS - 1)) for part in range(_CONTROLS)})
        return [self._mask(left[start : start + length]) for start in starts]

    def _parts(self, first: int, last: int) -> tuple[_Unit, list[_Unit]]:
        """Return the part of the sources with the largest effect on some tokens, and all that have one.

        A part is a sentence where one of its source has an effect that counts, else the source.
        """
        found: list[tuple[float, _Unit]] = []
        for index, source in enumerate(self.sources):
            whole = float(self.by_source[index, first:last].sum())
            sentences = self.by_sentence[index][:, first:last].sum(1)
            strongest = int(sentences.argmax())
            for place in np.flatnonzero(sentences >= CITED):
                # The strongest sentence stands for its source, whose effect may be larger.
                size = max(float(sentences[place]), whole) if place == strongest else float(sentences[place])
                found.append((size, self.units[index][place]))
            if sentences[strongest] < CITED:
                found.append((whole, _Unit(index, None, source.positions)))
        strongest_part = max(found, key=lambda part: part[0])[1]
        return strongest_part, [unit for effect, unit in found if effect >= CITED]

    # Statements.

    def _statement(self, number: int) -> Statement:
        clause = self.clauses[number]
        values = tuple(self._value(number, place) for place in range(len(clause.values)))
        origins: list[Origin] = [value.origin for value in values]
        order: tuple[Origin, ...] = ("sources", "answer", "unclear", "nothing")
        origin: Origin = min(origins, key=order.index) if origins else "question"
        earlier = self._earlier(number) if number else None
        return Statement(
            text=clause.text,
            first=clause.first,
            last=clause.last,
            log_prob=float(_sum(self.removals.log_probs, clause)),
            origin=origin,
            sources=self._attributed(number, values),
            values=values,
            without_sources=float(_sum(self.without, clause)),
            is_redundant=bool(self._replacing_in(clause, values)),
            earlier=earlier,
            earlier_effect=0.0 if earlier is None else float(_sum(self.by_statement[earlier], clause)),
            joint_effect=float(_sum(self.joint[number], clause)),
            joint_source=self.joint_source[number] if number else None,
            without_all=float(_sum(self.without_all[number], clause)),
        )

    def _value(self, number: int, place: int) -> StatedValue:
        clause = self.clauses[number]
        value = clause.values[place]
        text, first, last = value
        strongest, _ = self._parts(first, last)
        by_source = self.by_source[:, first:last].sum(1)
        sentence = strongest.sentence
        effect = float(by_source[strongest.source])
        if sentence is not None:
            effect = max(effect, float(self.by_sentence[strongest.source][sentence, first:last].sum()))
        controls = self.controls[number, place]
        source, control = strongest.source, max((0.0, *controls))
        if self.alone is not None and (self._replacing(value) or self._replacing(clause)):
            alone = _sum(self.alone, value)
            of_any = _of_any(alone)
            if float(alone.max()) - of_any > effect - control:
                source, effect, control = int(alone.argmax()), float(alone.max()), of_any
        without, without_all = (
            float(row[first:last].sum()) for row in (self.without, self.without_all[number])
        )
        earlier = float(self.by_statement[:number, first:last].sum(1).max(initial=0.0))
        earlier = max(earlier, without_all - max(without, 0.0)) if self._follows(number) else 0.0
        return StatedValue(
            text=text,
            first=first,
            last=last,
            effect=effect,
            control=control,
            source=source,
            without_sources=without,
            without_all=without_all,
            controls=controls,
            origin=_origin(
                effect - control,
                min(earlier, self.repeated.get((number, place), earlier)),
                is_undecided=self._is_undecided(value, clause),
            ),
        )

    def _attributed(self, number: int, values: Sequence[StatedValue]) -> tuple[SourceEffect, ...]:
        """Return the sources of a statement: those of its values, and those without which it drops."""
        clause = self.clauses[number]
        effects = _sum(self.by_source, clause)
        replacing = self._replacing_in(clause, values)
        of_values = {value.source for value in values if value.origin == "sources"}
        chosen = {int(i) for i in np.flatnonzero(effects >= CITED)} | of_values | set(replacing)
        alone = None if self.alone is None else _sum(self.alone, clause)

        def strength(source: int) -> float:
            by_itself = -np.inf if alone is None or source not in replacing else float(alone[source])
            return max(float(effects[source]), by_itself)

        found = []
        for source in sorted(chosen, key=lambda source: -strength(source)):
            said = self._said_by(source, clause, values)
            copies = next(filter(None, (self._copies(source, words) for words in said)), [])
            place = copies[0] if copies else self._named_sentence(source, said, source in replacing)
            removed = place is not None and self.is_removed[source][place]
            by_sentence = float(_sum(self.by_sentence[source], clause)[place]) if removed else None
            found.append(
                SourceEffect(
                    source=source,
                    effect=float(effects[source]),
                    sentence=place,
                    sentence_effect=by_sentence,
                    alone=float(alone[source]) if alone is not None and source in replacing else None,
                    copies=tuple(copies),
                )
            )
        return tuple(found)

    def _said_by(self, source: int, clause: Clause, values: Sequence[StatedValue]) -> list[Words]:
        """Return the values of a statement that come from a source, the strongest first, else the statement.

        The sentence that says a value may not be the one that the rest of the statement depends on: “It
        opened in 1954.” stands behind one that names what opened.
        """
        found = [
            (stated.effect, value)
            for value, stated in zip(clause.values, values, strict=True)
            if stated.origin == "sources"
            and (
                source in (stated.source, *self._replacing(value))
                or _sum(self.by_source[source], value) >= CITED
            )
        ]
        return [value for _, value in sorted(found, key=lambda pair: -pair[0])] or [clause]

    def _named_sentence(self, source: int, said: Sequence[Words], replaces: bool) -> int | None:
        """Return the sentence of a source that says some words of a statement, where there is a clear one."""

        def total(effects: np.ndarray) -> np.ndarray:
            return np.sum([_sum(effects, words) for words in said], axis=0)

        count = len(self.units[source])
        if replaces:
            kept = [place for place in range(count) if (source, place) in self.sentence_alone]
            if not kept:
                return 0 if count == 1 else None
            return max(kept, key=lambda place: float(total(self.sentence_alone[source, place])))
        if not self.is_removed[source].any():
            return None
        sums = np.where(self.is_removed[source], total(self.by_sentence[source]), -np.inf)
        best = int(sums.argmax())
        is_clear = sums[best] >= min(CITED, _REPLACED * float(total(self.by_source[source])))
        return best if count == 1 or is_clear else None

    def _confirmed(self, statements: Sequence[Statement]) -> list[Statement]:
        """Delete what each statement is attributed to from the prompt, once."""

        def mask(part: SourceEffect) -> Mask:
            if part.sentence is None:
                return self._mask(self.sources[part.source].positions)
            units = self.units[part.source]
            return self._mask(*(units[place].positions for place in part.copies or (part.sentence,)))

        parts = [part for statement in statements for part in statement.sources]
        deletions = self.effects
        if self.deletions is not self.removals:
            deletions = Effects(self.deletions, len(self.tokens), self.follow)
        deletions.of([mask(part) for part in parts], _DELETING)
        return [
            replace(
                statement,
                sources=tuple(
                    replace(part, deleted=float(_sum(deletions.of([mask(part)], _DELETING)[0], clause)))
                    for part in statement.sources
                ),
            )
            for statement, clause in zip(statements, self.clauses, strict=True)
        ]

    # Parts of the text.

    def _explained_clauses(self) -> tuple[Clause, ...]:
        """Return the statements of the answer, or the span of it that is explained."""
        if self.target is None or not self.is_span:
            return clauses_of(self.answer, self.outside)
        explained = self.target.positions
        first, last = explained[0] + 1 - self.prompt_length, explained[-1] + 2 - self.prompt_length
        text = str(self.target.name)
        return (Clause(text, first, last, (Value(text, first, last),)),)

    def _contrasts(self) -> Tensor | None:
        """Return the id of the contrast of each token of the answer, −1 for none."""
        if self.target is None or not self.target.against:
            return None
        ids = torch.full((len(self.answer),), -1)
        ids[torch.tensor(self.target.positions) + 1 - self.prompt_length] = torch.tensor(self.target.against)
        return ids.to(self.encoding.ids.device)

    def _index(self, unit: _Unit) -> int:
        """Return the place of a sentence among those of all sources."""
        assert unit.sentence is not None
        return int(self.first_sentence[unit.source]) + unit.sentence

    @staticmethod
    def _rows(
        units: Sequence[_Unit], effects: Float[np.ndarray, "units answer"]
    ) -> dict[tuple[int, int], Float[np.ndarray, " answer"]]:
        """Return the effects of sentences by source and sentence."""
        return {
            (unit.source, unit.sentence): row
            for unit, row in zip(units, effects, strict=True)
            if unit.sentence is not None
        }

    def _mask(self, *positions: Int[np.ndarray, " some"] | Sequence[int]) -> Mask:
        return self.effects.mask(*positions)

    def _strongest(self, number: int) -> int:
        return int(_sum(self.by_source, self.clauses[number]).argmax())

    def _earlier(self, number: int) -> int:
        return int(_sum(self.by_statement[:number], self.clauses[number]).argmax())


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


def _sum(effects: np.ndarray, words: Words) -> np.ndarray:
    """Return effects summed over the tokens of a statement or a value."""
    return effects[..., words.first : words.last].sum(-1)


def _of_any(alone: Float[np.ndarray, " sources"]) -> float:
    """Return what any source does alone, whatever it says; with two sources nothing tells it."""
    return max(float(alone.min()), 0.0) if len(alone) > 2 else 0.0
