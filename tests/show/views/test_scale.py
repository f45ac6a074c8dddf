"""The color scale of a matrix, computed by hand."""

import numpy as np
import pytest

from model_understanding.results import AttentionMap
from model_understanding.show.views.attention import attention_view
from model_understanding.show.views.scale import Scale, scale_of
from model_understanding.tokens import Tokens


def scale(weights, **options):
    weights = np.asarray(weights, dtype=float)
    return scale_of(
        attention_view(AttentionMap.from_arrays(weights, list("abcdefghij")[: len(weights)]), **options)
    )


def test_the_scale_ends_at_the_largest_weight_but_spans_at_least_twice_equal_attention():
    sharp = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]]
    assert scale(sharp) == Scale(reach=pytest.approx(0.8), largest=pytest.approx(0.8), is_uniform=False)
    even = scale([[0.34, 0.33, 0.33]] * 3)
    assert (even.reach, even.is_uniform) == (pytest.approx(2 / 3), True)


def test_a_row_with_one_key_does_not_set_the_scale():
    causal = np.tril(np.ones((6, 6))) / np.arange(1, 7)[:, None]
    found = AttentionMap.from_arrays(causal, list("abcdef"), mask=np.tri(6, dtype=bool))
    even = np.mean(1 / np.arange(2, 7))
    assert scale_of(attention_view(found)).reach == pytest.approx(max(0.5, 2 * even))


def test_a_few_weights_far_beyond_all_others_are_off_the_scale_and_named():
    weights = np.full((10, 10), 0.1)
    weights[3] = [0.95, *[0.05 / 9] * 9]
    found = AttentionMap.from_arrays(weights, list("abcdefghij"))
    view = attention_view(found)
    assert scale_of(view) == Scale(reach=pytest.approx(0.2), largest=pytest.approx(0.95), is_uniform=False)
    assert scale_of(view).note(view) == "Strongest color: 20.0 % and above, up to 95.0 %."
    assert Scale(reach=0.2, largest=0.1, is_uniform=True).note(view).startswith("Nearly uniform: every token")


def test_what_is_uniform_apart_from_a_sink_is_said_so():
    weights = np.tile([0.6, *[0.1] * 4], (5, 1))
    view = attention_view(AttentionMap.from_arrays(weights, list("abcde")))
    assert view.excluded == (0,)
    assert scale_of(view).note(view) == (
        "Nearly uniform apart from the attention sink: every token attends almost equally to the others, so "
        "the colors hardly differ."
    )


@pytest.mark.parametrize(
    ("level", "end"), [("token", "so the colors hardly differ."), ("word", "more tokens.")]
)
def test_words_of_more_tokens_are_darker_in_a_uniform_map_and_the_note_says_why(level, end):
    tokens = Tokens.from_pieces(["play", "##ing", "##s", "chess"])
    view = attention_view(AttentionMap.from_arrays(np.full((4, 4), 0.25), tokens), level=level)
    assert view.key_sizes == ((1,) * 4 if level == "token" else (3, 1))
    assert scale_of(view).is_uniform
    assert scale_of(view).note(view).endswith(end)


@pytest.mark.parametrize("pieces", [["a"], ["a", "##b"], ["a", "##b", "c"]])
def test_no_scale_of_shares_ends_above_all_of_a_row(pieces):
    count = len(pieces)
    even = AttentionMap.from_arrays(np.full((count, count), 1 / count), Tokens.from_pieces(pieces))
    for level in ("token", "word"):
        assert scale_of(attention_view(even, level=level)).reach <= 1 + 1e-6
