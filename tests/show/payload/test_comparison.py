"""What a comparison's page draws: by its schema, aligned, signed, and within its bytes."""

import base64
import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
from compared_reports import attribution, classification, target, words
from payload_schema import SCHEMA, faults
from sample_comparisons import found, hostile_pair, of_generations
from sample_results import with_heads

from model_understanding import compare
from model_understanding.show.payload.comparison import comparison_json, comparison_payload
from model_understanding.show.payload.quantize import restored


@pytest.mark.parametrize("comparison", [found(), hostile_pair(), of_generations()])
def test_a_payload_is_by_its_schema_and_may_stand_in_a_script(comparison):
    text = comparison_json(comparison)
    assert faults(json.loads(text), SCHEMA["$defs"]["ComparisonPayload"]) == []
    assert not set("<>&") & set(text)


def test_values_are_those_of_the_comparison_where_there_are_any():
    comparison = found()
    (part,), (held,) = comparison.attributions, comparison_payload(comparison)["attributions"]
    (level,) = held["levels"]
    (target,) = level["targets"]
    for name, expected, known in (
        ("first", part.values(0)[0], part.valid(0)[0]),
        ("second", part.values(1)[0], part.valid(1)[0]),
    ):
        values = np.array([np.nan if value is None else value for value in target[name]])
        np.testing.assert_array_equal(np.isnan(values), ~known)
        np.testing.assert_allclose(values[known], expected[known], rtol=1e-6)
    assert level["firstLabels"] == ["a", "good", "film", "", "here"]
    assert level["secondLabels"] == ["a", "bad", "film", "indeed", "here"]
    assert target["largest"] == [1, 4, 3]
    assert target["full"] == 10
    assert [side["verdict"] for side in target["trust"]] == ["not measured"] * 2


def test_a_step_s_target_names_the_unit_that_it_produced():
    comparison = of_generations()
    payload = comparison_payload(comparison)
    each = next(part for part in payload["attributions"] if len(part["levels"][0]["targets"]) > 1)
    tokens = each["levels"][-1]
    length = comparison.first.generation.prompt_length
    steps = [target for target in tokens["targets"] if target["name"] != "whole answer"]
    assert [target["unit"] for target in steps] == list(range(length, length + 12))
    assert len(steps) == len(tokens["targets"]) - each["signed"]
    loss = next(part for part in payload["attributions"] if len(part["levels"][0]["targets"]) == 1)
    assert loss["levels"][-1]["targets"][0]["unit"] == -1
    assert loss["levels"][-1]["units"] == [*range(length), *[-1] * 12], "the prompt's own tokens alone"


def test_differences_of_attention_are_what_the_bytes_say():
    first = with_heads(12, causal=True, layers=2)
    (attention,) = first.attention
    turned = np.where(attention.mask, attention.weights[:, ::-1] ** 2, 0)
    turned = turned / turned.sum(-1, keepdims=True)
    second = replace(first, attention=(replace(attention, weights=turned),))
    comparison = compare(first, second)
    payload = comparison_payload(comparison)
    (part,), (held,) = comparison.attention, payload["attention"]
    weights, heads = held["weights"], 12
    for layer, block in enumerate(weights["blocks"]):
        data = np.frombuffer(zlib.decompress(base64.b64decode(block), -15), np.uint8)
        values = restored(data, weights["levels"], weights["scale"], weights["signed"]).reshape(heads, -1)
        for head in range(heads):
            exact = part.differences(layer, head)[part.compared]
            np.testing.assert_allclose(values[head], exact, atol=1.01 * weights["error"])
    assert weights["signed"]
    assert any("rounded by at most" in words for words in payload["omitted"])
    np.testing.assert_allclose(held["largest"], part.largest.ravel(), rtol=1e-6)
    reach = np.maximum(attention.weights, turned).max(axis=(2, 3))
    np.testing.assert_allclose(np.reshape(held["reach"], (3, 13))[:2, :12], reach, rtol=1e-6)


def test_the_largest_change_is_where_the_page_shows_it():
    first = with_heads(12, causal=True, layers=2)
    (attention,) = first.attention
    changed = attention.weights.copy()
    changed[1, 3, 5, :6] = [0, 0, 1, 0, 0, 0]
    second = replace(first, attention=(replace(attention, weights=changed),))
    comparison = compare(first, second)
    largest = comparison_payload(comparison)["largest"]
    (part,) = comparison.attention
    assert largest["kind"] == "attention"
    place = [largest[name] for name in ("layer", "head", "row", "key")]
    assert place[:3] == [1, 3, 5]
    cell = part.differences(1, 3)[5, place[3]]
    assert abs(cell) == comparison.change
    assert f"{100 * abs(cell):.1f} points" in largest["words"]


def test_maps_have_no_rows_and_keys_that_are_in_one_text_only():
    payload = comparison_payload(found())
    (held,) = payload["attention"]
    assert held["rowLabels"] == held["keyLabels"] == ["a", "~bad", "film", "here"]


def test_what_does_not_fit_is_averaged_and_that_is_said():
    first = with_heads(160, causal=False)
    (attention,) = first.attention
    second = replace(first, attention=(replace(attention, weights=attention.weights[:, ::-1]),))
    payload = comparison_payload(compare(first, second))
    assert len(json.dumps(payload)) < 3e6
    assert (
        any("only means fit" in words for words in payload["omitted"])
        or len(payload["attention"][0]["heads"]) == 12
    )


def test_the_signs_of_the_other_of_two_classes_are_reversed_once():
    tokens = words("a good film")
    other = replace(target("negative"), indices=(0,))
    comparison = compare(
        classification(tokens, attribution(tokens, [1, 4, -5])),
        classification(tokens, attribution(tokens, [-2, -3, 5], targets=(other,)), positive=0.2),
    )
    (held,) = comparison_payload(comparison)["attributions"]
    np.testing.assert_allclose(held["levels"][0]["targets"][0]["second"], [0.2, 0.3, -0.5], rtol=1e-6)
