"""Targets of a tagger: entities, and labels at tokens, words and spans, by every name they have."""

import re

import numpy as np
import pytest
import tiny_tokenizers

from model_understanding import InputError
from model_understanding.results import Target
from model_understanding.targets.entities import tagging_of, units_of
from model_understanding.targets.token_classification import entity_labels, entity_type, tag_targets
from model_understanding.text.tokenization import tokenize
from model_understanding.text.words import Words

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
TEXT = "The king of France and Rome; Rome"
GIVEN = "King sells shells; the capital of France"


def answer(text=TEXT, aggregation="simple", labels=LABELS, **at):
    """Return an answer and its units: ``at`` gives the tokens of words their labels, all else is O."""
    tokenizer = tiny_tokenizers.wordpiece()
    tokens, _ = tokenize(tokenizer, text)
    logits = np.random.default_rng(0).normal(size=(len(tokens), len(labels))).astype(np.float32)
    logits[:, 0] += 10
    source = tokens.texts[0].lower()
    for name, label in at.items():
        for match in re.finditer(name, source):
            starts = tokens.offsets[:, 0]
            inside = (starts >= match.start()) & (starts < match.end()) & ~tokens.special
            logits[inside, labels.index(label)] += 20
    tagging = tagging_of(tokenizer, tokens, labels, logits, aggregation)
    return tagging, units_of(tokenizer, tokens, logits, aggregation)


def position_of(tagging, surface):
    return tagging.tokens.surfaces().index(surface)


def targets(given, target, against=None, quantity="logit"):
    return tag_targets(*given, target, against, quantity)


def read(target):
    return (target.positions, [LABELS[index] for index in target.indices], target.name)


def refusal(*arguments):
    with pytest.raises(InputError) as caught:
        targets(*arguments)
    return str(caught.value)


FOUND = {"king": "B-PER", "sells": "I-PER", "france": "B-LOC"}


@pytest.fixture
def given():
    return answer(GIVEN, **FOUND)


def test_every_entity_is_a_target_by_default(given):
    king = position_of(given[0], "King")
    for name in (None, "all"):
        (first, second) = targets(given, name)
        assert read(first) == ((king, king + 1), ["B-PER", "I-PER"], "PER for “King sells”")
        france = given[0].entities[1].tokens
        assert read(second) == (france, ["B-LOC"] * len(france), "LOC for “France”")
        assert first.reduce == "mean"
        assert first.task == "token-classification"
        assert not first.against
    assert first.description() == "logit of PER for “King sells”"


@pytest.mark.parametrize(
    ("name", "index"),
    [(0, 0), (1, 1), (-1, 1), ("King sells", 0), ("king sells", 0), ("PER", 0), ("per", 0), ("LOC", 1),
     ("France", 1), ("1", 1), ([1], 1)],
)  # fmt: skip
def test_an_entity_by_index_text_and_label(given, name, index):
    assert targets(given, name) == (targets(given, "all")[index],)


def test_several_targets(given):
    assert targets(given, ["LOC", 0, "PER"]) == tuple(targets(given, "all")[i] for i in (1, 0, 0))


def test_a_label_at_a_token(given):
    shells = position_of(given[0], "shells")
    for name in ((shells, "B-LOC"), (shells, "b-loc"), (shells, 3), (shells - len(given[0].tokens), "B-LOC")):
        assert read(targets(given, name)[0]) == ((shells,), ["B-LOC"], "B-LOC for “shells”")
    assert targets(given, f"{shells}=B-LOC") == targets(given, "shells=B-LOC") == targets(given, (shells, 3))
    assert targets(given, ("word:2", "B-LOC")) == targets(given, (shells, 3))
    assert targets(given, (0, "O"))[0].positions == (0,)  # a special token has logits too


def test_of_a_type_the_likelier_label_counts(given):
    for surface in ("shells", ";", "the"):
        position = position_of(given[0], surface)
        likelier = 3 + int(given[0].logits[position, 4] > given[0].logits[position, 3])
        assert targets(given, (position, "LOC"))[0].indices == (likelier,)


def test_a_label_and_the_own_labels_of_a_span(given):
    king = position_of(given[0], "King")
    (own,) = targets(given, range(king, king + 3))
    assert read(own) == (
        (king, king + 1, king + 2),
        ["B-PER", "I-PER", "O"],
        "PER, O for “King sells shells”",
    )
    assert targets(given, "King sells shells") == (own,)
    (other,) = targets(given, ((king, king + 3), "O"))
    assert read(other) == (own.positions, ["O", "O", "O"], "O for “King sells shells”")
    assert targets(given, ("King sells shells", "O")) == targets(given, "King sells shells=O") == (other,)
    assert targets(given, (range(king, king + 3), "O")) == (other,)


def test_a_contrast_is_the_label_of_the_same_part(given):
    (target,) = targets(given, "PER", "LOC", "log_prob")
    assert [LABELS[index] for index in target.against] == ["B-LOC", "I-LOC"]
    assert target.description() == "log-probability of PER for “King sells” − B-LOC, I-LOC"
    (target,) = targets(given, "PER", "O")
    assert target.against_labels == ("O", "O")
    assert target.description() == "logit of PER for “King sells” − O"
    assert targets(given, "PER", "B-LOC")[0].against == (3, 3)
    assert targets(given, "PER", 0)[0].against == (0, 0)


@pytest.mark.parametrize("aggregation", ["first", "average", "max"])
def test_words_have_one_label(aggregation):
    text = "King sells seashells"
    tagging, units = answer(text, aggregation, **FOUND)
    pieces = [p for p, word in enumerate(tagging.tokens.words) if word == 2]
    assert len(pieces) > 2
    probabilities = tagging.probabilities
    deciding = {
        "first": tuple(pieces[:1]),
        "average": tuple(pieces),
        "max": (max(pieces, key=lambda p: probabilities[p].max()),),
    }[aggregation]
    for place in ("seashells", (pieces[0], pieces[-1] + 1), "word:2", "shell"):
        assert targets((tagging, units), (place, "I-LOC"))[0].positions == deciding
    assert targets((tagging, units), (pieces[1], "I-LOC"))[0].positions == (pieces[1],)


def test_a_text_without_entities_explains_the_likeliest_one():
    tagging, units = answer("the capital of a land")
    assert tagging.entities == ()
    (target,) = targets((tagging, units), None)
    inner = tagging.logits[1:-1]
    probabilities = np.exp(inner - inner.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    position, label = np.unravel_index(probabilities[:, 1:].argmax(), (len(inner), 4))
    assert (target.positions, target.indices) == ((position + 1,), (label + 1,))
    assert target == targets((tagging, units), "all")[0]
    assert refusal((tagging, units), "PER").startswith("The text has no entity 'PER'. Entities: none. Pass ")
    assert refusal((tagging, units), 0).startswith("The text has no entity 0. Entities: none. Pass ")


def test_hints_can_be_followed():
    given = answer("the capital of a land")
    for wrong in ("PER", 0):
        message = refusal(given, wrong)
        example = message[message.index("for example (") + len("for example ") :].split(")")[0] + ")"
        assert targets(given, eval(example))
    twice = answer(TEXT, france="B-LOC")
    message = refusal(twice, "Rome")
    assert message.startswith("'Rome' occurs 2 times in the text, at tokens ")
    example = message[message.index("range(") :].split(")")[0] + ")"
    assert targets(twice, eval(example))[0].name.startswith("O for “Rome” at token ")


def test_equal_texts_are_named_by_their_tokens():
    given = answer(TEXT, king="B-PER", rome="I-LOC")
    roman = [target.name for target in targets(given, "all") if "Rome" in target.name]
    assert len(set(roman)) == 2
    assert all(" at token " in name for name in roman)
    assert refusal(given, "Rome").startswith("2 entities have the text 'Rome'. Pass an index: ")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("Berlin", "'Berlin' is not an entity or a label, and does not occur in the text. Entities: "
         "'King sells', 'France'."),
        (2, "There is no entity 2: the text has 2."),
        ((99, "PER"), "There is no token 99: the text has "),
        ((3, "MISC"), "Unknown label 'MISC'. Allowed: O, B-PER, I-PER, B-LOC, I-LOC."),
        ((3, 9), "There is no class 9: the model has 5."),
        (((3, 3), "PER"), "Invalid span (3, 3): the text has "),
        (range(4, 2), "Invalid span (4, 2): the text has "),
        ([], "The list of targets is empty."),
        (1.5, "Invalid target 1.5."),
        ((1.5, "PER"), "Invalid place 1.5 of a label."),
        (("word:99", "PER"), "There is no word 99: the text has "),
    ],
)  # fmt: skip
def test_what_does_not_exist_is_refused(given, target, message):
    assert refusal(given, target).startswith(message)


def test_a_target_is_not_its_own_contrast(given):
    message = "The target and its contrast are both 'PER'. Pass a different label as against."
    assert refusal(given, "PER", "PER") == message
    assert refusal(given, (1, "B-PER"), "B-PER") == message.replace("'PER'", "'B-PER'")


def test_a_model_without_entities_needs_a_place():
    given = answer("the land", labels=("O",))
    assert refusal(given, None).startswith(
        "The model's only label is 'O', which marks no entity. Pass a place"
    )
    assert targets(given, (1, 0))[0].name == "O for “the”"


def test_names_of_labels():
    assert [entity_type(label) for label in ("B-PER", "S_LOC", "O", "I-", "E-mail", "B-a-b")] == [
        "PER", "LOC", "O", "I-", "mail", "a-b",
    ]  # fmt: skip
    assert entity_labels(("PER", "B-PER"), "PER") == (0,)
    assert entity_labels(("O", "S-PER", "E-PER", "L_ORG"), "per") == (1, 2)


def test_words_that_were_given_are_places():
    given = answer(Words(["the", "king sells", "shells"]), **FOUND)
    last = len(given[0].tokens) - 2
    assert targets(given, ("word:2", "PER"))[0].positions == (last,)
    assert len(targets(given, ("king sells", "PER"))[0].positions) > 1


def test_targets_come_back_from_json(given):
    (target,) = targets(given, "PER", "LOC")
    assert Target.from_json(target.to_json()) == target
