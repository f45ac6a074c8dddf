"""Shapley values against their definition, with honest standard errors and exact sums."""

import numpy as np
import oracles
import pytest
from pass_counts import measured
from tiny_models import PROBE, TEXTS, encoded, visualizer_of

from attribution.perturbing import (
    brute_force_shapley,
    counted,
    linear_scores,
    linear_visualizer,
    mask_embedding,
)
from model_understanding import InputError, ShapleySampling
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding

CLASSES = [Target(task="sequence-classification", indices=(i,)) for i in range(3)]
SHORT = "bad plot but"


def scores_of(visualizer, text, targets=CLASSES, **options) -> object:
    return ShapleySampling(**options)(visualizer.runner, encoded(visualizer, text), targets)


@pytest.mark.parametrize("name", ["bert", "gpt2-classifier", "xlnet"])
def test_all_combinations_give_the_definition(name):
    visualizer = measured(visualizer_of(name))
    encoding = encoded(visualizer, SHORT)
    content = int((~encoding.tokens[0].special).sum())
    assert content <= 8
    with counted(visualizer.model) as counts:
        found = scores_of(visualizer, SHORT, samples=2**content)
    assert counts["positions"] == 2**content * encoding.ids.shape[1]
    expected = brute_force_shapley(visualizer.runner, encoding, CLASSES)
    assert oracles.close(found.scores[0], expected)
    assert not found.standard_errors.any()
    assert np.abs(found.gaps).max() <= 1e-12


@pytest.mark.parametrize("name", ["bert", "llama-classifier"])
def test_samples_agree_with_the_definition_within_their_standard_errors(name):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, SHORT)
    count = int((~encoding.tokens[0].special).sum())
    expected = brute_force_shapley(visualizer.runner, encoding, CLASSES)
    ratios = []
    for seed in range(12):
        found = scores_of(visualizer, SHORT, samples=2**count - 1, tolerance=0.0, seed=seed)
        assert np.abs(found.gaps).max() <= 1e-12
        spread = found.standard_errors[0]
        assert (spread[:, ~encoding.tokens[0].special] > 0).all()
        ratios.append((np.abs(found.scores[0] - expected) / np.where(spread > 0, spread, 1)).ravel())
    ratios = np.concatenate(ratios)
    assert np.median(ratios[ratios > 0]) < 1.2
    assert np.median(ratios[ratios > 0]) > 0.3  # nor are the errors inflated
    assert np.mean(ratios < 4) > 0.95


def test_sums_are_exact_and_the_baseline_is_the_masked_text():
    visualizer = visualizer_of("bert")
    found = visualizer.compute_saliency(PROBE, target="all", method=ShapleySampling(samples=100))
    ids = found.tokens.ids.copy()
    ids[~found.tokens.special] = visualizer.tokenizer.mask_token_id
    encoding = visualizer.runner.model.encode(found.tokens)
    inputs = {**encoding.inputs, "input_ids": encoding.ids.new_tensor(ids[None])}
    masked = visualizer.runner.model.logits(Encoding(encoding.tokens, inputs))[0, 0]
    assert oracles.close(found.baseline_outputs, masked)
    assert oracles.close(found.scores.sum(1), found.outputs - found.baseline_outputs)


@pytest.mark.parametrize("samples", [60, 4096])
@pytest.mark.parametrize("unit", ["token", "word"])
def test_a_linear_model_is_exact_at_once(samples, unit):
    visualizer = linear_visualizer()
    text = "The film was a wonderful king"
    method = ShapleySampling(samples=samples, unit=unit)
    found = visualizer.compute_saliency(text, target="all", method=method)
    expected = linear_scores(visualizer, text, mask_embedding(visualizer))
    groups = found.tokens.groups(unit)
    assert oracles.close(
        found.folded(unit).scores, np.stack([expected[:, list(g)].sum(1) for g in groups], axis=1)
    )


def test_it_stops_when_the_standard_error_is_small_enough():
    visualizer = visualizer_of("bert")
    count = int((~encoded(visualizer, PROBE).tokens[0].special).sum())
    runs = []
    for tolerance in (0.0, 0.3):
        with counted(visualizer.model) as counts:
            found = scores_of(visualizer, PROBE, CLASSES[:1], samples=2000, tolerance=tolerance)
        runs.append(len(counts["rows"]))
    # Coalitions of one token, or all but one, come up again and are not run again.
    assert 2000 - 12 * count <= runs[0] <= 2002
    assert runs[1] < runs[0] / 2
    assert found.standard_errors.max() <= 0.3 * abs(found.outputs - found.baseline_outputs).max()
    assert found.cautions == ((),)
    late = scores_of(visualizer, PROBE, CLASSES[:1], samples=100, tolerance=1e-6)
    assert "After 100 samples, standard errors are up to" in late.cautions[0][0]


def test_seeds_are_all_the_chance_there_is():
    visualizer = visualizer_of("bert")
    one, again, other = (scores_of(visualizer, PROBE, samples=200, seed=seed).scores for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not oracles.close(one, other, 1e-3)


def test_many_targets_are_each_alone_and_a_batch_is_each_text_alone():
    visualizer = visualizer_of("bert")
    method = ShapleySampling(samples=400, tolerance=0.1)
    together = visualizer.compute_saliency([TEXTS[0], TEXTS[1], TEXTS[0]], target="all", method=method)
    for text, found in zip([TEXTS[0], TEXTS[1], TEXTS[0]], together, strict=True):
        for target in range(3):
            alone = visualizer.compute_saliency(text, target=target, method=method)
            assert oracles.close(found.scores[target], alone.scores[0], 2e-5)


@pytest.mark.parametrize("unit", ["token", "word", "sentence"])
@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2", "gpt-oss", "mamba"])
def test_language_models_sum_up_for_each_target(name, unit):
    visualizer = visualizer_of(name)
    method = ShapleySampling(samples=150, unit=unit)
    options = {"target": "continuation", "continuation": " a king", "method": method}
    found = visualizer.compute_saliency(TEXTS[1], **options, per_token=True)
    total = found.outputs - found.baseline_outputs
    assert np.abs(found.scores.sum(1) - total).max() <= 1e-5 * np.abs(found.outputs).max()
    following = visualizer.compute_saliency(TEXTS[1], target="next", method=method)
    scale = np.abs(following.baseline_outputs).max()
    error = following.scores.sum(1) - (following.outputs - following.baseline_outputs)
    assert np.abs(error).max() <= 1e-5 * scale


def test_one_token_of_content_and_hostile_texts():
    visualizer = visualizer_of("bert")
    found = scores_of(visualizer, "a")
    assert oracles.close(found.scores[0].sum(-1), found.outputs[0] - found.baseline_outputs[0])
    for text in ("<b>שלום</b> 你好", "👨‍👩‍👧🏽 a"):
        assert np.abs(scores_of(visualizer, text, samples=64).gaps).max() <= 1e-12


def test_two_pairs_are_run_whatever_samples_says():
    visualizer = visualizer_of("bert")
    count = int((~encoded(visualizer, PROBE).tokens[0].special).sum())
    with counted(visualizer.model) as counts:
        found = scores_of(visualizer, PROBE, samples=2)
    assert len(counts["rows"]) <= 4 * (count - 1) + 2
    assert np.isfinite(found.standard_errors).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 1}, "samples must be a whole number, 2 or more. Got 1."),
        ({"seed": -1}, "seed must be a whole number, 0 or more. Got -1."),
        ({"tolerance": -0.1}, "tolerance must be a finite number, 0 or more. Got -0.1."),
        ({"unit": "window"}, "Unknown unit 'window'. Allowed: token, word, sentence."),
    ],
)
def test_wrong_parameters_are_refused(options, message):
    with pytest.raises(InputError) as caught:
        ShapleySampling(**options)
    assert str(caught.value).startswith(message)
