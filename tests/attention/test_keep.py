"""``compute_attention`` of chosen rows and of less than every weight."""

import numpy as np
import pytest
from registered import JOINED_MAPS
from tiny_models import PROBE, visualizer_of

from model_understanding import InputError
from model_understanding.attention.capture.reducers import Pooled, TopKeys
from model_understanding.attention.keep import KEEPS, reducer_of
from model_understanding.attention.rollout import Rollout
from model_understanding.registry import MAPS


@pytest.mark.parametrize("name", MAPS.names())
@pytest.mark.parametrize("model", ["bert", "llama"])
def test_what_is_kept_is_a_part_of_the_whole_map(model, name):
    visualizer = visualizer_of(model)
    asked = {"layer": [1, 2], "head": "mean" if name in JOINED_MAPS else [0, 2], "kind": name}
    asked |= {} if model == "bert" else {"queries": "prompt"}
    whole = visualizer.compute_attention(PROBE, **asked)
    count = len(whole.keys)

    top = visualizer.compute_attention(PROBE, **asked, keep="top:3")
    assert top.places is not None
    expected = np.sort(whole.weights, -1)[..., :-4:-1]
    np.testing.assert_allclose(top.weights, expected, rtol=1e-5, atol=1e-7)
    kept = np.take_along_axis(whole.weights, np.maximum(top.places, 0), -1)
    np.testing.assert_allclose(np.where(top.places >= 0, kept, 0), expected, rtol=1e-5, atol=1e-7)
    share = f": {100 * expected.sum(-1).mean():.1f} % of the attention" if name == "raw" else ""
    assert top.left_out == (f"Only the 3 largest weights of each row are kept{share}.",)

    mass = visualizer.compute_attention(PROBE, **asked, keep="mass")
    np.testing.assert_allclose(mass.weights[:, :, 0], whole.weights.mean(2), rtol=1e-5, atol=1e-7)
    assert mass.queries.labels() == (f"mean of {count} queries",)
    assert mass.left_out == (f"Only each key's mean weight over {count} queries is kept, not the rows.",)

    pooled = visualizer.compute_attention(PROBE, **asked, keep=Pooled(size=4))
    starts = range(0, count, 4)
    keys = np.add.reduceat(whole.weights, starts, -1)
    rows = np.add.reduceat(keys, starts, -2) / np.diff([*starts, count])[:, None]
    np.testing.assert_allclose(pooled.weights, rows, rtol=1e-5, atol=1e-7)
    assert len(pooled.queries) == len(pooled.keys) == len(starts)
    assert pooled.keep == "pooled:4"
    assert pooled.left_out == (
        "Pooled: each cell covers 4 × 4 tokens, queries averaged and keys summed; individual weights are "
        "omitted.",
    )


def test_rows_are_chosen_by_position():
    visualizer = visualizer_of("bert")
    whole = visualizer.compute_attention(PROBE, layer="all", head="all")
    count = len(whole.keys)
    some = visualizer.compute_attention(PROBE, layer="all", head="all", queries=[5, -1, 0])
    np.testing.assert_allclose(some.weights, whole.weights[:, :, [5, count - 1, 0]], rtol=1e-5)
    assert some.queries.ids.tolist() == whole.queries.ids[[5, -1, 0]].tolist()
    assert some.left_out == (f"Only 3 of {count} queries are kept.",)
    assert whole.left_out == ()
    for wanted, message in (
        (
            [count],
            f"There is no query token {count}: the text has {count}. Pass an index from 0 to {count - 1}, "
            f"or from -{count} to -1 counting from the end.",
        ),
        ([], f"queries=[] names no token. Pass positions from 0 to {count - 1}, or leave queries out."),
    ):
        with pytest.raises(InputError) as caught:
            visualizer.compute_attention(PROBE, queries=wanted)
        assert str(caught.value) == message


def test_rows_of_a_generation_are_steps_the_prompt_or_positions():
    visualizer = visualizer_of("llama")
    options = {"continuation": " a king lived", "head": "all"}
    steps = visualizer.compute_attention(PROBE, **options)
    first = len(steps.keys) - len(steps.queries)
    assert steps.steps is not None
    assert steps.left_out == ()
    rows = visualizer.compute_attention(PROBE, **options, queries=list(range(first - 1, len(steps.keys) - 1)))
    np.testing.assert_allclose(rows.weights, steps.weights, rtol=1e-6)
    assert rows.steps is None
    pooled = visualizer.compute_attention(PROBE, **options, keep="pooled:2")
    assert pooled.steps is not None
    assert len(pooled.steps) == len(pooled.queries) == -(-len(steps.queries) // 2)
    assert pooled.steps.pieces[0] == f"{first}–{first + 1}"
    with pytest.raises(InputError) as caught:
        visualizer.compute_attention(PROBE, queries="answer")
    assert str(caught.value) == (
        "Unknown queries 'answer'. Allowed: steps, prompt, or positions of tokens. "
        "Leave queries out for the generation steps."
    )


def test_reductions_by_name():
    assert reducer_of("top:5") == TopKeys(count=5)
    assert reducer_of("pooled") == Pooled()
    assert reducer_of(Pooled(size=3)) == Pooled(size=3)
    for wrong in ("", "top:", "top:x", "top:²", "pooled:-1", "rows:3", "mass:2", "all"):
        with pytest.raises(InputError) as caught:
            reducer_of(wrong)
        assert str(caught.value) == (
            f"Unknown keep {wrong!r}. Allowed: {', '.join(KEEPS)}; 16 and 64 may be other numbers. "
            "Leave keep out to keep every weight, or pass for example keep='pooled:64'."
        )
    with pytest.raises(InputError, match="layers='mean' cannot join the largest weights of a row"):
        visualizer_of("bert").compute_attention(PROBE, layer="mean", keep="top:3")


def test_only_attention_has_sinks():
    found = visualizer_of("bert").compute_attention(PROBE, kind=Rollout())
    assert found.sinks == ()
    assert not found.is_attention
