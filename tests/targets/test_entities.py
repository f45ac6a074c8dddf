"""Entities are those of transformers' own pipeline: labels, spans and probabilities."""

import numpy as np
import pytest
import tiny_taggers
import torch
from transformers import pipeline

from model_understanding.results import Tagging
from model_understanding.targets.entities import AGGREGATIONS, tagging_of
from model_understanding.text.tokenization import tokenize
from model_understanding.text.words import Words

SCHEMES = {
    "IOB2": tiny_taggers.IOB,
    "IOB1, O last": ("I-PER", "I-ORG", "B-PER", "O"),
    "BIOES": ("O", "B-PER", "I-PER", "E-PER", "S-PER"),
    "plain": ("NOUN", "VERB", "DET", "X"),
    "dashes": ("O", "B-a-b", "I-a-b", "PER", "B_PER"),
}
TEXTS = (
    "The film was wonderful, but a dull plot is bad. Don't!",
    "A far away land 👨‍👩‍👧 and a king: שלום 你好 café İ ﬁne",
    "  double   spaces \n\n new\ttab [SEP] </s> ",
)


def answer_of(name, labels, text, aggregation="simple"):
    model, tokenizer = tiny_taggers.build(name, labels), tiny_taggers.tokenizer_of(name)
    tokens, inputs = tokenize(tokenizer, text)
    ids = torch.tensor([inputs["input_ids"]])
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0].numpy()
    return tagging_of(tokenizer, tokens, labels, logits, aggregation)


@pytest.mark.filterwarnings("ignore:Tokenizer does not support real words")
@pytest.mark.parametrize("is_split", [False, True], ids=["text", "words"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta", "gpt2", "llama"])
def test_entities_are_those_of_the_pipeline(name, scheme, is_split):
    labels = SCHEMES[scheme]
    pipe = pipeline(
        "token-classification",
        model=tiny_taggers.build(name, labels),
        tokenizer=tiny_taggers.tokenizer_of(name),
    )
    for text in TEXTS:
        given = Words(text.split()) if is_split else text
        source = given.text if is_split else text
        for aggregation in AGGREGATIONS:
            options = {"is_split_into_words": True} if is_split else {}
            expected = pipe(list(given) if is_split else text, aggregation_strategy=aggregation, **options)
            expected = expected[0] if is_split else expected
            found = answer_of(name, labels, given, aggregation).entities
            assert len(expected) == len(found)
            for entity, theirs in zip(found, expected, strict=True):
                assert entity.label == theirs.get("entity_group", theirs.get("entity"))
                assert entity.probability == pytest.approx(theirs["score"], abs=2e-5)
                if not source[entity.start : entity.end].strip():
                    continue  # a blank, which the pipeline places at the letter after it
                assert entity.text == source[entity.start : entity.end]
                # Where a blank piece ends a span, the pipeline adds the letter after it.
                theirs_text = source[theirs["start"] : theirs["end"]].strip()
                puts_blanks = name == "xlm-roberta" or (name == "llama" and is_split)
                assert entity.text == theirs_text or (puts_blanks and theirs_text.startswith(entity.text))


def test_the_tokens_that_decide_give_label_and_probability():
    for aggregation in AGGREGATIONS:
        tagging = answer_of("bert", tiny_taggers.IOB, TEXTS[0], aggregation)
        probabilities = torch.tensor(tagging.logits).softmax(-1).numpy()
        np.testing.assert_allclose(tagging.probabilities, probabilities, atol=1e-6)
        assert tagging.token_labels == tuple(np.array(tiny_taggers.IOB)[probabilities.argmax(1)])
        continues = np.array([piece.startswith("##") for piece in tagging.tokens.pieces])
        for entity in tagging.entities:
            deciding, inside = list(entity.tokens), range(entity.first, entity.last + 1)
            assert set(deciding) <= set(inside)
            if aggregation in ("none", "simple"):
                assert deciding == list(inside)
                assert entity.indices == tuple(probabilities[deciding].argmax(1))
                expected = probabilities[deciding, entity.indices].mean()
                assert entity.probability == pytest.approx(expected, abs=1e-5)
            elif aggregation in ("first", "max"):
                assert len(deciding) == (~continues[list(inside)]).sum()
                assert entity.indices == tuple(probabilities[deciding].argmax(1))
            if aggregation == "first":
                assert not continues[deciding].any()


def uncertain(logits, *, outside=50.0):
    logits = np.array(logits)
    logits[:, 0] += outside
    return logits


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_a_text_without_entities_has_a_candidate(aggregation):
    labels, tokenizer = tiny_taggers.IOB, tiny_taggers.tokenizer_of("bert")
    before = answer_of("bert", labels, TEXTS[0], aggregation)
    logits = uncertain(before.logits)
    tagging = tagging_of(tokenizer, before.tokens, labels, logits, aggregation)
    assert tagging.entities == ()
    assert before.candidate is None
    candidate = tagging.candidate
    assert candidate is not None
    assert candidate.label in ("PER", "ORG", *labels[1:])
    of_tokens = torch.tensor(logits).softmax(-1).numpy()
    of_tokens = np.where(tagging.tokens.special[:, None], 0, of_tokens)[:, 1:]
    if aggregation in ("none", "simple"):
        position, label = np.unravel_index(of_tokens.argmax(), of_tokens.shape)
        assert (candidate.tokens, candidate.indices) == ((position,), (label + 1,))
        assert candidate.probability == pytest.approx(of_tokens.max(), rel=1e-4)
    assert {labels[i] for i in candidate.indices} <= {"B-PER", "I-PER", "B-ORG", "I-ORG"}


def test_a_model_without_labels_of_entities_has_no_candidate():
    tokens, _ = tokenize(tiny_taggers.tokenizer_of("bert"), "A film.")
    logits = np.zeros((len(tokens), 1), dtype=np.float32)
    assert tagging_of(None, tokens, ("O",), logits).candidate is None


def test_labels_outside_can_be_chosen():
    tagging = answer_of("bert", SCHEMES["plain"], TEXTS[0])
    others = {entity.label for entity in tagging.entities} - {"X", "DET"}
    tokenizer = tiny_taggers.tokenizer_of("bert")
    chosen = tagging_of(
        tokenizer, tagging.tokens, tagging.labels, tagging.logits, "simple", outside=("X", "DET")
    )
    assert {entity.label for entity in chosen.entities} == others
    assert len(others) == 2


def test_an_answer_comes_back_from_json():
    for text in TEXTS:
        tagging = answer_of("roberta", tiny_taggers.IOB, text, "max")
        again = Tagging.from_json(tagging.to_json())
        assert again.entities == tagging.entities
        assert again.labels == tagging.labels
        np.testing.assert_array_equal(again.logits, tagging.logits)


def test_entities_of_a_pair_stay_in_their_texts():
    tokenizer = tiny_taggers.tokenizer_of("bert")
    tokens, _ = tokenize(tokenizer, "the king", "the film")
    logits = np.zeros((len(tokens), 3), dtype=np.float32)
    logits[:, 1] = 5
    tagging = tagging_of(tokenizer, tokens, ("O", "I-X", "B-X"), logits)
    assert [entity.text for entity in tagging.entities] == ["the king", "the film"]
