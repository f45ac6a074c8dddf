"""Cutting at a block's input: autograd's own gradients, and refusals where it would not be exact."""

import numpy as np
import oracles
import pytest
import tiny_models
import torch
import transformers as hf
from pass_counts import measured
from tiny_models import CLASSIFIER, PROBE, SMALL, TEXTS, encoded, visualizer_of
from transformers import AutoModelForSequenceClassification

from model_understanding import InputError, ModelVisualizer, UnsupportedModelError
from model_understanding.results import Target

# Where each model keeps its blocks, written down by hand; the runner finds them by running the model.
BLOCKS = {
    "bert": "bert.encoder.layer", "distilbert": "distilbert.transformer.layer",
    "roberta": "roberta.encoder.layer", "albert": "albert.encoder.albert_layer_groups",
    "electra": "electra.encoder.layer", "deberta-v2": "deberta.encoder.layer",
    "xlm-roberta": "roberta.encoder.layer", "mpnet": "mpnet.encoder.layer", "modernbert": "model.layers",
    "gpt2-classifier": "transformer.h", "llama-classifier": "model.layers", "xlnet": "transformer.layer",
    "gpt2": "transformer.h", "llama": "model.layers", "mistral": "model.layers", "qwen2": "model.layers",
    "qwen3": "model.layers", "gemma2": "model.layers", "gemma3": "model.layers", "phi3": "model.layers",
    "gpt-neox": "gpt_neox.layers", "opt": "model.decoder.layers", "bloom": "transformer.h",
    "falcon": "transformer.h", "mixtral": "model.layers", "gpt-oss": "model.layers",
    "mamba": "backbone.layers",
}  # fmt: skip
REFUSED = {"bert-as-language-model"}


def states_and_logits(name, encoding, layer):
    """Return a block's input inside the model's own graph, found by name, and the logits: nothing is cut."""
    model = tiny_models.build(name, None)
    blocks = model.get_submodule(BLOCKS[name])
    shared = len(blocks) == 1
    seen = []

    def look(module, arguments, keywords):
        seen.append(arguments[0] if arguments else keywords["hidden_states"])

    handle = blocks[0 if shared else layer].register_forward_pre_hook(look, with_kwargs=True)
    model.requires_grad_(True)
    options = {"use_mems": False} if name == "xlnet" else {}
    try:
        logits = model(**encoding.inputs, **options).logits
    finally:
        handle.remove()
    states = seen[layer if shared else 0]
    return states, logits


def without_batch(states, length):
    """Return the states of one text; XLNet's stand as (tokens, batch, width)."""
    return states[0] if states.shape[1] == length else states[:, 0]


@pytest.mark.parametrize(
    "name", tiny_models.each(name for name in tiny_models.BY_NAME if name not in REFUSED)
)
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_gradients_at_a_block_are_autograd_s_in_the_model_s_own_graph(name, layer):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, TEXTS[2])
    length = encoding.ids.shape[1]
    states, logits = states_and_logits(name, encoding, layer)
    if visualizer.task == CLASSIFIER:
        values = logits[0]
        targets = [Target(task=CLASSIFIER, indices=(number,)) for number in range(3)]
    else:  # several prefixes: each is cut out of the whole text's states
        places = [2, length // 2, length - 1]
        values = torch.stack([logits[0, place, 9] for place in places])
        targets = [Target(task=visualizer.task, positions=(place,), indices=(9,)) for place in places]
    expected = [
        without_batch(torch.autograd.grad(value, states, retain_graph=True)[0], length) for value in values
    ]
    runner = visualizer.runner.at_layer(layer)
    own = runner.embed(encoding)
    assert oracles.close(own[0], without_batch(states.detach(), length))
    found = runner.gradients(encoding, targets)
    assert oracles.close(found.values[0], values.detach())
    for row, gradient in enumerate(expected):
        assert gradient.abs().max() > 0
        assert oracles.close(found.gradients[0, row], gradient, 2e-5)
    again = runner.gradients(encoding, targets, embeddings=own.float())
    assert oracles.close(again.gradients, found.gradients, 2e-5)
    halved = runner.values(encoding, targets, embeddings=own.float() / 2)
    assert not oracles.close(halved, found.values, 1e-3)  # what is given is used


@pytest.mark.parametrize("name", list(tiny_models.BY_NAME))
def test_the_models_that_are_refused_are_these_alone(name):
    runner = visualizer_of(name).runner
    if name not in REFUSED:
        assert [runner.at_layer(layer).layer for layer in (0, 1, -1)] == [0, 1, 2]
        return
    with pytest.raises(UnsupportedModelError) as caught:
        runner.at_layer(1)
    assert str(caught.value) == (
        "BertLMHeadModel is not causal: each prefix of a text has its own hidden states. "
        "Leave out layer to get attributions to the token embeddings."
    )


@pytest.mark.parametrize("name", ["bert", "albert", "xlnet", "llama-classifier"])
def test_alone_equals_batched_and_padded(name):
    visualizer = visualizer_of(name)
    runner, targets = visualizer.runner.at_layer(1), [Target(task=CLASSIFIER, indices=(1,))]
    texts = (TEXTS[0], TEXTS[0]) if name == "xlnet" else (TEXTS[0], TEXTS[1], TEXTS[0])  # it cannot pad
    alone = [encoded(visualizer, text) for text in texts]
    batch = runner.model.batch(alone)
    together, states = runner.gradients(batch, targets).gradients, runner.embed(batch)
    for row, encoding in enumerate(alone):
        length = encoding.ids.shape[1]
        expected = runner.gradients(encoding, targets).gradients[0]
        assert oracles.close(together[row, :, :length], expected)
        assert oracles.close(states[row, :length], runner.embed(encoding)[0])
        assert not together[row, :, length:].any()


def test_as_many_texts_as_tokens_do_not_confuse_a_transposed_model():
    visualizer = visualizer_of("xlnet")
    runner, targets = visualizer.runner.at_layer(1), [Target(task=CLASSIFIER, indices=(1,))]
    encoding = encoded(visualizer, "Don't")
    length = encoding.ids.shape[1]
    square = runner.gradients(encoding, targets, embeddings=runner.embed(encoding).expand(length, -1, -1))
    alone = runner.gradients(encoding, targets).gradients
    assert square.gradients.shape[0] == square.gradients.shape[2] == length
    assert oracles.close(square.gradients, alone.expand_as(square.gradients))


def test_other_embeddings_are_carried_through_the_model_to_the_layer():
    visualizer = visualizer_of("llama")
    encoding, table = encoded(visualizer, PROBE), visualizer.model.get_input_embeddings()
    other = encoding.ids.roll(1, dims=1)
    with torch.no_grad():
        rows = table(other)
        states, _ = states_and_logits("llama", type(encoding)(encoding.tokens, {"input_ids": other}), 2)
    assert oracles.close(visualizer.runner.at_layer(2).embed(encoding, rows), states)
    assert visualizer.runner.at_layer(2).at_layer(None).embed(encoding, rows) is rows


def test_a_custom_target_is_differentiated_at_the_layer():
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    states, logits = states_and_logits("bert", encoding, 1)
    (expected,) = torch.autograd.grad(logits[0, 0] * logits[0, 1], states)
    found = visualizer.runner.at_layer(1).gradients(
        encoding, lambda outputs: outputs.logits[0, 0] * outputs.logits[0, 1]
    )
    assert oracles.close(found.gradients[0, 0], expected[0])


def test_a_layer_costs_one_forward_and_is_measured_once():
    visualizer = measured(visualizer_of("llama", model=tiny_models.fresh("llama")))
    counts = []
    handle = visualizer.model.register_forward_hook(lambda *_: counts.append(1))
    encoding = encoded(visualizer, PROBE)
    targets = [Target(task=visualizer.task, positions=(4,), indices=(9,))]
    try:
        runner = visualizer.runner.at_layer(1)
        assert len(counts) == 4  # is it causal, where are its blocks, and two texts exchanged at this one
        runner.gradients(encoding, targets)
        assert len(counts) == 5
        assert visualizer.runner.at_layer(-2).layer == 1
        assert len(counts) == 5
        runner.at_layer(2).embed(encoding)
        assert len(counts) == 8
    finally:
        handle.remove()


def test_the_model_keeps_no_trace():
    visualizer = visualizer_of("bert", model=tiny_models.fresh("bert"))
    runner = visualizer.runner.at_layer(1)
    block = visualizer.model.bert.encoder.layer[1]
    runner.gradients(encoded(visualizer, PROBE), [Target(task=CLASSIFIER, indices=(0,))])
    assert not any(module._forward_pre_hooks for module in visualizer.runner.model.module.modules())
    assert all(parameter.grad is None for parameter in visualizer.model.parameters())
    handle = block.register_forward_hook(lambda *_: (_ for _ in ()).throw(KeyError("broken")))
    with pytest.raises(KeyError):
        runner.embed(encoded(visualizer, PROBE))
    handle.remove()
    assert not any(module._forward_pre_hooks for module in visualizer.runner.model.module.modules())


def test_a_model_in_half_precision_is_cut_as_exactly():
    visualizer = visualizer_of("llama", model=tiny_models.fresh("llama").to(torch.bfloat16))
    encoding, runner = encoded(visualizer, PROBE), visualizer.runner.at_layer(1)
    targets = [Target(task=visualizer.task, positions=(encoding.ids.shape[1] - 1,), indices=(9,))]
    plain = visualizer.runner.values(encoding, targets)
    assert torch.equal(runner.values(encoding, targets, embeddings=runner.embed(encoding).float()), plain)
    assert runner.gradients(encoding, targets).gradients.dtype == torch.float32


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_path_around_the_block_is_refused(layer):
    """A planted model: the embeddings enter again after the last block, as in Zamba or Gemma 3n."""
    model = tiny_models.fresh("llama")
    kept = []
    model.model.embed_tokens.register_forward_hook(lambda _, __, rows: kept.append(rows))
    model.model.layers[-1].register_forward_hook(lambda _, __, states: states + 0.01 * kept[-1])
    with pytest.raises(UnsupportedModelError) as caught:
        visualizer_of("llama", model=model).runner.at_layer(layer)
    assert str(caught.value) == (
        f"The hidden states that enter block {layer} of LlamaForCausalLM do not determine its logits: other "
        "paths bypass the block. Leave out layer to get attributions to the token embeddings."
    )


def test_only_the_layers_that_a_path_leads_around_are_refused():
    """DeBERTa's convolution reads the first block's input once more, after that block."""
    runner = visualizer_of(
        "deberta-v2", model=tiny_models.fresh("deberta-v2", conv_kernel_size=3, conv_act="gelu")
    ).runner
    assert runner.at_layer(1).layer == 1
    with pytest.raises(UnsupportedModelError, match="enter block 0 of DebertaV2ForSequenceClassification"):
        runner.at_layer(0)


ENDING = "Leave out layer to get attributions to the token embeddings."
NOT_FOUND = {
    "an encoder-decoder": (
        hf.BartConfig,
        {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
         "decoder_attention_heads": 4, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32},
        "BartForSequenceClassification is an encoder–decoder: a layer index could mean either stack. "
        f"{ENDING}",
    ),
    "no blocks": (
        hf.XLMConfig,
        {"emb_dim": 32, "n_layers": 3, "n_heads": 4},
        "Could not locate XLMForSequenceClassification's transformer blocks: expected one ModuleList run 3 "
        f"times on hidden states of the text's length, found 4. {ENDING}",
    ),
    "pads inside": (
        hf.LongformerConfig,
        {**SMALL, "attention_window": 8, "max_position_embeddings": 200},
        "Could not locate LongformerForSequenceClassification's transformer blocks: expected one ModuleList "
        f"run 3 times on hidden states of the text's length, found 0. {ENDING}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_FOUND)
def test_models_without_one_stack_of_blocks_are_refused(case):
    config, options, message = NOT_FOUND[case]
    tokenizer = tiny_models.tokenizer_of("bert")
    special = {"pad_token_id": tokenizer.pad_token_id, "vocab_size": len(tokenizer)}
    model = AutoModelForSequenceClassification.from_config(config(**special, **options)).eval()
    visualizer = ModelVisualizer(model=model, tokenizer=tokenizer)
    with pytest.raises(UnsupportedModelError) as caught:
        visualizer.compute_saliency(PROBE, layer=0, method="saliency")
    assert str(caught.value) == message


@pytest.mark.parametrize("layer", [3, -4, True, 1.0, "last"])
def test_a_layer_that_is_not_there_is_refused(layer):
    with pytest.raises(InputError) as caught:
        visualizer_of("bert").runner.at_layer(layer)
    assert str(caught.value) == (
        f"There is no layer {layer!r}: the model has 3. "
        "Pass an index from 0 to 2, or from -3 to -1 counting from the end."
    )
    assert visualizer_of("bert").runner.at_layer(np.int64(-1)).layer == 2
