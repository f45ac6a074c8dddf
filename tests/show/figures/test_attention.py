import dataclasses

import numpy as np
import pytest
from drawn_pictures import drawn_texts
from matplotlib import pyplot
from matplotlib.colors import to_hex
from sample_results import attention, generation, text_of, tokens_of

from model_understanding import InputError
from model_understanding.results import AttentionMap
from model_understanding.show.figures.report import attention_axes
from model_understanding.show.shared.colors import palette
from model_understanding.tokens import Tokens

LIGHT = palette("light")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


def with_sink() -> AttentionMap:
    weights = [[1.0, 0.0, 0.0], [0.7, 0.3, 0.0], [0.8, 0.05, 0.15]]
    found = AttentionMap.from_arrays(np.array(weights), ["<s>", "b", "c"], mask=np.tri(3, dtype=bool))
    return dataclasses.replace(found, sinks=(0,))


def legend(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_rows_are_queries_and_columns_are_keys():
    weights = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
    axes = attention_axes(AttentionMap.from_arrays(weights, ["q1", "q2", "q3"], ["k1", "k2"]))
    np.testing.assert_allclose(axes.collections[0].get_array().reshape(3, 2), weights, rtol=1e-6)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["q1", "q2", "q3"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["k1", "k2"]
    assert axes.get_ylabel() == "from (query)"
    assert axes.get_xlabel() == "to (key)"
    assert axes.yaxis_inverted(), "the first query is on top"


def test_layer_and_head_are_chosen_and_named():
    result = attention(tokens_of("a b"))
    axes = attention_axes(result, layer=5, head=2)
    np.testing.assert_allclose(
        axes.collections[0].get_array().ravel(), result.weights[1, 2].ravel(), rtol=1e-6
    )
    assert axes.get_title() == "Attention: layer 5, head 2"
    mean = attention_axes(result)
    np.testing.assert_allclose(
        mean.collections[0].get_array().ravel(), result.weights.mean((0, 1)).ravel(), rtol=1e-5
    )
    assert mean.get_title() == "Attention: mean of layers 4–5, mean of heads 0–2"
    with pytest.raises(InputError, match="has no layer 7"):
        attention_axes(result, layer=7)


def test_masked_cells_are_no_zeros():
    axes = attention_axes(with_sink())
    array = axes.collections[0].get_array().reshape(3, 3)
    assert array.mask.tolist() == [[True, True, True], [True, False, True], [True, False, False]]
    assert to_hex(axes.get_facecolor()) == LIGHT.masked
    assert "masked: cannot attend" in legend(axes)


def test_a_sink_is_striped_named_with_its_share_and_off_the_scale():
    axes = attention_axes(with_sink())
    assert legend(axes)[0] == "attention sink <s>: 75.0 %, excluded from the color scale"
    (stripes,) = [patch for patch in axes.patches if patch.get_hatch()]
    assert (stripes.get_x(), stripes.get_width(), stripes.get_height()) == (0, 1, 3)
    assert axes.collections[0].norm.vmax == pytest.approx(0.4), "twice what is left, evenly"
    words = [text.get_text() for text in drawn_texts(axes.figure)]
    assert {"70", "80", "30", "15"} <= set(words), "nothing is rescaled"
    assert "<s>" in words


def test_sinks_are_drawn_like_the_rest_or_taken_out_only_when_asked():
    raw = attention_axes(with_sink(), sinks="raw")
    assert raw.collections[0].norm.vmax == pytest.approx(2 * (1 / 2 + 1 / 3) / 2), "twice equal attention"
    assert not [patch for patch in raw.patches if patch.get_hatch()]
    assert "attention sink <s>: 75.0 %" in [text.get_text() for text in drawn_texts(raw.figure)]
    rest = attention_axes(with_sink(), sinks="renormalized")
    words = "attention sink <s>: 75.0 %, excluded, rows rescaled to 100 %"
    assert " ".join(legend(rest)[0].split("\n")) == words
    array = rest.collections[0].get_array().reshape(3, 3)
    np.testing.assert_allclose(array[1:, 1:].filled(0), [[1, 0], [0.25, 0.75]], rtol=1e-6)
    assert (
        rest.collections[0]
        .colorbar.ax.get_ylabel()
        .startswith("attention weight, attention sinks excluded, rows rescaled")
    )
    with pytest.raises(InputError) as caught:
        attention_axes(with_sink(), sinks="none")
    assert str(caught.value) == ("Unknown sinks 'none'. Allowed: raw, muted, renormalized. Pass sinks='raw'.")


def test_a_head_has_the_sinks_of_its_own():
    sink, even = np.array([[0.9, 0.05, 0.05]] * 3), np.full((3, 3), 1 / 3)
    found = AttentionMap.from_arrays([sink, even, even, even], ["a", "b", "c"])
    assert attention_axes(found).get_legend() is None
    assert legend(attention_axes(found, head=0)) == [
        "attention sink a: 90.0 %, excluded from the color scale"
    ]
    assert attention_axes(found, head=1).get_legend() is None


def test_what_takes_most_of_another_map_is_no_sink():
    weights = np.array([[0.1, 0.8, 0.05, 0.05]] * 4)
    found = AttentionMap.from_arrays(weights, ["a", "b", "c", "d"], map="information_flow")
    axes = attention_axes(found)
    words = [text.get_text() for text in drawn_texts(axes.figure)]
    assert "dominant key b: 80.0 %" in words
    assert not any("sink" in word for word in words)
    assert axes.collections[0].norm.vmax == pytest.approx(0.8), "it stays on the scale: it may matter"
    assert legend(attention_axes(found, sinks="muted")) == [
        "dominant key b: 80.0 %, excluded from the color scale"
    ]


def test_what_was_left_out_is_drawn():
    found = dataclasses.replace(with_sink(), left_out=("3 of 90 queries were asked for.",))
    assert "3 of 90 queries were asked for." in [
        text.get_text() for text in drawn_texts(attention_axes(found).figure)
    ]


def test_without_a_sink_the_whole_scale_is_used():
    axes = attention_axes(AttentionMap.from_arrays(np.eye(3), ["a", "b", "c"]))
    assert axes.get_legend() is None
    assert axes.collections[0].norm.vmax == 1


def test_attention_that_is_nearly_uniform_is_not_stretched_over_the_scale():
    weights = 1 / 6 + np.random.default_rng(0).uniform(-0.005, 0.005, (6, 6))
    axes = attention_axes(AttentionMap.from_arrays(weights / weights.sum(1, keepdims=True), list("abcdef")))
    assert axes.collections[0].norm.vmax == pytest.approx(2 / 6)
    assert any("Nearly uniform" in text.get_text() for text in drawn_texts(axes.figure))


def test_one_weight_does_not_make_the_rest_blank():
    weights = np.full((10, 10), 0.1)
    weights[3] = [0.95, *[0.05 / 9] * 9]
    axes = attention_axes(AttentionMap.from_arrays(weights, list("abcdefghij")))
    assert axes.collections[0].norm.vmax == pytest.approx(0.2)
    assert axes.collections[0].colorbar.extend == "max"
    words = [text.get_text() for text in drawn_texts(axes.figure)]
    assert "Strongest color: 20.0 % and above, up to 95.0 %." in words


def test_a_pair_has_a_border_on_both_axes():
    tokens = Tokens.from_spans(
        texts=("a b", "c"),
        pieces=["a", "b", "c"],
        ids=[0, 1, 2],
        segments=[0, 0, 1],
        offsets=[(0, 1), (2, 3), (0, 1)],
        special=[False] * 3,
    )
    axes = attention_axes(attention(tokens))
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines] == [
        ([2, 2], [0, 1]),
        ([0, 1], [2, 2]),
    ]


def test_rows_of_a_generation_are_named_by_the_token_they_produced():
    result = generation().attention[0]
    axes = attention_axes(result)
    produced = [f"→ {label}" for label in result.steps.labels()]
    assert [label.get_text() for label in axes.get_yticklabels()] == produced
    assert axes.get_ylabel() == "from (query), labeled by the generated token"
    borders = [line.get_xdata()[0] for line in axes.lines]
    assert borders == [10], "a line stands where the continuation begins"


def test_a_map_with_few_large_weights_says_that_its_scale_is_of_roots():
    weights = np.full((40, 40), 0.1 / 39)
    np.fill_diagonal(weights, 0.9)
    axes = attention_axes(AttentionMap.from_arrays(weights, text_of(40).split()))
    bar = axes.collections[0].colorbar
    assert axes.collections[0].norm.gamma == 0.5
    assert bar.ax.get_ylabel() == "attention weight (square-root scale)"
    even = attention_axes(attention(tokens_of("a b c")))
    assert even.collections[0].norm.gamma == 1
    assert even.collections[0].colorbar.ax.get_ylabel() == "attention weight (linear scale)"


def test_the_numbers_in_the_cells_stand_on_their_cells_color():
    result = attention(tokens_of("a b c"), causal=True)
    axes = attention_axes(result)
    weights = result.matrix()
    expected = sorted(f"{100 * weights[cell]:.0f}" for cell in zip(*np.nonzero(result.mask), strict=True))
    assert sorted(text.get_text() for text in axes.texts if text.get_text()[-1].isdigit()) == expected


def test_words_join_rows_and_columns():
    tokens = tokens_of("a 😀 b", special=False, splits_emoji=True)
    result = attention(tokens)
    array = attention_axes(result).collections[0].get_array().reshape(3, 3)
    matrix = result.matrix()
    assert array[1, 1] == pytest.approx(matrix[1:4, 1:4].sum(1).mean(), rel=1e-5)


def test_no_tokens_is_a_mistake():
    empty = AttentionMap.from_arrays(np.zeros((0, 0)), [])
    with pytest.raises(InputError) as caught:
        attention_axes(empty)
    assert str(caught.value) == "The attention map has no tokens. Explain a text that is not empty."
