"""What every output shows of the scores: shares, ranks, signs, the color scale, special tokens, sums."""

import numpy as np
import pytest
from sample_results import attribution, generation, text_of, tokens_of

from model_understanding.results import Attribution, Target
from model_understanding.show.shared.units import default_level
from model_understanding.show.views.saliency import saliency_view


def test_shares_signs_ranks_and_rounding_are_decided_here():
    view = saliency_view(attribution(tokens_of("good bad so"), scores=[0, 4, -2, 0.0004, 0]))
    assert [(unit.label, unit.share_text, unit.score_text, unit.rank) for unit in view.units] == [
        ("[CLS]", "–", "–", None),
        ("good", "+66.7 %", "+4", 1),
        ("bad", "−33.3 %", "−2", 2),
        ("so", "< 0.1 %", "+0.0004", 3),
        ("[SEP]", "–", "–", None),
    ]
    assert [unit.label for unit in view.top()] == ["good", "bad", "so"]
    assert [unit.colored for unit in view.units] == [False, True, True, False, False]
    assert view.peak == 4
    assert view.notes == ()


def test_special_tokens_that_dominate_are_named_and_leave_the_scale_to_the_words():
    view = saliency_view(attribution(tokens_of("good bad"), signed=False, scores=[8, 2, 1, 1]))
    assert view.peak == 2
    assert [unit.strength for unit in view.units] == [1, 1, 0.5, 0.5]
    assert [unit.label for unit in view.top()] == ["good", "bad"]
    assert view.notes == (
        "Special tokens have 75.0 % of the total score ([CLS]: 66.7 %, [SEP]: 8.3 %). They are not on the "
        "color scale.",
    )


def test_the_target_of_a_step_is_marked_and_later_tokens_have_no_score():
    report = generation(3, 2)
    view = saliency_view(report.attributions[1], 1)
    assert [unit.target for unit in view.units] == [False, False, False, False, True, False]
    assert [unit.share_text for unit in view.units[-2:]] == ["–", "–"]
    assert len(view.paragraphs) == 1


def test_the_sum_over_the_answer_is_the_sum_of_the_rows():
    report = generation(3, 2)
    steps = report.attributions[1]
    view = saliency_view(steps, 0, 2)
    assert [unit.score for unit in view.units] == pytest.approx(steps.scores.sum(axis=0).tolist(), rel=1e-6)
    assert view.title == "log-probability of the whole answer"
    assert [unit.target for unit in view.units] == [False] * 3 + [True] * 3
    assert view.notes[-1] == "Scores, summed over 3 generated tokens: magnitudes, so an upper bound."


def test_a_complete_method_says_base_value_and_output():
    found = Attribution(
        tokens=tokens_of("good", special=False),
        targets=(Target(task="sequence-classification", indices=(1,), labels=("positive",)),),
        scores=[[2.25]],
        valid=[[True]],
        signed=True,
        outputs=[2.125],
        baseline_outputs=[-0.125],
        gaps=[0.0],
        method="integrated_gradients",
    )
    assert saliency_view(found).value == "base value −0.125 → f(x) = 2.12"


def test_words_by_default_and_sentences_of_a_long_text():
    short, long = (tokens_of(f"{text_of(12)}. " * count) for count in (3, 20))
    assert default_level(short) == "word"
    assert default_level(long) == "sentence"
    assert default_level(tokens_of(text_of(300))) == "word", "one sentence would say nothing"
    view = saliency_view(attribution(long))
    assert view.unit_name == "sentences"
    assert len(view.units) == 22


def test_words_of_several_tokens_are_summed():
    tokens = tokens_of("a 😀 b", splits_emoji=True)
    found = attribution(tokens, scores=[0, 1, 2, 3, 4, -5, 0])
    assert [unit.score for unit in saliency_view(found).units] == [0, 1, 9, -5, 0]
    sizes = attribution(tokens, signed=False, scores=[0, 1, 2, 3, 4, 5, 0])
    assert saliency_view(sizes).units[2].score == pytest.approx(np.sqrt(4 + 9 + 16))
