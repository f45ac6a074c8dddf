"""Encoder–decoders of every kind: gradients, values, generation and removals by plain calls of the model."""

import warnings

import numpy as np
import oracles
import pytest
import tiny_seq2seq as tiny
import torch
from tiny_seq2seq import OUTPUT, SOURCE, SOURCES, ids_of, visualizer_of

from model_understanding import LeaveOneOut

STEPS = 5
# Predictions at a position depend on how many tokens the decoder reads: their own loss is of one pass.
OF_PREFIXES = ("prophetnet",)
# One of each kind of tokenizer, decoder start, position and pair of tables.
KINDS = ("t5", "bart-forced", "mbart", "nllb", "marian-two-tables", "led", "prophetnet", "bert-to-gpt2")


def log_prob(logits, token):
    return logits[-1].log_softmax(-1)[token]


@pytest.mark.parametrize("name", tiny.NAMES)
def test_each_token_of_the_output_is_explained_by_source_and_output_before_it(name):
    visualizer = visualizer_of(name)
    source, start, output = ids_of(name)
    found = visualizer.compute_saliency(SOURCE, continuation=OUTPUT, method="saliency", per_token=True)
    assert found.tokens.ids.tolist() == [*source[0].tolist(), *start[0].tolist(), *output[0].tolist()]
    assert found.tokens.texts == (SOURCE, OUTPUT)
    for step in (0, 1, output.shape[1] - 1):
        decoder = torch.cat([start, output[:, :step]], dim=1)
        token = int(output[0, step])
        expected = tiny.gradients(
            visualizer.model, source, decoder, lambda logits, token=token: log_prob(logits, token)
        )
        norms = torch.cat([gradient.norm(dim=-1) for gradient in expected])
        assert oracles.close(found.scores[step, : len(norms)], norms, 2e-5)
        assert not found.scores[step, len(norms) :].any()
        assert found.valid[step, : len(norms)].all()
        assert not found.valid[step, len(norms) :].any()
        value = log_prob(tiny.logits(visualizer.model, source, decoder).double(), token)
        assert oracles.close(found.outputs[step], value, 2e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in tiny.NAMES if name not in OF_PREFIXES])
def test_the_whole_output_is_the_models_own_loss(name):
    visualizer = visualizer_of(name)
    source, start, output = ids_of(name)
    decoder = torch.cat([start, output], dim=1)
    with torch.no_grad():  # labels where nothing is forced: −100 leaves a token out
        labels = torch.cat([torch.full((1, start.shape[1] - 1), -100), output], dim=1)
        mask = torch.ones_like(source)
        loss = visualizer.model(
            input_ids=source, attention_mask=mask, decoder_input_ids=decoder[:, :-1], labels=labels
        ).loss
    found = visualizer.compute_saliency(SOURCE, continuation=OUTPUT, method="saliency")
    if name == "switch":  # its loss adds that of its routers
        loss = torch.nn.functional.cross_entropy(
            tiny.logits(visualizer.model, source, decoder[:, :-1]), labels[0]
        )
    assert oracles.close(-found.outputs[0] / output.shape[1], loss, 2e-5)


@pytest.mark.parametrize("name", tiny.NAMES)
def test_generation_is_that_of_transformers(name):
    visualizer = visualizer_of(name)
    source, start, _ = ids_of(name)
    found = visualizer.generate(SOURCE, max_new_tokens=STEPS)
    forced = {} if start.shape[1] == 1 else {"forced_bos_token_id": int(start[0, 1])}
    expected = visualizer.model.generate(
        source,
        attention_mask=torch.ones_like(source),
        decoder_start_token_id=int(start[0, 0]),
        max_new_tokens=STEPS + start.shape[1] - 1,
        do_sample=False,
        num_beams=1,
        forced_eos_token_id=None,
        **forced,
    )
    assert found.tokens.ids.tolist() == [*source[0].tolist(), *expected[0].tolist()]
    assert found.prompt_length == source.shape[1] + start.shape[1]
    assert all("without forced_eos_token_id=" in caution for caution in found.cautions)
    for step, probability in enumerate(found.probabilities):
        decoder = expected[:, : start.shape[1] + step]
        distribution = tiny.logits(visualizer.model, source, decoder)[-1].double().softmax(-1)
        assert oracles.close(probability, distribution[expected[0, start.shape[1] + step]], 5e-5)
        assert found.top_ids[step].tolist() == distribution.topk(5).indices.tolist()


@pytest.mark.parametrize("name", ["t5", "bart", "marian", "pegasus", "mvp", "plbart"])
def test_input_x_gradient_is_captums(name):
    from captum.attr import InputXGradient

    visualizer = visualizer_of(name)
    model = visualizer.model
    source, start, output = ids_of(name)
    decoder = torch.cat([start, output[:, :-1]], dim=1)

    def read(first, second):
        mask = torch.ones_like(source)
        answer = model(inputs_embeds=first, attention_mask=mask, decoder_inputs_embeds=second)
        return answer.logits[:, -1].log_softmax(-1)[:, output[0, -1]]

    tables = [part.get_input_embeddings() for part in (model.get_encoder(), model.get_decoder())]
    embeddings = tuple(table(ids).detach() for table, ids in zip(tables, (source, decoder), strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = InputXGradient(read).attribute(embeddings)
    found = visualizer.compute_saliency(
        SOURCE, continuation=OUTPUT, method="input_x_gradient", span=(output.shape[1] - 1, output.shape[1])
    )
    together = torch.cat([part[0].sum(-1) for part in expected]).detach()
    assert oracles.close(found.scores[0, :-1], together, 2e-5)


@pytest.mark.parametrize(
    ("name", "replacement"),
    [
        *((name, replacement) for name in KINDS for replacement in ("pad", "mean")),
        *((name, "mask") for name in KINDS if tiny.tokenizer_of(name).mask_token_id is not None),
    ],
)
def test_removing_a_token_is_by_hand(name, replacement):
    visualizer = visualizer_of(name)
    tokenizer = visualizer.tokenizer
    source, start, output = ids_of(name)
    decoder = torch.cat([start, output[:, :-1]], dim=1)
    token = int(output[0, -1])

    def substitute(table):
        return table.mean(0) if replacement == "mean" else table[tokenizer.pad_token_id]

    found = visualizer.compute_saliency(
        SOURCE,
        continuation=OUTPUT,
        method=LeaveOneOut(replacement=replacement),
        span=(output.shape[1] - 1, output.shape[1]),
    )
    whole = log_prob(tiny.logits(visualizer.model, source, decoder), token)
    assert oracles.close(found.outputs[0], whole, 2e-5)
    for position in (1, 3, found.tokens.ids.size - 3):
        if found.tokens.special[position]:
            assert found.scores[0, position] == 0
            continue
        if replacement == "mask":
            ids = torch.cat([source, decoder], dim=1)
            ids[0, position] = tokenizer.mask_token_id
            changed = tiny.logits(visualizer.model, ids[:, : source.shape[1]], ids[:, source.shape[1] :])
        else:
            changed = tiny.removed(visualizer.model, source, decoder, position, substitute)
        drop = whole - log_prob(changed, token)
        assert oracles.close(found.scores[0, position], drop, 1e-4 * max(1, abs(float(whole / drop))))


@pytest.mark.parametrize("name", KINDS)
def test_alone_equals_batched(name):
    visualizer = visualizer_of(name)
    sources = [*SOURCES, SOURCE]
    options = {"continuation": "Der Film", "method": "saliency", "per_token": True}
    together = visualizer.compute_saliency(sources, **options)
    for source, found in zip(sources, together, strict=True):
        alone = visualizer.compute_saliency(source, **options)
        assert oracles.close(found.scores, alone.scores, 2e-5)
        assert oracles.close(found.outputs, alone.outputs, 2e-5)
        assert found.tokens.texts == (source, "Der Film")


@pytest.mark.parametrize("name", ["t5", "bart", "nllb"])
@pytest.mark.parametrize("method", ["default", "integrated_gradients", "leave_one_out", "gim", "kernel_shap"])
def test_methods_give_finite_scores_to_both_sides(name, method):
    found = visualizer_of(name).compute_saliency("A dull plot", continuation="Der Film", method=method)
    source = found.tokens.segments == 0
    output = (found.tokens.segments == 1) & ~found.tokens.special & found.valid[0]
    assert np.isfinite(found.scores).all()
    assert np.abs(found.scores[0, source]).max() > 0
    assert np.abs(found.scores[0, output]).max() > 0


def test_targets_share_the_encoders_pass():
    visualizer = visualizer_of("t5")
    calls = []
    hook = visualizer.model.get_encoder().register_forward_hook(lambda *_: calls.append(1))
    try:
        found = visualizer.compute_saliency(SOURCE, continuation=OUTPUT, method="saliency", per_token=True)
        visualizer.compute_saliency(SOURCE, continuation=OUTPUT, method="saliency", per_token=True)
    finally:
        hook.remove()
    assert len(found.targets) == 13
    assert len(calls) <= 4
