"""Question answering of every architecture against plain torch and captum, and alone = batched."""

import numpy as np
import oracles
import pytest
import tiny_qa
import torch
from captum.attr import LayerGradientXActivation
from tiny_qa import PAIRS, inputs_of, visualizer_of

from model_understanding import Report

EACH = tuple(tiny_qa.ARCHITECTURES)
ONE_LOOKUP = tuple(name for name in EACH if name not in tiny_qa.ENCODER_DECODERS)
PAIR = PAIRS[0]


def logits_of(name, inputs):
    with torch.no_grad():
        outputs = tiny_qa.build(name)(**inputs)
    return torch.stack([outputs.start_logits[0], outputs.end_logits[0]])


def captum_gradients(name, inputs, read):
    """Return captum's gradient of what is read from start and end logits, ``(T, D)``."""
    model = tiny_qa.build(name)
    others = {key: values for key, values in inputs.items() if key != "input_ids"}

    def forward(input_ids):
        outputs = model(input_ids=input_ids, **others)
        return read(outputs.start_logits[0], outputs.end_logits[0]).reshape(1)

    layer = LayerGradientXActivation(forward, model.get_input_embeddings(), multiply_by_inputs=False)
    found = layer.attribute(inputs["input_ids"]).detach()
    return found[0] if found.shape[1] == inputs["input_ids"].shape[1] else found[:, 0]  # XLNet: (T, B, D)


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("pair", PAIRS)
def test_the_answer_is_read_from_the_models_own_logits(name, pair):
    answer = visualizer_of(name).predict(pair)
    inputs = inputs_of(name, pair)
    assert answer.tokens.ids.tolist() == inputs["input_ids"][0].tolist()
    assert answer.tokens.texts == (pair[::-1] if name in tiny_qa.CONTEXT_FIRST else pair)
    logits = logits_of(name, inputs)
    assert oracles.close(answer.start_logits, logits[0])
    assert oracles.close(answer.end_logits, logits[1])
    context = 0 if name in tiny_qa.CONTEXT_FIRST else 1
    assert answer.context == context
    best = max(
        float(logits[0, first] + logits[1, last])
        for first in range(len(answer.tokens))
        for last in range(first, min(first + 15, len(answer.tokens)))
        if answer.tokens.segments[first] == answer.tokens.segments[last] == context
    )
    assert answer.best.logit == pytest.approx(best, abs=1e-5)
    assert pair[1][answer.best.start : answer.best.end] == answer.text


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ONE_LOOKUP)
def test_saliency_is_the_norm_of_captums_gradient(name):
    visualizer, inputs = visualizer_of(name), inputs_of(name, PAIR)
    answer = visualizer.predict(PAIR)
    (first, last), (other, other_last) = ((span.first, span.last) for span in answer.spans[:2])
    reads = {
        "logit": lambda start, end: start[first] + end[last],
        "start": lambda start, _: start[first],
        "against": lambda start, end: start[first] + end[last] - start[other] - end[other_last],
        "log_prob": lambda start, end: start.log_softmax(0)[first] + end.log_softmax(0)[last],
    }
    options = {
        "logit": {},
        "start": {"target": "start"},
        "against": {"against": "runner-up"},
        "log_prob": {"quantity": "log_prob"},
    }
    for kind, read in reads.items():
        found = visualizer.compute_saliency(PAIR, method="saliency", **options[kind])
        expected = captum_gradients(name, inputs, read)
        assert oracles.close(found.scores[0], expected.norm(dim=-1), 2e-5), kind
        logits = logits_of(name, inputs)
        assert found.outputs[0] == pytest.approx(float(read(*logits)), abs=1e-5)


@pytest.mark.parametrize("name", EACH)
def test_removal_is_another_token_in_the_same_place(name):
    visualizer, inputs = visualizer_of(name), inputs_of(name, PAIR)
    tokenizer = visualizer.tokenizer
    found = visualizer.compute_saliency(PAIR, method="leave_one_out")
    (target,) = found.targets
    if tokenizer.mask_token_id is None:
        return  # the embeddings of padding: see tests of removal
    value = float(logits_of(name, inputs)[[0, 1], list(target.indices)].sum())
    for position in np.flatnonzero(~found.tokens.special)[::5]:
        changed = inputs["input_ids"].clone()
        changed[0, position] = tokenizer.mask_token_id
        without = float(logits_of(name, {**inputs, "input_ids": changed})[[0, 1], list(target.indices)].sum())
        assert found.scores[0, position] == pytest.approx(value - without, abs=2e-5)
    assert not found.scores[0, found.tokens.special].any()


@pytest.mark.parametrize("name", EACH)
def test_alone_equals_batched(name):
    visualizer = visualizer_of(name)
    pairs = [*PAIRS, PAIRS[0], (PAIRS[0][1], PAIRS[0][0])]
    together = visualizer.compute_saliency(pairs, method="input_x_gradient", against="no answer")
    answers = visualizer.predict(pairs)
    for pair, found, answer in zip(pairs, together, answers, strict=True):
        alone = visualizer.compute_saliency(pair, method="input_x_gradient", against="no answer")
        assert found.targets == alone.targets
        assert oracles.close(found.scores, alone.scores, 2e-5)
        assert answer.best.text == visualizer.predict(pair).text


@pytest.mark.parametrize("name", tiny_qa.DECODERS)
def test_of_a_decoder_only_what_stands_before_the_answer_counts(name):
    found = visualizer_of(name).compute_saliency(PAIR, method="saliency", target="start")
    (start,) = found.targets[0].indices
    assert found.scores[0, : start + 1].all()
    assert not found.scores[0, start + 1 :].any()


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta", "deberta-v2", "llama", "xlnet"])
def test_a_report_has_answer_map_verdict_and_attention(name):
    report = visualizer_of(name).analyze(PAIR, method="input_x_gradient", show=False)
    (saliency,) = report.attributions
    assert saliency.targets[0].indices == (report.answer.best.first, report.answer.best.last)
    assert report.evaluations[0].verdict in ("supported", "weak", "not supported", "inconclusive")
    assert report.attention
    segments = saliency.tokens.segments
    assert {0, 1} <= set(segments.tolist())
    assert Report.from_json(report.to_json()).answer.best == report.answer.best
