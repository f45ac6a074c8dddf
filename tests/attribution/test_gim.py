"""GIM against its formulas, rule by rule, and what holds on every architecture."""

import oracles
import pytest
import tiny_models
import torch
from tiny_models import PROBE, TEXTS, encoded, visualizer_of

from model_understanding import InputError
from model_understanding.attribution.gim import Gim
from model_understanding.attribution.input_x_gradient import InputXGradient
from model_understanding.backward_rules import attention, mode, norms

from . import relevance


def agrees(name, implementation="sdpa", text=PROBE, temperature=2.0):
    model = tiny_models.fresh(name, implementation).double()
    visualizer = visualizer_of(name, model=model)
    encoding = encoded(visualizer, text)
    place, target = relevance.read_of(name, encoding)
    found = Gim(temperature=temperature)(visualizer.runner, encoding, [target])
    settings = relevance.Settings(slope=False, temperature=temperature)
    value, expected = relevance.REFERENCES[name](model, encoding.ids, place, settings)
    assert oracles.close(found.outputs[0, 0], value)
    return oracles.close(found.scores[0, 0], expected, 5e-6)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("text", [*TEXTS, "A"])
@pytest.mark.parametrize("name", relevance.REFERENCES)
def test_it_is_the_papers_formulas_by_hand(name, text, implementation):
    assert agrees(name, implementation, text)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_any_temperature_holds_in_both_attentions(implementation, temperature):
    assert agrees("llama", implementation, temperature=temperature)


# The peer's three silent no-ops on Hugging Face models, planted one by one.
@pytest.mark.parametrize(
    ("name", "implementation", "fault"),
    [
        ("bert", "sdpa", (norms, "layer_norm", torch.nn.functional.layer_norm)),
        ("bert", "sdpa", (attention, "with_scaled_gradient", lambda operand, factor: operand)),
        ("bert", "eager", (mode, "scale_arriving_gradient", lambda result, factor: result)),
        ("bert", "eager", (attention, "softmax", lambda rules, scores, given: given)),
        ("llama", "sdpa", (mode, "scale_arriving_gradient", lambda result, factor: result)),
    ],
)
def test_a_lost_rule_is_seen_by_the_oracle(name, implementation, fault, monkeypatch):
    assert agrees(name, implementation)
    monkeypatch.setattr(*fault)
    assert not agrees(name, implementation)


def test_a_temperature_of_one_differs_from_two_under_a_fused_kernel():
    visualizer = visualizer_of("llama", "sdpa")
    scores = [visualizer.compute_saliency(PROBE, method=Gim(temperature=t)).scores for t in (1.0, 2.0)]
    assert not oracles.close(*scores, 1e-2)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_must_be_above_zero(temperature):
    with pytest.raises(InputError) as caught:
        Gim(temperature=temperature)
    assert str(caught.value) == (
        f"temperature must be a finite number, above 0. Got {temperature!r}. Pass temperature=2.0."
    )


def test_a_custom_target_is_differentiated_as_it_is():
    visualizer = visualizer_of("bert")

    def probability(outputs):
        return outputs.logits.softmax(-1)[0, 2] * outputs.logits[0, 1].exp()

    encoding = encoded(visualizer, PROBE)
    found = Gim()(visualizer.runner, encoding, probability)
    logits = visualizer.runner.model.logits(encoding)[:, 0].requires_grad_()
    (weights,) = torch.autograd.grad(logits.softmax(-1)[0, 2] * logits[0, 1].exp(), logits)
    each = [
        Gim()(visualizer.runner, encoding, lambda outputs, c=c: outputs.logits[0, c]).scores for c in range(3)
    ]
    expected = sum(float(weight) * scores for weight, scores in zip(weights[0], each, strict=True))
    assert oracles.close(found.scores, expected)


def test_it_is_not_input_x_gradient():
    visualizer = visualizer_of("bert")
    found = [visualizer.compute_saliency(PROBE, method=m()).scores for m in (Gim, InputXGradient)]
    assert not oracles.close(*found, 1e-2)
