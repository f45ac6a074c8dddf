"""The loss, the next token and continuations as targets; tokens by id and by text."""

import dataclasses
import re

import numpy as np
import pytest
import tiny_tokenizers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from model_understanding import InputError
from model_understanding.targets.language_model import (
    continuation_targets,
    contrast_ids,
    loss_target,
    next_target,
    span_of,
    span_text,
)
from model_understanding.targets.vocabulary import vocabulary_id
from model_understanding.text.continuation import joined
from model_understanding.text.detokenization import token_text
from model_understanding.text.tokenization import tokenize
from model_understanding.tokens import Tokens

GPT2 = tiny_tokenizers.gpt2_like()
SIZE = len(GPT2)
SEE_TOKEN = (
    "Pass the text of one token, with its leading space, or an id; "
    "explain a longer text with target='continuation'."
)
FIVE = Tokens.from_pieces(list("abcde"))
VOCABULARY = {"<unk>": 0, "▁": 1, "▁Paris": 2, "Paris": 3, "▁the": 4, "s": 5}


def sentencepiece():
    tokenizer = Tokenizer(models.Unigram([(piece, -1.0) for piece in VOCABULARY], unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


def before(tokenizer=GPT2, text="The film is"):
    return tokenize(tokenizer, text)[0]


def after(steps, tokenizer=GPT2):
    """A prompt, and that many steps after it."""
    prompt = before(tokenizer)
    following = tokenize(tokenizer, " and the actors were brilliant", special_tokens=False)[0]
    return joined(prompt, following), range(len(prompt), len(prompt) + steps)


def refused(call, *arguments, **options):
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_the_loss_of_a_prompt():
    tokens = Tokens.from_pieces(["a", "b", "c"])
    target = loss_target(dataclasses.replace(tokens, ids=np.array([5, 7, 9])))
    assert (target.positions, target.indices, target.reduce, target.quantity) == (
        (0, 1),
        (7, 9),
        "mean",
        "loss",
    )
    assert target.description() == "language-model loss of the prompt"
    assert refused(loss_target, Tokens.from_pieces(["a"])) == (
        "A one-token prompt has no loss: the model does not predict its first token. "
        "Pass a longer prompt, or target='next'."
    )


def test_a_token_by_id_or_text():
    single = " the"
    (the_id,) = GPT2(single, add_special_tokens=False)["input_ids"]
    assert len(GPT2("the", add_special_tokens=False)["input_ids"]) > 1
    for item in (single, "the", the_id, np.int64(the_id)):
        assert vocabulary_id(GPT2, SIZE, item, before()) == the_id
    assert token_text(GPT2, the_id) == single
    assert vocabulary_id(GPT2, SIZE, " ", before()) == GPT2(" ")["input_ids"][0]
    assert vocabulary_id(GPT2, SIZE, "<|endoftext|>", before()) == 0


def test_a_token_of_a_tokenizer_that_puts_a_blank_itself():
    tokenizer = sentencepiece()
    the = before(tokenizer, "the")
    assert vocabulary_id(tokenizer, 6, "Paris", the) == VOCABULARY["Paris"]
    assert vocabulary_id(tokenizer, 6, " Paris", the) == VOCABULARY["▁Paris"]
    assert token_text(tokenizer, VOCABULARY["▁Paris"]) == " Paris"
    assert token_text(tokenizer, VOCABULARY["Paris"]) == "Paris"


def test_a_part_of_a_character_is_named_by_its_bytes():
    ids = GPT2(" 👨")["input_ids"]
    named = [token_text(GPT2, token) for token in ids]
    spelled = re.findall(r"<0x([0-9A-F]{2})>", "".join(named))
    assert bytes.fromhex("".join(spelled)).decode() == "👨"
    assert re.sub(r"<0x..>", "", "".join(named)) == " "


@pytest.mark.parametrize(
    ("tokenizer", "item", "message"),
    [
        (
            GPT2,
            SIZE,
            f"There is no token {SIZE}: the vocabulary has {SIZE} tokens. Pass an id from 0 to {SIZE - 1}.",
        ),
        (
            GPT2,
            -1,
            f"There is no token -1: the vocabulary has {SIZE} tokens. Pass an id from 0 to {SIZE - 1}.",
        ),
        (GPT2, True, "A token must be a text or an id. Got True. Pass for example ' Paris' or 3681."),
        (GPT2, 1.5, "A token must be a text or an id. Got 1.5. Pass for example ' Paris' or 3681."),
        (
            GPT2,
            "",
            f"'' is 0 tokens in this tokenizer, not one. {SEE_TOKEN}",
        ),
        (
            GPT2,
            "xyz",
            f"'xyz' is 3 tokens in this tokenizer, not one. {SEE_TOKEN}",
        ),
        (
            tiny_tokenizers.wordpiece(),
            "☃",
            "'☃' is not in this tokenizer's vocabulary. Pass a text that is in the vocabulary, or an id.",
        ),
    ],
)
def test_what_is_not_one_token(tokenizer, item, message):
    assert refused(vocabulary_id, tokenizer, SIZE, item, before(tokenizer)) == message


def test_a_text_beyond_the_models_vocabulary():
    (the_id,) = GPT2(" the", add_special_tokens=False)["input_ids"]
    assert refused(vocabulary_id, GPT2, the_id, " the", before()) == (
        f"There is no token {the_id}: the vocabulary has {the_id} tokens. Pass an id from 0 to {the_id - 1}."
    )


def test_a_contrast_is_described_without_the_blanks_that_begin_its_tokens():
    (the_id,) = GPT2(" the", add_special_tokens=False)["input_ids"]
    target = next_target(GPT2, SIZE, FIVE, 9, the_id, "log_prob")
    assert target.against_labels == (" the",)
    assert target.description() == f"log-probability of {token_text(GPT2, 9).strip()} − the"


def test_the_next_token():
    target = next_target(GPT2, SIZE, FIVE, 9, 0, "logit")
    assert (target.positions, target.indices, target.against) == ((4,), (9,), (0,))
    assert (target.labels, target.against_labels) == ((token_text(GPT2, 9),), ("<|endoftext|>",))
    assert next_target(GPT2, SIZE, FIVE, 9, None, "prob").against == ()
    assert refused(next_target, GPT2, SIZE, FIVE, 0, 0, "logit") == (
        "The target and its contrast are both '<|endoftext|>'. Pass a different token as against."
    )
    assert refused(next_target, GPT2, SIZE, FIVE, 0, None, "loss") == (
        "Unknown quantity 'loss'. Allowed: logit, log_prob, prob. Pass quantity='logit'."
    )


def sequence(text=" the capital is Paris, Paris"):
    """Return a prompt of two tokens and a continuation."""
    prompt, _ = tokenize(GPT2, " the film")
    following, _ = tokenize(GPT2, text, special_tokens=False)
    return joined(prompt, following), range(len(prompt), len(prompt) + len(following))


def test_continuations():
    tokens, steps = sequence(" the film")
    ids = tuple(tokens.ids[steps.start :].tolist())
    positions = tuple(step - 1 for step in steps)
    labels = tokens.surfaces()[steps.start :]
    (whole,) = continuation_targets(tokens, steps, per_token=False, quantity="log_prob")
    assert (whole.positions, whole.indices, whole.labels, whole.reduce) == (positions, ids, labels, "sum")
    assert whole.description() == "log-probability of continuation"
    each = continuation_targets(tokens, steps, per_token=True, quantity="log_prob")
    assert [(t.positions, t.indices, t.labels) for t in each] == [
        ((position,), (token,), (label,))
        for position, token, label in zip(positions, ids, labels, strict=True)
    ]


def test_the_probability_of_several_tokens_is_no_sum():
    tokens, steps = sequence()
    assert len(continuation_targets(tokens, steps, per_token=True, quantity="prob")) == len(steps)
    assert len(continuation_targets(tokens, steps[:1], per_token=False, quantity="prob")) == 1
    assert refused(continuation_targets, tokens, steps[:3], per_token=False, quantity="prob") == (
        "The probabilities of 3 tokens cannot be summed to one target. "
        "Pass quantity='log_prob' for their joint log-probability, or per_token=True."
    )


def test_a_contrast_that_is_the_target():
    tokens, steps = sequence(" the film")
    ids = tokens.ids[steps.start :].tolist()
    others = [ids[0], *[token + 1 for token in ids[1:]]]
    (whole,) = continuation_targets(tokens, steps, per_token=False, quantity="logit", against=others)
    assert whole.against == tuple(others)  # where both are the same they cancel
    message = (
        "The target and its contrast are both ' the' at step 0. "
        "Pass a different contrast for that step, or a span without it."
    )
    for options in ({"per_token": True, "against": others}, {"per_token": False, "against": ids}):
        assert refused(continuation_targets, tokens, steps, quantity="logit", **options) == message


@pytest.mark.parametrize(
    "span", ["capital", "pit", " the", "e ca", "👨‍👩‍👧", "\u200d👩", "</script>", "שלום", " the capital 👨"]
)
def test_a_span_is_all_tokens_that_spell_it_and_no_other(span):
    tokens, steps = sequence(" the capital 👨‍👩‍👧 </script> שלום")
    positions = span_of(tokens, steps, span, "continuation")
    assert span in GPT2.decode(tokens.ids[positions.start : positions.stop])
    for smaller in (positions[1:], positions[:-1]):
        assert span not in GPT2.decode(tokens.ids[smaller.start : smaller.stop])
    assert span.strip() in span_text(tokens, positions)


def test_a_span_by_tokens():
    tokens, steps = sequence()
    assert span_of(tokens, steps, (1, 3), "continuation") == range(steps.start + 1, steps.start + 3)
    assert span_of(tokens, steps, (0, len(steps)), "continuation") == steps


NO_SPAN = "Invalid span {span}: the continuation has {count} tokens. Pass 0 ≤ start < end ≤ {count}."

NOT_A_SPAN = (
    "A span must be (start, end) in tokens, or a text. Got {span}. Pass for example (0, 3) or ' Paris'."
)


@pytest.mark.parametrize(
    ("span", "message"),
    [
        (
            "Rome",
            "'Rome' does not occur in the continuation ' the film is Paris, Paris'. "
            "Pass a part of its text exactly, or (start, end) in tokens.",
        ),
        (
            "",
            "'' does not occur in the continuation ' the film is Paris, Paris'. "
            "Pass a part of its text exactly, or (start, end) in tokens.",
        ),
        (
            "Paris",
            "'Paris' occurs in the continuation ' the film is Paris, Paris' more than once. "
            "Pass a longer part of its text, or (start, end) in tokens.",
        ),
        ((2, 2), NO_SPAN),
        ((-1, 2), NO_SPAN),
        ((0, 99), NO_SPAN),
        ((1,), NOT_A_SPAN),
        (3, NOT_A_SPAN),
        ((0, True), NOT_A_SPAN),
    ],
)  # fmt: skip
def test_invalid_spans(span, message):
    tokens, steps = sequence(" the film is Paris, Paris")
    assert refused(span_of, tokens, steps, span, "continuation") == message.format(
        span=span, count=len(steps)
    )


def test_the_loss_of_a_span_of_a_prompt():
    tokens, _ = tokenize(GPT2, " the film was bad")
    target = loss_target(tokens, (1, 3))
    assert (target.positions, target.indices, target.reduce) == ((0, 1), tuple(tokens.ids[1:3]), "mean")
    assert loss_target(tokens, "bad").description() == "language-model loss of bad"
    assert refused(loss_target, tokens, (0, 2)) == (
        "The span (0, 2) starts at the prompt's first token, which the model does not predict. "
        "Start the span at token 1 or later."
    )


def test_contrasts_for_each_step():
    (the, film) = (GPT2(text, add_special_tokens=False)["input_ids"] for text in (" the", " film"))
    assert contrast_ids(GPT2, SIZE, [" the", 9], *after(2)) == (the[0], 9)
    assert contrast_ids(GPT2, SIZE, " the film", *after(len(the) + len(film))) == (*the, *film)
    assert contrast_ids(GPT2, SIZE, "the", *after(1)) == tuple(the)  # one step: a token, as for the next
    assert contrast_ids(GPT2, SIZE, 9, *after(1)) == (9,)
    assert refused(contrast_ids, GPT2, SIZE, " the", *after(2)) == (
        "Expected a contrast token for each of the 2 explained tokens. Got 1 in ' the'. "
        "Pass a token for each step, a text of as many tokens, or 'runner-up'."
    )
    assert refused(
        contrast_ids, tiny_tokenizers.wordpiece(), 99, "film ☃", *after(2, tiny_tokenizers.wordpiece())
    ) == (
        "'film ☃' contains text that is not in this tokenizer's vocabulary. "
        "Pass a text that is in the vocabulary, or ids."
    )
