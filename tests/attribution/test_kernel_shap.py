"""Kernel SHAP: exact where all coalitions are run, exact sums always, close to Shapley values else."""

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
from model_understanding import InputError, KernelShap
from model_understanding.perturbation.surrogates import kernel_coalitions, size_probabilities
from model_understanding.results import Target

CLASSES = [Target(task="sequence-classification", indices=(i,)) for i in range(3)]
SHORT = "bad plot but"


@pytest.mark.parametrize("name", ["bert", "gpt2-classifier", "xlnet"])
def test_all_coalitions_give_the_shapley_values(name):
    visualizer = measured(visualizer_of(name))
    encoding = encoded(visualizer, SHORT)
    count = int((~encoding.tokens[0].special).sum())
    with counted(visualizer.model) as counts:
        found = KernelShap(samples=2**count)(visualizer.runner, encoding, CLASSES)
    assert counts["positions"] == 2**count * encoding.ids.shape[1]
    assert oracles.close(found.scores[0], brute_force_shapley(visualizer.runner, encoding, CLASSES))


@pytest.mark.parametrize("name", ["bert", "llama-classifier"])
def test_more_samples_come_closer(name):
    visualizer = measured(visualizer_of(name))
    encoding = encoded(visualizer, SHORT)
    count = int((~encoding.tokens[0].special).sum())
    expected = brute_force_shapley(visualizer.runner, encoding, CLASSES)

    def error(samples):
        found = [
            KernelShap(samples=samples, seed=seed)(visualizer.runner, encoding, CLASSES) for seed in range(8)
        ]
        assert all(np.abs(one.gaps).max() <= 1e-9 for one in found)
        return np.sqrt(np.mean([(one.scores[0] - expected) ** 2 for one in found]))

    few, many = error(2 * count), error(2**count - 3)
    assert many < 0.7 * few
    assert many < 0.2 * np.abs(expected).max()


@pytest.mark.parametrize("samples", [60, 4096])
def test_a_linear_model_is_exact(samples):
    visualizer = linear_visualizer()
    text = "a king lived"
    found = visualizer.compute_saliency(text, target="all", method=KernelShap(samples=samples))
    expected = linear_scores(visualizer, text, mask_embedding(visualizer))
    assert oracles.close(found.scores, expected)


def test_coalitions_come_in_pairs_and_sizes_by_the_kernel():
    drawn, is_all = kernel_coalitions(30, 20_000, 0)
    assert not is_all
    assert (drawn[::2] == ~drawn[1::2]).all()
    assert drawn.any(axis=1).all()
    assert not drawn.all(axis=1).any()
    shares = np.bincount(drawn.sum(axis=1), minlength=31) / len(drawn)
    assert np.abs(shares - size_probabilities(30)).max() < 0.01
    assert np.array_equal(drawn, kernel_coalitions(30, 20_000, 0)[0])
    every, is_all = kernel_coalitions(4, 14, 0)
    assert is_all
    assert len({tuple(row) for row in every.tolist()}) == 14


@pytest.mark.parametrize("samples", [200, 5000])
@pytest.mark.parametrize("name", ["gpt2", "mamba"])
def test_tokens_after_a_target_play_no_part_in_its_regression(name, samples):
    """Each row of a continuation is the row asked for alone, on the text that ends there."""
    visualizer = visualizer_of(name)
    prompt = "A king was" if name == "gpt2" else "king was"
    options = {"target": "continuation", "continuation": " a king", "method": KernelShap(samples=samples)}
    found = visualizer.compute_saliency(prompt, **options, per_token=True)
    encoding = visualizer.runner.model.encode(found.tokens)
    total = found.outputs - found.baseline_outputs
    assert np.abs(found.scores.sum(1) - total).max() <= 1e-5 * np.abs(found.outputs).max()
    assert not found.scores[~found.valid].any()
    expected = brute_force_shapley(visualizer.runner, encoding, found.targets)
    scale = np.abs(expected).max()
    assert np.abs(found.scores - expected).max() <= (1e-4 if samples == 5000 else 0.3) * scale


def test_many_targets_are_each_alone_and_a_batch_is_each_text_alone():
    visualizer = visualizer_of("bert")
    method = KernelShap(samples=200)
    together = visualizer.compute_saliency([TEXTS[0], TEXTS[1]], target="all", method=method)
    for text, found in zip(TEXTS[:2], together, strict=True):
        for target in range(3):
            alone = visualizer.compute_saliency(text, target=target, method=method)
            assert oracles.close(found.scores[target], alone.scores[0], 1e-4)


def test_too_few_samples_cause_a_warning():
    visualizer = visualizer_of("bert")
    found = KernelShap(samples=10)(visualizer.runner, encoded(visualizer, PROBE), CLASSES)
    assert found.cautions == (
        ("10 samples are too few to determine the scores of all 22 units. Increase samples.",),
    )
    assert np.abs(found.gaps).max() <= 1e-9


def test_seeds_and_one_token_of_content():
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    one, again, other = (
        KernelShap(samples=100, seed=seed)(visualizer.runner, encoding, CLASSES).scores for seed in (0, 0, 1)
    )
    assert np.array_equal(one, again)
    assert not oracles.close(one, other, 1e-3)
    found = KernelShap()(visualizer.runner, encoded(visualizer, "a"), CLASSES)
    assert np.abs(found.gaps).max() <= 1e-12


def test_wrong_parameters_are_refused():
    with pytest.raises(InputError, match="samples must be a whole number, 2 or more"):
        KernelShap(samples=0)
    with pytest.raises(InputError, match="Unknown unit 'window'"):
        KernelShap(unit="window")
