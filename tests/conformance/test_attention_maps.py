"""What every registered attention map owes, on classifiers and language models."""

import dataclasses
import inspect
import json
from functools import cache

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from tiny_models import CLASSIFIERS, PROBE, TEXTS, encoded, visualizer_of
from untouched import assert_same, prepared, snapshot

from model_understanding import InputError, UnsupportedModelError
from model_understanding.registry import MAPS
from model_understanding.results import AttentionMap

NAMES = ("bert", "llama", "gemma3")
TEXT = TEXTS[1]
LAYERS = 3
every_map = pytest.mark.parametrize("map", MAPS.names())
every_model = pytest.mark.parametrize("name", NAMES)


def attended(name, map, model=None, text=TEXT, **options) -> AttentionMap:
    prompt = {} if name in CLASSIFIERS else {"queries": "prompt"}
    return visualizer_of(name, model=model).compute_attention(text, kind=map, **{**prompt, **options})


@cache
def computed(name, map) -> AttentionMap:
    return attended(name, map)


@every_map
def test_a_map_states_what_it_is(map):
    kind = MAPS.load(map)
    assert kind.name == map
    assert kind.reference
    assert (inspect.getdoc(kind) or "").partition("\n")[0].endswith(".")
    assert dataclasses.is_dataclass(kind)
    assert kind() == kind() == dataclasses.replace(kind())


@every_map
@every_model
def test_a_map_keeps_its_promises(name, map):
    found = computed(name, map)
    tokens = len(encoded(visualizer_of(name), TEXT).tokens[0])
    assert found.weights.shape == (1, 1, tokens, tokens)
    assert (found.layers, found.heads, found.map) == ((LAYERS - 1,), "mean", map)
    assert (len(found.queries), len(found.keys)) == (tokens, tokens)
    assert np.isfinite(found.weights).all()
    assert (found.weights >= 0).all()
    assert not found.weights[..., ~found.mask].any()
    assert (found.weights.sum(axis=-1) > 0).all(), "each token has looked somewhere"
    assert found.weights.std() > 1e-3, "keys can be told from each other"
    assert found.parameters == dataclasses.asdict(MAPS.load(map)())
    again = AttentionMap.from_json(found.to_json())
    assert again.to_json() == found.to_json()
    json.loads(found.to_json(), parse_constant=pytest.fail)


@every_map
@every_model
def test_a_map_is_the_same_twice_and_row_by_row(name, map):
    whole = computed(name, map)
    assert (attended(name, map).weights == whole.weights).all()
    visualizer = visualizer_of(name)
    rows = MAPS.load(map)()(visualizer.runner.model, encoded(visualizer, TEXT), [LAYERS - 1], "mean", [3, 1])
    assert oracles.close(rows.weights[0], whole.weights[..., [3, 1], :])
    assert (rows.mask[0].numpy() == whole.mask[[3, 1]]).all()
    layers = attended(name, map, layer=[0, LAYERS - 1])
    assert oracles.close(layers.weights[1:], whole.weights)
    assert not oracles.close(layers.weights[:1], whole.weights, 1e-3)


@every_map
@pytest.mark.parametrize("name", ["bert", "llama"])
def test_a_map_of_a_padded_batch_is_that_of_each_text(name, map):
    visualizer = visualizer_of(name)
    encodings = [encoded(visualizer, text) for text in (TEXTS[0], "A", TEXTS[1])]
    method = MAPS.load(map)()
    together = method(visualizer.runner.model, visualizer.runner.model.batch(encodings), [1], "mean", None)
    for row, encoding in enumerate(encodings):
        length = encoding.ids.shape[1]
        alone = method(visualizer.runner.model, encoding, [1], "mean", None).weights[0]
        assert oracles.close(together.weights[row, ..., :length, :length], alone, 2e-5)


@every_map
@pytest.mark.parametrize("name", ["bert", "gemma3"])
def test_a_16_bit_model_gives_the_map_of_the_32_bit_model(name, map):
    visualizer = visualizer_of(name, model=tiny_models.fresh(name).to(torch.bfloat16))
    encoding = encoded(visualizer, PROBE)
    found = MAPS.load(map)()(visualizer.runner.model, encoding, [2], "mean", None)
    expected = MAPS.load(map)()(visualizer_of(name).runner.model, encoding, [2], "mean", None)
    assert found.weights.dtype == torch.float32
    assert oracles.close(found.weights, expected.weights, 0.1)


@every_map
@every_model
def test_a_map_leaves_the_model_as_it_was(name, map):
    model = prepared(name)
    before = snapshot(model)
    found = attended(name, map, model)
    assert_same(before, snapshot(model))
    assert oracles.close(found.weights, computed(name, map).weights)


@every_map
def test_a_fault_in_the_middle_leaves_no_trace(map, monkeypatch):
    model = prepared("llama")
    before = snapshot(model)

    def broken(*_):
        raise RuntimeError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(type(model.model.layers[1].mlp), "forward", broken)
        with pytest.raises(RuntimeError, match="planted"):
            attended("llama", map, model, PROBE)
    assert_same(before, snapshot(model))
    assert torch.softmax(torch.zeros(1, 1, 2, 2), -1).sum() == 2  # no mode is left behind


@every_map
def test_what_cannot_be_mapped_is_refused_with_a_way_out(map):
    for ask in (
        lambda: attended("bert", map[:-1] + "q"),
        lambda: attended("bert", map, layer=LAYERS),
        lambda: attended("bert", map, queries=[99]),
        lambda: attended("bert", map, keep="top:0"),
        lambda: attended("bert", map, text=""),
    ):
        with pytest.raises(InputError) as caught:
            ask()
        assert caught.value.hint
    with pytest.raises(UnsupportedModelError, match=r"(?i)mamba") as refused:
        attended("mamba", map)
    assert refused.value.hint
    with pytest.raises(InputError) as misspelled:
        attended("bert", map[:-1] + "q")
    assert misspelled.value.hint == f"Did you mean {map!r}?"
