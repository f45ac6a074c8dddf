"""Masked language models of every architecture against plain torch, captum and transformers' pipeline."""

import by_hand
import numpy as np
import oracles
import pytest
import tiny_masked
import torch
from transformers import pipeline

from model_understanding import MaskedLMVisualizer
from model_understanding.text.masks import mask_positions
from model_understanding.text.tokenization import tokenize

_OTHERS = (
    "distilbert",
    "electra",
    "mpnet",
    "eurobert",
    "big_bird",
    "convbert",
    "xlm",
    "funnel",
    "roformer",
    "camembert",
)
NAMES = tuple(tiny_masked.ARCHITECTURES)
NO_ATTENTION = (
    "deberta-v2",
    "fnet",
    "perceiver",
    "convbert",
    "bart",
    "funnel",
    "longformer",
)  # or none that eager code gives
NO_LENS = ("bart", "longformer", "xlm", "perceiver")
TEXTS = (
    tiny_masked.TEXT,
    "Don't call it {}!",
    "A far away land 👨‍👩‍👧 and a {}: שלום {} 你好 {}",
    "{}{} was a king once upon a time.",
)
MAIN = ("bert", "roberta", "xlm-roberta", "deberta-v2", "modernbert", "esm")


def each(*without):
    """Return names as parameters: one of each family by default, all with ``--full``."""
    names = [name for name in NAMES if name not in without]
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=[pytest.mark.full] if name in _OTHERS else []) for name in names]
    )


def visualizer_of(name):
    return MaskedLMVisualizer(model=tiny_masked.build(name), tokenizer=tiny_masked.tokenizer_of(name))


def read(name, text, visualizer=None):
    """Return a visualizer, a text with masks, the model's inputs, and the positions of the masks."""
    visualizer = visualizer or visualizer_of(name)
    masked = tiny_masked.text_of(name, text)
    tokens, inputs = tokenize(visualizer.tokenizer, masked)
    encoding = visualizer.runner.model.encode(tokens, inputs)
    return visualizer, masked, encoding, mask_positions(visualizer.tokenizer, tokens)


def logits_by_hand(name, inputs):
    with torch.no_grad():
        return tiny_masked.build(name)(**inputs).logits[0]


@each()
@pytest.mark.parametrize("text", TEXTS)
def test_answers_are_the_softmax_at_the_masks(name, text):
    visualizer, masked, encoding, positions = read(name, text)
    filling = visualizer.predict(masked)
    probabilities = logits_by_hand(name, encoding.inputs)[list(positions)].double().softmax(-1)
    best = probabilities.topk(10)
    assert filling.positions.tolist() == list(positions)
    assert oracles.close(filling.top_probabilities, best.values, 1e-5)
    np.testing.assert_array_equal(filling.top_ids[:, 0], best.indices[:, 0])
    assert [set(row) for row in filling.top_ids.tolist()] == [set(row) for row in best.indices.tolist()]


@each("bert-padded")
def test_answers_are_those_of_transformers_fill_mask(name):
    visualizer = visualizer_of(name)
    fill = pipeline("fill-mask", model=tiny_masked.build(name), tokenizer=visualizer.tokenizer, top_k=10)
    text = tiny_masked.text_of(name, "Once upon a {} there lived a king.")
    filling = visualizer.predict(text)
    expected = fill(text)
    assert filling.top_ids[0].tolist() == [entry["token"] for entry in expected]
    assert oracles.close(filling.top_probabilities[0], [entry["score"] for entry in expected], 1e-5)


@each("bart", "longformer", "perceiver")  # captum hooks one call of one table: these have others
def test_saliency_of_each_mask_is_captums_gradient_of_its_log_probability(name):
    visualizer, text, encoding, positions = read(name, TEXTS[0])
    found = visualizer.compute_saliency(text, method="saliency")
    signed = visualizer.compute_saliency(text, method="input_x_gradient")
    likeliest = logits_by_hand(name, encoding.inputs)[list(positions)].argmax(-1).tolist()
    for row, (position, token) in enumerate(zip(positions, likeliest, strict=True)):

        def value(logits, position=position, token=token):
            return logits[0, position].log_softmax(-1)[token]

        gradients = oracles.captum_gradients(visualizer.model, encoding.inputs, value)
        assert oracles.close(found.scores[row], gradients.norm(dim=-1), 3e-5)
        expected = oracles.captum_input_x_gradient(visualizer.model, encoding.inputs, value)
        # Relative to the terms: a norm over the embeddings (ModernBERT) makes their sum small.
        embeddings = visualizer.model.get_input_embeddings()(encoding.ids)[0].detach()
        terms = float((embeddings * gradients).abs().sum(-1).max())
        assert np.abs(signed.scores[row] - expected.numpy()).max() <= 3e-5 * terms


@pytest.mark.parametrize("name", MAIN)
@pytest.mark.parametrize("quantity", ["logit", "log_prob", "prob"])
def test_one_token_against_another_is_the_difference_of_their_values(name, quantity):
    visualizer, text, encoding, positions = read(name, TEXTS[1])
    found = visualizer.compute_saliency(
        text, target=7, against=11, quantity=quantity, method="input_x_gradient"
    )
    (position,) = positions
    change = {"logit": lambda row: row, "log_prob": lambda row: row.log_softmax(-1)}
    of = change.get(quantity, lambda row: row.softmax(-1))

    def difference(rows):
        row = of(rows[position])
        return [row[7] - row[11]]

    values, embeddings, gradients = by_hand.gradients_by_hand(visualizer.model, encoding.inputs, difference)
    assert oracles.close(found.outputs, values, 1e-4)
    # Relative to the terms: what is left of them may be small.
    terms = np.abs((embeddings * gradients[0]).numpy()).sum(-1).max()
    assert np.abs(found.scores[0] - (embeddings * gradients[0]).sum(-1).numpy()).max() <= 1e-5 * terms


@each()
def test_removed_words_become_masks_and_masks_stay(name):
    visualizer, text, encoding, positions = read(name, TEXTS[2])
    tokens = encoding.tokens[0]
    found = visualizer.compute_saliency(text, target=9, method="leave_one_out")
    mask = visualizer.tokenizer.mask_token_id
    whole = logits_by_hand(name, encoding.inputs)
    for position in range(len(tokens)):
        if tokens.special[position]:
            assert not found.scores[:, position].any()
            continue
        ids = encoding.ids.clone()
        ids[0, position] = mask
        without = logits_by_hand(name, {**encoding.inputs, "input_ids": ids})
        expected = [
            float(whole[row].log_softmax(-1)[9] - without[row].log_softmax(-1)[9]) for row in positions
        ]
        np.testing.assert_allclose(found.scores[:, position], expected, atol=2e-4)
    assert all(tokens.special[position] for position in positions)


@each()
def test_alone_is_batched(name):
    visualizer = visualizer_of(name)
    texts = [tiny_masked.text_of(name, text) for text in (*TEXTS, TEXTS[0])]
    for text, filling in zip(texts, visualizer.predict(texts), strict=True):
        alone = visualizer.predict(text)
        np.testing.assert_array_equal(filling.positions, alone.positions)
        assert oracles.close(filling.top_probabilities, alone.top_probabilities)
    for text, found in zip(texts, visualizer.compute_saliency(texts, method="saliency"), strict=True):
        alone = visualizer.compute_saliency(text, method="saliency")
        assert found.targets == alone.targets
        assert oracles.close(found.scores, alone.scores, 2e-5)


@each(*NO_ATTENTION)
def test_attention_at_the_mask_is_the_eager_models(name):
    visualizer, text, encoding, _ = read(name, TEXTS[0])
    found = visualizer.compute_attention(text, layer="all", head="all")
    model = tiny_masked.build(name)
    before = model.config._attn_implementation
    try:
        model.set_attn_implementation("eager")
        with torch.no_grad():
            expected = torch.cat(model(**encoding.inputs, output_attentions=True).attentions)
    finally:
        model.set_attn_implementation(before)
    assert oracles.close(found.weights, expected, 1e-5)


@each(*NO_LENS)
def test_the_lens_ends_with_the_models_answer_at_each_mask(name):
    visualizer, text, _, positions = read(name, TEXTS[0])
    lens, filling = visualizer.compute_logit_lens(text), visualizer.predict(text)
    assert lens.positions.tolist() == list(positions)
    np.testing.assert_array_equal(lens.final_ids, filling.top_ids[:, 0])
    assert oracles.close(lens.final_probabilities[-1], filling.probabilities)
    assert (lens.next_ids == -1).all()


def test_the_first_layer_of_the_lens_is_the_head_over_the_embeddings():
    visualizer, text, encoding, positions = read("bert", TEXTS[0])
    model = visualizer.model
    with torch.no_grad():
        states = model(**encoding.inputs, output_hidden_states=True).hidden_states
        for layer, layer_states in enumerate(states):
            rows = model.cls(layer_states)[0, list(positions)].softmax(-1)
            found = visualizer.compute_logit_lens(text).top_probabilities[layer]
            assert oracles.close(found, rows.topk(5).values)


@each()
@pytest.mark.parametrize("masking", ["token", "word-l2r"])
def test_pseudo_log_likelihood_is_a_pass_for_each_masked_token(name, masking):
    visualizer = visualizer_of(name)
    text = "She sells wonderful shells 👨‍👩‍👧, שלום."
    tokens, inputs = tokenize(visualizer.tokenizer, text)
    encoding = visualizer.runner.model.encode(tokens, inputs)
    found = visualizer.pseudo_log_likelihood(text, masking=masking)
    expected = []
    for position in np.flatnonzero(~tokens.special).tolist():
        ids = encoding.ids.clone()
        ids[0, position] = visualizer.tokenizer.mask_token_id
        later = position + 1
        while masking == "word-l2r" and later < len(tokens) and tokens.words[later] == tokens.words[position]:
            ids[0, later] = visualizer.tokenizer.mask_token_id
            later += 1
        row = logits_by_hand(name, {**encoding.inputs, "input_ids": ids})[position]
        expected.append(float(row.double().log_softmax(-1)[tokens.ids[position]]))
    np.testing.assert_array_equal(found.positions, np.flatnonzero(~tokens.special))
    np.testing.assert_allclose(found.log_probabilities, expected, atol=2e-4)
    assert found.total == pytest.approx(sum(expected), abs=1e-2)


@pytest.mark.parametrize("name", MAIN)
def test_pseudo_log_likelihoods_of_many_texts_are_those_of_each(name):
    visualizer = visualizer_of(name)
    texts = ["A dull plot.", "A far away land.", "A dull king.", ("A king.", "A far land?")]
    for text, found in zip(texts, visualizer.pseudo_log_likelihood(texts), strict=True):
        alone = visualizer.pseudo_log_likelihood(text)
        assert found.tokens.texts == alone.tokens.texts
        np.testing.assert_allclose(found.log_probabilities, alone.log_probabilities, atol=1e-4)
