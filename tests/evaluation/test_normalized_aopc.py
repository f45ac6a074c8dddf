"""Normalized AOPC: limits against brute force, and a value independent of the scale of the output."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from loaded_demos import sentiment
from tiny_models import encoded, fresh, visualizer_of

from model_understanding import Assessment
from model_understanding.evaluation.normalized_aopc import (
    NormalizedAopc,
    membership,
    order_limits,
    prefix_sets,
)
from model_understanding.evaluation.removals import Removals, measures_of

SHORT = "but the king was a bad"  # six tokens of the tiny classifiers
SUFFICIENCY = "normalized_sufficiency"


def random_drops(tokens, quantities=2, seed=0):
    """Random drops for all sets: no structure that a search could exploit."""
    values = np.random.default_rng(seed).normal(size=(1 << tokens, quantities))
    values[0] = 0
    return lambda sets: values[list(sets)]


def brute_limits(drops, tokens):
    means = [drops(prefix_sets(order)).mean(axis=0) for order in itertools.permutations(range(tokens))]
    return np.min(means, axis=0), np.max(means, axis=0)


@pytest.mark.parametrize("tokens", [1, 2, 5, 6])
def test_limits_without_a_width_are_those_of_all_permutations(tokens):
    drops = random_drops(tokens)
    limits, is_exact = order_limits(drops, tokens)
    assert is_exact
    np.testing.assert_allclose(limits, brute_limits(drops, tokens), rtol=1e-12)


def test_a_beam_stays_within_the_exact_limits_and_reaches_them_at_full_width():
    misses = 0
    for seed in range(5):
        drops = random_drops(6, seed=seed)
        exact, _ = order_limits(drops, 6)
        for width in (1, 2, 5, 20):  # 20 sets of 3 of 6 tokens: the most of any size
            (lower, upper), is_exact = order_limits(drops, 6, width)
            assert is_exact == (width == 20)
            assert (lower >= exact[0]).all()
            assert (upper <= exact[1]).all()
            misses += not np.array_equal([lower, upper], exact)
            assert not (width == 20 and misses and not np.array_equal([lower, upper], exact))
    assert misses  # a narrow beam can miss, else this test says nothing


def test_each_step_runs_each_set_once():
    steps = []
    drops = random_drops(6)

    def counted(sets):
        steps.append(list(sets))
        return drops(sets)

    order_limits(counted, 6)
    assert [len(step) for step in steps[1:]] == [6, 15, 20, 15, 6, 1]
    steps.clear()
    order_limits(counted, 6, 1)
    assert all(len(step) == len(set(step)) for step in steps)
    assert len(steps) == 7
    # Two quantities, two limits, one set kept for each.
    assert all(len(step) <= 4 * (6 - i) for i, step in enumerate(steps[1:]))


def test_sets_of_more_tokens_than_a_machine_word_holds():
    order = np.random.default_rng(0).permutation(70)
    is_member = membership(prefix_sets(order), 70)
    assert is_member.sum(axis=1).tolist() == list(range(1, 71))
    assert np.array_equal(is_member[10], np.isin(np.arange(70), order[:11]))
    assert membership([], 70).shape == (0, 70)


@pytest.mark.full
@pytest.mark.parametrize(
    "text",
    [
        "A dull and lifeless film that wastes everyone.",
        "I laughed, cried, and would watch again.",
        "Not bad at all, but hardly a masterpiece.",
    ],
)
def test_five_sets_of_each_size_come_near_the_limits_of_a_trained_model(text):
    visualizer = sentiment()
    attribution = visualizer.compute_saliency(text, method="saliency")
    encoding = encoded(visualizer, text)
    measures = measures_of(visualizer.runner, encoding, attribution.targets[0], None)
    removals = Removals(visualizer.runner, encoding, measures)
    inner = np.flatnonzero(~attribution.tokens.special)
    removed = np.zeros((1 << len(inner), len(attribution.tokens)), dtype=bool)
    removed[:, inner] = membership(range(len(removed)), len(inner))
    for values in removals.values(removed):
        drops = values[0] - values
        evaluated_sets = set()

        def of(sets, drops=drops, evaluated_sets=evaluated_sets):
            evaluated_sets.update(sets)
            return drops[list(sets)]

        (lower, upper), _ = order_limits(of, len(inner), 5)
        assert len(evaluated_sets) < 420  # of 1024 or 2048
        (least, most), _ = order_limits(of, len(inner))
        width = most - least
        assert (lower - least <= 0.014 * width).all()
        assert (most - upper <= 0.014 * width).all()


def planted(visualizer, text, order):
    """An attribution that ranks the tokens that can be removed in an order."""
    attribution = visualizer.compute_saliency(text, method="input_x_gradient")
    inner = np.flatnonzero(~attribution.tokens.special)
    scores = np.zeros_like(attribution.scores)
    scores[0, inner[list(order)]] = np.arange(len(order), 0, -1)
    return replace(attribution, scores=scores)


def values_of(assessment, name="normalized_aopc"):
    return {(one.quantity, one.replacement): one.value for one in assessment.named(name)}


@pytest.fixture(scope="module")
def bert():
    return visualizer_of("bert")


def test_the_best_order_gets_one_and_the_worst_none(bert):
    first = planted(bert, SHORT, range(6))
    inner, ids = np.flatnonzero(~first.tokens.special), first.tokens.ids
    assert len(inner) == 6
    variants = np.repeat(ids[None], 1 << 6, axis=0)
    variants[:, inner] = np.where(
        membership(range(1 << 6), 6), bert.tokenizer.mask_token_id, variants[:, inner]
    )
    with torch.no_grad():
        answers = bert.model(input_ids=torch.from_numpy(variants)).logits.double().softmax(-1).numpy()
    drops = (answers[0] - answers)[:, first.targets[0].indices[0]]
    orders = list(itertools.permutations(range(6)))
    means = np.array([drops[prefix_sets(order)].mean() for order in orders])
    low, up = means.min(), means.max()
    some = orders[100]
    maps = [planted(bert, SHORT, order) for order in (orders[means.argmax()], orders[means.argmin()], some)]
    assessments = bert.evaluate(maps, metrics=["normalized_aopc"])
    key = ("probability", "mask")
    expected = (means[100] - low) / (up - low)
    assert [values_of(one)[key] for one in assessments] == pytest.approx([1, 0, expected], abs=1e-4)
    turned = (means[orders.index(some[::-1])] - low) / (up - low)
    assert values_of(assessments[2], SUFFICIENCY)[key] == pytest.approx(turned, abs=1e-4)
    best, worst = (one.named("normalized_aopc")[2] for one in assessments[:2])
    assert (best.quantity, best.replacement) == key
    assert (best.limits.lower, best.limits.upper) == pytest.approx((low, up), rel=1e-3)
    assert best.limits.exact
    assert best.limits == worst.limits
    assert best.advantage > 0 > worst.advantage
    assert best.control.size == 5
    assert best.curve[:, 1].mean() == pytest.approx(best.value, abs=1e-6)
    assert Assessment.from_json(assessments[0].to_json()).to_json() == assessments[0].to_json()


def test_every_set_runs_once_and_limits_are_shared(bert):
    maps = [planted(bert, SHORT, order) for order in (range(6), range(5, -1, -1))]
    assessments = bert.evaluate(maps, metrics=["normalized_aopc"])
    assert [one.variants for one in assessments] == [2 * 2**6, 0]
    metric = NormalizedAopc(beam_width=1, exact_sets=1)
    assessments = bert.evaluate(maps, metrics=[metric])
    assert assessments[0].variants < 2 * 2**6
    assert [one.limits for one in assessments[0].named("normalized_aopc")] == [
        one.limits for one in assessments[1].named("normalized_aopc")
    ]


def test_limits_of_a_search_include_every_order_that_is_evaluated(bert):
    maps = [bert.compute_saliency(SHORT, method=name) for name in ("leave_one_out", "saliency")]
    metric = NormalizedAopc(beam_width=1, exact_sets=1)  # so narrow that a random order does better
    assessments = bert.evaluate(maps, metrics=[metric])
    for one in (*assessments[0].evaluations, *assessments[1].evaluations):
        if one.metric.startswith("normalized_aopc"):
            assert not one.limits.exact
            assert 0 <= one.value <= 1
            assert ((one.control >= 0) & (one.control <= 1)).all()


def scaled(factor, shift):
    """A regression with the outputs of another, times a factor and plus a shift."""
    model = fresh("distilbert", num_labels=1)
    with torch.no_grad():
        model.classifier.weight.mul_(factor)
        model.classifier.bias.mul_(factor).add_(shift)
    return visualizer_of("distilbert", model=model)


def test_the_unit_of_the_output_has_no_effect():
    plain, other = (
        scaled(*how).evaluate(SHORT, method="leave_one_out", metrics=["normalized_aopc"])
        for how in ((1, 0), (50, 3))
    )
    for name in ("normalized_aopc", SUFFICIENCY):
        assert values_of(other, name) == pytest.approx(values_of(plain, name), abs=1e-3)
    for name in ("comprehensiveness", "sufficiency"):
        assert other.named(name)[0].value == pytest.approx(50 * plain.named(name)[0].value, rel=1e-2)
    one, big = (side.named("normalized_aopc")[0].limits for side in (plain, other))
    assert big.upper - big.lower == pytest.approx(50 * (one.upper - one.lower), rel=1e-2)


def test_a_constant_model_has_no_value():
    assessment = scaled(0, 3).evaluate(SHORT, method="leave_one_out", metrics=["normalized_aopc"])
    evaluations = assessment.named("normalized_aopc")
    assert evaluations
    for one in evaluations:
        assert one.value is None
        assert one.control.size == 0
        assert one.limits.upper == pytest.approx(one.limits.lower)
        assert "All removal orders give the same AOPC" in one.reasons[0]
    assert Assessment.from_json(assessment.to_json()).to_json() == assessment.to_json()


def test_a_text_that_is_too_long_has_no_value(bert):
    assessment = bert.evaluate(SHORT, method="saliency", metrics=[NormalizedAopc(longest=5)])
    (one,) = assessment.named("normalized_aopc")
    assert one.value is None
    assert one.reasons == ("6 tokens can be removed; the range is computed for at most 5.",)


def test_a_language_model_is_evaluated_by_its_log_probability():
    visualizer = visualizer_of("llama")
    assessment = visualizer.evaluate(
        SHORT, method="leave_one_out", continuation=" king", metrics=[NormalizedAopc(beam_width=2)]
    )
    evaluations = assessment.named("normalized_aopc")
    assert [one.quantity for one in evaluations] == ["log-probability"] * 2
    assert all(0 <= one.value <= 1 for one in evaluations)
    assert len(assessment.named(SUFFICIENCY)) == 2
