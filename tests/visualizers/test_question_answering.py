"""What can be asked of a question answering model: inputs, windows, targets, refusals."""

import copy

import numpy as np
import pytest
import tiny_qa
import tiny_tokenizers
import torch
import transformers
from tiny_qa import PAIRS, inputs_of, visualizer_of

from model_understanding import (
    Failure,
    InputError,
    LeaveOneOut,
    QuestionAnsweringVisualizer,
    Report,
    UnsupportedModelError,
    Words,
)
from model_understanding.show.payload.report import report_payload
from model_understanding.text.tokenization import tokenize
from model_understanding.text.windows import windows_of

QUESTION = "Who lived far away?"
LONG = " ".join(tiny_tokenizers.SENTENCES)


def test_an_input_is_a_pair_a_mapping_or_many_of_them():
    visualizer = visualizer_of("bert")
    question, context = PAIRS[0]
    text = visualizer.predict((question, context)).text
    assert visualizer.predict({"question": question, "context": context, "id": 7}).text == text
    assert [answer.text for answer in visualizer.predict([(question, context)])] == [text]
    assert [answer.text for answer in visualizer.predict(np.array([[question, context]]))] == [text]
    assert [a.text for a in visualizer.predict({"question": q, "context": c} for q, c in [PAIRS[0]])] == [
        text
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("Who?", r"A question is asked about a context. Got str: 'Who\?'"),
        (("Who?", "A king.", "A queen."), "Got tuple of 3"),
        ({"question": "Who?"}, "The input has no context. Got the keys question"),
        (("", "A king."), "The text is empty"),
        (("Who?", ""), "The text is empty"),
    ],
)
def test_what_is_no_question_with_a_context_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        visualizer_of("bert").predict(given)


def test_one_bad_input_of_many_is_skipped():
    found = visualizer_of("bert").compute_saliency([PAIRS[0], "Who?", PAIRS[1]], errors="skip")
    assert [isinstance(each, Failure) for each in found] == [False, True, False]


def by_the_tokenizer(name, question, context, length, stride):
    """Return the windows of transformers' tokenizer."""
    tokenizer = tiny_qa.tokenizer_of(name)
    is_first = tokenizer.padding_side == "left"
    return tokenizer(
        *((context, question) if is_first else (question, context)),
        truncation="only_first" if is_first else "only_second",
        max_length=length,
        stride=stride,
        return_overflowing_tokens=True,
    )


@pytest.mark.parametrize(("length", "stride"), [(40, 8), (64, 16), (60, 0)])
@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta", "llama", "xlnet"])
def test_windows_are_those_of_the_tokenizer(name, length, stride):
    tokenizer = tiny_qa.tokenizer_of(name)
    is_first = tokenizer.padding_side == "left"
    pair = (LONG, QUESTION) if is_first else (QUESTION, LONG)
    windows = windows_of(*tokenize(tokenizer, *pair), 0 if is_first else 1, length, stride)
    expected = by_the_tokenizer(name, QUESTION, LONG, length, stride)
    for key in expected:
        if key != "overflow_to_sample_mapping":
            assert [window.inputs[key] for window in windows if key in window.inputs] in ([], expected[key])
    assert [window.tokens.ids.tolist() for window in windows] == expected["input_ids"]


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta", "gpt2", "xlnet"])
def test_the_window_with_the_likeliest_answer_is_explained_and_named(name):
    length, stride = 64, 16
    visualizer = visualizer_of(name, max_seq_len=length, doc_stride=stride)
    answer = visualizer.predict((QUESTION, LONG))
    scores = []
    for ids in by_the_tokenizer(name, QUESTION, LONG, length, stride)["input_ids"]:
        (window,) = [
            each
            for each in windows_of(
                *tokenize(visualizer.tokenizer, *answer.tokens.texts), answer.context, length, stride
            )
            if each.tokens.ids.tolist() == ids
        ]
        with torch.no_grad():
            accepted = inputs_of(name, PAIRS[0]).keys()
            inputs = {key: torch.tensor([values]) for key, values in window.inputs.items() if key in accepted}
            outputs = visualizer.model(**inputs)
        cls = visualizer.tokenizer.cls_token_id
        kept = (window.tokens.segments == answer.context) | (
            window.tokens.ids == (-1 if cls is None else cls)
        )
        start, end = (
            np.where(kept, np.exp(row[0].double().numpy()), 0)
            for row in (outputs.start_logits, outputs.end_logits)
        )
        products = np.triu(np.outer(start / start.sum(), end / end.sum()))
        inside = (window.tokens.segments == answer.context) & ~window.tokens.special
        products = np.where(np.outer(inside, inside), np.tril(products, 14), 0)
        scores.append((float(products.max()), ids))
    best = max(scores)
    assert answer.tokens.ids.tolist() == best[1]
    assert answer.best.score == pytest.approx(best[0], rel=1e-4)
    found = visualizer.compute_saliency((QUESTION, LONG), method="saliency")
    assert found.tokens.ids.tolist() == best[1]
    assert found.tokens.texts == answer.tokens.texts  # the whole texts
    (caution,) = found.provenance.cautions
    index = [ids for _, ids in scores].index(best[1])
    assert f"window {index + 1} of {len(scores)}" in caution
    assert "neighboring windows share 16" in caution
    assert LONG[answer.best.start : answer.best.end] == answer.text
    assessment = visualizer.evaluate(found)
    assert assessment.verdict


def test_a_context_longer_than_the_model_is_read_in_windows():
    visualizer = visualizer_of("bert")  # 96 positions
    answer = visualizer.predict((QUESTION, LONG))
    assert len(answer.tokens) <= 96 < len(tokenize(visualizer.tokenizer, QUESTION, LONG)[0])
    many = visualizer.predict([(QUESTION, LONG), PAIRS[0]])
    assert [each.text for each in many] == [answer.text, visualizer.predict(PAIRS[0]).text]


def test_a_question_that_leaves_no_room_is_refused():
    with pytest.raises(InputError, match=r"The question alone leaves no room for the context: .* 96 are"):
        visualizer_of("bert").predict((LONG, "A king."))
    with pytest.raises(InputError, match="or a smaller doc_stride"):
        visualizer_of("bert", max_seq_len=40, doc_stride=39).predict((QUESTION, LONG))


def test_a_text_outside_the_window_is_named_as_such():
    visualizer = visualizer_of("bert", max_seq_len=40, doc_stride=4)
    answer = visualizer.predict((QUESTION, LONG))
    inside = answer.tokens.offsets[answer.tokens.segments == 1]
    other = LONG[:12] if inside[0, 0] > 12 else LONG[-12:]
    with pytest.raises(InputError, match="does not occur in the part of the context that is explained"):
        visualizer.compute_saliency((QUESTION, LONG), target=other)


def test_the_order_of_both_follows_the_padding_side_or_the_caller():
    tokenizer = copy.deepcopy(tiny_qa.tokenizer_of("llama"))
    tokenizer.padding_side = "left"
    model = tiny_qa.build("llama")
    visualizer = QuestionAnsweringVisualizer(model=model, tokenizer=tokenizer)
    found = visualizer.compute_saliency(PAIRS[0], method="saliency")
    assert found.tokens.texts == PAIRS[0][::-1]
    assert not found.scores[0, found.tokens.segments == 1].any()  # the question, which comes last
    assert any("cannot depend on the question" in caution for caution in found.provenance.cautions)
    assert visualizer.evaluate(found).verdict
    first = QuestionAnsweringVisualizer(model=model, tokenizer=tokenizer, question_first=True)
    found = first.compute_saliency(PAIRS[0], method="saliency")
    assert found.tokens.texts == PAIRS[0]
    assert not found.provenance.cautions
    assert not visualizer_of("xlnet").compute_saliency(PAIRS[1]).provenance.cautions  # reads both sides


def test_several_targets_are_rows_of_one_map():
    found = visualizer_of("bert").compute_saliency(
        PAIRS[0], target=["start", "end"], method="input_x_gradient"
    )
    whole = visualizer_of("bert").compute_saliency(PAIRS[0], method="input_x_gradient")
    assert found.outputs.sum() == pytest.approx(whole.outputs[0], abs=1e-5)
    assert found.scores.sum(axis=0) == pytest.approx(whole.scores[0], abs=1e-5)


def test_a_function_of_the_outputs_is_explained():
    visualizer = visualizer_of("bert")
    best = visualizer.predict(PAIRS[0]).best

    def start(outputs):
        return outputs.start_logits[0, best.first]

    found = visualizer.compute_saliency(PAIRS[0], target=start, method="saliency")
    expected = visualizer.compute_saliency(PAIRS[0], target="start", method="saliency")
    assert found.scores == pytest.approx(expected.scores, abs=1e-6)
    assert visualizer.evaluate(found, target=start).verdict


def test_a_single_end_has_a_probability_and_both_have_none():
    visualizer = visualizer_of("bert")
    answer = visualizer.predict(PAIRS[0])
    found = visualizer.compute_saliency(PAIRS[0], target=["start", "end"], quantity="prob")
    assert found.outputs.prod() == pytest.approx(answer.best.probability, rel=1e-4)
    both = visualizer.compute_saliency(PAIRS[0], quantity="log_prob")
    assert np.exp(both.outputs[0]) == pytest.approx(answer.best.probability, rel=1e-4)
    with pytest.raises(InputError, match="no meaningful sum"):
        visualizer.compute_saliency(PAIRS[0], quantity="prob")


def test_words_are_read_as_words():
    visualizer = visualizer_of("bert")
    pair = (Words(["Who", "is", "it"]), Words(["A", "king", "lived", "far", "away"]))
    found = visualizer.compute_saliency(pair)
    assert found.tokens.texts == ("Who is it", "A king lived far away")
    assert visualizer.evaluate(pair).verdict


def test_heads_are_ablated_for_the_answer():
    visualizer = visualizer_of("bert")
    best, inputs = visualizer.predict(PAIRS[0]).best, inputs_of("bert", PAIRS[0])
    scores = visualizer.score_heads(PAIRS[0], scores="ablation").scores[0]
    for layer, head in ((0, 1), (2, 3)):
        output = visualizer.model.bert.encoder.layer[layer].attention.output.dense

        def without(_, arguments, head=head):
            changed = arguments[0].clone()
            changed[..., 8 * head : 8 * head + 8] = 0
            return (changed, *arguments[1:])

        handle = output.register_forward_pre_hook(without)
        with torch.no_grad():
            outputs = visualizer.model(**inputs)
        handle.remove()
        value = float(outputs.start_logits[0, best.first] + outputs.end_logits[0, best.last])
        assert scores[layer, head] == pytest.approx(best.logit - value, abs=1e-4)


def test_attention_is_that_of_the_eager_model():
    visualizer = visualizer_of("bert")
    eager = type(visualizer.model)._from_config(visualizer.model.config, attn_implementation="eager")
    eager.load_state_dict(visualizer.model.state_dict())
    with torch.no_grad():
        weights = eager.eval()(**inputs_of("bert", PAIRS[0]), output_attentions=True).attentions
    found = visualizer.compute_attention(PAIRS[0], layer="all", head="all")
    assert found.weights == pytest.approx(torch.cat(weights).numpy(), abs=1e-5)
    assert found.keys.texts == PAIRS[0]


def test_there_is_no_lens_of_positions():
    with pytest.raises(UnsupportedModelError, match=r"A logit lens .* question answering has two"):
        visualizer_of("bert").compute_logit_lens(PAIRS[0])


def test_saved_reports_hold_the_answer(tmp_path):
    report = visualizer_of("bert").analyze(PAIRS[2], method="fast", evaluate=False, show=False)
    for name in ("answer.json", "answer.npz"):
        report.save(tmp_path / name)
        loaded = Report.load(tmp_path / name)
        assert loaded.answer.spans == report.answer.spans
        assert loaded.answer.tokens.texts == PAIRS[2]


def test_the_code_of_a_map_sets_the_visualizer_up_again():
    visualizer = visualizer_of("bert", max_seq_len=64, doc_stride=16, max_answer_len=4)
    report = visualizer.analyze(
        (QUESTION, LONG), method="saliency", against="no answer", scores_only=True, show=False
    )
    (code,) = report_payload(Report.from_json(report.to_json()))["attributions"][0]["python"]
    names = {"model": visualizer.model, "tokenizer": visualizer.tokenizer}
    exec(code.rpartition("visualizer.plot")[0], names)
    assert names["attribution"].targets == report.attributions[0].targets
    assert np.array_equal(names["attribution"].scores, report.attributions[0].scores)


@pytest.mark.parametrize("kind", ["XLNetForQuestionAnswering", "XLMForQuestionAnswering"])
def test_heads_that_search_for_the_span_themselves_are_refused_by_name(kind):
    sizes = {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}
    if kind.startswith("XLM"):
        sizes = {"emb_dim": 32, "n_layers": 2, "n_heads": 4}
    tokenizer = tiny_tokenizers.xlnet_like()
    made = getattr(transformers, kind)
    config = made.config_class(vocab_size=len(tokenizer), pad_token_id=5, **sizes)
    with pytest.raises(InputError, match=f"{kind}, .* as {kind}Simple"):
        QuestionAnsweringVisualizer(model=made(config).eval(), tokenizer=tokenizer).predict(PAIRS[0])


def test_heads_that_answer_about_pictures_are_refused_by_name():
    config = transformers.LxmertConfig(
        **dict.fromkeys(("l_layers", "x_layers", "r_layers"), 1),
        vocab_size=40,
        hidden_size=32,
        num_attention_heads=4,
        intermediate_size=48,
    )
    model = transformers.LxmertForQuestionAnswering(config).eval()
    with pytest.raises(
        InputError, match="LxmertForQuestionAnswering, which answers questions about pictures"
    ):
        QuestionAnsweringVisualizer(model=model, tokenizer=tiny_tokenizers.wordpiece())


def test_hidden_tokens_without_logits_are_not_removed_by_hiding_them():
    """Splinter adds the least number of its dtype to the logits of hidden tokens."""
    tokenizer = tiny_tokenizers.roberta_like()
    torch.manual_seed(0)
    config = transformers.SplinterConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        question_token_id=len(tokenizer) - 1,
        initializer_range=0.2,
    )
    model = transformers.SplinterForQuestionAnswering(config).eval()
    visualizer = QuestionAnsweringVisualizer(model=model, tokenizer=tokenizer)
    with pytest.raises(UnsupportedModelError, match="gives hidden tokens no logits"):
        visualizer.compute_saliency(PAIRS[0], method=LeaveOneOut(replacement="attention"))
    assessment = visualizer.evaluate(PAIRS[0], method="saliency")
    assert all(abs(evaluation.value) < 1e3 for evaluation in assessment.evaluations if evaluation.value)


def test_a_model_that_looks_for_separators_is_measured_on_pairs():
    tokenizer = tiny_tokenizers.roberta_like()
    torch.manual_seed(0)
    config = transformers.LongformerConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        attention_window=8,
        max_position_embeddings=98,
        sep_token_id=2,
        pad_token_id=1,
        initializer_range=0.2,
    )
    model = transformers.LongformerForQuestionAnswering(config).eval()
    visualizer = QuestionAnsweringVisualizer(model=model, tokenizer=tokenizer)
    found = visualizer.compute_saliency(PAIRS[0], method="leave_one_out")
    inputs = dict(tokenizer(*PAIRS[0], return_tensors="pt"))
    position = int(np.abs(found.scores[0]).argmax())
    changed = inputs["input_ids"].clone()
    changed[0, position] = tokenizer.mask_token_id
    with torch.no_grad():
        whole, without = (model(**{**inputs, "input_ids": ids}) for ids in (inputs["input_ids"], changed))
    first, last = found.targets[0].indices
    drops = [
        float(whole[key][0, at] - without[key][0, at])
        for key, at in (("start_logits", first), ("end_logits", last))
    ]
    assert found.scores[0, position] == pytest.approx(sum(drops), abs=1e-4)
    assert visualizer.analyze(PAIRS[0], show=False).evaluations
