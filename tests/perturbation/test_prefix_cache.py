"""Keeping a causal model's unchanged prefix gives the numbers of running it all, for fewer positions."""

import numpy as np
import oracles
import pytest
import tiny_models
from tiny_models import LANGUAGE_MODELS, PROBE, encoded, visualizer_of

from attribution.perturbing import counted
from model_understanding.model import memory
from model_understanding.model.prefixes import prefixes_agree
from model_understanding.perturbation import prefix_cache, token_removal
from model_understanding.perturbation.prefix_cache import PrefixReuse
from model_understanding.perturbation.token_removal import ModelTokenRemoval
from model_understanding.targets.language_model import continuation_targets, loss_target

WITHOUT_CACHE = ("mamba", "bert-as-language-model")
CAUSAL = [name for name in LANGUAGE_MODELS if name not in WITHOUT_CACHE]


def variants(encoding, seed=0):
    content = ~encoding.tokens[0].special
    some = (np.random.default_rng(seed).random((5, content.size)) < 0.2) & content
    return np.concatenate(
        [np.zeros((1, content.size), bool), some, np.eye(content.size, dtype=bool)[content]]
    )


def targets_of(encoding):
    tokens = encoding.tokens[0]
    steps = range(8, len(tokens))
    return [
        loss_target(tokens),
        *continuation_targets(tokens, steps, per_token=True, quantity="prob"),
        *continuation_targets(tokens, steps, per_token=False, quantity="log_prob"),
    ]


@pytest.mark.parametrize("replacement", ["default", "mean"])
@pytest.mark.parametrize("name", tiny_models.each(CAUSAL))
def test_reused_is_recomputed(name, replacement, monkeypatch):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, f"{PROBE} {PROBE}")  # longer than any window of attention
    removed = variants(encoding)
    arguments = (visualizer.runner, encoding, targets_of(encoding), replacement)
    expected = ModelTokenRemoval(*arguments, reuse=False).values(removed)
    monkeypatch.setattr(memory, "FORWARD_COST", 1)  # many groups
    reusing = ModelTokenRemoval(*arguments)
    with counted(visualizer.model) as counts:
        found = reusing.values(removed)
    assert reusing.reuse._cache is not None
    assert counts["positions"] < 0.8 * len(removed) * (encoding.ids.shape[1] - 1)
    for target in range(expected.shape[1]):
        assert oracles.close(found[:, target], expected[:, target], 2e-5)


@pytest.mark.parametrize("name", WITHOUT_CACHE)
def test_without_a_usable_cache_all_is_recomputed(name, monkeypatch):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, PROBE)
    monkeypatch.setattr(memory, "FORWARD_COST", 1)
    removed = variants(encoding)[:4]
    targets = targets_of(encoding)[:1]
    found = ModelTokenRemoval(visualizer.runner, encoding, targets)
    assert not found.reuse.is_usable
    expected = ModelTokenRemoval(visualizer.runner, encoding, targets, reuse=False).values(removed)
    assert np.array_equal(found.values(removed), expected)


@pytest.mark.parametrize("fault", ["keys", "positions", "raises"])
def test_a_cache_that_gives_other_logits_is_not_used(fault, monkeypatch):
    visualizer = visualizer_of("llama")
    encoding = encoded(visualizer, PROBE)
    right = prefix_cache.shared_prefix

    def wrong(cache, length):
        part = right(cache, length)
        if fault == "raises":
            raise TypeError("planted")
        for layer in part.layers if length > 0 else ():
            if fault == "keys":
                layer.keys = layer.keys * 1.01
            else:
                layer.keys = layer.keys.roll(1, dims=-2)
        return part

    monkeypatch.setattr(memory, "FORWARD_COST", 1)
    monkeypatch.setattr(prefix_cache, "shared_prefix", wrong)
    removed, targets = variants(encoding), targets_of(encoding)
    found = ModelTokenRemoval(visualizer.runner, encoding, targets)
    expected = ModelTokenRemoval(visualizer.runner, encoding, targets, reuse=False).values(removed)
    assert np.array_equal(found.values(removed), expected)
    assert not found.reuse.is_usable


def test_occlusion_of_a_256_token_prompt_costs_at_most_six_tenths_of_the_positions():
    model = tiny_models.fresh("llama", max_position_embeddings=512)
    visualizer = visualizer_of("llama", model=model)
    encoding = encoded(visualizer, "Once upon a time, in a land far away, there lived a king. " * 10)
    encoding = encoding_of_length(visualizer, encoding, 256)
    assert prefixes_agree(visualizer.runner.model, encoding, 255, 256)
    target = [loss_target(encoding.tokens[0])]
    removed = variants(encoding)[6:]
    with counted(model) as plain:
        expected = ModelTokenRemoval(visualizer.runner, encoding, target, reuse=False).values(removed)
    with counted(model) as reused:
        found = ModelTokenRemoval(visualizer.runner, encoding, target).values(removed)
    assert plain["positions"] == 255 * 255  # the last position predicts nothing
    assert reused["positions"] <= 0.6 * plain["positions"]
    assert reused["forwards"] <= 3 * plain["forwards"]
    assert oracles.close(found, expected, 2e-5)


def encoding_of_length(visualizer, encoding, length):
    tokens = encoding.tokens[0].select(range(length))
    return visualizer.runner.model.encode(tokens, prompt_length=length)


def test_it_is_used_only_where_it_pays():
    visualizer = visualizer_of("llama")
    encoding = encoded(visualizer, PROBE)
    content = ~encoding.tokens[0].special
    reuse = PrefixReuse(visualizer.runner.model, encoding, targets_of(encoding)[:1])
    assert not reuse.is_cheaper(np.eye(content.size, dtype=bool)[content][:3])
    early = np.zeros((40, content.size), dtype=bool)
    early[:, 1] = True
    assert not reuse.is_cheaper(early)
    late = np.zeros((400, content.size), dtype=bool)
    late[:, -3] = True
    assert reuse.is_cheaper(late)


def test_the_cache_and_the_model_stay_as_they_are(monkeypatch):
    visualizer = visualizer_of("llama")
    encoding = encoded(visualizer, PROBE)
    monkeypatch.setattr(memory, "FORWARD_COST", 1)
    reusing = ModelTokenRemoval(visualizer.runner, encoding, targets_of(encoding))
    removed = variants(encoding)
    first = reusing.values(removed)
    kept = [layer.keys.clone() for layer in reusing.reuse._cache.layers]
    again = ModelTokenRemoval(visualizer.runner, encoding, targets_of(encoding))
    again.reuse = reusing.reuse
    assert np.array_equal(again.values(removed), first)
    assert all((a == b.keys).all() for a, b in zip(kept, reusing.reuse._cache.layers, strict=True))
    assert token_removal.PrefixReuse is PrefixReuse
