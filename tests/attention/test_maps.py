"""Every map against a slow direct computation, and over every architecture."""

import oracles
import pytest
import tiny_models
import torch
from registered import JOINED_MAPS
from tiny_models import PROBE, TEXTS, encoded, visualizer_of

from model_understanding import InputError, UnsupportedModelError
from model_understanding.attention import rollout, value_zeroing
from model_understanding.attention.capture import mode
from model_understanding.registry import MAPS

from . import by_hand

IMPLEMENTATIONS = [None, "eager"]


def computed(name, map, implementation=None, layers=(2,), heads="mean", queries=None, text=PROBE, **options):
    visualizer = visualizer_of(name, implementation)
    encoding = encoded(visualizer, text)
    return MAPS.load(map)(**options)(visualizer.runner.model, encoding, list(layers), heads, queries)


def inputs_of(name, text=PROBE):
    return encoded(visualizer_of(name), text).inputs


def product(transitions):
    found = torch.eye(len(transitions[0]), dtype=torch.float64)
    for transition in transitions:
        found = transition.double() @ found
    return found


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("name", tiny_models.each(tiny_models.WITH_ATTENTION))
def test_rollout_is_the_product_of_an_eager_loads_attention(name, implementation):
    for text in (TEXTS[0], "A"):
        attention = oracles.eager_attention(name, inputs_of(name, text)).double()
        for heads, joined in (("mean", attention.mean(1)), ("max", attention.amax(1))):
            halves = [a / a.sum(-1, keepdim=True) / 2 + torch.eye(len(a)) / 2 for a in joined]
            found = computed(name, "rollout", implementation, layers=[2, 0], heads=heads, text=text)
            assert oracles.close(found.weights[0, 0, 0], product(halves))
            assert oracles.close(found.weights[0, 1, 0], halves[0])
            later = computed(name, "rollout", implementation, heads=heads, text=text, start_layer=1)
            assert oracles.close(later.weights[0, 0, 0], product(halves[1:]))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("name", tiny_models.each(tiny_models.WITH_ATTENTION))
def test_gradient_weighted_is_that_of_the_weights_in_an_eager_graph(name, implementation, monkeypatch):
    model = tiny_models.fresh(name, "eager")
    softmax, weights = torch.nn.functional.softmax, []

    def recorded(*arguments, **keywords):
        result = softmax(*arguments, **keywords)
        return weights.append(result) or result if result.ndim == 4 else result

    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.functional, "softmax", recorded)
        outputs = model(**inputs_of(name))
    logits = outputs.logits[0, -1] if name in tiny_models.LANGUAGE_MODELS else outputs.logits[0]
    gradients = torch.autograd.grad(logits.max(), weights)
    tokens = weights[0].shape[-2]
    identity = torch.eye(tokens)
    transitions = [
        identity + (g * a)[0, ..., :tokens].clamp(min=0).mean(0).detach()
        for g, a in zip(gradients, weights, strict=True)
    ]
    expected = product(transitions) - identity
    assert expected.max() > 1e-3
    found = computed(name, "gradient_weighted", implementation)
    assert oracles.close(found.weights[0, 0, 0] - identity, expected, 1e-4)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("name", by_hand.BLOCKS)
def test_value_weighted_is_the_norm_of_each_weighted_value(name, implementation):
    expected = torch.stack(
        [by_hand.value_weighted(parts) for parts in by_hand.parts_of(name, inputs_of(name))]
    )
    found = computed(name, "value_weighted", implementation, layers=[2, 0], heads=[3, 1])
    assert oracles.close(found.weights[0], expected[[2, 0]][:, [3, 1]])
    joined = computed(name, "value_weighted", implementation, layers=[1], heads="max", queries=[4, 2])
    assert oracles.close(joined.weights[0, 0, 0], expected[1].amax(0)[[4, 2]])


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("name", by_hand.BLOCKS)
def test_information_flow_is_the_proximity_of_each_contribution(name, implementation):
    transitions = [by_hand.information_flow(parts) for parts in by_hand.parts_of(name, inputs_of(name))]
    found = computed(name, "information_flow", implementation, layers=[2, 0])
    assert oracles.close(found.weights[0, 0, 0], product(transitions), 2e-5)
    assert oracles.close(found.weights[0, 1, 0], transitions[0], 2e-5)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_value_zeroing_is_what_whole_forwards_lose(name, implementation):
    text = TEXTS[1]
    transitions = by_hand.value_zeroing(name, inputs_of(name, text))
    found = computed(name, "value_zeroing", implementation, layers=[2, 0], text=text)
    assert oracles.close(found.weights[0, 0, 0], product(transitions), 2e-5)
    assert oracles.close(found.weights[0, 1, 0], transitions[0], 2e-5)


@pytest.mark.parametrize("map", MAPS.names())
@pytest.mark.parametrize("name", tiny_models.each(tiny_models.WITH_ATTENTION))
def test_fused_and_eager_attention_give_one_map(name, map):
    found = [computed(name, map, implementation, text=TEXTS[1]) for implementation in IMPLEMENTATIONS]
    assert oracles.close(found[0].weights, found[1].weights, 1e-5)
    assert torch.equal(found[0].mask, found[1].mask)
    weights, mask = found[0].weights[0], found[0].mask[0]
    assert (weights >= 0).all()
    assert not weights[..., ~mask].any()
    if map in ("rollout", "value_zeroing", "information_flow"):
        assert oracles.close(weights.sum(-1), torch.ones(weights.shape[:-1]), 1e-5)
    rows = computed(name, map, queries=[3, 1], text=TEXTS[1])
    assert oracles.close(rows.weights[0], weights[..., [3, 1], :], 1e-5)
    assert torch.equal(rows.mask[0], mask[[3, 1]])


@pytest.mark.parametrize("map", ["value_weighted", "value_zeroing", "information_flow"])
def test_a_key_without_a_value_is_nothing_whatever_its_weight(map):
    model = tiny_models.fresh("llama")
    visualizer = visualizer_of("llama", model=model)
    encoding = encoded(visualizer, PROBE)
    silent = 3
    with torch.no_grad():
        model.get_input_embeddings().weight[encoding.ids[0, silent]] = 0  # its norm is 0, so are its values
    where = (encoding.ids[0] == encoding.ids[0, silent]).nonzero().flatten().tolist()
    others = [query for query in range(silent, encoding.ids.shape[1]) if query not in where]
    raw = MAPS.load("raw")()(visualizer.runner.model, encoding, [0], "mean", others)
    found = MAPS.load(map)()(visualizer.runner.model, encoding, [0], "mean", others)
    assert raw.weights[..., silent].min() > 1e-3
    assert found.weights[..., silent].max() < 1e-7


def test_lost_parts_are_seen_by_the_oracles(monkeypatch):
    """Plant a fault in each part; the comparisons above must then fail."""
    with monkeypatch.context() as patch:
        patch.setattr(rollout, "with_residual", lambda rows, queries: rows)
        with pytest.raises(AssertionError):
            test_rollout_is_the_product_of_an_eager_loads_attention("bert", None)
    with monkeypatch.context() as patch:
        patch.setattr(mode, "_for_each_head", lambda values, *_: values.repeat(1, 2, 1, 1))
        with pytest.raises(UnsupportedModelError, match="its output is not its weights times its values"):
            test_value_weighted_is_the_norm_of_each_weighted_value("llama", "sdpa")
    with monkeypatch.context() as patch:
        replace = value_zeroing._ZeroedValues.replace_values
        patch.setattr(
            value_zeroing._ZeroedValues,
            "replace_values",
            lambda self, *given: replace(self, *given) * (1 if self.token is None else 0.5),
        )
        with pytest.raises(AssertionError):
            test_value_zeroing_is_what_whole_forwards_lose("gpt2", None)


@pytest.mark.parametrize("map", JOINED_MAPS)
def test_layers_and_heads_that_a_map_joins_cannot_be_chosen(map):
    with pytest.raises(InputError) as caught:
        visualizer_of("bert").compute_attention(PROBE, layer="mean", kind=map)
    assert str(caught.value) == (
        f"The map {map} multiplies the layers from the text up to one. Got layer='mean'. "
        "Pass layer=-1 for all of them, or the index of the highest one."
    )
    with pytest.raises(InputError) as caught:
        visualizer_of("bert").compute_attention(PROBE, head=1, kind=map)
    assert str(caught.value) == (
        "The map rollout joins the heads of a layer. Got heads [1]. Pass head='mean' or head='max'."
        if map == "rollout"
        else f"The map {map} joins the heads of a layer by its own definition. Got head=[1]. "
        "Pass head='mean', or leave it out."
    )
    with pytest.raises(InputError) as caught:
        computed("bert", map, start_layer=3)
    assert str(caught.value) == (
        "There is no start layer 3: the model has 3. "
        "Pass an index from 0 to 2, or from -3 to -1 counting from the end."
    )
    with pytest.raises(InputError) as caught:
        computed("bert", map, start_layer=-1, layers=[1])
    assert str(caught.value) == (
        "start_layer=2 lies above layer 1. Choose a lower start_layer or a higher layer."
    )


class Changed(torch.nn.Module):
    """An output projection with something before, beside or after it."""

    def __init__(self, projection, kind):
        super().__init__()
        self.projection, self.kind = projection, kind
        self.beside = torch.nn.Linear(32, 32, bias=False)

    def forward(self, outputs):
        if self.kind == "before":
            return self.projection(outputs * 0.5)
        if self.kind == "beside":
            return self.projection(outputs) + self.beside(outputs)
        return self.projection(outputs).tanh()


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("before", "no output projection takes its heads' outputs unchanged"),
        ("beside", "more than one linear map takes its heads' outputs (an adapter?)"),
        ("after", "the sum of its output and its block's input was not found"),
    ],
)
def test_what_cannot_be_found_is_refused_by_name(kind, why, implementation):
    model = tiny_models.fresh("llama", implementation)
    attention = model.model.layers[1].self_attn
    attention.o_proj = Changed(attention.o_proj, kind)
    visualizer = visualizer_of("llama", model=model)
    with pytest.raises(UnsupportedModelError) as caught:
        visualizer.compute_attention(PROBE, queries="prompt", kind="information_flow")
    assert str(caught.value) == (
        f"Could not decompose attention layer 1 of LlamaForCausalLM (implementation {implementation!r}): "
        f"{why}. Use kind='raw', or an attribution method that does not need attention."
    )
    for map in ("rollout", "value_zeroing", "gradient_weighted"):  # these need no projection
        assert visualizer.compute_attention(PROBE, queries="prompt", kind=map).weights.any()


@pytest.mark.parametrize("map", JOINED_MAPS)
def test_a_model_without_attention_in_every_layer_is_refused(map):
    with pytest.raises(UnsupportedModelError) as caught:
        computed("mamba", map)
    assert str(caught.value) == (
        f"{map} needs attention in every layer, but 3 of the 3 layers of MambaForCausalLM have none. "
        "Use a method that does not read attention, such as leave_one_out or saliency."
    )
