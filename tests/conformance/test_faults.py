"""The oracles themselves: each is seen to fail under a planted fault."""

import dataclasses

import oracles
import pytest
import tiny_models
import torch
from tiny_models import PROBE, TEXTS, encoded, visualizer_of

from model_understanding import UnsupportedModelError
from model_understanding.attention.capture import mode
from model_understanding.attention.capture.weights import capture_attention
from model_understanding.model import lookups
from model_understanding.model import model as models
from model_understanding.passes import runner
from model_understanding.text.encoding import Encoding


def gradients_agree(name, visualizer=None):
    visualizer = visualizer or visualizer_of(name)
    inputs = encoded(visualizer, PROBE).inputs
    if name in tiny_models.CLASSIFIERS:
        expected = oracles.captum_gradients(visualizer.model, inputs, lambda logits: logits[0, 2])
        found = visualizer.compute_saliency(PROBE, target=2, method="saliency")
    else:
        expected = oracles.captum_gradients(
            visualizer.model, inputs, lambda logits: logits[0, -1].log_softmax(-1)[9]
        )
        found = visualizer.compute_saliency(PROBE, target=9, method="saliency")
    return oracles.close(found.scores[0], expected.norm(dim=-1), 2e-5)


def attention_agrees(name):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, PROBE)
    found = capture_attention(visualizer.runner.model, encoding, range(3), range(4)).weights[0]
    return oracles.close(found, oracles.eager_attention(name, encoding.inputs), oracles.FUSED)


def padding_agrees(name):
    visualizer = visualizer_of(name)
    encodings = [encoded(visualizer, text) for text in TEXTS]
    padded = visualizer.runner.model.logits(visualizer.runner.model.batch(encodings))
    alone = visualizer.runner.model.logits(encodings[1])
    return oracles.close(padded[1], alone[0])


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v2", "modernbert"])
def test_a_lost_padding_mask_is_seen(name, monkeypatch):
    assert padding_agrees(name)
    batch_of = models.batch_of

    def without_mask(encodings, padding_id):
        batch = batch_of(encodings, padding_id)
        return Encoding(batch.tokens, {**batch.inputs, "attention_mask": torch.ones_like(batch.ids)})

    monkeypatch.setattr(models, "batch_of", without_mask)
    assert not padding_agrees(name)


@pytest.mark.parametrize("name", ["gpt2", "llama", "mistral", "gemma3", "falcon"])
def test_a_lost_causal_or_window_mask_is_seen_in_the_attention(name, monkeypatch):
    assert attention_agrees(name)
    weights = mode.AttentionCapture._fused_weights

    def without_mask(self, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, **keywords):
        return weights(self, query, key, value, None, dropout_p, False, **keywords)

    monkeypatch.setattr(mode.AttentionCapture, "_fused_weights", without_mask)
    assert not attention_agrees(name)


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_a_lost_scale_is_seen_in_the_attention(name, monkeypatch):
    weights = mode.AttentionCapture._fused_weights
    monkeypatch.setattr(
        mode.AttentionCapture,
        "_fused_weights",
        lambda self, *arguments, **keywords: weights(self, *arguments, **{**keywords, "scale": 1.0}),
    )
    assert not attention_agrees(name)


@pytest.mark.parametrize("name", ["gpt2", "llama", "mamba", "bert-as-language-model"])
def test_positions_off_by_one_are_seen(name, monkeypatch):
    assert gradients_agree(name)
    entries_of = runner.entries_of
    monkeypatch.setattr(
        runner,
        "entries_of",
        lambda rows: [dataclasses.replace(e, position=e.position - 1) for e in entries_of(rows)],
    )
    assert not gradients_agree(name)


@pytest.mark.parametrize("name", ["llama-classifier", "gpt2-classifier", "bert"])
def test_pooling_at_the_wrong_place_is_seen(name, monkeypatch):
    visualizer = visualizer_of(name)
    assert gradients_agree(name, visualizer)
    forward = models.Model.forward
    monkeypatch.setattr(
        models.Model,
        "forward",
        lambda self, encoding, _=0, **__: forward(self, encoding.prefix(encoding.ids.shape[1] - 1)),
    )
    with pytest.raises(UnsupportedModelError):  # seen where lookups are measured
        gradients_agree(name)
    monkeypatch.setattr(lookups, "_is_lookup", lambda ids, text, lookup: ids.ndim == 2)
    assert not gradients_agree(name, visualizer)


@pytest.mark.parametrize("name", ["bert", "gpt2", "xlnet"])
def test_a_gradient_of_the_wrong_class_is_seen(name, monkeypatch):
    entries_of = runner.entries_of
    monkeypatch.setattr(
        runner,
        "entries_of",
        lambda rows: [dataclasses.replace(e, index=e.index - 1) for e in entries_of(rows)],
    )
    assert not gradients_agree(name)
