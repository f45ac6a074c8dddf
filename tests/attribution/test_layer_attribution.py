"""Gradient methods at the hidden states of a layer: against truncated models, captum, closed forms."""

import warnings

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from loaded_demos import sentiment
from registered import GRADIENT
from tiny_models import CLASSIFIER, PROBE, TEXTS, encoded, visualizer_of

from model_understanding import InputError, IntegratedGradients, Saliency
from model_understanding.registry import METHODS
from model_understanding.results import Attribution, Target
from model_understanding.show.shared.words import method_name
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

HOSTILE = "שלום 👨‍👩‍👧 </script> good\u0301 film"


def explained(name, text, method, layer=None, **options):
    """Return the attribution of class 1, or of the next token 9."""
    visualizer = visualizer_of(name)
    what = {"target": 1} if visualizer.task == CLASSIFIER else {"target": 9}
    return visualizer.compute_saliency(text, method=method, layer=layer, **what, **options)


def truncated(encoding, layer):
    """Return a Llama of the last blocks alone whose embedding table holds a text's hidden states.

    Token t of its text is the state of token t: what a method scores at its embeddings is what the method
    must score at the whole model's layer.
    """
    whole = visualizer_of("llama")
    states = whole.runner.at_layer(layer).embed(encoding)[0]
    length = len(states)
    model = tiny_models.fresh("llama")
    model.model.layers = model.model.layers[layer:]
    for number, block in enumerate(model.model.layers):
        block.self_attn.layer_idx = number
    model.model.config.num_hidden_layers = len(model.model.layers)
    model.model.embed_tokens = torch.nn.Embedding.from_pretrained(states.clone())
    visualizer = visualizer_of("llama", model=model)
    tokens = Tokens.from_pieces([str(number) for number in range(length)])
    ids = torch.arange(length)[None]
    return visualizer.runner, Encoding((tokens,), {"input_ids": ids, "attention_mask": torch.ones_like(ids)})


# Baselines as tensors, since a name's baseline is made at the embedding table; both runs get the same.
SETTINGS = {
    "deep_lift": {"baseline": np.full(32, 0.1), "halvings": 0},
    "integrated_gradients": {"baseline": np.full(32, 0.1)},
    "sequential_integrated_gradients": {"baseline": np.full((1, 32), 0.1), "tolerance": 0.1},
    "smooth_grad": {"samples": 4},
}


@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("name", [name for name in GRADIENT if name != "expected_gradients"])
def test_a_method_at_a_layer_is_the_method_on_the_model_from_there_on(name, layer):
    visualizer = visualizer_of("llama")
    encoding = encoded(visualizer, HOSTILE)
    targets = [
        Target(task=visualizer.task, positions=(place,), indices=(9,))
        for place in (3, encoding.ids.shape[1] - 1)
    ]
    method = METHODS.load(name)(**SETTINGS.get(name, {}))
    found = method(visualizer.runner.at_layer(layer), encoding, targets)
    runner, other = truncated(encoding, layer)
    expected = method(runner, other, targets)
    assert np.abs(expected.scores[0, 1]).max() > 1e-3
    assert oracles.close(found.scores, expected.scores, 2e-5)
    assert oracles.close(found.outputs, expected.outputs)


@pytest.mark.parametrize("name", GRADIENT[:6])
def test_the_first_block_of_a_llama_takes_the_embeddings_themselves(name):
    plain, at_layer = (explained("llama", PROBE, name, layer) for layer in (None, 0))
    assert oracles.close(at_layer.scores, plain.scores, 1e-6)


def test_where_positions_are_added_before_the_first_block_it_takes_other_states_with_the_same_gradient():
    plain, at_layer = (explained("gpt2", PROBE, "saliency", layer) for layer in (None, 0))
    assert oracles.close(at_layer.scores, plain.scores)
    plain, at_layer = (explained("gpt2", PROBE, "input_x_gradient", layer) for layer in (None, 0))
    assert not oracles.close(at_layer.scores, plain.scores, 1e-2)


@pytest.mark.parametrize("baseline", ["mask", "mean", "text:sea", "mask,id:7"])
@pytest.mark.parametrize("name", ["bert", "albert", "xlnet", "modernbert", "gpt2", "gemma3", "mamba"])
def test_integrated_gradients_add_up_to_the_same_change_at_every_layer(name, baseline):
    if visualizer_of(name).tokenizer.mask_token_id is None:
        baseline = baseline.replace("mask", "id:3")
    method = IntegratedGradients(baseline=baseline, tolerance=1e-3, max_nodes=2048)
    plain = explained(name, TEXTS[1], method)
    for layer in (0, 1, 2):
        found = explained(name, TEXTS[1], method, layer)
        change = found.outputs - found.baseline_outputs
        assert np.abs(found.scores.sum(-1) - change) <= 2e-3 * np.abs(change)
        assert found.provenance.cautions == ()
        # The baseline is the same text wherever its states are taken: so is what there is to share out.
        assert oracles.close(found.baseline_outputs, plain.baseline_outputs)


def test_special_tokens_keep_their_embedding_and_yet_score_where_they_hold_the_text():
    tokens = explained("bert", PROBE, "integrated_gradients").tokens
    plain, at_layer = (explained("bert", PROBE, "integrated_gradients", layer) for layer in (None, 2))
    assert not plain.scores[0, tokens.special].any()
    assert np.abs(at_layer.scores[0, tokens.special]).min() > 1e-3


@pytest.mark.parametrize("name", ["bert", "llama-classifier"])
@pytest.mark.parametrize("layer", [1, 2])
def test_integrated_gradients_are_captums_at_the_block_before(name, layer):
    from captum.attr import LayerGradientXActivation, LayerIntegratedGradients

    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, PROBE)
    blocks = visualizer.model.bert.encoder.layer if name == "bert" else visualizer.model.model.layers
    others = {key: values for key, values in encoding.inputs.items() if key != "input_ids"}

    def forward(ids):
        inputs = {key: values.expand(len(ids), -1) for key, values in others.items()}
        return visualizer.model(input_ids=ids, **inputs).logits[:, 1]

    baseline = encoding.ids.clone()
    baseline[0, torch.from_numpy(~encoding.tokens[0].special)] = 7
    steps = {"n_steps": 100, "method": "gausslegendre", "internal_batch_size": 25}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        product = LayerGradientXActivation(forward, blocks[layer - 1]).attribute(encoding.ids)
        integral = LayerIntegratedGradients(forward, blocks[layer - 1]).attribute(
            encoding.ids, baselines=baseline, **steps
        )
    expected = [torch.as_tensor(one).detach()[0].sum(-1) for one in (product, integral)]
    found = explained(name, PROBE, "input_x_gradient", layer)
    assert oracles.close(found.scores[0], expected[0])
    method = IntegratedGradients(baseline="id:7", nodes=100, max_nodes=100)
    assert oracles.close(explained(name, PROBE, method, layer).scores[0], expected[1], 1e-4)


def test_a_linear_end_is_attributed_exactly():
    """A planted model: after the last block's input nothing happens but one linear map of the last state."""
    model = tiny_models.fresh("llama-classifier")
    last = model.model.layers[-1]
    model.model.norm = torch.nn.Identity()
    with torch.no_grad():
        last.self_attn.o_proj.weight.zero_()
        last.mlp.down_proj.weight.zero_()
    visualizer = visualizer_of("llama-classifier", model=model)
    encoding, runner = encoded(visualizer, PROBE), visualizer.runner.at_layer(-1)
    end = runner.embed(encoding)[0, -1]
    weight = model.score.weight.detach()[1]
    product = visualizer.compute_saliency(PROBE, target=1, method="input_x_gradient", layer=-1)
    assert not product.scores[0, :-1].any()
    assert oracles.close(product.scores[0, -1], weight @ end)
    found = visualizer.compute_saliency(
        PROBE, target=1, method=IntegratedGradients(baseline=np.full(32, 0.5), nodes=1), layer=-1
    )
    assert oracles.close(found.scores[0, -1], weight @ (end - 0.5))
    assert oracles.close(found.scores[0, -1:], found.outputs - found.baseline_outputs)


def test_sequential_paths_end_where_one_token_alone_has_the_baseline_s_state():
    visualizer = visualizer_of("bert")
    encoding, runner = encoded(visualizer, TEXTS[1]), visualizer.runner.at_layer(1)
    found = explained("bert", TEXTS[1], "sequential_integrated_gradients", 1)
    masked = encoding.ids.clone()
    masked[0, torch.from_numpy(~encoding.tokens[0].special)] = visualizer.tokenizer.mask_token_id
    own = runner.embed(encoding)
    baseline = runner.embed(Encoding(encoding.tokens, {**encoding.inputs, "input_ids": masked}))
    targets = [Target(task=CLASSIFIER, indices=(1,))]
    for token in range(encoding.ids.shape[1]):
        without = own.clone()
        without[0, token] = baseline[0, token]
        change = found.outputs[0] - float(runner.values(encoding, targets, embeddings=without)[0, 0])
        assert abs(found.scores[0, token] - change) <= 0.02 * np.abs(found.scores).max()


def test_expected_gradients_compare_with_the_same_texts_at_every_layer():
    method = METHODS.load("expected_gradients")(samples=256)
    plain = explained("bert", TEXTS[1], method)
    for layer in (0, 2):
        found = explained("bert", TEXTS[1], method, layer)
        assert oracles.close(found.baseline_outputs, plain.baseline_outputs, 1e-4)
        assert np.abs(found.gaps) < 0.2 * np.abs(found.outputs - found.baseline_outputs)


def test_smooth_gradients_without_noise_are_saliency():
    method = METHODS.load("smooth_grad")(samples=2, noise=0.0)
    plain = explained("bert", PROBE, "saliency", 1)
    assert oracles.close(explained("bert", PROBE, method, 1).scores, plain.scores)


def test_each_generated_token_is_explained_from_its_own_prefix():
    visualizer = visualizer_of("gpt2")
    options = {"target": "continuation", "continuation": " a king and a plot", "layer": 1}
    together = visualizer.compute_saliency(PROBE, per_token=True, method="integrated_gradients", **options)
    whole = visualizer.compute_saliency(PROBE, method="integrated_gradients", **options)
    assert len(together.targets) > 3
    assert oracles.close(together.scores.sum(0), whole.scores[0], 2e-2)
    for row, target in enumerate(together.targets):
        assert not together.scores[row, target.positions[0] + 1 :].any()


def test_many_texts_are_the_same_as_alone():
    visualizer = visualizer_of("bert")
    texts = [*TEXTS, HOSTILE, PROBE]
    together = visualizer.compute_saliency(texts, target=1, method="integrated_gradients", layer=2)
    for text, found in zip(texts, together, strict=True):
        assert oracles.close(found.scores, explained("bert", text, "integrated_gradients", 2).scores, 1e-4)


def test_the_layer_is_recorded_and_described():
    found = explained("bert", PROBE, Saliency(norm="l1"), -1)
    assert found.parameters == {"norm": "l1", "layer": 2}
    assert method_name(found) == "saliency (norm l1, layer 2)"
    assert Attribution.from_json(found.to_json()).parameters == found.parameters
    assert "layer" not in explained("bert", PROBE, "saliency").parameters


@pytest.mark.parametrize("name", [name for name in METHODS.names() if name not in GRADIENT])
def test_methods_that_score_no_hidden_states_are_refused(name):
    with pytest.raises(InputError) as caught:
        visualizer_of("bert").compute_saliency(PROBE, method=name, layer=1)
    assert str(caught.value) == (
        f"The method {name!r} does not work for the hidden states of a layer. "
        f"Leave out layer, or use one of {', '.join(GRADIENT)}."
    )


def test_reports_and_the_command_line_take_a_layer(capsys):
    from model_understanding import Report
    from model_understanding.cli.main import run

    text = "A wonderful film."
    assert run(["explain", "demo:sentiment", text, "--layer", "-1", "-m", "input_x_gradient", "--json"]) == 0
    (found,) = Report.from_json(capsys.readouterr().out).attributions
    visualizer = sentiment()
    expected = visualizer.compute_saliency(text, method="input_x_gradient", layer=-1)
    assert found.parameters == expected.parameters
    assert found.parameters["layer"] == expected.parameters["layer"] > 0
    assert oracles.close(found.scores, expected.scores)
    plain = visualizer.compute_saliency(text, method="input_x_gradient")
    assert not oracles.close(found.scores, plain.scores, 0.1)
    generative = visualizer_of("llama").analyze(PROBE, " bad", layer=1, show=False)
    assert [one.parameters["layer"] for one in generative.attributions] == [1, 1]
