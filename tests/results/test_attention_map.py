"""Attention maps: which matrix is which, how tokens join, and what a sink is."""

from dataclasses import replace

import numpy as np
import pytest

from model_understanding import AttentionMap, InputError, NumericalError, Tokens
from model_understanding.results.attention_map import find_sinks

from . import made

WEIGHTS = np.random.default_rng(0).dirichlet(np.ones(4), size=(3, 2, 4)).astype(np.float32)
MAP = AttentionMap.from_arrays(WEIGHTS, list("abcd"))


def test_the_matrix_of_a_layer_and_a_head():
    assert (MAP.matrix(2, 1) == WEIGHTS[2, 1]).all()
    assert MAP.matrix(1) == pytest.approx(WEIGHTS[1].mean(0))
    assert MAP.matrix(head=1) == pytest.approx(WEIGHTS[:, 1].mean(0))
    assert MAP.matrix() == pytest.approx(WEIGHTS.mean((0, 1)))
    chosen = replace(MAP, layers=(7, 3, 5), heads=(4, 0))
    assert (chosen.matrix(3, 4) == WEIGHTS[1, 0]).all()
    for wanted, held in ((0, (7, 3, 5)), (-1, (7, 3, 5))):
        with pytest.raises(InputError) as caught:
            chosen.matrix(wanted)
        assert str(caught.value) == (
            f"The map holds no layer {wanted}. It holds: {held}. Compute the map with layer={wanted}."
        )
    reduced = made.attention()
    with pytest.raises(InputError) as caught:
        reduced.matrix(1, 0)
    assert str(caught.value) == "The map holds no head 0. It holds: mean. Compute the map with head=0."


def test_arrays_from_elsewhere():
    assert AttentionMap.from_arrays(WEIGHTS[0, 0], list("abcd")).weights.shape == (1, 1, 4, 4)
    heads = AttentionMap.from_arrays(WEIGHTS[0], list("abcd"))
    assert (heads.layers, heads.heads) == ((0,), (0, 1))
    wide = AttentionMap.from_arrays(WEIGHTS[..., :2, :], list("ab"), list("abcd"), mask=np.eye(2, 4) > 0)
    assert (len(wide.queries), len(wide.keys), wide.mask.sum()) == (2, 4, 2)
    assert heads.mask.all()
    for axes, shape in ((1, 3), (5, (1, 1, 1, 1, 1))):
        with pytest.raises(ValueError, match="axes") as caught:
            AttentionMap.from_arrays(np.ones(shape), list("abc"))
        assert str(caught.value) == (
            f"Weights have 2, 3 or 4 axes: (Q, K), (H, Q, K) or (L, H, Q, K). Got {axes}."
        )


def test_what_is_checked():
    with pytest.raises(NumericalError) as caught:
        AttentionMap.from_arrays([[np.nan]], ["a"])
    assert str(caught.value) == (
        "The attention weights are not finite. Load the model with dtype='float32' and try again."
    )
    with pytest.raises(ValueError, match=r"^mask must have shape \(4, 4\)"):
        AttentionMap.from_arrays(WEIGHTS, list("abcd"), mask=np.ones((3, 4), bool))
    with pytest.raises(ValueError, match=r"^weights must have shape \(2, 2, 4, 4\)"):
        replace(MAP, layers=(0, 1))
    with pytest.raises(ValueError, match=r"^4 queries need as many steps. Got 2.$"):
        replace(MAP, steps=made.tokens_of("a", "b"))
    with pytest.raises(ValueError, match=r"^An attention map needs a layer and a head.$"):
        replace(MAP, weights=np.zeros((0, 2, 4, 4)), layers=())
    for name in ("weights", "mask"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(MAP, name)[0] = 0


def tokens(*spans):
    return Tokens.from_spans(
        texts=("good films now",),
        pieces=[str(span) for span in spans],
        ids=range(len(spans)),
        segments=[0] * len(spans),
        offsets=spans,
        special=[False] * len(spans),
    )


def test_words_sum_keys_and_average_queries():
    parts = tokens((0, 2), (2, 4), (5, 10), (11, 14))
    mask = np.tril(np.ones((4, 4), bool))
    weights = np.where(mask, WEIGHTS, 0)
    found = replace(MAP, queries=parts, keys=parts, weights=weights, mask=mask).folded("word")
    assert found.keys.labels() == found.queries.labels() == ("good", "films", "now")
    keys = np.stack([weights[..., 0] + weights[..., 1], weights[..., 2], weights[..., 3]], -1)
    expected = np.stack([(keys[..., 0, :] + keys[..., 1, :]) / 2, keys[..., 2, :], keys[..., 3, :]], -2)
    assert found.weights == pytest.approx(expected)
    assert found.mask.tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    apart = np.array([[0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0]], bool)
    joined = replace(MAP, queries=parts, keys=parts, mask=apart).folded("word")
    assert joined.mask.tolist() == [[False, True, True], [True, False, False], [True, False, False]]
    whole = replace(MAP, queries=parts, keys=parts).folded("word")
    assert whole.weights.sum(-1) == pytest.approx(np.ones((3, 2, 3)))


def test_the_rows_of_a_generation_join_by_the_tokens_they_produced():
    keys = tokens((0, 4), (5, 8), (8, 10), (11, 14))
    steps = keys.select([1, 2, 3])
    found = replace(
        MAP,
        queries=keys.select([0, 1, 2]),
        keys=keys,
        weights=WEIGHTS[..., :3, :],
        mask=np.ones((3, 4), bool),
        steps=steps,
        sinks=None,
    ).folded("word")
    assert found.steps.labels() == ("films", "now")
    assert found.keys.labels() == ("good", "films", "now")
    keyed = np.stack(
        [WEIGHTS[..., :3, 0], WEIGHTS[..., :3, 1] + WEIGHTS[..., :3, 2], WEIGHTS[..., :3, 3]], -1
    )
    expected = np.stack([(keyed[..., 0, :] + keyed[..., 1, :]) / 2, keyed[..., 2, :]], -2)
    assert found.weights == pytest.approx(expected)


def test_a_map_without_queries_folds():
    empty = next(result for result in made.empty() if isinstance(result, AttentionMap))
    assert empty.folded("word").weights.shape == (1, 1, 0, 1)


def test_sinks():
    everyone = np.ones((4, 4), bool)
    causal = np.tril(everyone)
    even = np.full((4, 4), 0.25)
    sink = np.array([[0.7, 0.1, 0.1, 0.1]] * 4)
    assert find_sinks(even, everyone) == ()
    assert find_sinks(sink, everyone) == (0,)
    assert find_sinks(causal / causal.sum(1, keepdims=True), causal) == ()
    assert find_sinks(np.where(causal, [[1.0, 0, 0, 0]] * 4, 0), causal) == (0,)
    assert find_sinks(np.where(causal, [[0.85, 0.15, 0, 0]] * 4, 0), causal) == ()  # 2.5 × even is more
    long = np.tril(np.ones((12, 12), bool))
    assert find_sinks(np.where(long, [[0.9, *[0.01] * 11]] * 12, 0), long) == (0,)
    assert find_sinks(np.eye(4), everyone) == ()
    assert find_sinks(sink[:1], everyone[:1]) == ()
    assert find_sinks(np.zeros((0, 3)), np.zeros((0, 3), bool)) == ()
    assert AttentionMap.from_arrays(sink, list("abcd")).sinks == (0,)
