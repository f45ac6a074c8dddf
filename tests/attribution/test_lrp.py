"""AttnLRP and CP-LRP against an explicit rule-by-rule propagation, and what of relevance is conserved."""

import oracles
import pytest
import tiny_models
import torch
from tiny_models import PROBE, TEXTS, encoded, visualizer_of

from model_understanding import UnsupportedModelError
from model_understanding.attribution.lrp import AttnLrp, CpLrp
from model_understanding.backward_rules import activations, attention, mode, norms

from . import relevance

RULES = {AttnLrp: relevance.ATTN_LRP, CpLrp: relevance.CP_LRP}


def agrees(method, name, implementation="sdpa", text=PROBE):
    model = tiny_models.fresh(name, implementation).double()
    visualizer = visualizer_of(name, model=model)
    encoding = encoded(visualizer, text)
    place, target = relevance.read_of(name, encoding)
    found = method()(visualizer.runner, encoding, [target])
    value, expected = relevance.REFERENCES[name](model, encoding.ids, place, RULES[method])
    assert oracles.close(found.outputs[0, 0], value)
    return oracles.close(found.scores[0, 0], expected, 5e-6)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("text", [*TEXTS, "A"])
@pytest.mark.parametrize("name", relevance.REFERENCES)
@pytest.mark.parametrize("method", RULES)
def test_it_is_relevance_propagated_rule_by_rule(method, name, text, implementation):
    assert agrees(method, name, implementation, text)


def _plain_slope(x, value):
    return value


FAULTS = {
    "norm": (norms, "layer_norm", torch.nn.functional.layer_norm),
    "slope": (activations, "with_slope", _plain_slope),
    "attention": (attention, "with_scaled_gradient", lambda operand, factor: operand),
    "product": (mode, "scale_arriving_gradient", lambda result, factor: result),
    "root": (norms, "is_statistic", lambda exponent, result: False),
}


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        *(("gpt2", fault) for fault in ("norm", "slope", "attention")),
        *(("bert", fault) for fault in ("norm", "slope", "attention")),
        *(("llama", fault) for fault in ("slope", "attention", "product")),
    ],
)
def test_a_lost_rule_is_seen_by_the_oracle(name, fault, monkeypatch):
    assert agrees(AttnLrp, name)
    monkeypatch.setattr(*FAULTS[fault])
    assert not agrees(AttnLrp, name)


def test_weights_that_are_not_constant_are_seen_by_the_oracle(monkeypatch):
    monkeypatch.setattr(attention, "softmax", lambda rules, scores, probabilities: probabilities)
    assert not agrees(CpLrp, "bert", "eager")


def test_gates_that_are_not_constant_are_seen_by_the_oracle(monkeypatch):
    monkeypatch.setattr(mode.activations, "is_activation_output", lambda value: False)
    assert not agrees(CpLrp, "llama")


def test_a_norm_whose_statistics_no_rule_sees_is_refused(monkeypatch):
    monkeypatch.setattr(*FAULTS["root"])
    with pytest.raises(UnsupportedModelError, match="LlamaRMSNorm whose statistics were not intercepted"):
        agrees(AttnLrp, "llama")


def test_without_biases_or_softmax_all_relevance_arrives():
    model = tiny_models.fresh("llama").double()
    with torch.no_grad():
        for layer in model.model.layers:  # uniform attention: nothing to queries and keys
            layer.self_attn.q_proj.weight.zero_()
    visualizer = visualizer_of("llama", model=model)
    encoding = encoded(visualizer, PROBE)
    found = AttnLrp()(visualizer.runner, encoding, [relevance.read_of("llama", encoding)[1]])
    # Half of what reaches each attention is given to its weights and lost there; gates and norms lose none.
    for layer in model.model.layers:
        layer.self_attn.v_proj.weight.data.zero_()
    rest = AttnLrp()(visualizer.runner, encoding, [relevance.read_of("llama", encoding)[1]])
    assert oracles.close(rest.scores.sum(), rest.outputs[0, 0])
    assert not oracles.close(found.scores.sum(), found.outputs[0, 0])


@pytest.mark.parametrize("name", ["llama", "mistral", "llama-classifier", "mixtral", "qwen3"])
def test_a_model_without_biases_loses_no_relevance(name):
    model = tiny_models.fresh(name).double()
    if name == "mixtral":
        model.set_experts_implementation("eager")  # the grouped kernel has no 64-bit numbers
    visualizer = visualizer_of(name, model=model)
    encoding = encoded(visualizer, PROBE)
    found = CpLrp()(visualizer.runner, encoding, [relevance.read_of(name, encoding)[1]])
    assert oracles.close(found.scores.sum(), found.outputs[0, 0])
