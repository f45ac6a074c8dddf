"""16-bit and 64-bit models against the same weights in 32 bits: gradient methods and targets.

Weights are rounded first, so that both models hold the same numbers and only the arithmetic differs.
"""

import numpy as np
import pytest
import tiny_models
import torch
from registered import GRADIENT, RULES
from tiny_models import PROBE, TEXTS, encoded, fresh, visualizer_of

from model_understanding import UnsupportedModelError

FEW = ("bert", "deberta-v2", "gpt2-classifier", "llama", "gemma3")
GRID = [
    pytest.param(name, marks=[] if name in FEW else pytest.mark.full)
    for name in tiny_models.CLASSIFIERS + tiny_models.LANGUAGE_MODELS
]
# Of the largest score. bfloat16 keeps 8 bits, and some scores are differences of larger numbers.
TOLERANCES = {torch.bfloat16: 0.15, torch.float16: 0.06}

# Their masks are the least number of the type: differences leave the range of float16.
TOO_NARROW = {(name, "deep_lift", torch.float16) for name in ("deberta-v2", "mpnet", "xlnet")}
# A norm right behind the embedding table undoes their length: ⟨embedding, gradient⟩ is 0 but for rounding.
NOTHING_TO_COMPARE = {("modernbert", "input_x_gradient"), ("bloom", "input_x_gradient")}
REFUSED = {("mamba", method) for method in RULES}
# Its scores are small changes along a path for each token, and rounding to 16 bits is as large.
COMPARED = [method for method in GRADIENT if method != "sequential_integrated_gradients"]


def target_of(name):
    return {"target": 1} if name in tiny_models.CLASSIFIERS else {"target": 9}


def pair(name, dtype):
    """Return visualizers of one model in 32 bits and in another type, with the same numbers as weights."""
    return tuple(visualizer_of(name, model=fresh(name).to(dtype).to(kind)) for kind in (torch.float32, dtype))


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", GRID)
def test_16_bit_scores_are_those_in_32_bits(name, dtype):
    whole, half = pair(name, dtype)
    for method in COMPARED:
        if (name, method) in NOTHING_TO_COMPARE | REFUSED:
            continue
        if (name, method, dtype) in TOO_NARROW:
            with pytest.raises(UnsupportedModelError, match="sum to nan"):
                half.compute_saliency(PROBE, method=method, **target_of(name))
            continue
        expected = whole.compute_saliency(PROBE, method=method, **target_of(name))
        found = half.compute_saliency(PROBE, method=method, **target_of(name))
        assert found.scores.dtype == np.float32
        assert found.provenance.dtype == str(dtype).removeprefix("torch.")
        apart = np.abs(found.scores - expected.scores).max() / np.abs(expected.scores).max()
        assert apart <= TOLERANCES[dtype], method
        assert np.corrcoef(found.scores[0], expected.scores[0])[0, 1] > 0.99, method
        scale = np.abs(expected.outputs).max() + 1
        assert np.abs(found.outputs - expected.outputs).max() <= 0.05 * scale


@pytest.mark.parametrize("name", FEW)
def test_targets_are_read_in_32_bits(name):
    whole, half = pair(name, torch.bfloat16)
    runner = half.runner
    encoding = encoded(half, PROBE)
    if name in tiny_models.CLASSIFIERS:
        options: list[dict[str, object]] = [
            {"target": "all", "quantity": q} for q in ("logit", "log_prob", "prob")
        ]
        options.append({"target": 0, "against": 2})
        logits = runner.model.logits(encoding)[0, 0]
    else:
        options = [
            {"target": "loss"},
            {"target": "continuation", "continuation": " a king", "per_token": True},
        ]
        logits = runner.model.logits(encoding)[0, -1]
    assert logits.dtype == torch.bfloat16
    for asked in options:
        expected = whole.compute_saliency(PROBE, method="saliency", **asked)
        found = half.compute_saliency(PROBE, method="saliency", **asked)
        assert found.outputs.dtype == np.float32
        scale = np.abs(expected.scores).max()
        assert np.abs(found.scores - expected.scores).max() <= TOLERANCES[torch.bfloat16] * scale
    if name in tiny_models.CLASSIFIERS:
        # The sum over classes is done in 32 bits: to far more places than bfloat16 has.
        found = half.compute_saliency(PROBE, target="all", quantity="log_prob", method="saliency")
        exact = logits.double().log_softmax(-1).numpy()
        assert np.abs(found.outputs - exact).max() <= 1e-6 * np.abs(exact).max() + 1e-6


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_texts_of_one_batch_are_those_alone(dtype):
    _, half = pair("bert", dtype)
    together = half.compute_saliency([PROBE, TEXTS[1], PROBE], target=1, method="saliency")
    for text, found in zip([PROBE, TEXTS[1], PROBE], together, strict=True):
        alone = half.compute_saliency(text, target=1, method="saliency")
        assert np.abs(found.scores - alone.scores).max() <= TOLERANCES[dtype] * alone.scores.max()


@pytest.mark.parametrize("name", FEW)
def test_64_bit_models_give_32_bit_scores(name):
    visualizer = visualizer_of(name, model=fresh(name).double())
    for method in ("saliency", "integrated_gradients", "gim"):
        found = visualizer.compute_saliency(PROBE, method=method, **target_of(name))
        expected = visualizer_of(name).compute_saliency(PROBE, method=method, **target_of(name))
        assert found.scores.dtype == np.float32
        assert np.abs(found.scores - expected.scores).max() <= 1e-3 * np.abs(expected.scores).max()


def test_a_type_without_a_kernel_is_told():
    visualizer = visualizer_of("mixtral", model=fresh("mixtral").double())
    with pytest.raises(UnsupportedModelError) as caught:
        visualizer.compute_saliency(PROBE, method="saliency")
    assert str(caught.value) == (
        "MixtralForCausalLM cannot run in torch.float64 on cpu: Expected mat_a to be Float32, BFloat16 or "
        "Float16 matrix, got Double. Load the model with dtype='float32'."
    )
