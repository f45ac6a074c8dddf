"""Perturbation methods on models in 16 bits: the model rounds, our sums and differences do not."""

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from tiny_models import PROBE, TEXTS, encoded, visualizer_of

from model_understanding import ContextAttribution, KernelShap, LeaveOneOut, Lime, Occlusion, ShapleySampling
from model_understanding.perturbation.token_removal import ModelTokenRemoval

# Part of the largest 32-bit score. These weights are far sharper than a trained model's: most models
# stay below a third of it.
TOLERANCE = {torch.bfloat16: 0.2, torch.float16: 0.03}
METHODS = (
    Occlusion(),
    LeaveOneOut(),
    ShapleySampling(samples=64, tolerance=0.0),
    KernelShap(samples=128),
    Lime(samples=128),
    ContextAttribution(unit="word", samples=32, held_out=8),
)
FEW = ("bert", "gpt2-classifier", "llama", "gemma3")
LONG = f"{PROBE} {PROBE}"
GRID = [
    pytest.param(name, marks=[] if name in FEW else pytest.mark.full)
    for name in tiny_models.CLASSIFIERS + tiny_models.LANGUAGE_MODELS
]
ROUTED = ("mixtral", "gpt-oss")  # rounding sends a token to another expert, which is another function


def halved(name, dtype):
    return visualizer_of(name, model=tiny_models.fresh(name).to(dtype))


def explained(visualizer, name, method, text=TEXTS[1]):
    if name in tiny_models.CLASSIFIERS:
        return visualizer.compute_saliency(text, method=method, target="all")
    options = {"target": "continuation", "continuation": " a king"}
    return visualizer.compute_saliency(text, method=method, **options)


def agree_but_for_rounding(found, expected, dtype):
    """Return whether scores differ by no more than their tolerance, or than a few roundings of the output.

    A score is a difference of outputs. Where all are a small part of the output, its own rounding, which
    differs between processors, is as large as they are.
    """
    rounding = 4 * torch.finfo(dtype).eps * np.abs(expected.outputs).max()
    allowed = max(TOLERANCE[dtype] * np.abs(expected.scores).max(), rounding)
    return found.scores.shape == expected.scores.shape and (
        np.abs(found.scores - expected.scores).max() <= allowed
    )


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", GRID)
def test_scores_are_those_of_32_bits_but_for_the_model_s_rounding(name, dtype):
    whole, half = visualizer_of(name), halved(name, dtype)
    assert half.model.dtype == dtype
    for method in METHODS:
        expected, found = explained(whole, name, method), explained(half, name, method)
        assert np.isfinite(found.scores).all()
        assert found.provenance.dtype == str(dtype).removeprefix("torch.")
        if name not in ROUTED:
            assert agree_but_for_rounding(found, expected, dtype), method
        if method.complete:
            assert np.abs(found.gaps).max() <= 1e-12  # rounding to 16 bits would leave 1e-3 of the output


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_log_probabilities_are_read_in_32_bits(dtype):
    found = explained(halved("llama", dtype), "llama", Occlusion())
    outputs = torch.tensor(found.outputs)
    assert (outputs.to(dtype).float() != outputs).all()
    assert oracles.close(outputs, explained(visualizer_of("llama"), "llama", Occlusion()).outputs, 0.01)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_the_mean_embedding_is_summed_in_32_bits(dtype):
    visualizer = halved("gpt2-classifier", dtype)
    encoding = encoded(visualizer, PROBE)
    targets = visualizer.compute_saliency(PROBE, target=0, method="saliency").targets
    removal = ModelTokenRemoval(visualizer.runner, encoding, targets, "mean")
    removal.values(removal.removable[None])
    assert removal._replacement_embedding is not None
    mean = visualizer.model.get_input_embeddings().weight.detach().double().mean(0)
    assert oracles.close(removal._replacement_embedding, mean, 1e-5)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(
    ("name", "replacement"), [("bert", "attention"), ("bert", "pad"), ("bert", "mean"), ("llama", "pad")]
)
def test_every_replacement_works(name, replacement, dtype):
    method = Occlusion(replacement=replacement)
    expected = explained(visualizer_of(name), name, method)
    found = explained(halved(name, dtype), name, method)
    assert agree_but_for_rounding(found, expected, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_prefix_that_is_kept_gives_the_scores_of_recomputing(name, dtype):
    visualizer = halved(name, dtype)
    found = explained(visualizer, name, Occlusion(), LONG)
    encoding = visualizer.runner.model.encode(found.tokens)
    content = np.flatnonzero(~found.tokens.special & (found.tokens.segments == 0))
    removed = np.zeros((1 + len(content), len(found.tokens)), dtype=bool)
    removed[1 + np.arange(len(content)), content] = True
    arguments = (visualizer.runner, encoding, found.targets)
    reusing = ModelTokenRemoval(*arguments)
    assert reusing.reuse is not None
    assert reusing.reuse.is_cheaper(removed)
    values = reusing.values(removed)
    assert not reusing.reuse._failed
    again = ModelTokenRemoval(*arguments, reuse=False).values(removed)
    expected = explained(visualizer_of(name), name, Occlusion(), LONG).scores[0, content]
    for one in (values, again):
        assert np.abs((one[0] - one[1:])[:, 0] - expected).max() <= TOLERANCE[dtype] * np.abs(expected).max()
