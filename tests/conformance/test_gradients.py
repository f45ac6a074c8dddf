"""Gradients of every architecture against captum, and alone = batched = padded."""

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from tiny_models import TEXTS, encoded, visualizer_of

from model_understanding import UnsupportedModelError
from model_understanding.results import Target


@pytest.mark.parametrize("name", tiny_models.CLASSIFIERS)
@pytest.mark.parametrize("text", TEXTS)
def test_classifier_saliency_is_the_norm_of_captums_gradient(name, text):
    visualizer = visualizer_of(name)
    inputs = encoded(visualizer, text).inputs
    expected = oracles.captum_gradients(visualizer.model, inputs, lambda logits: logits[0, 2])
    found = visualizer.compute_saliency(text, target=2, method="saliency")
    assert oracles.close(found.scores[0], expected.norm(dim=-1))
    signed = visualizer.compute_saliency(text, target=2, method="input_x_gradient")
    expected = oracles.captum_input_x_gradient(visualizer.model, inputs, lambda logits: logits[0, 2])
    assert oracles.close(signed.scores[0], expected)


@pytest.mark.parametrize("name", tiny_models.each(tiny_models.CLASSIFIERS))
def test_contrast_and_probability_are_differentiated_as_such(name):
    visualizer = visualizer_of(name)
    inputs = encoded(visualizer, TEXTS[0]).inputs
    found = visualizer.compute_saliency(TEXTS[0], target=0, against=1, quantity="prob", method="saliency")

    def contrast(logits):
        probabilities = logits.softmax(-1)
        return probabilities[0, 0] - probabilities[0, 1]

    expected = oracles.captum_gradients(visualizer.model, inputs, contrast).norm(dim=-1)
    # Relative to the logits' gradient: near probability 1 the rest is what is left of a difference.
    scale = visualizer.compute_saliency(TEXTS[0], target=0, against=1, method="saliency").scores.max()
    assert np.abs(found.scores[0] - expected.numpy()).max() <= 1e-5 * scale


@pytest.mark.parametrize("name", tiny_models.LANGUAGE_MODELS)
def test_next_token_saliency_is_captums(name):
    visualizer = visualizer_of(name)
    inputs = {"input_ids": encoded(visualizer, TEXTS[0]).inputs["input_ids"]}
    expected = oracles.captum_gradients(
        visualizer.model, inputs, lambda logits: logits[0, -1].log_softmax(-1)[9]
    )
    found = visualizer.compute_saliency(TEXTS[0], target=9, method="saliency")
    assert oracles.close(found.scores[0], expected.norm(dim=-1), 2e-5)


@pytest.mark.parametrize(
    "name", tiny_models.each(n for n in tiny_models.LANGUAGE_MODELS if n != "bert-as-language-model")
)
def test_loss_is_the_models_own_and_its_saliency_captums(name):
    visualizer = visualizer_of(name)
    ids = encoded(visualizer, TEXTS[1]).inputs["input_ids"]
    with torch.no_grad():
        loss = visualizer.model(input_ids=ids, labels=ids).loss
    found = visualizer.compute_saliency(TEXTS[1], method="saliency")
    assert oracles.close(found.outputs[0], loss)

    def own_loss(logits):
        return torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:])

    expected = oracles.captum_gradients(visualizer.model, {"input_ids": ids}, own_loss)
    assert oracles.close(found.scores[0], expected.norm(dim=-1), 2e-5)
    assert not found.valid[0, -1]
    assert found.valid[0, :-1].all()


@pytest.mark.parametrize("name", tiny_models.each(tiny_models.CLASSIFIERS))
def test_alone_equals_batched(name):
    visualizer = visualizer_of(name)
    together = visualizer.compute_saliency([*TEXTS, TEXTS[0]], target="all", method="saliency")
    for text, found in zip([*TEXTS, TEXTS[0]], together, strict=True):
        alone = visualizer.compute_saliency(text, target="all", method="saliency")
        assert oracles.close(found.scores, alone.scores)
        assert oracles.close(found.outputs, alone.outputs)
        assert found.tokens.texts == (text,)


@pytest.mark.parametrize("name", tiny_models.each(tiny_models.CLASSIFIERS + tiny_models.LANGUAGE_MODELS))
def test_alone_equals_padded_or_padding_is_refused(name):
    visualizer = visualizer_of(name)
    runner = visualizer.runner
    task = visualizer.task
    encodings = [encoded(visualizer, text) for text in TEXTS]
    positions = () if task == tiny_models.CLASSIFIER else (2,)
    targets = [Target(task=task, positions=positions, indices=(i,)) for i in (0, 2)]
    if name in ("gpt2-classifier", "xlnet", "gpt2"):  # no padding token; pools at the very end
        with pytest.raises(UnsupportedModelError, match="different lengths"):
            runner.model.batch(encodings)
        return
    padded = runner.gradients(runner.model.batch(encodings), targets)
    for row, encoding in enumerate(encodings):
        alone = runner.gradients(encoding, targets)
        length = encoding.ids.shape[1]
        assert oracles.close(padded.values[row], alone.values[0])
        assert oracles.close(padded.gradients[row, :, :length], alone.gradients[0])
        assert not padded.gradients[row, :, length:].any()


@pytest.mark.parametrize("name", tiny_models.each(tiny_models.CLASSIFIERS))
def test_sdpa_and_eager_give_the_same_gradients(name):
    plain, eager = visualizer_of(name), visualizer_of(name, "eager")
    assert oracles.close(
        plain.compute_saliency(TEXTS[0], target=1, method="saliency").scores,
        eager.compute_saliency(TEXTS[0], target=1, method="saliency").scores,
    )


@pytest.mark.parametrize("name", tiny_models.each(tiny_models.CLASSIFIERS))
def test_pairs_are_explained_with_both_texts(name):
    visualizer = visualizer_of(name)
    found = visualizer.compute_saliency((TEXTS[0], TEXTS[1]), target=0, method="saliency")
    assert found.tokens.texts == (TEXTS[0], TEXTS[1])
    assert set(found.tokens.segments) == {-1, 0, 1} - ({-1} if name == "gpt2-classifier" else set())
    inputs = visualizer.tokenizer(TEXTS[0], TEXTS[1], return_tensors="pt")
    accepted = {k: v for k, v in inputs.items() if k in visualizer.runner.model.accepted}
    expected = oracles.captum_gradients(visualizer.model, accepted, lambda logits: logits[0, 0])
    assert oracles.close(found.scores[0], expected.norm(dim=-1))
