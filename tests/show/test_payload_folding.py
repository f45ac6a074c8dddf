"""Words and sentences of the page's attention are those of ``AttentionMap.folded``.

``frontend/test/folding.json`` holds maps as the page is given them and what Python folds them to; the page's
tests fold the same maps and compare.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from payload_schema import decoded
from sample_results import attention, classification, generation, tokens_of

from model_understanding.results import AttentionMap, Report
from model_understanding.show.payload.report import report_payload
from model_understanding.show.views.attention import attention_view
from model_understanding.show.views.scale import scale_of
from model_understanding.tokens import Level, Tokens

HELD = Path(__file__).parents[2] / "frontend/test/folding.json"
TEXT = "It was good, really good. I'd see it again! Wouldn't you, Ann?"
LEVELS: tuple[Level, ...] = ("word", "sentence")
PLANES = ((0, 0), (1, 2), (1, -1))  # places of layer and head; −1 the mean over heads


def reports() -> dict[str, Report]:
    tokens = tokens_of(TEXT)
    report = classification(tokens)
    masked = attention(tokens, sink=len(tokens) - 1)
    mask = np.array(masked.mask)
    mask[3, 5] = mask[7, :4] = False
    masked = dataclasses.replace(masked, mask=mask, weights=np.where(mask, masked.weights, 0), sinks=None)
    return {
        "all keys": report,
        "causal": dataclasses.replace(report, attention=(attention(tokens, causal=True, sink=0),)),
        "bit by bit": dataclasses.replace(report, attention=(masked,)),
        "steps": generation(12, 9),
        "one large weight": dataclasses.replace(report, attention=(with_one_large_weight(tokens),)),
        "nearly uniform": dataclasses.replace(report, attention=(nearly_uniform(tokens),)),
    }


def with_one_large_weight(tokens: Tokens) -> AttentionMap:
    even = attention(tokens)
    weights = np.full(even.weights.shape, 1 / len(tokens))
    weights[..., 0, :], weights[..., 0, 0] = 0.05 / (len(tokens) - 1), 0.95
    return dataclasses.replace(even, weights=weights, sinks=None)


def nearly_uniform(tokens: Tokens) -> AttentionMap:
    even = attention(tokens)
    weights = 1 + 0.2 * np.random.default_rng(0).random(even.weights.shape)
    return dataclasses.replace(even, weights=weights / weights.sum(-1, keepdims=True), sinks=None)


def as_the_page_has_it(report: Report) -> tuple[dict[str, Any], AttentionMap]:
    """Return the page's tables and map, and the map with the weights that the page's bytes stand for."""
    payload = report_payload(report)
    (part,) = payload["attention"]
    restored = dataclasses.replace(report.attention[0], weights=decoded(part), sinks=None)
    return {"tables": payload["tables"], "part": part}, restored


def scale_in_page(restored: AttentionMap, exact: AttentionMap, indices: Any, level: Level) -> dict[str, Any]:
    """Return the color scale of the weights that the page has, with the sinks that the report states."""
    plane = dataclasses.replace(restored.plane(*indices), sinks=exact.sinks_of(*indices))
    scale = scale_of(attention_view(plane, level=level))
    return {"reach": scale.reach, "largest": scale.largest, "isUniform": scale.is_uniform}


def folded(report: Report) -> list[dict[str, Any]]:
    """Return what each level makes of some planes: labels, cells that can be attended to, weights, sinks."""
    _, restored = as_the_page_has_it(report)
    exact = report.attention[0]
    found = []
    for level in LEVELS:
        for layer, head in PLANES:
            indices: Any = (exact.layers[layer], None if head < 0 else exact.heads[head])
            plane = restored.plane(*indices).folded(level)
            view = attention_view(exact, *indices, level)
            found.append(
                {
                    "level": level,
                    "layer": layer,
                    "head": head,
                    "from": list(plane.rows.labels()),
                    "to": list(plane.keys.labels()),
                    "allowed": plane.mask.tolist(),
                    "weights": plane.weights[0, 0].astype(str).astype(float).tolist(),
                    "sinks": list(view.sinks),
                    "shares": list(view.shares),
                    "scale": scale_in_page(restored, exact, indices, level),
                }
            )
    return found


def made() -> dict[str, Any]:
    return {
        name: {**as_the_page_has_it(report)[0], "folded": folded(report)}
        for name, report in reports().items()
    }


def test_the_maps_that_the_frontend_s_tests_fold_are_these():
    assert json.loads(HELD.read_text("utf-8")) == json.loads(json.dumps(made()))


@pytest.mark.parametrize("name", ["all keys", "causal"])
def test_the_folded_maps_can_tell_sums_from_means(name):
    report = reports()[name]
    _, restored = as_the_page_has_it(report)
    first = folded(report)[0]
    weights = np.array(first["weights"])
    assert len(first["to"]) < len(restored.keys) > len(first["from"])
    assert np.abs(weights.sum(axis=1) - 1).max() < 0.05, "keys are summed, queries averaged"
    assert "I'd" in first["to"]
