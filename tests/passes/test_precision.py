"""Targets are read in the model's own precision, and a probability near 1 keeps its digits."""

import numpy as np
import oracles
import pytest
import torch
from by_hand import gradients_by_hand
from tiny_models import PROBE, fresh, visualizer_of

from model_understanding.passes.target_values import entries_of, read_values
from model_understanding.results import Target


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gap", [5.0, 12.0, 17.0])
@pytest.mark.parametrize("quantity", ["log_prob", "prob", "loss"])
def test_a_probability_near_one_keeps_its_gradient(gap, quantity, dtype):
    logits = torch.tensor([[[gap, 0.25, -0.5, 0.0]]], dtype=dtype, requires_grad=True)
    target = Target(task="causal-lm", positions=(0,), indices=(0,), labels=("a",), quantity=quantity)
    rows = [[target]]
    value = read_values(logits, 0, entries_of(rows), rows, "softmax")
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    exact = logits.detach().double().requires_grad_()
    log_probability = -torch.log1p(torch.exp(exact[0, 0, 1:] - exact[0, 0, 0]).sum())
    expected = {"log_prob": log_probability, "prob": log_probability.exp(), "loss": -log_probability}[
        quantity
    ]
    (wanted,) = torch.autograd.grad(expected, exact)
    assert value.dtype == dtype
    assert abs(float(value.detach()) - float(expected.detach())) <= 1e-4 * abs(float(expected.detach()))
    assert np.allclose(gradient[0, 0], wanted[0, 0], rtol=2e-5, atol=0)


@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt2"])
def test_a_saturated_model_in_64_bits_has_its_own_gradient(name):
    model = fresh(name).double()
    visualizer = visualizer_of(name, model=model)
    inputs = visualizer.tokenizer(PROBE, return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits[0, -1]
        head = model.get_output_embeddings()
        top = logits.topk(2).values
        model.lm_head = scaled = torch.nn.Linear(head.in_features, head.out_features, bias=False).double()
        scaled.weight.copy_(head.weight * 16 / (top[0] - top[1]))
        token = int(model(**inputs).logits[0, -1].argmax())
    _, _, gradients = gradients_by_hand(model, inputs, lambda logits: [logits[-1].log_softmax(-1)[token]])
    found = visualizer.compute_saliency(PROBE, method="saliency", target=[token])
    assert oracles.close(found.scores[0], gradients[0].norm(dim=-1), 1e-5)


@pytest.mark.parametrize("name", ["bert", "gpt2-classifier", "llama", "gemma2", "gpt-oss"])
def test_attention_in_64_bits_is_that_in_32(name):
    single, double = fresh(name, "eager"), fresh(name, "eager").double()
    if name == "gpt-oss":
        double.set_experts_implementation("eager")  # the grouped kernel has no 64-bit numbers
    for kind in ("raw", "rollout", "gradient_weighted", "value_weighted", "value_zeroing"):
        expected = visualizer_of(name, model=single).compute_attention(PROBE, kind=kind).weights
        found = visualizer_of(name, model=double).compute_attention(PROBE, kind=kind).weights
        assert oracles.close(found, expected, 1e-4), kind
