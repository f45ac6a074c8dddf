"""Taggers of every architecture: logits, gradients, removals and attention by plain torch and captum."""

import numpy as np
import oracles
import pytest
import tiny_taggers
import torch
from by_hand import gradients_by_hand, left_out_by_hand
from pass_counts import counted, forwards_of, measured
from tiny_models import TEXTS

from model_understanding import TokenClassificationVisualizer, UnsupportedModelError, Words
from model_understanding.results import Target

NAMES = tuple(tiny_taggers.TAGGERS)
TEXT = TEXTS[0]


def visualizer_of(name, **options):
    model, tokenizer = tiny_taggers.build(name), tiny_taggers.tokenizer_of(name)
    return TokenClassificationVisualizer(model=model, tokenizer=tokenizer, **options)


def inputs_of(visualizer, text):
    given = {"is_split_into_words": True} if isinstance(text, Words) else {}
    encoded = visualizer.tokenizer(list(text) if given else text, return_tensors="pt", **given)
    return {name: encoded[name] for name in ("input_ids", "attention_mask")}


def read_entities(tagging, quantity=lambda logits: logits):
    """Return what reads each entity from the logits of a text: the mean over its deciding tokens."""

    def read(logits):
        values = quantity(logits)
        return [values[list(e.tokens), list(e.indices)].mean() for e in tagging.entities]

    return read


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_the_models_own(name):
    visualizer = visualizer_of(name)
    for text in (*TEXTS, Words(TEXT.split())):
        with torch.no_grad():
            expected = visualizer.model(**inputs_of(visualizer, text)).logits[0]
        tagging = visualizer.predict(text)
        assert oracles.close(tagging.logits, expected)
        assert tagging.entities


@pytest.mark.parametrize("aggregation", ["simple", "average"])
@pytest.mark.parametrize("name", NAMES)
def test_each_entity_has_its_own_gradient(name, aggregation):
    visualizer = visualizer_of(name, aggregation=aggregation)
    for text in TEXTS[: 3 if aggregation == "simple" else 1]:
        read = read_entities(visualizer.predict(text))
        values, embeddings, gradients = gradients_by_hand(visualizer.model, inputs_of(visualizer, text), read)
        signed = visualizer.compute_saliency(text, method="input_x_gradient")
        tokens = len(signed.tokens)
        gradients, embeddings = gradients[:, :tokens], embeddings[:tokens]  # Longformer pads
        assert oracles.close(signed.outputs, values)
        assert oracles.close(signed.scores, (gradients * embeddings).sum(-1), 2e-5)
        norms = visualizer.compute_saliency(text, method="saliency")
        assert oracles.close(norms.scores, gradients.norm(dim=-1), 2e-5)


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v2", "llama"])
def test_a_label_at_a_token_has_captums_gradient(name):
    visualizer = visualizer_of(name)
    inputs = inputs_of(visualizer, TEXT)
    expected = oracles.captum_input_x_gradient(
        visualizer.model, inputs, lambda logits: logits[0, 5, 3] - logits[0, 5, 0]
    )
    found = visualizer.compute_saliency(TEXT, method="input_x_gradient", target=(5, "B-ORG"), against="O")
    assert oracles.close(found.scores[0], expected)
    assert found.targets[0].positions == (5,)


@pytest.mark.parametrize("name", ["bert", "gpt2", "xlm-roberta"])
@pytest.mark.parametrize("quantity", ["log_prob", "prob"])
def test_probabilities_are_differentiated_as_such(name, quantity):
    visualizer = visualizer_of(name)
    functions = {"log_prob": lambda logits: logits.log_softmax(-1), "prob": lambda logits: logits.softmax(-1)}
    read = read_entities(visualizer.predict(TEXT), functions[quantity])
    values, embeddings, gradients = gradients_by_hand(visualizer.model, inputs_of(visualizer, TEXT), read)
    found = visualizer.compute_saliency(TEXT, method="input_x_gradient", quantity=quantity)
    assert oracles.close(found.outputs, values)
    assert oracles.close(found.scores, (gradients * embeddings).sum(-1), 5e-5)


@pytest.mark.parametrize("name", ["bert", "roberta", "electra", "llama", "gpt2"])
def test_a_removed_token_lowers_an_entity_by_what_it_does_by_hand(name):
    visualizer = visualizer_of(name)
    tagging = visualizer.predict(TEXT)
    expected = left_out_by_hand(
        visualizer, inputs_of(visualizer, TEXT), ~tagging.tokens.special, read_entities(tagging)
    )
    found = visualizer.compute_saliency(TEXT, method="leave_one_out")
    assert oracles.close(found.scores, expected, 2e-5)


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "llama", "xlm-roberta"])
def test_texts_together_have_the_scores_of_each_alone(name):
    visualizer = visualizer_of(name)
    texts = [*TEXTS, "the film was dull.", TEXT, Words(TEXTS[1].split())]
    for method in ("saliency", "leave_one_out"):
        for found, text in zip(visualizer.compute_saliency(texts, method=method), texts, strict=True):
            alone = visualizer.compute_saliency(text, method=method)
            assert found.targets == alone.targets
            assert oracles.close(found.scores, alone.scores, 2e-5)
    for found, text in zip(visualizer.predict(texts), texts, strict=True):
        alone = visualizer.predict(text)
        assert [(e.text, e.label, e.tokens) for e in found.entities] == [
            (e.text, e.label, e.tokens) for e in alone.entities
        ]


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "llama"])
def test_attention_is_that_of_an_eager_model(name):
    visualizer = visualizer_of(name)
    eager = tiny_taggers.fresh(name, attn_implementation="eager")
    with torch.no_grad():
        attention = eager(**inputs_of(visualizer, TEXT), output_attentions=True).attentions
    found = visualizer.compute_attention(TEXT, layer="all", head="all")
    assert oracles.close(found.weights, torch.cat(attention), 1e-4)


@pytest.mark.parametrize("name", ["longformer"])
def test_attention_of_another_form_is_named(name):
    with pytest.raises(UnsupportedModelError, match="Could not read the attention"):
        visualizer_of(name).compute_attention(TEXT)


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_all_entities_share_a_forward_pass_and_batched_backward_passes(name):
    visualizer = measured(visualizer_of(name))
    visualizer.compute_saliency(TEXT, method="saliency")
    entities = len(visualizer.predict(TEXT).entities)
    assert entities >= 8
    with counted(visualizer.model) as counts:
        visualizer.compute_saliency(TEXT, method="saliency")
    assert counts["forwards"] == 2  # which entities there are, and their gradients
    assert counts["backwards"] < entities / 2


def test_an_answer_takes_one_forward_pass():
    visualizer = measured(visualizer_of("bert"))
    length = len(visualizer.predict(TEXT).tokens)
    module = visualizer.model
    assert forwards_of(module, lambda: visualizer.predict(TEXT)) == [(1, length)]
    assert forwards_of(module, lambda: visualizer.predict([TEXT, TEXT])) == [(2, length)]


def test_integrated_gradients_add_up_to_the_change_of_each_entity():
    visualizer = visualizer_of("bert")
    found = visualizer.compute_saliency(TEXT, method="integrated_gradients")
    assert found.baseline_outputs is not None
    change = found.outputs - found.baseline_outputs
    tolerance = 0.02 * np.abs(change).max()
    np.testing.assert_allclose(found.scores.sum(axis=1), change, atol=tolerance)


def test_a_function_of_the_outputs_can_be_explained():
    visualizer = visualizer_of("bert")
    found = visualizer.compute_saliency(
        TEXT, method="input_x_gradient", target=lambda outputs: outputs.logits[0, 5, 3]
    )
    named = visualizer.compute_saliency(TEXT, method="input_x_gradient", target=(5, 3))
    assert oracles.close(found.scores, named.scores)


@pytest.mark.parametrize("name", ["bert", "roberta", "llama"])
def test_half_precision_finds_the_same_entities(name):
    model = tiny_taggers.fresh(name).to(torch.bfloat16)
    visualizer = TokenClassificationVisualizer(model=model, tokenizer=tiny_taggers.tokenizer_of(name))
    with torch.no_grad():
        expected = model(**inputs_of(visualizer, TEXT)).logits[0].float()
    assert oracles.close(visualizer.predict(TEXT).logits, expected, 1e-2)
    assert np.isfinite(visualizer.compute_saliency(TEXT, method="saliency").scores).all()


def test_targets_can_be_made_by_hand():
    visualizer = visualizer_of("bert")
    found = visualizer.compute_saliency(TEXT, method="saliency").targets
    for target, entity in zip(found, visualizer.predict(TEXT).entities, strict=True):
        by_hand = Target(
            task="token-classification",
            positions=entity.tokens,
            indices=entity.indices,
            labels=tuple(tiny_taggers.IOB[index] for index in entity.indices),
            reduce="mean",
            name=target.name,
        )
        assert target == by_hand
