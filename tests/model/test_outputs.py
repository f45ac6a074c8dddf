"""The module of each task is called as transformers calls it, and its logits are one tensor."""

import copy

import pytest
import tiny_models
import tiny_tokenizers
import torch
import transformers as hf

from model_understanding.errors import InputError
from model_understanding.loading import LoadedModel
from model_understanding.model.model import Model
from model_understanding.passes.runner import Runner
from model_understanding.results import Provenance, Target
from model_understanding.targets.names import (
    MASKED_LM,
    MULTIPLE_CHOICE,
    QUESTION_ANSWERING,
    SEQ2SEQ_LM,
    TOKEN_CLASSIFICATION,
)
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

IDS = [5, 9, 14, 20, 33, 7]
BY_TOKEN = {
    TOKEN_CLASSIFICATION: hf.BertForTokenClassification,
    MASKED_LM: hf.BertForMaskedLM,
    QUESTION_ANSWERING: hf.BertForQuestionAnswering,
    MULTIPLE_CHOICE: hf.BertForMultipleChoice,
}
T5 = {"vocab_size": 60, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}


def model_of(module: torch.nn.Module, task: str) -> Model:
    return Model(LoadedModel(module.eval(), tiny_tokenizers.wordpiece(), task, Provenance()))


def encoded(model: Model, ids: list[int], source_length: int | None = None) -> Encoding:
    tokens = Tokens.from_pieces([str(index) for index in ids])
    return model.encode(tokens, {"input_ids": ids}, source_length=source_length)


def bert(task: str) -> torch.nn.Module:
    torch.manual_seed(0)
    config = copy.deepcopy(tiny_models.build("bert").config)
    config.num_labels = 2 if task == QUESTION_ANSWERING else config.num_labels
    return BY_TOKEN[task](config).eval()


@pytest.mark.parametrize("task", BY_TOKEN)
def test_the_logits_of_each_task(task):
    module = bert(task)
    model = model_of(module, task)
    ids = torch.tensor([IDS, IDS[::-1]])
    with torch.no_grad():
        if task == MULTIPLE_CHOICE:
            expected = module(input_ids=ids[:, None]).logits[:, None]
        elif task == QUESTION_ANSWERING:
            outputs = module(input_ids=ids)
            expected = torch.stack([outputs.start_logits, outputs.end_logits], dim=1)
        else:
            expected = module(input_ids=ids).logits
    batch = model.batch([encoded(model, row) for row in (IDS, IDS[::-1])])
    logits = model.logits(batch)
    assert torch.equal(logits, expected)
    assert logits.shape[1:] == (model.logit_positions(len(IDS)), model.class_count(len(IDS)))


@pytest.mark.parametrize("quantity", ["logit", "log_prob", "prob"])
def test_a_span_is_read_at_start_and_end(quantity):
    module = bert(QUESTION_ANSWERING)
    runner = Runner(model_of(module, QUESTION_ANSWERING))
    target = Target(
        task=QUESTION_ANSWERING, positions=(0, 1), indices=(2, 4), against=(1, 1), quantity=quantity
    )
    with torch.no_grad():
        outputs = module(input_ids=torch.tensor([IDS]))
    read = {
        "logit": lambda logits: logits,
        "log_prob": lambda logits: logits.log_softmax(-1),
        "prob": lambda logits: logits.softmax(-1),
    }[quantity]
    start, end = read(outputs.start_logits[0]), read(outputs.end_logits[0])
    expected = start[2] - start[1] + end[4] - end[1]
    value = runner.values(encoded(runner.model, IDS), [target])[0, 0]
    assert value == pytest.approx(float(expected), rel=1e-5, abs=1e-6)


def test_a_head_without_logits_of_spans_is_named():
    config = hf.XLMConfig(vocab_size=60, emb_dim=16, n_layers=1, n_heads=2)
    model = model_of(hf.XLMForQuestionAnswering(config), QUESTION_ANSWERING)
    with pytest.raises(InputError, match="XLMForQuestionAnswering returns no start and end logits"):
        model.logits(encoded(model, IDS))


@pytest.mark.parametrize("shares", [True, False])
def test_source_and_output_are_one_text_of_two_sequences(shares):
    """A position of the output predicts the next; gradients are those of both stacks' own tables."""
    torch.manual_seed(0)
    if shares:
        module = hf.T5ForConditionalGeneration(hf.T5Config(**T5, decoder_start_token_id=0)).eval()
        tables = (module.shared, module.shared)
    else:
        sizes = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "max_position_embeddings": 40}
        heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
        config = hf.MarianConfig(
            **{**sizes, **heads, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "vocab_size": 60},
            **{"decoder_vocab_size": 30, "share_encoder_decoder_embeddings": False, "scale_embedding": False},
            **{"pad_token_id": 0, "decoder_start_token_id": 0, "eos_token_id": 1},
        )
        module = hf.MarianMTModel(config).eval()
        tables = (module.model.encoder.embed_tokens, module.model.decoder.embed_tokens)
    runner = Runner(model_of(module, SEQ2SEQ_LM))
    output = [0, 11, 12, 13]
    text = encoded(runner.model, [*IDS, *output], len(IDS))
    targets = [
        Target(task=SEQ2SEQ_LM, positions=(len(IDS) + step,), indices=(index,), quantity="log_prob")
        for step, index in enumerate(output[1:])
    ]
    found = runner.gradients(text, targets)
    source = tables[0](torch.tensor([IDS])).detach().requires_grad_()
    written = tables[1](torch.tensor([output])).detach().requires_grad_()
    logits = module(inputs_embeds=source, decoder_inputs_embeds=written).logits[0].log_softmax(-1)
    width = source.shape[-1]
    for step in range(3):
        value = logits[step, output[step + 1]]
        expected = torch.autograd.grad(value, (source, written), retain_graph=True)
        assert found.values[0, step] == pytest.approx(value.item(), rel=1e-5)
        gradient = found.gradients[0, step]
        torch.testing.assert_close(gradient[: len(IDS), :width], expected[0][0], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(gradient[len(IDS) :, -width:], expected[1][0], rtol=1e-4, atol=1e-6)
        assert not gradient[len(IDS) + step + 1 :].any()
    if not shares:
        assert not found.gradients[0, :, : len(IDS), width:].any()
        assert not found.gradients[0, :, len(IDS) :, :width].any()


def test_an_id_outside_of_the_outputs_vocabulary_is_named():
    config = hf.T5Config(**{**T5, "vocab_size": 30}, decoder_start_token_id=0)
    model = model_of(hf.T5ForConditionalGeneration(config), SEQ2SEQ_LM)
    with pytest.raises(InputError, match="has the token id 31, but the model's vocabulary has only 30"):
        encoded(model, [5, 6, 0, 31], 2)
