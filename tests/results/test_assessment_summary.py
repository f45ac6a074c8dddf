"""Shares of verdicts and means with intervals, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from model_understanding.results import Assessment, AssessmentSummary, Evaluation
from model_understanding.results.assessment_summary import mean_interval, summarize


def assessed(method: str, verdict: str, advantage: float | None = None) -> Assessment:
    evaluations = ()
    if advantage is not None:
        evaluations = (
            Evaluation(
                metric="verdict",
                value=advantage,
                curve=np.zeros((0, 2)),
                control=[0.0, 1.0],
                higher_is_better=True,
                advantage=advantage,
                verdict=verdict,
            ),
            Evaluation(
                metric="completeness", value=0.5, curve=np.zeros((0, 2)), control=[], higher_is_better=False
            ),
        )
    return Assessment(method=method, target="", verdict=verdict, evaluations=evaluations)


def test_each_method_has_its_shares_and_means():
    first, second = summarize(
        [
            assessed("saliency", "supported", 3.0),
            assessed("gim", "not evaluated"),
            assessed("saliency", "weak", 1.0),
            assessed("saliency", "not evaluated"),
        ]
    )
    assert (first.method, first.texts, first.verdicts) == ("saliency", 3, (1, 1, 0, 1))
    assert first.share("weak") == pytest.approx(1 / 3)
    assert first.advantage == first.means[0].mean == 2.0
    # Of two values the mean of a resample is the lower one in a quarter of draws.
    assert (first.means[0].low, first.means[0].high) == (1.0, 3.0)
    assert (first.means[1].metric, first.means[1].texts, first.means[1].advantage) == (
        "completeness",
        2,
        None,
    )
    assert second.advantage is None
    assert second.means == ()
    assert AssessmentSummary.from_json(first.to_json()) == first


def test_texts_without_a_value_are_left_out_of_a_mean():
    one = assessed("saliency", "weak", 1.0)
    blank = replace(one, evaluations=(replace(one.evaluations[1], value=None),))
    (found,) = summarize([one, blank])
    assert [(mean.metric, mean.texts, mean.mean) for mean in found.means] == [
        ("verdict", 1, 1.0),
        ("completeness", 1, 0.5),
    ]


def test_an_interval_covers_the_mean_as_often_as_it_says():
    generator = np.random.default_rng(1)
    intervals = [mean_interval(generator.normal(size=40))[1:] for _ in range(200)]
    assert 0.88 <= np.mean([low <= 0 <= high for low, high in intervals]) <= 0.99


def test_one_text_has_a_mean_without_an_interval():
    (found,) = summarize([assessed("saliency", "weak", 1.0), assessed("saliency", "not evaluated")])
    for mean in found.means:
        assert (mean.texts, mean.low, mean.high) == (1, None, None)
        assert (mean.advantage_low, mean.advantage_high) == (None, None)
    assert found.means[0].mean == found.means[0].advantage == 1.0
    assert AssessmentSummary.from_json(found.to_json()) == found
