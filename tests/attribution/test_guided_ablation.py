"""Guided ablation: leave-one-out where that is affordable, else groups whose falls are shared out."""

import numpy as np
import pytest
import tiny_seq2seq
from tiny_models import PROBE, visualizer_of

from attribution.perturbing import counted, linear_scores, linear_visualizer, mask_embedding
from model_understanding import BlackBoxVisualizer, GuidedAblation, InputError, LeaveOneOut
from model_understanding.model.metering import PassCounter, counted_by

BY_NORM = "Removals were guided by gradient norms instead of gradient-weighted attention. "


def test_a_short_text_is_left_out_token_by_token():
    visualizer = visualizer_of("bert")
    found = visualizer.compute_saliency(PROBE, target="all", method="guided_ablation")
    expected = visualizer.compute_saliency(PROBE, target="all", method=LeaveOneOut())
    assert np.array_equal(found.scores, expected.scores)
    assert (found.method, found.provenance.cautions) == ("guided_ablation", ())


@pytest.mark.parametrize("removals", [2, 5, 8])
def test_drops_of_a_linear_model_are_exact_for_any_groups(removals):
    visualizer = linear_visualizer()
    found = visualizer.compute_saliency(PROBE, target="all", method=GuidedAblation(removals=removals))
    exact = linear_scores(visualizer, PROBE, mask_embedding(visualizer))
    # A linear model has no attention: gradient norms guide the removals, and the result has a warning.
    (caution,) = found.provenance.cautions
    assert caution.startswith(BY_NORM)
    assert found.scores.sum(1) == pytest.approx(exact.sum(1), rel=1e-4)
    alone = np.isclose(found.scores, exact, rtol=1e-4, atol=1e-6).all(0) & ~found.tokens.special
    assert alone.sum() >= removals // 2


def test_the_likeliest_tokens_are_removed_alone():
    visualizer = visualizer_of("gpt2")
    options = {"target": 9}
    weights = visualizer.compute_saliency(PROBE, method="gradient_weighted_attention", **options).scores[0]
    exact = visualizer.compute_saliency(PROBE, method=LeaveOneOut(), **options).scores[0]
    found = visualizer.compute_saliency(PROBE, method=GuidedAblation(removals=10), **options)
    first = np.argsort(-weights, kind="stable")[:5]
    assert found.scores[0, first] == pytest.approx(exact[first], rel=1e-3, abs=1e-5)
    assert not np.allclose(found.scores[0], exact, rtol=1e-2)
    assert found.provenance.cautions == ()


def test_the_number_of_removals_is_a_limit():
    visualizer = visualizer_of("bert")
    tokens = int((~visualizer.compute_saliency(PROBE, method="saliency").tokens.special).sum())
    assert tokens > 6
    with counted(visualizer.model) as counts:
        visualizer.compute_saliency(PROBE, target=0, method=GuidedAblation(removals=6))
    # The text and 6 variants, and one pass for the weights.
    assert len(counts["rows"]) == 1 + 6 + 1


@pytest.mark.parametrize("name", ["mamba", "bert-as-language-model", "llama", "gemma3"])
def test_each_row_of_a_continuation_keeps_to_what_it_can_see(name):
    rows = visualizer_of(name).compute_saliency(
        PROBE,
        target="continuation",
        continuation=" a king",
        per_token=True,
        method=GuidedAblation(removals=7),
    )
    assert np.isfinite(rows.scores).all()
    assert rows.scores.any(axis=1).all()
    assert not rows.scores[~rows.valid].any()
    warned = [caution for caution in rows.provenance.cautions if caution.startswith(BY_NORM)]
    assert bool(warned) == (name == "mamba")
    assert all("MambaForCausalLM have none" in caution for caution in warned)


@pytest.mark.parametrize("name", ["t5", "mbart"])
def test_an_encoder_decoder_is_guided_by_gradient_norms_for_the_reason_given(name):
    found = tiny_seq2seq.visualizer_of(name).compute_saliency(
        tiny_seq2seq.SOURCE, continuation=tiny_seq2seq.OUTPUT, method=GuidedAblation(removals=5)
    )
    (caution,) = (caution for caution in found.provenance.cautions if caution.startswith(BY_NORM))
    assert "follows one stack of layers" in caution
    assert caution.endswith(" is an encoder–decoder.")


@pytest.mark.parametrize("place", [0, 41, 119])
def test_what_nothing_told_of_is_found_in_the_stretch_that_changes_most(place):
    asked = []

    def needle(texts):
        asked.extend(texts)
        return [[0.0, 3.0 * text.count("needle")] for text in texts]

    words = ["hay"] * 120
    words[place] = "needle"
    visualizer = BlackBoxVisualizer(needle)
    found = visualizer.compute_saliency(" ".join(words), target=1, method=GuidedAblation(removals=40))
    assert len(asked) <= 1 + 40
    assert found.scores[0, place] == pytest.approx(3.0)
    assert not np.delete(found.scores[0], place).any()


def test_too_few_removals_are_refused():
    with pytest.raises(InputError) as caught:
        GuidedAblation(removals=1)
    assert str(caught.value) == "removals must be a whole number, 2 or more. Got 1. Pass removals=32."


def test_steps_of_a_continuation_share_one_guide_and_add_up_to_the_whole():
    visualizer, method = visualizer_of("gpt2"), GuidedAblation(removals=14)
    options = {"target": "continuation", "continuation": " a king of the sea"}
    counter = PassCounter()
    with counted_by(counter):
        steps = visualizer.compute_saliency(PROBE, per_token=True, method=method, **options)
    whole = visualizer.compute_saliency(PROBE, method=method, **options)
    assert len(steps.targets) > 3
    assert counter.backward_positions <= len(steps.tokens)
    before = np.flatnonzero(steps.tokens.segments == 0)[:-2]  # the last may share a stretch with a step
    assert steps.scores.sum(0)[before] == pytest.approx(whole.scores[0, before], rel=1e-4, abs=1e-5)


def test_probabilities_of_steps_are_guided_by_their_logarithms():
    options = {"target": "continuation", "continuation": " a king of the sea", "per_token": True}
    found = visualizer_of("gpt2").compute_saliency(
        PROBE, quantity="prob", method=GuidedAblation(removals=7), **options
    )
    assert found.scores.any(axis=1).all()
