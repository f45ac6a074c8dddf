"""What a comparison says: in words and numbers that follow from the scores of both reports."""

from dataclasses import replace

import numpy as np
import pytest
from compared_reports import (
    attention,
    attribution,
    classification,
    cut,
    generation,
    step_attribution,
    target,
    words,
)

from model_understanding import compare
from model_understanding.comparison import Comparison
from model_understanding.results import Evaluation, Provenance
from model_understanding.show.views.compared_attention import largest_changes
from model_understanding.show.views.comparison import comparison_view

NEGATIVE = replace(target("negative"), indices=(0,))


def of(first: str, second: str, ours: list[float], theirs: list[float], **changed: object) -> Comparison:
    """Compare two texts by their scores for positive, which is less likely in the second."""
    tokens = words(first), words(second)
    return compare(
        classification(tokens[0], attribution(tokens[0], ours), positive=0.9),
        classification(tokens[1], attribution(tokens[1], theirs, **changed), positive=0.2),
    )


def sentence(comparison: Comparison) -> str:
    return comparison_view(comparison).scores[0].sentence


def test_words_that_go_with_the_answer_are_named_before_those_that_go_against_it():
    comparison = of("a good thin film", "a not good thin film", [0, 3, -2, 0], [0, -4, -1, -1, 0])
    assert sentence(comparison) == (
        "The probability of positive drops from 90.0 % to 20.0 %, mostly because “not” was added and “good” "
        "turned against it; but “thin” opposes it less."
    )
    view = comparison_view(comparison)
    assert view.headline == "positive 90.0 %  →  negative 80.0 %"
    assert view.inputs == "1 word added, none removed"
    assert [unit.label for unit in view.scores[0].largest] == ["not (added)", "good", "thin"]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("a film", "2 words removed, none added"),
        ("a very good new film", "1 word added, none removed"),
        ("a very bad film", "1 word replaced"),
        ("a very good film", "same text"),
    ],
)
def test_what_changed_in_the_text_is_counted_in_words(second, said):
    ours, theirs = words("a very good film"), words(second)
    comparison = compare(classification(ours), classification(theirs))
    assert comparison_view(comparison).inputs.partition(" · ")[0] == said


def test_two_models_are_named_as_such():
    tokens = words("a film")
    other = Provenance(model="other", task="sequence-classification")
    comparison = compare(classification(tokens), classification(tokens, provenance=other))
    assert comparison_view(comparison).inputs == "same text · two models"


@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-3])
def test_differences_that_are_tiny_against_the_scores_are_no_difference(noise):
    tokens, scores = words("a good thin film"), np.array([1, 5, -4, 2])
    weights = attention(tokens).weights
    comparison = compare(
        classification(tokens, attribution(tokens, scores), attention=(attention(tokens),)),
        classification(
            tokens,
            attribution(tokens, scores + noise * np.array([1, -1, 1, -1])),
            attention=(attention(tokens, weights * (1 - noise)),),
        ),
    )
    (view,) = comparison_view(comparison).scores
    assert view.is_same
    assert view.sentence.startswith("No difference")
    assert [unit.strength for unit in view.units] == [0] * 4
    assert largest_changes(comparison.attention[0]) == []
    if noise:
        assert f"more than {0.001 if noise < 1e-5 else 0.1} % of the largest score" in view.sentence


def test_the_scale_of_the_colors_is_that_of_the_scores():
    comparison = of("a good film", "a good film", [1, 5, 2], [1, 4, 2])
    (view,) = comparison_view(comparison).scores
    assert view.full == 5
    assert [unit.strength for unit in view.units] == pytest.approx([0, -0.2, 0])


def test_scores_for_the_other_of_two_classes_are_compared_with_their_signs_reversed():
    comparison = of("a good film", "a good film", [1, 3, 0], [-1, 1, 0], targets=(NEGATIVE,))
    (part,) = comparison.attributions
    assert part.opposite
    assert part.measure == "share"
    assert part.values(1)[0] == pytest.approx([0.5, -0.5, 0])
    assert part.differences[0] == pytest.approx([0.25, -1.25, 0])
    assert "“good” turned against it" in sentence(comparison)
    again = Comparison.from_json(comparison.to_json())
    assert again.attributions[0].opposite


def test_a_contrast_turned_round_and_the_probabilities_of_two_classes_keep_their_scale():
    sides = [
        replace(target(), against=(0,), against_labels=("negative",)),
        replace(NEGATIVE, against=(1,), against_labels=("positive",)),
    ]
    pairs = [sides, [replace(target(), quantity="prob"), replace(NEGATIVE, quantity="prob")]]
    tokens = words("a good film")
    for pair in pairs:
        reports = [
            classification(tokens, attribution(tokens, scores, targets=(one,)))
            for one, scores in zip(pair, ([1, 3, 0], [-1, 1, 0]), strict=True)
        ]
        (part,) = compare(*reports).attributions
        assert (part.measure, part.reasons) == ("score", ())
        assert part.differences[0].tolist() == [0, -4, 0]


def test_classes_of_which_there_are_more_are_told_apart():
    comparison = of(
        "a good film", "a good film", [1, 3, 0], [3, 1, 0], targets=(replace(target("mixed"), indices=(2,)),)
    )
    assert not comparison.attributions[0].opposite
    assert sentence(comparison) == "positive: mostly “good” and “a”. mixed: mostly “a” and “good”."


def test_a_word_that_two_tokenizers_split_differently_is_one_word():
    text = "unbelievably good film"
    first, second = words(text), cut(text, "un", "believ", "ably", "good", "film")
    (view,) = comparison_view(
        compare(
            classification(first, attribution(first, [3, 1, 0])),
            classification(second, attribution(second, [1, 1, 3, 1, 0])),
        )
    ).scores
    assert [(unit.text, unit.first, unit.second) for unit in view.units] == [
        ("unbelievably", 3, 5),
        ("good", 1, 1),
        ("film", 0, 0),
    ]


def test_the_whole_answer_of_a_language_model_is_the_sum_over_the_prompt():
    first, second = generation("the sky is", "very blue"), generation("the sky is", "very blue")
    scores = np.array([[1.0, 2, 3, 0, 0], [1, 1, 1, 5, 0]]), np.array([[1.0, 5, 3, 0, 0], [1, 1, 1, 5, 0]])
    comparison = compare(
        *(
            replace(side, attributions=(step_attribution(side, values),))
            for side, values in zip((first, second), scores, strict=True)
        )
    )
    (view,) = comparison_view(comparison).scores
    assert [unit.first for unit in view.units] == [2, 3, 4, None, None]
    assert [unit.second for unit in view.units] == [2, 6, 4, None, None]
    assert [unit.label for unit in view.largest] == ["sky"]


def test_each_side_has_the_verdict_on_the_map_that_is_compared():
    tokens = words("a good film")

    def verdict(name: str, of_target: str = "logit of positive") -> Evaluation:
        return Evaluation(
            metric="verdict",
            value=2.0,
            curve=np.zeros((0, 2)),
            control=np.zeros(0),
            higher_is_better=True,
            verdict=name,
            method="input_x_gradient",
            target=of_target,
        )

    def trusts(*evaluations: Evaluation) -> list[str]:
        sides = [
            classification(tokens, attribution(tokens, [1, 2, 3]), evaluations=(evaluation,))
            for evaluation in evaluations
        ]
        return [trust.verdict for trust in comparison_view(compare(*sides)).scores[0].trust]

    assert trusts(verdict("supported"), verdict("not supported")) == ["supported", "not supported"]
    assert trusts(verdict("weak", "logit of negative"), verdict("not evaluated")) == ["not measured"] * 2


def test_the_largest_single_change_is_named_with_both_values():
    tokens = words("a good film")
    weights = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.2, 0.6]])
    changed = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.5, 0.3]])
    attended = [classification(tokens, attention=(attention(tokens, held),)) for held in (weights, changed)]
    largest = comparison_view(compare(*attended)).largest
    assert largest is not None
    assert largest.sentence == (
        "Largest single change: attention from “film” to “good”, layer 5, head 0: from 20.0 % to 50.0 % "
        "(+30.0 points)"
    )
    sides = [classification(tokens, attribution(tokens, scores)) for scores in ([1, 8, 1], [1, 1, 8])]
    largest = comparison_view(compare(*sides)).largest
    assert largest is not None
    assert "share of “good” in the scores: from 80.0 % to 10.0 % (−70.0 points)" in largest.sentence
    assert comparison_view(compare(attended[0], attended[0])).largest is None


def test_weights_that_are_no_shares_are_never_in_percent():
    tokens = words("a good film")
    maps = [
        attention(tokens, scale * attention(tokens).weights, map="value_weighted") for scale in (1.0, 5.0)
    ]
    comparison = compare(*(classification(tokens, attention=(one,)) for one in maps))
    changes = largest_changes(comparison.attention[0])
    assert [change.difference for change in changes][:1] == ["+4"]
    assert not any("%" in change.first + change.second + change.difference for change in changes)
