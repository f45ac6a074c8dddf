"""Texts of every kind through the whole: continuations, ids, words, unknown tokens, padded vocabularies."""

import numpy as np
import pytest
import tiny_models
import tiny_tokenizers
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from model_understanding import (
    AttentionMap,
    GenerativeModelVisualizer,
    InputError,
    ModelVisualizer,
    Report,
    Words,
)

PROMPT = "The capital of France is"
TOKENIZERS = {
    "llama 2": tiny_tokenizers.llama2_like(),
    "bytes with blank": tiny_tokenizers.byte_level_with_blank(),
}


def language_model(tokenizer, more=40):
    """A tiny Llama whose vocabulary is larger than its tokenizer's, and which writes such ids."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer) + more,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(8 if weight.dim() > 1 else 1)
        model.lm_head.weight[len(tokenizer) :] *= 3
    return GenerativeModelVisualizer(model=model, tokenizer=tokenizer)


@pytest.fixture(scope="module", params=TOKENIZERS)
def visualizer(request):
    return language_model(TOKENIZERS[request.param])


def log_probability(visualizer, ids, count):
    with torch.no_grad():
        logs = visualizer.model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return float(sum(logs[i - 1, ids[i]] for i in range(len(ids) - count, len(ids))))


@pytest.mark.parametrize("text", [".", "'s", "\nThe", " Paris.", "!"])
@pytest.mark.parametrize("chat", [False, True])
def test_a_continuation_scores_the_tokens_of_both_together(visualizer, text, chat):
    tokenizer = visualizer.tokenizer
    prompt = [{"role": "user", "content": PROMPT}] if chat else PROMPT
    rendered = (
        tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True) if chat else PROMPT
    )
    before = tokenizer(rendered, add_special_tokens=not chat)["input_ids"]
    whole = tokenizer(rendered + text, add_special_tokens=not chat)["input_ids"]
    if whole[: len(before)] != before:
        pytest.skip("the tokenizer joins characters across the boundary")
    result = visualizer.compute_saliency(prompt, continuation=text, method="input_x_gradient")
    assert result.tokens.ids.tolist() == whole
    assert result.outputs[0] == pytest.approx(
        log_probability(visualizer, whole, len(whole) - len(before)), rel=1e-4
    )
    assert result.provenance.cautions == ()
    assert visualizer.compute_logit_lens(prompt, continuation=text).tokens.ids.tolist() == whole
    assert visualizer.compute_attention(prompt, continuation=text).keys.ids.tolist() == whole
    span = visualizer.compute_saliency(
        prompt, continuation=text, span=text.strip(), method="input_x_gradient"
    )
    assert set(span.targets[0].indices) <= set(whole[len(before) :])


def test_tokens_by_text_follow_the_prompt(visualizer):
    (dot,) = visualizer.tokenizer(PROMPT + ".")["input_ids"][len(visualizer.tokenizer(PROMPT)["input_ids"]) :]
    by_text = visualizer.compute_saliency(PROMPT, target=["."], against="'", method="input_x_gradient")
    assert by_text.targets[0].indices == (dot,)
    assert by_text.targets[0].labels == (".",)
    contrast = visualizer.compute_saliency(PROMPT, target="next", against=".", method="input_x_gradient")
    assert contrast.targets[0].against == (dot,)
    steps = visualizer.compute_saliency(
        PROMPT, continuation="..", against="!!", per_token=True, method="input_x_gradient"
    )
    (sign, _) = visualizer.tokenizer(PROMPT + "!!")["input_ids"][-2:]
    assert [target.against for target in steps.targets] == [(sign,), (sign,)]


def test_a_continuation_that_shares_a_token_says_what_is_scored(visualizer):
    result = visualizer.compute_saliency(PROMPT + " ", continuation="king", method="input_x_gradient")
    labels = result.tokens.labels()[-4:]
    assert labels == ("k", "i", "n", "g")
    (caution,) = result.provenance.cautions
    assert "'k', 'i', 'n', 'g'" in caution
    report = visualizer.analyze(PROMPT + " ", "king", evaluate=False, show=False)
    assert caution in report.provenance.cautions
    assert visualizer.compute_logit_lens(PROMPT + " ", continuation="king").provenance.cautions == (caution,)


def test_ids_are_taken_as_they_are(visualizer):
    generation = visualizer.generate(PROMPT, max_new_tokens=4)
    ids = generation.continuation_tokens().ids
    for given in (ids, ids.tolist(), torch.tensor(ids), torch.tensor([ids.tolist()])):
        again = visualizer.generate(PROMPT, continuation=given)
        assert again.tokens.ids.tolist() == generation.tokens.ids.tolist()
        np.testing.assert_allclose(again.probabilities, generation.probabilities, rtol=1e-5)
    prompt = visualizer.tokenizer(PROMPT)["input_ids"]
    text = visualizer.compute_saliency(PROMPT, method="input_x_gradient")
    by_ids, in_list = (
        visualizer.compute_saliency(prompt, method="input_x_gradient"),
        visualizer.compute_saliency([prompt, torch.tensor(prompt)], method="input_x_gradient"),
    )
    np.testing.assert_array_equal(by_ids.scores, text.scores)
    np.testing.assert_array_equal(in_list[1].scores, text.scores)
    assert by_ids.tokens.labels() == text.tokens.labels()
    with pytest.raises(InputError, match="must be one row"):
        visualizer.generate(torch.tensor([prompt, prompt]))
    with pytest.raises(InputError, match="at least 0"):
        visualizer.generate([1, -1])


def test_ids_beyond_the_tokenizer_are_named_everywhere(visualizer, tmp_path, capsys):
    first = len(visualizer.tokenizer)
    name = f"<id {first + 3}>"
    report = visualizer.analyze(PROMPT, [first + 3, 9, first + 7], alternatives=1, evaluate=False, show=False)
    assert report.generation.continuation_tokens().labels()[0] == name
    assert all(isinstance(label, str) for step in report.generation.top_labels for label in step)
    assert any(label.startswith("<id ") for step in report.generation.top_labels for label in step)
    for suffix in ("json", "html", "png", "csv"):
        report.save(tmp_path / f"report.{suffix}")
    assert name in (tmp_path / "report.csv").read_text()
    Report.load(tmp_path / "report.json").show()
    assert name in capsys.readouterr().out
    target = visualizer.compute_saliency(PROMPT, target=first + 3, method="input_x_gradient").targets[0]
    assert target.labels == (name,)
    lens = visualizer.compute_logit_lens([*visualizer.tokenizer(PROMPT)["input_ids"], first + 3])
    assert lens.tokens.labels()[-1] == name


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_words_keep_their_scores(name):
    visualizer = tiny_models.visualizer_of(name)
    words = Words(["The", "film", "wasn't", "New", "York!"])
    encoded = visualizer.tokenizer(list(words), is_split_into_words=True)
    result = visualizer.compute_saliency(words, method="input_x_gradient")
    assert result.tokens.ids.tolist() == encoded["input_ids"]
    assert result.tokens.words.tolist() == [-1 if word is None else word for word in encoded.word_ids()]
    folded = result.words()
    assert [label.strip() for label in folded.tokens.surfaces()][1:-1] == list(words)
    sums = [result.scores[0][result.tokens.words == word].sum() for word in range(len(words))]
    np.testing.assert_allclose(folded.scores[0][1:-1], sums, rtol=1e-5)
    listed = visualizer.compute_saliency([list(words), "The film"], method="input_x_gradient")
    np.testing.assert_allclose(listed[0].scores, result.scores, rtol=1e-4, atol=1e-6)
    pair = visualizer.compute_saliency((words, Words(["a", "king"])), method="input_x_gradient")
    assert pair.tokens.words.max() == 6
    assert (
        visualizer.evaluate(result).verdict == visualizer.evaluate(words, method="input_x_gradient").verdict
    )
    with pytest.raises(InputError, match="two lists of words"):
        visualizer.compute_saliency((words, "a king"))


def test_the_tokenizers_own_blank_is_a_blank_and_no_part_of_the_word():
    tokenizer = tiny_tokenizers.xlmr_like()
    visualizer = ModelVisualizer(model=tiny_models.fresh("roberta"), tokenizer=tokenizer)
    result = visualizer.compute_saliency("吾輩は猫", method="input_x_gradient")
    assert tokenizer.convert_ids_to_tokens(result.tokens.ids.tolist())[1:3] == ["▁", "吾"]
    assert [text for text, _ in result.pairs()] == ["<s>", " ", *"吾輩は猫", "</s>"]
    assert result.tokens.labels()[1] == "␣"
    assert result.words().tokens.surfaces() == ("<s>", " ", *"吾輩は猫", "</s>")
    np.testing.assert_array_equal(result.words().scores, result.scores)
    assert result.provenance.cautions == ()


def test_unknown_tokens_are_marked_and_counted():
    visualizer = tiny_models.visualizer_of("bert")
    result = visualizer.compute_saliency("the film ☃ שלום", method="input_x_gradient")
    unknown = result.tokens.ids == visualizer.tokenizer.unk_token_id
    assert unknown.sum() == 2
    np.testing.assert_array_equal(result.tokens.unknown, unknown)
    assert [label for label in result.tokens.labels() if "unknown" in label] == [
        "☃ (unknown)",
        "שלום (unknown)",
    ]
    (caution,) = result.provenance.cautions
    assert caution == (
        "2 of 4 words are unknown to the tokenizer and became [UNK]: '☃', 'שלום'; "
        "the model cannot tell them apart."
    )
    assert visualizer.compute_attention("the film ☃ שלום").provenance.cautions == (caution,)
    again = type(result).from_json(result.to_json())
    np.testing.assert_array_equal(again.tokens.unknown, unknown)


@pytest.mark.parametrize(
    ("pieces", "labels", "words"),
    [
        (
            ["[CLS]", "play", "##ing", "chess", "[SEP]"],
            ["[CLS]", "play", "ing", "chess", "[SEP]"],
            ["playing", "chess"],
        ),
        (["I", "Ġwant", "Ġmon", "ey"], ["I", "want", "mon", "ey"], ["I", "want", "money"]),
        (["<s>", "▁the", "▁fil", "m", "</s>"], ["<s>", "the", "fil", "m", "</s>"], ["the", "film"]),
        (["un@@", "do", "it"], ["un", "do", "it"], ["undo", "it"]),
        (["âĤ", "¬", "Ġa"], ["<0xE2><0x82>", "<0xAC>", "a"], ["€", "a"]),
        (["The", "plot"], ["The", "plot"], ["The", "plot"]),
    ],
)
def test_raw_tokens_from_elsewhere_have_readable_labels_and_words(pieces, labels, words):
    keys = AttentionMap.from_arrays(np.eye(len(pieces)), pieces).folded("token").keys
    assert list(keys.labels()) == labels
    folded = AttentionMap.from_arrays(np.eye(len(pieces)), pieces).folded("word").keys
    ordinary = [label for label, special in zip(folded.labels(), folded.special, strict=True) if not special]
    assert [label for label in ordinary if label != "␣"] == words
