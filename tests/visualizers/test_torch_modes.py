"""What the caller has switched on in torch around a call does not change its numbers."""

from contextlib import contextmanager

import numpy as np
import oracles
import pytest
import torch
from by_hand import gradients_by_hand
from tiny_models import CLASSIFIERS, PROBE, fresh, visualizer_of


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


MODES = {
    "inference mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "default float64": lambda: default_dtype(torch.float64),
    "default bfloat16": lambda: default_dtype(torch.bfloat16),
    "default float16": lambda: default_dtype(torch.float16),
    "autocast bfloat16": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "autocast float16": lambda: torch.autocast("cpu", dtype=torch.float16),
    "default device": lambda: torch.device("meta"),
}
METHODS = ("saliency", "default", "leave_one_out", "kernel_shap", "smooth_grad", "attention_rollout", "gim")
NAMES = ("bert", "gpt2-classifier", "llama")


def answers(visualizer, name):
    """Return numbers of everything that is computed, by what they are."""
    target = {"target": 0} if name in CLASSIFIERS else {"target": "next"}
    found = {m: visualizer.compute_saliency(PROBE, method=m, **target).scores for m in METHODS}
    for kind in ("raw", "rollout", "gradient_weighted", "value_weighted"):
        found[kind] = visualizer.compute_attention(PROBE, kind=kind).weights
    found["heads"] = visualizer.score_heads(PROBE).scores
    found["lens"] = visualizer.compute_logit_lens(PROBE).top_probabilities
    found["query and key"] = visualizer.compute_query_key(PROBE, query=1).weights
    report = visualizer.analyze(PROBE, method="saliency", show=False)
    found["report"] = report.attributions[0].scores
    found["evaluation"] = [evaluation.value or 0.0 for evaluation in report.evaluations]
    if name in CLASSIFIERS:
        found["prediction"] = visualizer.predict(PROBE).logits
        found["classes"] = visualizer.compute_saliency(
            PROBE, target="all", method="integrated_gradients"
        ).scores
    else:
        found["generation"] = visualizer.generate(PROBE, max_new_tokens=3).probabilities
    return found


@pytest.fixture(scope="module", params=NAMES)
def plain(request):
    visualizer = visualizer_of(request.param, model=fresh(request.param))
    return request.param, visualizer.model, answers(visualizer, request.param)


@pytest.mark.parametrize("mode", MODES)
def test_the_numbers_are_those_without_it(plain, mode):
    name, model, expected = plain
    visualizer = visualizer_of(name, model=model)
    with MODES[mode]():
        found = answers(visualizer, name)
    for what, values in expected.items():
        assert oracles.close(np.array(found[what], float), np.array(values, float), 1e-4), what
    assert found["report"].dtype == np.float32


@pytest.mark.parametrize("name", NAMES)
def test_a_model_built_in_inference_mode_is_explained_and_left_as_it_was(name):
    with torch.inference_mode():
        model = fresh(name)
        for weight in model.parameters():
            weight.data = weight.clone()
    assert all(weight.is_inference() or weight.data.is_inference() for weight in model.parameters())
    before = [weight.requires_grad for weight in model.parameters()]
    visualizer, ordinary = visualizer_of(name, model=model), fresh(name)
    position = 0 if name in CLASSIFIERS else (-1, 0)
    inputs = visualizer.tokenizer(PROBE, return_tensors="pt")
    _, _, gradients = gradients_by_hand(ordinary, inputs, lambda logits: [logits[position]])
    found = visualizer.compute_saliency(
        PROBE, method="saliency", quantity="logit", target=0 if name in CLASSIFIERS else [0]
    )
    assert oracles.close(found.scores[0], gradients[0].norm(dim=-1))
    assert [weight.requires_grad for weight in model.parameters()] == before
