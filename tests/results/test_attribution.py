"""Attributions: checked when made, and folded, normalized and listed right."""

import json
from dataclasses import replace

import hard_results as made
import numpy as np
import pytest

from model_understanding import Attribution, InputError, Prediction, Report, Target, Tokens
from model_understanding.show.payload.report import report_payload

TOKENS = Tokens.from_spans(
    texts=("a bad film. ok",),
    pieces=("[CLS]", "a", "b", "##ad", "film", ".", "ok"),
    ids=range(7),
    segments=[-1, 0, 0, 0, 0, 0, 0],
    offsets=[(0, 0), (0, 1), (2, 3), (3, 5), (6, 10), (10, 11), (12, 14)],
    special=[True, *[False] * 6],
)
SCORES = [0.5, -1.0, 3.0, -4.0, 2.0, 0.0, 1.0]


def scored(**changes):
    fields = {
        "tokens": TOKENS,
        "targets": (Target(task="x"),),
        "scores": [SCORES],
        "valid": np.ones((1, 7), bool),
        "signed": True,
        "outputs": [1],
        "method": "m",
    }
    return Attribution(**{**fields, **changes})


def test_arrays_are_read_only_copies():
    scores, valid, outputs = np.ones((1, 7), np.float32), np.ones((1, 7), bool), np.ones(1, np.float32)
    found = scored(scores=scores, valid=valid, outputs=outputs, gaps=outputs, baseline_outputs=outputs)
    scores[:], valid[:], outputs[:] = 9, False, 9
    assert found.valid.all()
    for name in ("scores", "outputs", "gaps", "baseline_outputs"):
        assert (getattr(found, name) == 1).all()
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, name)[0] = 0
    with pytest.raises(AttributeError):
        found.scores = scores


@pytest.mark.parametrize("name", ["scores", "valid", "outputs", "gaps", "baseline_outputs"])
def test_shapes_are_checked(name):
    with pytest.raises(ValueError, match=rf"^{name} must have shape \(1,"):
        scored(**{name: [[1] * 3] if name in ("scores", "valid") else [1, 2]})


def test_scores_where_a_token_cannot_contribute_are_zero():
    assert scored(valid=[[True] * 6 + [False]]).scores[0, -1] == 0


def test_normalized_scores_sum_to_one_in_absolute_value():
    two = scored(
        targets=(Target(task="x"),) * 3,
        scores=[SCORES, [0] * 7, [3e38] * 7],
        valid=np.ones((3, 7), bool),
        outputs=[1, 2, 3],
        gaps=[1, 2, 3],
    )
    found = two.normalized()
    assert np.abs(found.scores).sum(1) == pytest.approx([1, 0, 1], abs=1e-6)
    assert found.scores[0] == pytest.approx(np.array(SCORES) / 11.5)
    assert (found.outputs.tolist(), found.gaps.tolist()) == ([1, 2, 3], [1, 2, 3])


@pytest.mark.parametrize(
    ("signed", "parameters", "bad"),
    [
        (True, {}, -1.0),
        (False, {}, 5.0),
        (False, {"norm": "l2"}, 5.0),
        (False, {"norm": "l1"}, 7.0),
        (False, {"norm": "max"}, 4.0),
    ],
)
def test_words_sum_signed_scores_and_take_the_norm_of_norms(signed, parameters, bad):
    values = SCORES if signed else np.abs(SCORES)
    found = scored(scores=[values], signed=signed, parameters=parameters).words()
    assert [text for text, _ in found.pairs()] == ["[CLS]", "a", "bad", "film", ".", "ok"]
    assert found.scores[0].tolist() == [0.5, *([-1.0] if signed else [1.0]), bad, 2.0, 0.0, 1.0]
    sentences = scored(scores=[values], signed=signed, parameters=parameters).sentences()
    assert [text for text, _ in sentences.pairs()] == ["[CLS]", "a bad film.", "ok"]


def test_a_word_is_valid_where_a_part_of_it_is():
    found = scored(valid=[[True, True, True, False, False, False, False]]).words()
    assert found.valid[0].tolist() == [True, True, True, False, False, False]
    assert found.scores[0, 2] == 3


def test_folding_what_is_whole_already_changes_nothing():
    found = Attribution.from_arrays(["good", "film"], [1, 2])
    assert found.words() is found


def test_rows_and_pairs():
    both = made.attribution()
    second = both.row(1)
    assert second.targets == both.targets[1:]
    for name in ("scores", "valid", "outputs", "baseline_outputs", "gaps"):
        assert (getattr(second, name) == getattr(both, name)[1:]).all()
    assert (both.row(-2).scores == both.scores[:1]).all()
    assert both.pairs(1) == second.pairs()
    for index in (2, -3):
        for call in (both.row, both.pairs):
            with pytest.raises(InputError) as caught:
                call(index)
            assert str(caught.value) == (
                f"There is no target {index}: the attribution has 2. "
                "Pass an index from 0 to 1, or from -2 to -1 counting from the end."
            )


def test_a_table():
    both = replace(made.attribution(), tokens=made.tokens_of(*"abcdefgh"))
    table = both.to_dataframe()
    assert len(table) == 16
    assert table["token"].tolist() == list("abcdefgh") * 2
    assert (
        table["target"].tolist() == [both.targets[0].description()] * 8 + [both.targets[1].description()] * 8
    )
    assert table["position"].tolist() == [*range(8)] * 2
    expected = np.where(both.valid, both.scores, np.float32(np.nan)).ravel()
    np.testing.assert_array_equal(table["score"].to_numpy(np.float32), expected)
    np.testing.assert_allclose(
        np.nansum(np.abs(table["share"].to_numpy().reshape(2, 8)), axis=1), 1, rtol=1e-6
    )
    assert (np.sign(table["share"]) * np.sign(table["score"]))[both.valid.ravel()].ge(0).all()
    assert table["valid"].sum() == 15
    assert table["start"].tolist() == [0, 2, 4, 6, 8, 10, 12, 14] * 2


def test_what_was_not_measured_is_no_zero_in_any_table(tmp_path):
    """A method that keeps special tokens in place, and tokens after the target, have no score."""
    tokens = Tokens.from_pieces(["[CLS]", "good", "film", "[SEP]", "later"])
    found = scored(
        tokens=tokens,
        targets=(Target(task="causal-lm"),),
        scores=[[0.0, 0.75, 0.0, -0.25, 0.0]],
        valid=[[True] * 4 + [False]],
        outputs=[1.0],
        gaps=None,
        baseline_outputs=None,
    )
    assert found.scored.tolist() == [[False, True, True, True, False]], "0 is a score of an ordinary token"
    assert json.loads(found.to_json())["scores"] == [[None, 0.75, 0.0, -0.25, None]]
    assert Attribution.from_json(found.to_json()).to_json() == found.to_json()
    table = found.to_dataframe()
    assert (
        table["score"].isna().tolist() == table["share"].isna().tolist() == [True, False, False, False, True]
    )
    assert table["share"].tolist()[1:4] == [0.75, 0.0, -0.25]
    prediction = Prediction(
        tokens=tokens, labels=("a", "b"), logits=[0.0, 1.0], probabilities=None, problem="single_label"
    )
    report = Report(prediction=prediction, attributions=(found,))
    lines = report.save(tmp_path / "x.csv").read_text("utf-8").splitlines()
    columns = lines[0].split(",")
    cells = [dict(zip(columns, line.split(","), strict=True))["score"] for line in lines[1:]]
    assert cells == ["", "0.75", "0.0", "-0.25", ""]
    assert report_payload(report)["attributions"][0]["scores"] == [[None, 0.75, 0.0, -0.25, None]]
    wrong = found.to_json().replace("0.75", "null")
    with pytest.raises(InputError, match=r"Attribution\.scores is null where there must be a number"):
        Attribution.from_json(wrong)


def test_arrays_from_elsewhere():
    one = Attribution.from_arrays(TOKENS, SCORES, labels=["mine"], method="theirs", signed=False)
    assert one.tokens is TOKENS
    assert (one.targets[0].description(), one.method, one.signed) == ("custom target mine", "theirs", False)
    two = Attribution.from_arrays(["a", "b"], [[1, 2], [3, 4]])
    assert [target.name for target in two.targets] == ["target 0", "target 1"]
    assert two.outputs.tolist() == [3, 7]
    assert two.tokens.texts == ("a b",)
    with pytest.raises(ValueError, match="shape"):
        Attribution.from_arrays(["a", "b"], [1.0])


def test_standard_errors_are_kept_scaled_and_summed():
    plain = Attribution.from_arrays(["un", "done"], [[3.0, 1.0]])
    tokens = replace(plain.tokens, words=[0, 0])
    found = replace(plain, tokens=tokens, standard_errors=[[0.5, 0.25]])
    assert found.row().standard_errors.tolist() == [[0.5, 0.25]]
    assert found.normalized().standard_errors.tolist() == [[0.125, 0.0625]]
    assert found.words().standard_errors.tolist() == [[0.75]]
    assert Attribution.from_json(found.to_json()).standard_errors.tolist() == [[0.5, 0.25]]
