"""Queries and keys of every architecture: their products give the weights of a model truly loaded eager."""

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from tiny_models import PROBE, encoded, visualizer_of

from model_understanding import InputError, QueryKey, UnsupportedModelError
from model_understanding.attention.capture import query_key

REFUSED = {"xlnet"}
# What enters a score besides the product, and does in each implementation.
BIASED = {"deberta-v2", "mpnet", "bloom", "gemma2"}


def softmax(found):
    scores = found.scores if found.rival is None else np.append(found.scores, found.rival)
    powers = np.exp(scores - scores.max())
    return (powers / powers.sum())[: len(found.weights)]


@pytest.mark.parametrize("implementation", [None, "eager"])
@pytest.mark.parametrize("name", tiny_models.each(n for n in tiny_models.WITH_ATTENTION if n not in REFUSED))
def test_the_softmax_of_the_scores_is_the_attention_of_an_eager_load(name, implementation):
    visualizer = visualizer_of(name, implementation)
    expected = oracles.eager_attention(name, encoded(visualizer, PROBE).inputs)
    for layer, head, query in ((0, 3, 5), (1, 0, -1), (2, 2, 9)):
        found = visualizer.compute_query_key(PROBE, layer=layer, head=head, query=query)
        assert oracles.close(softmax(found), expected[layer, head, query], 2e-6)
        assert oracles.close(found.weights, expected[layer, head, query], 2e-6)
        sums = found.products.sum(1) + found.additions
        assert oracles.close(np.where(found.allowed, sums, 0), np.where(found.allowed, found.scores, 0))
        largest = float(np.abs(found.products.sum(1)).max())
        assert name in BIASED or np.abs(found.additions).max() <= 1e-5 * max(largest, 1)
        assert QueryKey.from_json(found.to_json()).to_json() == found.to_json()


@pytest.mark.parametrize("name", tiny_models.each(n for n in tiny_models.WITH_ATTENTION if n not in REFUSED))
def test_a_fused_kernel_and_eager_code_consume_the_same(name):
    one, other = (
        visualizer_of(name, kind).compute_query_key(PROBE, layer=1, head=3, query=6)
        for kind in (None, "eager")
    )
    assert oracles.close(one.products, other.products, 2e-5)
    assert np.array_equal(one.allowed, other.allowed)


def test_the_neurons_of_gpt2_are_its_projections():
    visualizer, model = visualizer_of("gpt2"), tiny_models.build("gpt2")
    ids = encoded(visualizer, PROBE).ids
    block = model.transformer.h[1]
    with torch.no_grad():
        states = model(ids, output_hidden_states=True).hidden_states[1]
        query, key, _ = block.attn.c_attn(block.ln_1(states))[0].split(32, dim=-1)
    found = visualizer.compute_query_key(PROBE, layer=1, head=2, query=4)
    assert oracles.close(found.query_vector * found.scale, query[4, 16:24] / 8**0.5)
    assert oracles.close(found.key_vectors, key[:, 16:24])
    assert found.allowed.tolist() == [place <= 4 for place in range(len(found.tokens))]


def test_the_neurons_of_llama_are_rotated_and_its_keys_shared():
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    visualizer, model = visualizer_of("llama"), tiny_models.build("llama")
    ids = encoded(visualizer, PROBE).ids
    layer = model.model.layers[2]
    with torch.no_grad():
        states = layer.input_layernorm(model(ids, output_hidden_states=True).hidden_states[2])
        query = layer.self_attn.q_proj(states).view(1, -1, 4, 8).transpose(1, 2)
        key = layer.self_attn.k_proj(states).view(1, -1, 2, 8).transpose(1, 2)
        turns = model.model.rotary_emb(states, torch.arange(ids.shape[1])[None])
        query, key = apply_rotary_pos_emb(query, key, *turns)
    found = visualizer.compute_query_key(PROBE, layer=2, head=3, query=9)
    assert oracles.close(found.query_vector, query[0, 3, 9])
    assert oracles.close(found.key_vectors, key[0, 1])


def test_one_forward():
    visualizer = visualizer_of("llama", model=tiny_models.fresh("llama"))
    visualizer.compute_query_key(PROBE, continuation=" bad")  # what is measured once for a model
    counts = []
    visualizer.model.register_forward_hook(lambda *_: counts.append(1))
    visualizer.compute_query_key(PROBE, continuation=" bad")
    assert len(counts) == 1


def test_what_cannot_be_found_is_refused():
    with pytest.raises(UnsupportedModelError) as caught:
        visualizer_of("xlnet").compute_query_key(PROBE)
    assert str(caught.value) == (
        "Could not find the queries and keys of XLNetForSequenceClassification (implementation 'eager') in "
        "what reaches its softmax. Load the model with attn_implementation='sdpa' or 'eager', or use "
        "compute_attention."
    )


def test_a_wrong_scale_is_noticed(monkeypatch):
    of_head = query_key._QueryKeyReader._of_head

    def doubled(self, query, key, scale):
        return (*of_head(self, query, key, scale)[:2], 2 * scale)

    monkeypatch.setattr(query_key._QueryKeyReader, "_of_head", doubled)
    with pytest.raises(UnsupportedModelError, match="do not give its attention weights"):
        visualizer_of("llama").compute_query_key(PROBE)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"layer": 3}, "There is no layer 3: the model has 3."),
        ({"head": "mean"}, "There is no head 'mean': the model has 4."),
        ({"query": 99}, "There is no query token 99: the text has 23."),
    ],
)
def test_what_is_not_there_is_refused(choice, message):
    with pytest.raises(InputError) as caught:
        visualizer_of("llama").compute_query_key(PROBE, **choice)
    assert caught.value.message == message
