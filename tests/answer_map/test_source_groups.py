"""Many documents: removed, and kept, in groups of which those that have an effect are opened."""

import json

import numpy as np
import pytest

from answer_map.test_redundancy import COPY, DROP, FACT, document, found, mapped
from model_understanding.answer_map import source_groups
from model_understanding.answer_map.source_groups import first_groups, measured_in_groups
from model_understanding.results import AnswerMap

__all__ = ["mapped"]
COUNT = 60


def documents(*planted):
    saying = {place: document((2, sentence)) for place, sentence in planted}
    return [saying.get(index, document()) for index in range(COUNT)]


@pytest.mark.parametrize("place", [0, 7, 31, 59])
def test_one_of_many_documents_says_it(mapped, place):
    answers, passes = mapped(documents((place, FACT)))
    assert found(answers) == ("sources", [(place, 2, ())])
    assert answers.statements[0].sources[0].effect == DROP
    assert passes < COUNT // 2
    assert not answers.is_source_screened[place]
    assert answers.is_source_screened.sum() >= COUNT - 8


def test_of_copies_in_different_documents_each_is_found(mapped):
    answers, passes = mapped(documents((3, FACT), (4, COPY), (47, FACT)))
    assert found(answers) == ("sources", [(3, 2, ()), (4, 2, ()), (47, 2, ())])
    assert answers.statements[0].is_redundant
    assert [part.effect for part in answers.statements[0].sources] == [0.0, 0.0, 0.0]
    assert [part.alone for part in answers.statements[0].sources] == [DROP] * 3
    assert passes < 1.5 * COUNT  # of twice as many and more


def test_what_no_document_says_rests_on_nothing(mapped):
    answers, passes = mapped(documents())
    assert found(answers) == ("nothing", [])
    assert passes < COUNT // 2


def test_verdicts_are_those_of_a_pass_for_each_document(mapped, monkeypatch):
    for planted in ([(11, FACT)], [(11, FACT), (12, COPY)], [(0, COPY), (59, FACT)], []):
        in_groups, _ = mapped(documents(*planted))
        with monkeypatch.context() as patched:
            patched.setattr(source_groups, "MOST_SOURCES", COUNT)
            alone, _ = mapped(documents(*planted))
        assert found(in_groups) == found(alone)
        assert not alone.is_source_screened.any()
        assert alone.screened_source_effects.shape == (0, COUNT)
        known = ~in_groups.is_source_screened
        assert np.array_equal(in_groups.effects[known], alone.effects[known])


def test_a_document_that_was_not_removed_by_itself_has_an_estimate_that_is_marked(mapped):
    answers, _ = mapped(documents((20, FACT)))
    again = AnswerMap.from_json(answers.to_json())
    assert np.array_equal(again.is_source_screened, answers.is_source_screened)
    assert json.loads(answers.to_json())["screened_source_effects"] is not None
    table = answers.to_dataframe()
    sources = table[table.sentence.isna()]
    assert (sources.effect.isna() == answers.is_source_screened).all()
    assert (sources.screened.notna() == answers.is_source_screened).all()
    assert not sources[sources.effect.isna()].attributed.any()


def test_groups_that_count_are_halved_down_to_single_sources():
    effects = np.zeros((50, 1))
    effects[[9, 33]] = 4.0
    asked = []

    def measure(groups, halvings):
        asked.append([len(group) for group in groups])
        assert len(asked) == halvings + 1
        return np.array([effects[list(group)].sum(0) for group in groups])

    grouped = measured_in_groups(50, first_groups(50), measure, lambda _, rows: rows[:, 0] >= 1.0)
    assert grouped.rows[[9, 33], 0].tolist() == [4.0, 4.0]
    left = [source for group in grouped.groups for source in group.sources]
    assert sorted([*left, *np.flatnonzero(np.isfinite(grouped.rows[:, 0]))]) == list(range(50))
    assert max(group.effect[0] for group in grouped.groups) == 0.0
    assert asked[0] == [8] * 6 + [2]
    assert sum(map(len, asked)) < 25
    assert first_groups(50, {0, 49})[:2] == [[0], [49]]
