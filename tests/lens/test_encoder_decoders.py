"""The logit lens of decoders beside an encoder, and of taggers: final layers put together by hand."""

import numpy as np
import pytest
import tiny_seq2seq
import tiny_taggers
import torch
import transformers as hf
from pass_counts import forwards_of
from tiny_seq2seq import OUTPUT, SOURCE

from model_understanding import ModelVisualizer, TokenClassificationVisualizer, UnsupportedModelError

# What each model does to a decoder's states after its last block: written down by hand.
FINAL = {
    "bart": lambda model, states: states,
    "mbart": lambda model, states: model.model.decoder.layer_norm(states),
    "pegasus": lambda model, states: model.model.decoder.layer_norm(states),
    "marian": lambda model, states: states,
    "led": lambda model, states: states,
    "t5": lambda model, states: model.decoder.final_layer_norm(states) * model.config.d_model**-0.5,
    "umt5": lambda model, states: model.decoder.final_layer_norm(states) * model.config.d_model**-0.5,
    "bert-to-gpt2": lambda model, states: model.decoder.transformer.ln_f(states),
    "t5gemma": lambda model, states: model.model.decoder.norm(states),
}


def entering_states(model, source, decoder, count):
    """Return what enters each block of the decoder."""
    module = model.get_decoder() if hasattr(model, "get_decoder") else model.decoder
    lists = [
        part for part in module.modules() if isinstance(part, torch.nn.ModuleList) and len(part) == count
    ]
    kept = []

    def keep(_, arguments, keywords):
        kept.append(arguments[0] if arguments else keywords["hidden_states"])

    hooks = [member.register_forward_pre_hook(keep, with_kwargs=True) for member in lists[0]]
    tiny_seq2seq.logits(model, source, decoder)
    for hook in hooks:
        hook.remove()
    return kept


@pytest.mark.parametrize("name", FINAL)
def test_each_layer_of_a_decoder_goes_through_the_models_own_final_layers(name):
    visualizer, model = tiny_seq2seq.visualizer_of(name), tiny_seq2seq.fresh(name)
    encoding = visualizer._encode(SOURCE, OUTPUT)
    source, decoder = encoding.parts()
    first = encoding.prompt_length - encoding.source_length
    lens = visualizer.compute_logit_lens(SOURCE, continuation=OUTPUT)
    assert lens.positions.tolist() == list(range(encoding.prompt_length - 1, len(encoding.tokens[0]) - 1))
    head = model.get_output_embeddings()
    bias = getattr(model, "final_logits_bias", 0)
    with torch.no_grad():
        states = entering_states(model, source, decoder, 2)
        layers = [head(FINAL[name](model, one)) + bias for one in states]
        if name == "t5gemma":
            cap = model.config.decoder.final_logit_softcapping
            layers = [cap * torch.tanh(logits / cap) for logits in layers]
        layers.append(tiny_seq2seq.logits(model, source, decoder)[None])
    assert len(layers) == len(lens.top_ids) == 3
    for layer, logits in enumerate(layers):
        probabilities = logits[0, first - 1 : -1].softmax(-1)
        top = probabilities.topk(5)
        assert np.abs(lens.top_probabilities[layer] - top.values.numpy()).max() < 1e-4
        assert (lens.top_ids[layer, :, 0] == top.indices[:, 0].numpy()).mean() > 0.9
        following = decoder[0, first:, None]
        assert (
            np.abs(lens.next_probabilities[layer] - probabilities.gather(1, following)[:, 0].numpy()).max()
            < 1e-4
        )


def test_a_decoder_with_several_streams_is_refused():
    with pytest.raises(UnsupportedModelError, match="Could not locate the blocks of the decoder"):
        tiny_seq2seq.visualizer_of("prophetnet").compute_logit_lens(SOURCE, continuation=OUTPUT)


def test_a_lens_costs_one_pass():
    visualizer = tiny_seq2seq.visualizer_of("t5")
    visualizer.compute_logit_lens(SOURCE, continuation=OUTPUT)
    shapes = forwards_of(visualizer.model, lambda: visualizer.compute_logit_lens(SOURCE, continuation=OUTPUT))
    assert len(shapes) == 1


def test_a_report_of_an_encoder_decoder_has_a_lens():
    report = tiny_seq2seq.visualizer_of("t5").analyze(
        SOURCE, continuation=OUTPUT, method="saliency", evaluate=False, show=False
    )
    assert report.lens is not None
    assert not report.provenance.cautions


@pytest.mark.parametrize("name", ["bart", "t5"])
def test_the_lens_of_a_classifier_is_that_of_its_decoder(name):
    source = tiny_seq2seq.fresh(name)
    config = source.config
    config.num_labels = 3
    model = hf.AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(2)
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.copy_(0.2 * torch.randn(weight.shape, generator=generator))
    visualizer = ModelVisualizer(model=model, tokenizer=tiny_seq2seq.tokenizer_of(name))
    lens = visualizer.compute_logit_lens(SOURCE)
    ids = torch.as_tensor(lens.tokens.ids.copy())[None]
    inner = model.model if name == "bart" else model.transformer
    blocks = inner.decoder.layers if name == "bart" else inner.decoder.block
    kept = []
    hook = blocks[1].register_forward_pre_hook(
        lambda _, arguments, keywords: kept.append(arguments[0] if arguments else keywords["hidden_states"]),
        with_kwargs=True,
    )
    with torch.no_grad():
        expected = model(input_ids=ids).logits.softmax(-1)[0]
        states = kept[0] if name == "bart" else inner.decoder.final_layer_norm(kept[0])
        last = (ids[0] == config.eos_token_id).nonzero()[-1, 0]
        middle = model.classification_head(states[:, last]).softmax(-1)[0]
    hook.remove()
    for layer, probabilities in ((1, middle), (2, expected)):
        order = probabilities.argsort(descending=True)
        assert lens.top_ids[layer, 0].tolist() == order.tolist()
        assert np.abs(lens.top_probabilities[layer, 0] - probabilities[order].numpy()).max() < 1e-5


@pytest.mark.parametrize("name", sorted({*tiny_taggers.TAGGERS} - {"longformer", "big-bird"}))
def test_the_lens_of_a_tagger_reads_a_label_at_each_token(name):
    visualizer = TokenClassificationVisualizer(
        model=tiny_taggers.build(name), tokenizer=tiny_taggers.tokenizer_of(name)
    )
    text = "Paris is a far away land."
    lens = visualizer.compute_logit_lens(text, top=2)
    encoding = visualizer._encode(text)
    logits = visualizer.runner.model.logits(encoding)[0]
    top = logits.softmax(-1)[lens.positions.tolist()].topk(2)
    assert lens.positions.tolist() == np.flatnonzero(~encoding.tokens[0].special).tolist()
    assert np.abs(lens.top_probabilities[-1] - top.values.numpy()).max() < 1e-5
    assert set(lens.labels) <= set(visualizer.model.config.id2label.values())
    assert np.abs(lens.top_probabilities[0] - lens.top_probabilities[-1]).max() > 0.01
