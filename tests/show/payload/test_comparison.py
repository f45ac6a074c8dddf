"""What a comparison's page draws: by its schema, aligned, signed, and within its bytes."""

import base64
import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
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


def test_values_and_differences_are_those_of_the_comparison_where_there_are_any():
    comparison = found()
    (part,), (held,) = comparison.attributions, comparison_payload(comparison)["attributions"]
    for name, expected, known in (
        ("first", part.values(0), part.valid(0)),
        ("second", part.values(1), part.valid(1)),
        ("differences", part.differences, part.compared),
    ):
        values = np.array([[np.nan if value is None else value for value in row] for row in held[name]])
        np.testing.assert_array_equal(np.isnan(values), ~known)
        np.testing.assert_allclose(values[known], expected[known], rtol=1e-6)
    assert held["labels"] == ["a", "~bad", "film", "+indeed", "here"]


def test_a_step_s_target_names_the_unit_that_it_produced():
    comparison = of_generations()
    payload = comparison_payload(comparison)
    each = next(part for part in payload["attributions"] if len(part["targets"]) > 1)
    length = comparison.first.generation.prompt_length
    assert [target["unit"] for target in each["targets"]] == list(range(length, length + 12))
    loss = next(part for part in payload["attributions"] if len(part["targets"]) == 1)
    assert loss["targets"][0]["unit"] == -1
    assert loss["units"] == [*range(length), *[-1] * 12], "the prompt's own tokens alone"


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
