"""Tokens at masks as targets: the likeliest, by text, by id; what a mask cannot stand for."""

from dataclasses import replace

import numpy as np
import pytest
import tiny_tokenizers

from model_understanding import InputError
from model_understanding.targets.masked_lm import filling_of, mask_targets
from model_understanding.text.detokenization import token_text
from model_understanding.text.masks import mask_positions
from model_understanding.text.tokenization import tokenize

WP, RB, XR = tiny_tokenizers.wordpiece(), tiny_tokenizers.roberta_like(), tiny_tokenizers.xlmr_like()


def filling(text, tokenizer=WP, seed=0, padding=0):
    tokens, _ = tokenize(tokenizer, text.replace("{}", tokenizer.mask_token))
    positions = mask_positions(tokenizer, tokens)
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(len(positions), len(tokenizer) + padding)).astype(np.float32)
    return filling_of(tokenizer, tokens, positions, logits), logits


def targets(filled, target=None, against=None, tokenizer=WP, quantity="log_prob"):
    return mask_targets(
        tokenizer,
        len(tokenizer),
        filled.tokens,
        filled.positions.tolist(),
        filled.top_ids.tolist(),
        target,
        against,
        quantity,
    )


def refused(*arguments, **options):
    with pytest.raises(InputError) as caught:
        targets(*arguments, **options)
    return str(caught.value)


def word_id(word, tokenizer=WP):
    return tokenizer.convert_tokens_to_ids(word)


@pytest.mark.parametrize("tokenizer", [WP, RB, XR], ids=["wordpiece", "bytes", "unigram"])
def test_the_likeliest_tokens_are_those_of_the_softmax(tokenizer):
    filled, logits = filling("A {} film and {}.", tokenizer, padding=7)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    order = np.argsort(-probabilities, axis=1)[:, :10]
    np.testing.assert_array_equal(filled.top_ids, order)
    np.testing.assert_allclose(
        filled.top_probabilities, np.take_along_axis(probabilities, order, 1), rtol=1e-5
    )
    np.testing.assert_allclose(filled.top_logits, np.take_along_axis(logits, order, 1), rtol=1e-6)
    np.testing.assert_array_equal(filled.probabilities, filled.top_probabilities[:, 0])
    for row, labels in zip(order, filled.top_labels, strict=True):
        for token, label in zip(row, labels, strict=True):
            is_known = token < len(tokenizer)
            assert label == (token_text(tokenizer, int(token)) if is_known else f"<id {token}>")


def test_each_mask_has_its_likeliest_token_as_target():
    filled, logits = filling("A {} film and {}.")
    found = targets(filled)
    assert [target.positions for target in found] == [(int(p),) for p in filled.positions]
    assert [target.indices for target in found] == [(int(row.argmax()),) for row in logits]
    assert {target.quantity for target in found} == {"log_prob"}
    assert {target.task for target in found} == {"masked-lm"}
    assert all(target.against == () for target in found)


def test_a_token_is_named_for_all_masks_for_each_or_for_some():
    filled, logits = filling("A {} film and {}.")
    king, article = word_id("king"), word_id("a")
    ids = lambda found: [(target.positions[0], target.indices[0]) for target in found]  # noqa: E731
    first, second = map(int, filled.positions)
    assert ids(targets(filled, "king")) == [(first, king), (second, king)]
    assert ids(targets(filled, king)) == [(first, king), (second, king)]
    assert ids(targets(filled, ["king", "A"])) == [(first, king), (second, article)]
    assert ids(targets(filled, [None, "king"])) == [(first, int(logits[0].argmax())), (second, king)]
    assert ids(targets(filled, {1: "king"})) == [(second, king)]
    assert ids(targets(filled, {-1: ["king", "a"], 0: None})) == [
        (first, int(logits[0].argmax())), (second, king), (second, article),
    ]  # fmt: skip


def test_one_mask_can_have_several_targets():
    filled, logits = filling("A {} film.")
    found = targets(filled, ["king", word_id("a"), None])
    assert [target.indices[0] for target in found] == [word_id("king"), word_id("a"), int(logits.argmax())]
    assert found[0].labels == ("king",)


def test_a_contrast_is_a_token_or_the_likeliest_other():
    filled, logits = filling("A {} film and {}.")
    second = [int(np.argsort(-row)[1]) for row in logits]
    assert [target.against for target in targets(filled, against="king")] == [(word_id("king"),)] * 2
    assert targets(filled, against="king")[0].against_labels == ("king",)
    assert [target.against for target in targets(filled, against="runner-up")] == [(i,) for i in second]
    best = [int(row.argmax()) for row in logits]
    assert [t.against for t in targets(filled, "king", "runner-up")] == [(i,) for i in best]
    assert [t.against for t in targets(filled, against={1: "king"})] == [(), (word_id("king"),)]
    assert [t.against for t in targets(filled, against=[None, "king"])] == [(), (word_id("king"),)]
    assert [t.indices for t in targets(filled, {1: "a"}, {1: "king"})] == [(word_id("a"),)]


def test_a_word_of_several_tokens_needs_as_many_masks():
    text = refused(filling("A {} film.")[0], "plots")
    count = len(WP("plots", add_special_tokens=False)["input_ids"])
    assert text.startswith(f"'plots' is {count} tokens here (")
    assert f"Write {count} masks in its place ({'[MASK]' * count})" in text
    filled, _ = filling("A " + "{}" * count + " film.")  # what the hint says works
    ids = WP("plots", add_special_tokens=False)["input_ids"]
    assert [target.indices[0] for target in targets(filled, "plots")] == ids
    first = targets(filling("A {} film.")[0], ids[0])  # so does its other half
    assert first[0].indices == (ids[0],)


@pytest.mark.parametrize("tokenizer", [WP, RB, XR], ids=["wordpiece", "bytes", "unigram"])
def test_what_the_model_answers_can_be_named_again(tokenizer):
    """Every label that is shown is a target: by text where the text is one token there, always by id."""
    filled, _ = filling("the {} was a king.", tokenizer)
    for token, label in zip(filled.top_ids[0].tolist(), filled.top_labels[0], strict=True):
        assert targets(filled, token, tokenizer=tokenizer)[0].labels == (label,)
        assert targets(filled, token, tokenizer=tokenizer)[0].indices == (token,)


def test_blanks_around_a_token_do_not_matter():
    filled, _ = filling("the {} was a king.")
    assert targets(filled, " king") == targets(filled, "king") == targets(filled, "King")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "☃"}, "'☃' is not in this tokenizer's vocabulary."),
        ({"target": 10**6}, f"There is no token 1000000: the vocabulary has {len(WP)} tokens."),
        ({"target": True}, "target must be a token by text or id, a list or a dict. Got True."),
        ({"target": 0.5}, "target must be a token by text or id, a list or a dict. Got 0.5."),
        ({"target": ""}, "The target token is empty."),
        ({"target": ["king"]}, "target has 1 items for 2 masks."),
        ({"target": {}}, "target={} names no token."),
        ({"target": {2: "king"}}, "There is no mask 2: the text has 2."),
        ({"target": "king", "against": "king"}, "The target and its contrast are both 'king'."),
        ({"target": {0: "king"}, "against": {1: "a"}}, "against names mask 1, which is not explained."),
        ({"quantity": "loss"}, "Unknown quantity 'loss'. Allowed: logit, log_prob, prob."),
    ],
)
def test_what_cannot_be_explained_is_refused(options, message):
    assert refused(filling("A {} film and {}.")[0], **options).startswith(message)


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("A {} film.", ["dull"], "A dull film."),
        ("A {}{} film.", ["dull", "##est"], "A dullest film."),
        ("A{} {}.", [" dull", " film"], "A dull film."),
        ("{} film", [" A"], "A film"),
    ],
)
def test_the_filled_text_reads_like_a_text(text, labels, expected):
    filled, _ = filling(text)
    rest = [(label, *row[1:]) for label, row in zip(labels, filled.top_labels, strict=True)]
    assert replace(filled, top_labels=tuple(rest)).text == expected
