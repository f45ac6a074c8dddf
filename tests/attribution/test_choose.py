"""``default`` and ``fast``: which method stands behind them, where, and at what cost."""

import numpy as np
import pytest
from pass_counts import counted
from tiny_models import PROBE, fresh, visualizer_of

from model_understanding import GuidedAblation, InputError, IntegratedGradients, ModelVisualizer
from model_understanding.finite_backward import mode as modes
from model_understanding.model.metering import PassCounter, counted_by
from model_understanding.registry import CHOICES, METHODS

FAST = GuidedAblation(removals=8)
NEXT = {"target": 9}
CONTINUED = {"target": "continuation", "continuation": " a king"}


@pytest.mark.parametrize(
    ("model", "options", "default", "fast"),
    [
        ("bert", {"target": "all"}, "deep_lift", "gradient_weighted_attention"),
        ("bert", {"target": 0, "layer": 1}, "saliency", "saliency"),
        ("llama-classifier", {"target": 0}, "guided_ablation", "gradient_weighted_attention"),
        ("gpt2", {**CONTINUED, "per_token": True}, "guided_ablation", FAST),
        ("gpt2", NEXT, "guided_ablation", FAST),
        ("gpt2", {"target": "next"}, "guided_ablation", FAST),
        ("gpt2", {"target": "loss"}, "saliency", "saliency"),
        ("gpt2", {**NEXT, "layer": 1}, "saliency", "saliency"),
        ("mamba", NEXT, "guided_ablation", FAST),
    ],
)
def test_the_result_names_the_method_that_was_chosen(model, options, default, fast):
    visualizer = visualizer_of(model)
    for choice, method in (("default", default), ("fast", fast)):
        found = visualizer.compute_saliency(PROBE, method=choice, **options)
        named = visualizer.compute_saliency(PROBE, method=method, **options)
        assert found.scores.any()
        assert np.array_equal(found.scores, named.scores)
        assert (found.method, found.parameters) == (named.method, named.parameters)
        assert choice not in (found.method, found.parameters)


def test_a_classifiers_default_starts_from_mask_and_mean_within_five_passes():
    visualizer = visualizer_of("bert")
    visualizer.compute_saliency(PROBE, target=0)  # what is measured once
    tokens = len(visualizer._encode(PROBE).tokens[0])
    counter = PassCounter()
    with counted_by(counter):
        found = visualizer.compute_saliency(PROBE, target=0)
    assert found.parameters == {"baseline": "mask,mean"}
    assert (counter.positions, counter.backward_positions) == (3 * tokens, 2 * tokens)
    assert found.relative_gaps()[0] < 1e-4


def test_a_classifier_without_exact_rules_is_explained_by_paths_with_a_warning(monkeypatch):
    """What replaces the default is known before a text is explained, so an estimate has its cost."""
    monkeypatch.delitem(modes.RULES, "layer_norm")
    visualizer = visualizer_of("bert")
    path = IntegratedGradients(baseline="mask,mean", nodes=8, max_nodes=40, tolerance=0.2)
    estimate = visualizer.estimate_saliency([PROBE, PROBE], target=0)
    with counted(visualizer.model) as counts:
        found = visualizer.compute_saliency([PROBE, PROBE], target=0)
    assert estimate.least_forwards <= counts["forwards"] <= estimate.forwards
    expected = visualizer.compute_saliency(PROBE, target=0, method=path)
    for one in found:
        assert (one.method, one.parameters) == (expected.method, expected.parameters)
        np.testing.assert_allclose(one.scores, expected.scores, rtol=1e-4, atol=1e-6)
        (warning,) = (caution for caution in one.provenance.cautions if caution.startswith("deep_lift"))
        assert warning.startswith("deep_lift is not available. The two runs of BertForSequenceClassification")
        assert "layer_norm" in warning


def test_a_report_of_a_language_model_explains_steps_and_loss_by_the_method_of_each():
    visualizer = visualizer_of("gpt2")
    report = visualizer.analyze(PROBE, " a king", show=False)
    assert [one.method for one in report.attributions] == ["guided_ablation", "saliency"]
    assert visualizer.estimate_analysis(PROBE, " a king").method == "guided_ablation, saliency"
    assert visualizer.evaluate(PROBE, continuation=" a king").method == "guided_ablation"


def test_of_about_256_tokens_the_default_costs_a_quarter_of_leave_one_out():
    visualizer = visualizer_of("gpt2", model=fresh("gpt2", n_positions=300))
    text = PROBE * 12
    costs = {}
    for name in ("default", "fast", "leave_one_out"):
        one = visualizer.estimate_saliency(text, method=name, **NEXT)
        costs[name] = one.positions + 2 * one.backward_positions  # a backward takes about two forwards
    assert 250 <= one.tokens <= 270
    assert costs["default"] <= costs["leave_one_out"] / 4
    assert costs["fast"] <= costs["default"] / 2


def test_every_choice_is_registered_and_unknown_names_are_refused_before_anything_runs():
    assert {name for methods in CHOICES.values() for name in methods.values()} <= set(METHODS.names())
    with pytest.raises(InputError) as caught:
        ModelVisualizer.compute_saliency(visualizer_of("bert"), PROBE, method="defualt")
    assert "Unknown method 'defualt'" in str(caught.value)
