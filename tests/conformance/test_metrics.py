"""What every registered metric owes, on a classifier and on two language models."""

import dataclasses
import inspect
import json
from functools import cache

import numpy as np
import pytest
from pass_counts import stated_forwards
from tiny_models import CLASSIFIERS, PROBE, encoded, visualizer_of
from untouched import assert_same, prepared, snapshot

from model_understanding import InputError, KernelShap
from model_understanding.cli.settings import parse_metrics
from model_understanding.evaluation.ranked_text import RankedText, candidates_of
from model_understanding.evaluation.removals import Removals, measures_of
from model_understanding.model.memory import Memory
from model_understanding.registry import METRICS
from model_understanding.results import Assessment, Attribution, Evaluation

NAMES = ("bert", "llama", "gemma3")
TEXT = "Call it bad!"
# One has signs, adds up and draws; the other does none of these. So every metric has something to say.
JUDGED = (KernelShap(samples=16), "saliency")
every_metric = pytest.mark.parametrize("metric", METRICS.names())
every_model = pytest.mark.parametrize("name", NAMES)


def target_of(name):
    """Return the options of one target that fits the architecture."""
    return {"target": 1} if name in CLASSIFIERS else {"target": 9}


def explained(visualizer, name) -> list[Attribution]:
    return [visualizer.compute_saliency(TEXT, method=method, **target_of(name)) for method in JUDGED]


@cache
def attributions(name) -> list[Attribution]:
    return explained(visualizer_of(name), name)


def assessed(name) -> list[Assessment]:
    """Return what all metrics together say."""
    return visualizer_of(name).evaluate(attributions(name), metrics=METRICS.names())


together = cache(assessed)


@cache
def in_small_batches(name) -> list[Assessment]:
    asked = []

    def positions_at_once(*_, **__):
        asked.append(1)
        return 40

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Memory, "positions_at_once", positions_at_once)
        found = assessed(name)
    assert asked
    return found


def assert_alike(found: list[Evaluation], expected: list[Evaluation]) -> None:
    """Assert that evaluations are the same but for what other batches round otherwise."""
    for one, other in zip(found, expected, strict=True):
        assert (one.method, one.quantity, one.replacement) == (
            other.method,
            other.quantity,
            other.replacement,
        )
        assert (one.value is None) == (other.value is None)
        if one.value is not None:
            assert one.value == pytest.approx(other.value, rel=2e-3, abs=2e-4)
        np.testing.assert_allclose(one.control, other.control, rtol=2e-3, atol=2e-4)


def of_metric(found: list[Assessment], metric: str) -> list[Evaluation]:
    return [evaluation for assessment in found for evaluation in assessment.named(metric)]


def bounds_of(evaluation: Evaluation) -> tuple[float, float]:
    """Return between what a value lies by what it is said to be."""
    if evaluation.limits is not None or "share" in evaluation.quantity:
        return 0, 1
    if "correlation" in evaluation.quantity or evaluation.quantity == "probability":
        return -1, 1
    return (0, np.inf) if "difference" in evaluation.quantity else (-np.inf, np.inf)


@every_metric
def test_a_metric_states_what_it_is(metric):
    kind = METRICS.load(metric)
    assert kind.name == metric
    assert isinstance(kind.higher_is_better, bool)
    assert isinstance(kind.on_request, bool)
    assert kind.cost
    assert kind.reference
    assert (inspect.getdoc(kind) or "").partition("\n")[0].endswith(".")
    assert dataclasses.is_dataclass(kind)
    assert kind() == kind() == dataclasses.replace(kind())
    assert parse_metrics(metric) == (metric,)


@every_metric
@every_model
def test_a_metric_keeps_its_promises(name, metric):
    found = of_metric(together(name), metric)
    assert found, "nothing is said of either attribution"
    for one in found:
        assert np.isfinite(one.value) if one.value is not None else one.reasons
        assert one.curve.shape[1:] == (2,)
        assert np.isfinite(one.curve).all()
        assert np.isfinite(one.control).all()
        lowest, highest = bounds_of(one)
        for value in (*one.control, *([] if one.value is None else [one.value])):
            assert lowest - 1e-6 <= value <= highest + 1e-6
        if one.limits is not None:
            assert one.limits.lower <= one.limits.upper
        if one.control.size and one.value is not None:
            assert one.advantage is not None
            better = (one.value - one.control.mean()) * (1 if one.higher_is_better else -1)
            assert one.advantage == one.value or np.sign(one.advantage) == np.sign(round(better, 6))
        assert one.target == together(name)[0].target
        again = Evaluation.from_json(one.to_json())
        assert again.to_json() == one.to_json()
        json.loads(one.to_json(), parse_constant=pytest.fail)


@every_model
def test_metrics_say_the_same_twice(name):
    for once, twice in zip(together(name), assessed(name), strict=True):
        assert dataclasses.replace(twice, seconds=once.seconds).to_json() == once.to_json()


@every_metric
@every_model
def test_a_metric_does_not_depend_on_how_many_texts_run_at_once(name, metric):
    assert_alike(of_metric(in_small_batches(name), metric), of_metric(together(name), metric))


@every_metric
@every_model
def test_a_metric_alone_says_the_same_and_leaves_the_model_as_it_was(name, metric):
    model = prepared(name)
    before = snapshot(model)
    alone = visualizer_of(name, model=model).evaluate(attributions(name), metrics=[metric])
    assert_same(before, snapshot(model))
    assert_alike(of_metric(alone, metric), of_metric(together(name), metric))


COUNTABLE = [
    name for name in METRICS.names() if stated_forwards(METRICS.load(name).cost, tokens=1) is not None
]


def test_most_metrics_state_a_cost_that_can_be_counted():
    assert len(COUNTABLE) > len(METRICS.names()) / 2


@pytest.mark.parametrize("metric", COUNTABLE)
@every_model
def test_a_metric_costs_what_it_says(name, metric):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, PROBE)
    first, second = (
        visualizer.compute_saliency(PROBE, method=method, **target_of(name)) for method in JUDGED
    )
    measures = measures_of(visualizer.runner, encoding, first.targets[0], None)
    removals = Removals(visualizer.runner, encoding, measures)
    candidates = candidates_of(first, visualizer.runner.is_language_model)
    METRICS.load(metric)()(
        RankedText(removals=removals, attribution=first, candidates=candidates, others=(second,))
    )
    stated = stated_forwards(METRICS.load(metric).cost, tokens=len(candidates)) * len(removals.replacements)
    # Random orders of few tokens have some variants in common, which run once.
    assert 0.75 * stated <= removals.variants <= stated


@every_metric
def test_a_text_that_is_too_short_is_not_evaluated_and_the_reason_is_said(metric):
    found = visualizer_of("bert").evaluate("A film", method="saliency", metrics=[metric])
    assert found.verdict == "not evaluated"
    assert found.reasons
    assert not found.evaluations


@every_metric
def test_a_misspelled_metric_is_met_with_its_name(metric):
    with pytest.raises(InputError) as caught:
        visualizer_of("bert").evaluate(TEXT, method="saliency", metrics=[metric[:-1] + "q"])
    assert metric in caught.value.message
    assert caught.value.hint == f"Did you mean {metric!r}?"
