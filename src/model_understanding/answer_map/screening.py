"""Estimates of what sources and sentences do, with few passes, where there are too many to remove each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from model_understanding.answer_map.answer_text import AnswerText, Unit
from model_understanding.answer_map.first_order import first_order_cost, first_order_effects
from model_understanding.answer_map.measured import Measured
from model_understanding.answer_map.measuring import Effects
from model_understanding.answer_map.removal import HiddenTokens
from model_understanding.answer_map.shortlist import MOST_SENTENCES, groups_of, shortlist
from model_understanding.answer_map.source_groups import single_and_neighbors

_SCREEN = "Screening their sentences"
_SCREEN_SOURCES = "Screening the documents"
# Sources and sentences with the largest estimates, which are removed by themselves at once. In SmolLM2 those
# with an effect of 1 nat or more rank sixth of 10 sources, and second of 40 sentences, at worst. In a model
# that copies by attention the strongest may rank last: nothing rests on estimates, all others run in groups.
_SOURCES_OF_STATEMENT = 6
_SENTENCES_OF_PART = 4  # for each statement and value
_FEWEST_SENTENCES = 24


class Screen:
    """Estimated effects of sources and sentences on each statement and value.

    Args:
        text: The answer and its sources.
        effects: Removes tokens.
    """

    def __init__(self, text: AnswerText, effects: Effects) -> None:
        self._text, self._effects = text, effects
        values = [value for clause in text.clauses for value in clause.values]
        self._spans = [(words.first, words.last) for words in (*text.clauses, *values)]
        self._estimates: dict[int, Float[np.ndarray, " parts"]] = {}  # by the sentence's index among all
        self._first_sentence = np.cumsum([0, *map(len, text.sentences)])

    def strongest_sources(self) -> list[int]:
        """Return the sources with the largest estimates for any statement.

        None where the first order cannot be had, which costs as much as four passes for each statement.
        """
        slopes = self._first_order(self._spans[: len(self._text.clauses)], _SCREEN_SOURCES)
        if slopes is None:
            return []
        estimates = np.array([slopes[:, source.positions].sum(1) for source in self._text.sources]).T
        return shortlist(estimates, _SOURCES_OF_STATEMENT * len(estimates))

    def first_groups(self, units: list[Unit]) -> list[list[int]]:
        """Return the sentences that are removed by themselves at first, and those that are removed together.

        Args:
            units: The sentences; of too many only those with large estimates are removed by themselves.
        """
        if len(units) <= MOST_SENTENCES:
            return [[index] for index in range(len(units))]
        most = max(_FEWEST_SENTENCES, _SENTENCES_OF_PART * len(self._spans))
        return single_and_neighbors(len(units), self._largest(units, min(most, MOST_SENTENCES)))

    def shortlisted(self, units: list[Unit]) -> list[Unit]:
        """Return sentences to keep by themselves: of too many, those with large estimates."""
        if len(units) <= MOST_SENTENCES:
            return units
        return [units[index] for index in self._largest(units, MOST_SENTENCES)]

    def _largest(self, units: list[Unit], most: int) -> list[int]:
        """Return which sentences have the largest estimates."""
        missing = [unit for unit in units if self._index(unit) not in self._estimates]
        if missing:
            self._estimate(missing)
        estimates = np.array([self._estimates[self._index(unit)] for unit in units]).T
        return shortlist(estimates, most)

    def fields(self, measured: Measured) -> dict[str, Any]:
        """Return the estimates of each sentence on each statement, and which sentences have nothing else."""
        if not self._estimates:
            return {}
        count, statements = int(self._first_sentence[-1]), len(self._text.clauses)
        estimates = np.zeros((statements, count))
        for index, values in self._estimates.items():
            estimates[:, index] = values[:statements]
        has_estimate = np.isin(np.arange(count), list(self._estimates))
        return {
            "screened_effects": estimates,
            "is_sentence_screened": has_estimate & ~np.concatenate(measured.is_removed),
        }

    def _estimate(self, units: list[Unit]) -> None:
        """Estimate by the first order of hiding, which gives all sentences.

        Where that cannot be had, the effect of a group of neighbors is divided among them.
        """
        slopes = self._first_order(self._spans, _SCREEN)
        if slopes is not None:
            for unit in (unit for units in self._text.sentences for unit in units):
                self._estimates[self._index(unit)] = slopes[:, unit.positions].sum(1)
            return
        sources = [unit.source for unit in units]
        groups = [
            [units[index] for index in group]
            for group in groups_of([sources.count(source) for source in dict.fromkeys(sources)])
        ]
        masks = [self._effects.mask(*(unit.positions for unit in group)) for group in groups]
        for group, row in zip(groups, self._effects.of(masks, _SCREEN), strict=True):
            effects = np.array([row[first:last].sum() for first, last in self._spans])
            for unit in group:
                self._estimates[self._index(unit)] = effects / len(group)

    def _first_order(
        self, spans: Sequence[tuple[int, int]], part: str
    ) -> Float[np.ndarray, "spans tokens"] | None:
        """Return the first order of hiding each token, on some parts of the answer, if it can be had."""
        hidden = self._effects.removals
        if not isinstance(hidden, HiddenTokens):
            return None
        cost = first_order_cost(hidden, len(spans))
        return self._effects.follow(part, cost, lambda: first_order_effects(hidden, spans))

    def _index(self, unit: Unit) -> int:
        """Return the place of a sentence among those of all sources."""
        assert unit.sentence is not None
        return int(self._first_sentence[unit.source]) + unit.sentence
