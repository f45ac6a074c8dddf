"""Comparisons of reports on every kind of model but classifiers and decoders."""

from dataclasses import replace

import numpy as np
import pytest
from sample_answers import ANSWERS, choices, question_answering, ranking, similarity, tagging, verdict

from model_understanding.comparison import compare
from model_understanding.errors import InputError
from model_understanding.results import Choices, Report
from model_understanding.show.views.compared_scores import scores_view
from model_understanding.show.views.comparison import comparison_view, evaluation_changes


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_report_compared_with_itself_has_no_difference(kind):
    report = ANSWERS[kind]()
    found = compare(report, report)
    assert found.change == 0
    assert found.attributions
    assert not any(part.differences.any() for part in found.attributions)
    assert found.to_html()
    assert str(found)
    assert found.from_json(found.to_json()).change == 0


def test_entities_spans_tokens_and_choices_are_paired_by_name():
    first = question_answering()
    second = replace(first, answer=replace(first.answer, spans=first.answer.spans[:2]))
    pairs = {pair.first_name: (pair.first, pair.second) for pair in compare(first, second).outputs}
    assert pairs["the river"] == (pytest.approx(0.61), pytest.approx(0.61))
    assert pairs["home"] == (pytest.approx(0.03), None)
    assert pairs["no answer"] == (pytest.approx(0.08), pytest.approx(0.08))
    entities = compare(tagging(), tagging()).outputs
    assert [pair.first_name for pair in entities] == ["Anna Schmidt PER", "Paris LOC", "Acme Corp ORG"]


def test_values_of_ranked_documents_are_compared():
    first = ranking()
    assert isinstance(first.answer, Choices)
    second = replace(first, answer=replace(first.answer, values=first.answer.values + 1))
    (pair, *_) = compare(first, second).outputs
    assert (pair.quantity, pair.difference) == ("value", pytest.approx(1))


def test_only_maps_over_the_text_of_the_answer_are_compared():
    found = compare(choices(), choices())
    assert len(found.attributions) == 1
    assert found.notes[0] == (
        "Only the model's own choices are compared, not the maps of 2 other choices of the first report."
    )


@pytest.mark.parametrize(
    ("first", "second", "kinds"),
    [
        (tagging, question_answering, ("a tagger", "a question answering model")),
        (choices, ranking, ("a multiple choice model", "ranked documents")),
    ],
)
def test_reports_on_two_kinds_of_models_are_refused(first, second, kinds):
    with pytest.raises(
        InputError, match=f"^Cannot compare a report on {kinds[0]} .* with one on {kinds[1]} "
    ):
        compare(first(), second())


def test_a_report_without_an_answer_is_refused():
    report = Report(attributions=tagging().attributions)
    with pytest.raises(InputError, match="no prediction, generation or other answer to compare"):
        compare(report, tagging())


def test_verdicts_of_entities_are_paired_by_their_entity():
    report = tagging()
    (scores,) = report.attributions
    first = replace(report, evaluations=tuple(verdict(scores, row) for row in range(3)))
    second = replace(report, evaluations=(verdict(scores, 0), verdict(scores, 2, "weak")))
    found = compare(first, second)
    names = [target.description() for target in scores.targets]
    rows = {row[0].rpartition(" · ")[2]: row[3] for row in evaluation_changes(found)}
    assert rows == {names[0]: "supported", names[1]: "supported → –", names[2]: "supported → weak"}


def test_a_word_raises_or_lowers_a_similarity_and_does_not_oppose_it():
    first = similarity()
    (scores,) = first.attributions
    changed = scores.scores.copy()
    words = np.where(scores.tokens.special, 0, changed[0])
    changed[0, int(np.argmax(words))] *= -1
    second = replace(first, attributions=(replace(scores, scores=changed),))
    (view,) = comparison_view(compare(first, second)).scores
    assert "now lowers the cosine" in view.sentence


def test_a_verdict_on_the_whole_output_is_named_where_another_map_is_compared():
    report = ANSWERS["encoder–decoder"]()
    (scores,) = report.attributions
    whole = scores.summed()
    first = replace(report, evaluations=(verdict(whole),))
    part = compare(first, first).attributions[0]
    trust = scores_view(part, 0, compare(first, first)).trust
    assert [side.verdict for side in trust] == ["not measured"] * 2
    assert trust[0].words == "The map shown was not tested. Verdict on the whole output: supported."
