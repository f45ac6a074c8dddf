"""What every registered head score owes, on a classifier and on two language models."""

import dataclasses
import inspect
import json
from functools import cache

import numpy as np
import oracles
import pytest
from pass_counts import forwards_of, stated_forwards
from tiny_models import CLASSIFIERS, PROBE, visualizer_of
from untouched import assert_same, prepared, snapshot

from model_understanding import InputError, UnsupportedModelError
from model_understanding.attention.capture import layer as capture_layer
from model_understanding.registry import HEAD_SCORES
from model_understanding.results import HeadScores

NAMES = ("bert", "llama", "gemma3")
LAYERS, HEADS = 3, 4
TEXT = f"{PROBE} The film was wonderful."  # repeats itself, as one of the scores needs
every_score = pytest.mark.parametrize("score", HEAD_SCORES.names())
every_model = pytest.mark.parametrize("name", NAMES)


def alike(found, expected, score):
    """Return whether scores agree but for rounding, by which two weights may change their rank."""
    return oracles.close(found, expected, 1e-2 if "rank" in HEAD_SCORES.load(score).meaning else 1e-5)


def answer_of(name, score):
    """Return the options of one target where a score needs one."""
    if not HEAD_SCORES.load(score).needs_target:
        return {}
    return {"target": 1} if name in CLASSIFIERS else {"target": 9, "quantity": "logit"}


@cache
def alone(name, score) -> HeadScores:
    return visualizer_of(name).score_heads(TEXT, scores=score, **answer_of(name, score))


@cache
def together(name) -> HeadScores:
    with_target = next(score for score in HEAD_SCORES.names() if HEAD_SCORES.load(score).needs_target)
    return visualizer_of(name).score_heads(TEXT, scores=HEAD_SCORES.names(), **answer_of(name, with_target))


@every_score
def test_a_score_states_what_it_is(score):
    kind = HEAD_SCORES.load(score)
    assert kind.name == score
    assert kind.meaning
    assert kind.cost
    assert kind.reference
    assert isinstance(kind.signed, bool)
    assert isinstance(kind.needs_target, bool)
    assert kind.maximum is None or kind.maximum > 0
    assert (inspect.getdoc(kind) or "").partition("\n")[0].endswith(".")
    assert dataclasses.is_dataclass(kind)
    assert kind() == kind() == dataclasses.replace(kind())


@every_score
@every_model
def test_a_score_keeps_its_promises(name, score):
    kind, found = HEAD_SCORES.load(score), alone(name, score)
    values = found.of(score)
    assert values.shape == (LAYERS, HEADS)
    assert np.isfinite(values).all()
    assert values.std() > 1e-4 or not values.any(), "heads can be told from each other, or have none of it"
    most = np.inf if kind.maximum is None else kind.maximum
    least = -most if kind.signed or "correlation" in kind.meaning else 0
    assert least - 1e-6 <= values.min() <= values.max() <= most + 1e-6
    assert (found.names, found.meanings, found.signed) == ((score,), (kind.meaning,), (kind.signed,))
    assert (found.target is not None) == kind.needs_target
    assert found.parameters == {score: dataclasses.asdict(kind())}
    ranking = found.ranking(score)
    keys = [abs(head.score) if kind.signed else head.score for head in ranking]
    assert keys == sorted(keys, reverse=True)
    assert len({(head.layer, head.head) for head in ranking}) == LAYERS * HEADS
    again = HeadScores.from_json(found.to_json())
    assert again.to_json() == found.to_json()
    json.loads(found.to_json(), parse_constant=pytest.fail)


@every_score
@every_model
def test_a_score_is_the_same_twice_and_beside_the_others(name, score):
    again = visualizer_of(name).score_heads(TEXT, scores=score, **answer_of(name, score))
    assert (again.scores == alone(name, score).scores).all()
    assert alike(together(name).of(score), alone(name, score).of(score), score)


@every_score
@every_model
def test_a_score_does_not_depend_on_how_many_rows_are_read_at_once(name, score, monkeypatch):
    monkeypatch.setattr(capture_layer, "CELLS_AT_ONCE", 1)
    monkeypatch.setattr(capture_layer, "_LEAST_ROWS", 3)
    found = visualizer_of(name).score_heads(TEXT, scores=score, **answer_of(name, score))
    assert alike(found.scores, alone(name, score).scores, score)


@every_score
@every_model
def test_a_score_leaves_the_model_as_it_was(name, score):
    model = prepared(name)
    before = snapshot(model)
    found = visualizer_of(name, model=model).score_heads(TEXT, scores=score, **answer_of(name, score))
    assert_same(before, snapshot(model))
    assert alike(found.scores, alone(name, score).scores, score)


@every_score
@every_model
def test_a_score_costs_what_it_says(name, score):
    visualizer = visualizer_of(name)
    visualizer.score_heads(
        TEXT, scores="entropy" if score != "entropy" else "sink"
    )  # measures once for a model
    given = answer_of(name, score)
    saliency = (
        visualizer.compute_saliency(TEXT, method="saliency", **given | {"target": given["target"]})
        if (given)
        else None
    )
    forwards = forwards_of(
        visualizer.model, lambda: visualizer.score_heads(TEXT, scores=score, attribution=saliency, **given)
    )
    assert len(forwards) == stated_forwards(HEAD_SCORES.load(score).cost, layers=LAYERS)


@every_score
@every_model
def test_heads_ranked_by_a_score_can_be_looked_at(name, score):
    found = visualizer_of(name).compute_attention(TEXT, rank=score, top=2, **_of_prompt(name))
    assert [head.by for head in found.ranking] == [score, score]
    if not HEAD_SCORES.load(score).needs_target:
        assert found.ranking == alone(name, score).ranking(score, 2)
    for head in found.ranking:
        assert found.matrix(head.layer, head.head).any()


def _of_prompt(name):
    return {} if name in CLASSIFIERS else {"queries": "prompt"}


@every_score
def test_what_cannot_be_scored_is_refused_with_a_way_out(score):
    given = answer_of("bert", score)
    for ask in (
        lambda: visualizer_of("bert").score_heads(TEXT, scores=score[:-1] + "q", **given),
        lambda: visualizer_of("llama").score_heads("", scores=score, **answer_of("llama", score)),
        lambda: visualizer_of("bert").score_heads(TEXT, scores=[score, score], **given),
        lambda: visualizer_of("bert").score_heads(TEXT, scores=HEAD_SCORES.load(score), **given),
    ):
        with pytest.raises(InputError) as caught:
            ask()
        assert caught.value.hint
    with pytest.raises(UnsupportedModelError, match=r"(?i)mamba") as refused:
        visualizer_of("mamba").score_heads(TEXT, scores=score, **answer_of("mamba", score))
    assert refused.value.hint
    with pytest.raises(InputError) as misspelled:
        visualizer_of("bert").score_heads(TEXT, scores=score[:-1] + "q", **given)
    assert misspelled.value.hint == f"Did you mean {score!r}?"
