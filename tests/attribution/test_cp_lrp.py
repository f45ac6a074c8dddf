"""CP-LRP against an explicit rule-by-rule propagation, and its conservation."""

import oracles
import pytest
import tiny_models
from tiny_models import PROBE, TEXTS, encoded, visualizer_of

from model_understanding.attribution.lrp import CpLrp
from model_understanding.backward_rules import attention, mode

from . import relevance


def agrees(name, implementation="sdpa", text=PROBE):
    model = tiny_models.fresh(name, implementation).double()
    visualizer = visualizer_of(name, model=model)
    encoding = encoded(visualizer, text)
    place, target = relevance.read_of(name, encoding)
    found = CpLrp()(visualizer.runner, encoding, [target])
    _, expected = relevance.REFERENCES[name](model, encoding.ids, place, relevance.CP_LRP)
    return oracles.close(found.scores[0, 0], expected, 5e-6)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", relevance.REFERENCES)
def test_it_is_relevance_propagated_rule_by_rule(name, text, implementation):
    assert agrees(name, implementation, text)


def test_weights_that_are_not_constant_are_seen_by_the_oracle(monkeypatch):
    monkeypatch.setattr(attention, "softmax", lambda rules, scores, probabilities: probabilities)
    assert not agrees("bert", "eager")


def test_gates_that_are_not_constant_are_seen_by_the_oracle(monkeypatch):
    monkeypatch.setattr(mode.activations, "is_activation_output", lambda value: False)
    assert not agrees("llama")


@pytest.mark.parametrize("name", ["llama", "mistral", "llama-classifier", "mixtral", "qwen3"])
def test_a_model_without_biases_loses_no_relevance(name):
    model = tiny_models.fresh(name).double()
    if name == "mixtral":
        model.set_experts_implementation("eager")  # the grouped kernel has no 64-bit numbers
    visualizer = visualizer_of(name, model=model)
    encoding = encoded(visualizer, PROBE)
    found = CpLrp()(visualizer.runner, encoding, [relevance.read_of(name, encoding)[1]])
    assert oracles.close(found.scores.sum(), found.outputs[0, 0])
