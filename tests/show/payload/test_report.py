"""What the interactive page is given: by its schema, exact where it must be, and safe to stand in a page."""

import ast
import dataclasses
import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from payload_schema import SCHEMA, decoded, faults
from sample_results import (
    MANY_SCRIPTS,
    attention,
    attribution,
    classification,
    generation,
    heads,
    hostile,
    text_of,
    tokens_of,
    with_heads,
)

from model_understanding.results import Attribution, HeadScores, Report
from model_understanding.show.payload.quantize import byte_budget, encoded_weights, quantized
from model_understanding.show.payload.report import payload_json, report_payload
from model_understanding.tokens import Tokens

REPORTS = {
    "classification": classification(),
    "generation": generation(),
    "hostile": hostile(),
    "many scripts": classification(tokens_of(MANY_SCRIPTS, splits_emoji=True)),
    "answer alone": Report(prediction=classification().prediction),
}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_a_payload_is_by_its_schema(report):
    assert faults(json.loads(payload_json(report)), SCHEMA) == []


def test_the_schema_would_have_told():
    payload = report_payload(classification())
    assert faults({**payload, "schema": 2}, SCHEMA) == ["payload.schema: 2"]
    assert faults({**payload, "title": 3}, SCHEMA) == ["payload.title: 3 is no string"]
    assert faults({**payload, "more": 3}, SCHEMA) != []
    payload["attributions"][0]["scores"][0][2] = "1"
    assert faults(payload, SCHEMA) == ["payload.attributions[0].scores[0][2]: '1' is no number"]


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_its_text_can_stand_in_a_page_and_hides_nothing(report):
    text = payload_json(report)
    assert not set("<>&") & set(text)
    assert not {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert json.loads(text)["tables"][0]["texts"] == list(report.texts)


def test_half_a_character_stays_half():
    report = dataclasses.replace(
        classification(), attributions=(Attribution.from_arrays(["a\ud83d"], [1.0]),)
    )
    text = payload_json(report)
    text.encode("utf-8")
    assert json.loads(text)["tables"][1]["texts"] == ["a\ud83d"]


def test_scores_are_exact_and_none_where_nothing_can_contribute():
    report = generation()
    payload = json.loads(payload_json(report))
    for part, result in zip(payload["attributions"], report.attributions, strict=True):
        rows = [[np.nan if score is None else score for score in row] for row in part["scores"]]
        assert np.array_equal(np.isnan(rows), ~result.valid)
        assert np.array_equal(np.nan_to_num(np.array(rows, dtype=np.float32)), result.scores)


def test_parts_share_the_table_of_the_answer_and_know_their_steps():
    payload = report_payload(generation(5, 4))
    assert len(payload["tables"]) == 1
    assert payload["attributions"][0]["positions"] == list(range(5))
    assert [target["step"] for target in payload["attributions"][0]["targets"]] == [-1]
    assert [target["step"] for target in payload["attributions"][1]["targets"]] == [0, 1, 2, 3, 4]
    assert payload["attention"][0]["rowPositions"] == [5, 6, 7, 8, 9]
    assert payload["attention"][0]["steps"]


def test_other_tokens_get_a_table_of_their_own():
    other = Attribution.from_arrays(["x", "y"], [1.0, 2.0])
    payload = report_payload(dataclasses.replace(classification(), attributions=(other,)))
    assert [part["table"] for part in payload["attributions"]] == [1]
    assert payload["tables"][1]["labels"] == ["x", "y"]


def test_units_never_split_a_character():
    payload = report_payload(classification(tokens_of("a 😀 b", splits_emoji=True)))
    groups = payload["tables"][0]["groups"]
    assert groups["token"] == [0, 1, 2, 2, 2, 3, 4]
    assert payload["tables"][0]["runs"]["texts"].count("😀") == 1
    for level in ("word", "sentence"):
        assert len({groups[level][token] for token in (2, 3, 4)}) == 1


def test_a_word_that_shares_a_character_with_the_next_is_one_with_it():
    tokens = Tokens.from_spans(
        texts=("ab\u0301c",),
        pieces=["ab", "\u0301", "c"],
        ids=[1, 2, 3],
        segments=[0, 0, 0],
        offsets=[(0, 2), (2, 3), (3, 4)],
        special=[False] * 3,
    )
    groups = report_payload(classification(tokens))["tables"][0]["groups"]
    assert groups["token"] == [0, 0, 1]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("mask", ["full", "causal", "bits"])
def test_weights_come_back_within_the_error_that_is_said(mask, signed):
    tokens = tokens_of("the plot was good and so on", special=False)
    given = attention(tokens, causal=mask == "causal")
    weights, allowed = np.array(given.weights), np.array(given.mask)
    if mask == "bits":
        allowed[2, 1] = allowed[3, 5] = False
    if signed:
        weights *= np.random.default_rng(1).choice([-3, 3], size=weights.shape)
    weights = np.where(allowed, weights, 0)
    result = dataclasses.replace(given, weights=weights, mask=allowed)
    part = report_payload(dataclasses.replace(classification(tokens), attention=(result,)))["attention"][0]
    assert part["mask"]["kind"] == mask
    assert part["weights"]["signed"] == signed
    difference = np.abs(decoded(part) - result.weights).max()
    assert 0 < difference <= part["weights"]["error"] * 1.05 < (0.1 if signed else 0.005)


def test_the_rule_of_quantizing_is_the_one_of_the_schema():
    weights = np.array([0.0, 1.0, 0.25])
    assert quantized(weights, 255, 1.0, False).tolist() == [0, 255, 128]
    assert quantized(np.array([0.0, 2.0, -2.0]), 255, 2.0, True).tolist() == [128, 255, 1]


@pytest.mark.parametrize(("length", "causal", "most"), [(128, True, 2e6), (128, False, 2e6)])
def test_144_heads_at_128_tokens_are_whole_and_fit(length, causal, most):
    report = with_heads(length, causal=causal)
    page = report.to_html()
    assert len(page.encode()) < most
    part = report_payload(report)["attention"][0]
    assert part["weights"]["kind"] == "dense"
    difference = np.abs(decoded(part) - report.attention[0].weights).max()
    assert difference <= part["weights"]["error"] * 1.05 < 0.02


def test_512_tokens_fit_and_what_is_left_out_is_said():
    found = heads(512, causal=True, layers=3)
    fewer = encoded_weights(found, byte_budget((found,)) // 4)  # as twelve layers would have to
    assert fewer["kind"] == "top"
    report = dataclasses.replace(classification(found.queries), attention=(found,))
    assert len(report.to_html().encode()) < 8e6
    payload = report_payload(report)
    kept = payload["attention"][0]["weights"]["kept"]
    words = f"only the {kept} largest weights of each of 512 rows are stored"
    if payload["attention"][0]["weights"]["kind"] == "top":
        assert words in payload["omitted"][0]
    assert any("weights are rounded by at most" in words for words in payload["omitted"])


def test_the_largest_weights_of_each_row_are_the_ones_kept():
    found = heads(60, causal=True, layers=2, count=3)
    weights = encoded_weights(found, 6_000)
    assert weights["kind"] == "top"
    assert sum(map(len, weights["blocks"])) <= 6_000
    part = {
        "weights": weights,
        "mask": {"kind": "causal", "offset": 0, "data": ""},
        "rowPositions": range(60),
        "keyPositions": range(60),
    }
    back = decoded(part)
    assert back.shape == (2, 4, 60, 60), "the mean over heads stands last"
    means = found.weights.mean(axis=1, keepdims=True)
    whole = np.concatenate([found.weights, means], axis=1)
    smallest = -np.sort(-whole, axis=-1)[..., weights["kept"] - 1, None]
    large = (whole >= smallest) & (whole > 0)
    assert np.abs(back - np.where(large, whole, 0)).max() <= weights["error"] * 1.05
    share = np.where(large, whole, 0).sum() / whole.sum()
    assert weights["share"] == pytest.approx(share, abs=0.001)


def test_a_payload_is_the_same_each_time():
    assert payload_json(generation()) == payload_json(generation())


def test_python_code_is_code_and_names_what_it_computes():
    payload = report_payload(hostile())
    for part in (*payload["attributions"], *payload["attention"]):
        compile("".join(part["python"]), "copied", "exec")
        assert "".join(part["python"]).isascii()
    part = report_payload(classification())["attributions"][0]
    assert "".join(part["python"]) == (
        "from model_understanding import ModelVisualizer\n\n"
        "visualizer = ModelVisualizer('demo:sentiment')\n"
        "attribution = visualizer.compute_saliency(\n"
        "    'The movie was absolutely fantastic!',\n"
        "    target=1,\n    method='input_x_gradient',\n    quantity='logit',\n)\n"
        "visualizer.plot_saliency(attribution)\n"
    )


@pytest.mark.parametrize("text", ["HEAD of LAYER", "it's HEAD, LAYER", "'\"HEAD, layer=LAYER, head=HEAD"])
def test_what_the_page_fills_in_has_places_of_its_own(text):
    code = report_payload(classification(tokens_of(text)))["attention"][0]["python"]
    assert code[1::2] == ["LAYER", "HEAD"]
    filled = "".join(
        {"LAYER": "3", "HEAD": '"mean"'}[piece] if i % 2 else piece for i, piece in enumerate(code)
    )
    (call,) = [node for node in ast.walk(ast.parse(filled)) if getattr(node, "keywords", None)]
    assert ast.literal_eval(call.args[0]) == text
    assert {word.arg: ast.literal_eval(word.value) for word in call.keywords} == {
        "kind": "raw",
        "layer": 3,
        "head": "mean",
    }


def test_python_code_gives_a_method_its_settings_and_no_hostile_name_becomes_code():
    report = classification()
    settings = {"baseline": "mask,mean", "nodes": 8}

    def code(parameters):
        own = dataclasses.replace(
            report.attributions[0], method="integrated_gradients", parameters=parameters
        )
        changed = dataclasses.replace(report, attributions=(own,))
        return "".join(report_payload(changed)["attributions"][0]["python"])

    assert "    method=IntegratedGradients(baseline='mask,mean', nodes=8),\n" in code(settings)
    assert code(settings).startswith("from model_understanding import ModelVisualizer, IntegratedGradients\n")
    for unusable in ({"nodes=print()": 8}, {"nodes": ["8"]}, {"b\u0430seline": "mask"}):
        assert "method='integrated_gradients'" in code(unusable)
    compile(code({"baseline": "\u202e'); print('"}), "copied", "exec")
    assert code({"baseline": "\u202e"}).isascii()


def test_gaps_are_in_the_payload():
    result = dataclasses.replace(attribution(tokens_of("a b")), baseline_outputs=[0.25], gaps=[-0.5])
    target = report_payload(dataclasses.replace(classification(), attributions=(result,)))["attributions"][0][
        "targets"
    ][0]
    assert (target["baseline"], target["gap"]) == (0.25, -0.5)


def test_the_payload_that_the_frontend_s_tests_read_is_this_one():
    stored = Path(__file__).parents[3] / "frontend/test/classification.json"
    made = report_payload(classification(tokens_of("a 😀 b", splits_emoji=True)))
    assert json.loads(stored.read_text("utf-8")) == made


def test_a_mean_that_another_map_holds_is_not_sent_twice():
    report = classification()
    whole = report.attention[0]
    mean = dataclasses.replace(
        whole,
        weights=whole.weights[1:].mean(axis=1, keepdims=True),
        layers=(5,),
        heads="mean",
        sinks=None,
    )
    other = dataclasses.replace(mean, weights=mean.weights * 0.5, sinks=None)
    sent = [
        len(report_payload(dataclasses.replace(report, attention=maps))["attention"])
        for maps in (
            (mean, whole),
            (other, whole),
            (mean,),
            (mean, dataclasses.replace(whole, map="rollout")),
        )
    ]
    assert sent == [1, 2, 1, 2]


def test_pooled_maps_stand_on_the_tokens_that_they_join():
    report = classification(tokens_of(text_of(21), special=False))
    for given, positions in ((report, range(21)), (generation(12, 9), range(10, 22))):
        (plane,) = given.attention
        rows = plane.rows.blocks(8, positions)
        keys = plane.keys.blocks(8)
        weights = np.zeros((2, 3, len(rows), len(keys)))
        pooled = dataclasses.replace(
            plane,
            queries=rows,
            steps=None if plane.steps is None else rows,
            keys=keys,
            weights=weights,
            mask=weights[0, 0] == 0,
            keep="pooled:8",
            left_out=("Pooled.",),
        )
        payload = report_payload(dataclasses.replace(given, attention=(plane, pooled)))
        assert len(payload["tables"]) == 1
        part = payload["attention"][1]
        assert (part["pooled"], part["rowTable"], part["keyTable"]) == (8, 0, 0)
        assert part["rowPositions"] == [*positions[::8]]
        assert part["rowEnds"] == [*positions[7::8], positions[-1]]
        assert part["keyPositions"] == [0, 8, 16]
        assert part["keyEnds"] == [7, 15, len(plane.keys) - 1]
        assert payload["attention"][0]["rowEnds"] == []
        assert any(
            "individual weights are in this page for layers 4–5" in words for words in payload["omitted"]
        )


def test_scores_of_heads_are_ranked_by_their_names():
    tokens = tokens_of("a b c")
    scores = HeadScores(
        tokens=tokens,
        names=("sink", "ablation"),
        scores=np.arange(12).reshape(2, 2, 3) / 7,
        meanings=("weight on sinks", "what is lost"),
        signed=(False, True),
    )
    payload = report_payload(dataclasses.replace(classification(tokens), heads=scores))
    assert payload["heads"] == {
        "names": ["sink", "ablation"],
        "meanings": ["weight on sinks", "what is lost"],
        "signed": [False, True],
        "stack": "",
        "heads": 3,
        "scores": [[0.0, 0.1429, 0.2857, 0.4286, 0.5714, 0.7143], [0.8571, 1.0, 1.143, 1.286, 1.429, 1.571]],
    }
    assert faults(payload, SCHEMA) == []
    assert not any("has no head scores" in words for words in payload["omitted"])
    payload = report_payload(classification())
    assert payload["heads"] is None
    assert any("has no head scores" in words for words in payload["omitted"])
