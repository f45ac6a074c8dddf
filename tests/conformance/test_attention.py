"""Captured attention of every architecture against a model truly loaded eager."""

import functools

import oracles
import pytest
import tiny_models
import torch
from tiny_models import TEXTS, encoded, visualizer_of

from model_understanding import UnsupportedModelError
from model_understanding.attention.capture.weights import capture_attention


@pytest.mark.parametrize(
    ("name", "text", "implementation"),
    [
        *[(name, TEXTS[0], None) for name in tiny_models.WITH_ATTENTION],
        *[
            pytest.param(*name.values, text, implementation, marks=name.marks)
            for name in tiny_models.each(tiny_models.WITH_ATTENTION)
            for text in (*TEXTS, "A")
            for implementation in (None, "eager")
            if (text, implementation) != (TEXTS[0], None)
        ],
    ],
)
def test_every_layer_and_head_is_that_of_an_eager_load(name, text, implementation):
    visualizer = visualizer_of(name, implementation)
    encoding = encoded(visualizer, text)
    expected = oracles.eager_attention(name, encoding.inputs)
    found = capture_attention(visualizer.runner.model, encoding, range(3), range(4))
    assert oracles.close(found.weights[0], expected, oracles.FUSED)
    # Cells that may not be attended to hold no weight, and every weight lies where one may look.
    assert not found.weights[0][..., ~found.mask[0]].any()
    assert (expected.amax(dim=(0, 1)) > 0).le(found.mask[0]).all()


@pytest.mark.parametrize("name", tiny_models.each(tiny_models.WITH_ATTENTION))
def test_reductions_are_those_of_the_whole(name):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, TEXTS[0])
    whole = oracles.eager_attention(name, encoding.inputs)
    capture = functools.partial(capture_attention, visualizer.runner.model)
    assert oracles.close(
        capture(encoding, [2, 0], [3, 1]).weights[0], whole[[2, 0]][:, [3, 1]], oracles.FUSED
    )
    assert oracles.close(capture(encoding, [1], "mean").weights[0, 0, 0], whole[1].mean(0), oracles.FUSED)
    assert oracles.close(capture(encoding, "max", "max").weights[0, 0, 0], whole.amax((0, 1)), oracles.FUSED)
    assert oracles.close(capture(encoding, "mean", [2]).weights[0, 0, 0], whole[:, 2].mean(0), oracles.FUSED)
    rows = [5, 2]
    assert oracles.close(capture(encoding, [0], [0], rows).weights[0, 0, 0], whole[0, 0, rows], oracles.FUSED)


@pytest.mark.parametrize("name", tiny_models.each(tiny_models.WITH_ATTENTION))
def test_capturing_leaves_the_logits_as_they_are(name):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, TEXTS[0])
    before = visualizer.runner.model.logits(encoding)
    capture_attention(visualizer.runner.model, encoding, "mean", "mean")
    assert torch.equal(before, visualizer.runner.model.logits(encoding))


@pytest.mark.parametrize(
    "name",
    tiny_models.each(n for n in tiny_models.WITH_ATTENTION if n not in ("gpt2-classifier", "gpt2", "xlnet")),
)
def test_padding_changes_no_row(name):
    visualizer = visualizer_of(name)
    encodings = [encoded(visualizer, text) for text in TEXTS]
    padded = capture_attention(
        visualizer.runner.model, visualizer.runner.model.batch(encodings), range(3), range(4)
    )
    for row, encoding in enumerate(encodings):
        length = encoding.ids.shape[1]
        alone = capture_attention(visualizer.runner.model, encoding, range(3), range(4)).weights[0]
        assert oracles.close(padded.weights[row, :, :, :length, :length], alone, oracles.FUSED)


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize(
    "name",
    [
        a.name
        for a in tiny_models.ARCHITECTURES
        if a.task == tiny_models.LANGUAGE_MODEL and a.has_attention and a.is_causal
    ],
)
def test_decoding_steps_are_those_of_generate(name, seed):
    visualizer = visualizer_of(name)
    sampling = {"seed": seed, "temperature": 2.0, "top_k": 50} if seed else {}
    found = visualizer.compute_attention(TEXTS[0], layer="all", head="all", max_new_tokens=5, **sampling)
    eager = tiny_models.build(name, "eager")
    ids = encoded(visualizer, TEXTS[0]).ids
    kinds = {"do_sample": False, "return_dict_in_generate": True, "output_attentions": True}
    if seed:
        torch.manual_seed(seed)
        kinds |= {"do_sample": True, "temperature": 2.0, "top_k": 50, "top_p": 1.0}
        greedy = visualizer.generate(TEXTS[0], max_new_tokens=5).tokens.ids.tolist()
        assert found.keys.ids.tolist() != greedy, "what is sampled is another text"
    eager.generation_config.cache_implementation = None
    steps = eager.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=5, **kinds)
    assert steps.sequences[0].tolist() == found.keys.ids.tolist()
    for step, layers in enumerate(steps.attentions):
        for layer, weights in enumerate(layers):
            row = weights[0, :, -1]
            length = ids.shape[1] + step
            # A sliding window's cache holds fewer keys than the context: compare the last of them.
            width = min(row.shape[-1], length)
            row = row[:, :width] if row.shape[-1] > length else row
            ours = found.weights[layer, :, step, :length][:, length - width :]
            assert oracles.close(ours, row, 2e-5)
            assert not found.weights[layer, :, step, length:].any()


def test_a_model_without_attention_is_refused_by_name():
    visualizer = visualizer_of("mamba")
    with pytest.raises(UnsupportedModelError) as caught:
        visualizer.compute_attention("A wonderful film.")
    assert str(caught.value) == (
        "Models of type 'mamba' have no attention. "
        "Use compute_saliency (the command explain) instead: its default method works for every model."
    )
    assert visualizer.compute_saliency("A wonderful film.", method="saliency").scores.any()
