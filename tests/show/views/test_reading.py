"""What a map says in one sentence, and which verdict belongs to it."""

from dataclasses import replace

import numpy as np
import pytest

from model_understanding.results import Attribution, Evaluation, Prediction, Report, Target
from model_understanding.results.generation import Generation
from model_understanding.show.payload.report import report_payload
from model_understanding.show.shared.words import sign_meanings
from model_understanding.show.views.reading import main_reading, readings, why_pieces
from model_understanding.show.views.trust import trust_of
from model_understanding.tokens import Tokens

NO_CURVE = np.zeros((0, 2))


def verdict(method: str, target: str, words: str = "supported", summary: str = "") -> Evaluation:
    return Evaluation(
        metric="verdict",
        value=None if words == "not evaluated" else 3.0,
        curve=NO_CURVE,
        control=np.zeros(0),
        higher_is_better=True,
        verdict=words,
        reasons=("A reason.",),
        method=method,
        target=target,
        summary=summary,
    )


def sentence(words: list[str], scores: list[float], **options: bool) -> str:
    return "".join(why_pieces(Attribution.from_arrays(words, scores, **options), "token"))


def test_the_sentence_names_the_strongest_words_on_both_sides():
    assert sentence(["happy", "but", "thin", "warm"], [3, 0.1, -1, 2]) == (
        "mostly happy and warm; against: thin"
    )
    assert sentence(["a", "b"], [-1, -2]).startswith("against: b and a")
    assert sentence(["a", "b"], [0, 0]) == "no word of the text has an effect"
    assert sentence(["a", "b"], [1, 2], signed=False) == "most sensitive to b and a"
    assert sentence(["w"] * 12, [1.0] * 12) == "mostly w"
    assert sentence([f"w{i}" for i in range(12)], [1.0] * 12) == (
        "spread over the text, most of all w0, w1 and w2"
    )
    assert sentence(["One goes.", "The other stays " * 9], [1, 2]) == (
        "mostly “The other stays The other stays The other stays…” and “One goes.”"
    )
    assert sentence([",", "x"], [2, 1]) == "mostly “,” and x"
    assert sentence([",", "x", "y"], [1, 2, 0.9]) == "mostly x and y"  # punctuation only where it is first


def test_special_tokens_and_tokens_without_a_score_are_not_named():
    tokens = replace(Tokens.from_pieces(["<s>", "bad", "film", "so"]), special=np.array([1, 0, 0, 0], bool))
    found = Attribution.from_arrays(tokens, [9, 1, 0.8, 5])
    found = replace(found, valid=np.array([[True, True, True, False]]))
    assert "".join(why_pieces(found, "token")) == "mostly bad and film"


def words_of(text: str) -> Tokens:
    """Tokens that are the words between the blanks of a text."""
    words = text.split()
    ends = np.cumsum([len(word) + 1 for word in words]) - 1
    return Tokens(
        texts=(text,),
        ids=np.arange(len(words)),
        pieces=tuple(words),
        offsets=np.stack([ends - [len(word) for word in words], ends], axis=1),
        segments=np.zeros(len(words), int),
        words=np.arange(len(words)),
        special=np.zeros(len(words), bool),
    )


def steps(count: int, prompt: int) -> tuple[Attribution, Report]:
    tokens = words_of(" ".join(f"w{i}" for i in range(prompt + count)))
    words = tokens.pieces
    targets = tuple(
        Target(task="causal-lm", positions=(prompt - 1 + i,), indices=(i,), labels=(f"w{prompt + i}",))
        for i in range(count)
    )
    valid = np.tril(np.ones((count, len(words)), bool), prompt - 1)
    scores = np.where(valid, np.arange(len(words)) + 1.0, 0)
    found = Attribution(
        tokens=tokens,
        targets=targets,
        scores=scores,
        valid=valid,
        signed=True,
        outputs=np.ones(count),
        method="occlusion",
    )
    generation = Generation(
        tokens=tokens,
        prompt_length=prompt,
        probabilities=np.full(count, 0.5),
        entropies=np.ones(count),
        top_ids=np.arange(count)[:, None],
        top_labels=tuple((f"w{prompt + i}",) for i in range(count)),
        top_probabilities=np.full((count, 1), 0.5),
        given=False,
        ended=False,
    )
    return found, Report(generation=generation, attributions=(found,))


def test_a_continuation_opens_with_its_sum_which_the_verdict_measured():
    found, report = steps(3, 4)
    target = found.summed().targets[0].description()
    report = replace(report, evaluations=(verdict("occlusion", target, "weak", "Only weakly."),))
    whole, *each = readings(report)
    assert (whole.first, whole.last, whole.trust.verdict, whole.trust.words) == (0, 2, "weak", "Only weakly.")
    assert whole.of_prompt
    assert "w3" in whole.why
    assert not {"w4", "w5", "w6"} & set(whole.why)  # its own words are no source of the whole
    assert [reading.trust.verdict for reading in each] == ["not measured"] * 3
    assert each[2].title == "Why “w6”?"
    assert "w5" in each[2].why
    encoded = report_payload(report)["readings"]
    assert [(entry["first"], entry["last"], entry["verdict"]) for entry in encoded[:2]] == [
        (0, 2, "weak"),
        (0, 0, "not measured"),
    ]


def test_a_verdict_belongs_to_the_first_map_of_its_method_and_target_only():
    labels = ("negative", "positive")
    tokens = Tokens.from_pieces(["bad", "film"])
    targets = tuple(
        Target(task="sequence-classification", indices=(i,), labels=(label,))
        for i, label in enumerate(labels)
    )
    both = replace(
        Attribution.from_arrays(tokens, [[1, 2], [3, 1]], labels=list(labels), method="a"), targets=targets
    )
    prediction = Prediction(
        tokens=tokens, logits=[0.0, 1.0], labels=labels, probabilities=[0.3, 0.7], problem="single_label"
    )
    report = Report(
        prediction=prediction,
        attributions=(both, both),
        evaluations=(verdict("a", "logit of positive", "not supported", "No."),),
    )
    assert [reading.trust.verdict for reading in readings(report)] == [
        "not measured",
        "not supported",
        "not measured",
        "not measured",
    ]
    assert main_reading(report) == readings(report)[0]


@pytest.mark.parametrize("value", ["supported", "weak", "not supported", "not evaluated"])
def test_each_verdict_has_a_symbol_and_a_sentence(value: str):
    trust = trust_of(verdict("a", "b", value))
    assert trust.verdict == ("not measured" if value == "not evaluated" else value)
    assert trust.words == "A reason."
    assert trust.is_faded == (value == "not supported")
    assert trust.symbol in "●◐○–"


@pytest.mark.parametrize(
    ("labels", "against", "title", "description", "support"),
    [
        (("\n",), (" the",), "Why “↵” and not “the”?", "logit of ↵ − the", "supports ↵ over the"),
        ((" Paris",), ("\n",), "Why “Paris” and not “↵”?", "logit of Paris − ↵", "supports Paris over ↵"),
        ((" ",), ("\t",), "Why “␣” and not “⇥”?", "logit of ␣ − ⇥", "supports ␣ over ⇥"),
    ],
)
def test_tokens_of_blanks_are_named_by_their_signs(labels, against, title, description, support):
    target = Target(
        task="causal-lm", positions=(1,), indices=(3,), labels=labels, against=(4,), against_labels=against
    )
    found = replace(Attribution.from_arrays(["a", "b"], [1, 2]), targets=(target,))
    assert readings(Report.of(found))[0].title == title
    assert target.description() == description
    assert sign_meanings(target)[0] == support


def test_the_question_names_a_long_class_whole():
    name = "topic number 18 with a long name"
    target = Target(task="sequence-classification", indices=(18,), labels=(name,))
    found = replace(Attribution.from_arrays(["a", "b"], [1, 2]), targets=(target,))
    assert readings(Report.of(found))[0].title == f"Why {name}?"
