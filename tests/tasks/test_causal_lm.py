"""The loss, the next token and continuations as targets; tokens by id and by text."""

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import tiny_tokenizers
from model_understanding import InputError
from model_understanding.tasks.causal_lm import (
    continuation_targets,
    loss_target,
    next_target,
    token_text,
    vocabulary_id,
)

GPT2 = tiny_tokenizers.gpt2_like()
SIZE = len(GPT2)
VOCABULARY = {"<unk>": 0, "▁": 1, "▁Paris": 2, "Paris": 3, "▁the": 4, "s": 5}


def sentencepiece():
    tokenizer = Tokenizer(models.Unigram([(piece, -1.0) for piece in VOCABULARY], unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


def refusal(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return str(caught.value)


def test_the_loss_of_a_prompt():
    target = loss_target([5, 7, 9])
    assert (target.positions, target.indices, target.reduce, target.quantity) == (
        (0, 1),
        (7, 9),
        "mean",
        "loss",
    )
    assert target.description() == "language-model loss of the prompt"
    for ids in ([5], []):
        assert refusal(loss_target, ids) == (
            "A prompt of one token has no loss: nothing comes before it to predict it. "
            "Pass a longer prompt, or target='next'."
        )


def test_a_token_by_id_or_text():
    single = " the"
    (wanted,) = GPT2(single, add_special_tokens=False)["input_ids"]
    assert len(GPT2("the", add_special_tokens=False)["input_ids"]) > 1
    for item in (single, "the", wanted, np.int64(wanted)):
        assert vocabulary_id(GPT2, SIZE, item) == wanted
    assert token_text(GPT2, wanted) == single
    assert vocabulary_id(GPT2, SIZE, " ") == GPT2(" ")["input_ids"][0]
    assert vocabulary_id(GPT2, SIZE, "<|endoftext|>") == 0


def test_a_token_of_a_tokenizer_that_puts_a_blank_itself():
    tokenizer = sentencepiece()
    for item in ("Paris", " Paris"):
        assert vocabulary_id(tokenizer, 6, item) == VOCABULARY["▁Paris"]
    assert token_text(tokenizer, VOCABULARY["▁Paris"]) == " Paris"
    assert token_text(tokenizer, VOCABULARY["Paris"]) == "Paris"


def test_a_byte_of_a_character_is_named_by_its_piece():
    first = GPT2("👨")["input_ids"][0]
    assert token_text(GPT2, first) == GPT2.convert_ids_to_tokens(first)


@pytest.mark.parametrize(
    ("tokenizer", "item", "message"),
    [
        (
            GPT2,
            SIZE,
            f"There is no token {SIZE}: the vocabulary has {SIZE}. Pass an id from 0 to {SIZE - 1}.",
        ),
        (GPT2, -1, f"There is no token -1: the vocabulary has {SIZE}. Pass an id from 0 to {SIZE - 1}."),
        (GPT2, True, "A token is a text or an id. Got True. Pass ' Paris' or 3681."),
        (GPT2, 1.5, "A token is a text or an id. Got 1.5. Pass ' Paris' or 3681."),
        (
            GPT2,
            "",
            "'' is 0 tokens for this tokenizer, not one. "
            "Pass the text of one token (its blank counts), an id, or explain it as a continuation.",
        ),
        (
            GPT2,
            "xyz",
            "'xyz' is 3 tokens for this tokenizer, not one. "
            "Pass the text of one token (its blank counts), an id, or explain it as a continuation.",
        ),
        (
            tiny_tokenizers.wordpiece(),
            "☃",
            "'☃' is not in this tokenizer's vocabulary. Pass a text it knows, or an id.",
        ),
    ],
)
def test_what_is_not_one_token(tokenizer, item, message):
    assert refusal(vocabulary_id, tokenizer, SIZE, item) == message


def test_a_text_beyond_the_models_vocabulary():
    (wanted,) = GPT2(" the", add_special_tokens=False)["input_ids"]
    assert refusal(vocabulary_id, GPT2, wanted, " the") == (
        f"There is no token {wanted}: the vocabulary has {wanted}. Pass an id from 0 to {wanted - 1}."
    )


def test_the_next_token():
    target = next_target(GPT2, SIZE, 4, 9, 0, "logit")
    assert (target.positions, target.indices, target.against) == ((4,), (9,), (0,))
    assert (target.labels, target.against_labels) == ((token_text(GPT2, 9),), ("<|endoftext|>",))
    assert next_target(GPT2, SIZE, 4, 9, None, "prob").against == ()
    assert refusal(next_target, GPT2, SIZE, 4, 0, 0, "logit") == (
        "The target and its contrast are both '<|endoftext|>'. Pass another token as against."
    )
    assert refusal(next_target, GPT2, SIZE, 4, 0, None, "loss") == (
        "Quantity 'loss' is unknown. Allowed: logit, log_prob, prob. "
        "Use quantity='log_prob' unless you need another."
    )


def test_continuations():
    ids = [5, 6, 7, 8]
    (whole,) = continuation_targets(ids, 2, ("a", "b"), per_token=False, quantity="log_prob")
    assert (whole.positions, whole.indices, whole.labels, whole.reduce) == ((1, 2), (7, 8), ("a", "b"), "sum")
    assert whole.description() == "log-probability of continuation"
    each = continuation_targets(ids, 2, ("a", "b"), per_token=True, quantity="log_prob")
    assert [(t.positions, t.indices, t.labels) for t in each] == [((1,), (7,), ("a",)), ((2,), (8,), ("b",))]
    with pytest.raises(InputError, match=r"^Quantity 'x' is unknown"):
        continuation_targets(ids, 2, ("a", "b"), per_token=True, quantity="x")
