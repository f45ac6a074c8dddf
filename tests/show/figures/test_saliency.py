import numpy as np
import pytest
from drawn_pictures import drawn_texts
from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from sample_results import HOSTILE, attribution, provenance, text_of, tokens_of

from model_understanding import InputError
from model_understanding.results import Attribution, Target
from model_understanding.show.figures.report import saliency_axes
from model_understanding.show.shared.colors import palette

LIGHT = palette("light")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


def bar_values(axes) -> list[float]:
    (bars,) = axes.containers
    return [bar.get_height() if bars.orientation == "vertical" else bar.get_width() for bar in bars]


def bar_colors(axes) -> list[str]:
    return [to_hex(bar.get_facecolor()) for bar in axes.containers[0]]


def words_of(axes) -> list[str]:
    return [text.get_text() for text in drawn_texts(axes.figure)]


def test_bars_are_the_normalized_scores_in_reading_order():
    axes = saliency_axes(Attribution.from_arrays(["good", "bad", "so"], [3.0, -1.0, 0.0]))
    np.testing.assert_allclose(bar_values(axes), [0.75, -0.25, 0])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["good", "bad", "so"]
    assert axes.get_ylabel() == "share of the total |score|"
    assert {"+75.0 %", "−25.0 %", "0.0 %"} <= set(words_of(axes)), "as terminal and page write them"


def test_raw_scores_on_request():
    axes = saliency_axes(Attribution.from_arrays(["good", "bad"], [3.0, -1.0]), normalized=False)
    assert bar_values(axes) == [3, -1]
    assert axes.get_ylabel() == "raw score"


def test_one_target_of_several_is_drawn():
    both = Attribution.from_arrays(["a", "b"], [[1.0, 0.0], [0.0, 1.0]], labels=["first", "second"])
    axes = saliency_axes(both, target=1)
    assert bar_values(axes) == [0, 1]
    assert axes.get_title() == "Token saliency: custom target second"


def test_signs_have_their_colors_and_the_legend_names_them():
    scores = [[0.1, 3.0, -1.0, 0.2]]
    axes = saliency_axes(attribution(tokens_of("good bad"), scores=scores))
    assert bar_colors(axes) == [LIGHT.special, LIGHT.supports, LIGHT.against, LIGHT.special]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "supports positive",
        "opposes positive",
        "special token",
    ]
    labels = axes.get_xticklabels()
    assert [to_hex(label.get_color()) for label in labels] == [
        LIGHT.muted,
        LIGHT.text,
        LIGHT.text,
        LIGHT.muted,
    ]


def test_scores_without_a_sign_have_one_color_and_no_sides():
    axes = saliency_axes(attribution(tokens_of("good bad", special=False), signed=False))
    assert set(bar_colors(axes)) == {LIGHT.unsigned}
    assert axes.get_legend() is None
    assert axes.get_ylim()[0] == 0


def test_the_contrast_of_two_classes_is_named():
    target = Target(task="x", indices=(1,), labels=("yes",), against=(0,), against_labels=("no",))
    axes = saliency_axes(attribution(tokens_of("a b"), scores=[0, 1, -1, 0], targets=[target]))
    assert axes.get_title() == "Token saliency: logit of yes − no"
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert words[:2] == ["supports yes over no", "supports no over yes"]


def test_a_token_that_cannot_contribute_is_striped_and_has_no_number():
    valid = [[True, True, False, True]]
    axes = saliency_axes(attribution(tokens_of("good bad"), scores=[0.5, 0.3, 0.0, 0.2], valid=valid))
    (stripes,) = [patch for patch in axes.patches if patch.get_hatch()]
    assert isinstance(stripes, Rectangle)
    assert stripes.get_x() == pytest.approx(1.6)
    assert "no score" in words_of(axes)
    assert "0.0 %" not in words_of(axes)


def test_tokens_that_split_a_character_are_one_bar():
    tokens = tokens_of("a 😀 b", special=False, splits_emoji=True)
    result = attribution(tokens, scores=[1, 1, 2, 3, -1])
    np.testing.assert_allclose(bar_values(saliency_axes(result)), [1 / 8, 6 / 8, -1 / 8])
    assert len(bar_values(saliency_axes(result, level="token"))) == 5


def test_every_caution_is_stamped_on_the_picture():
    origin = provenance("untrained head: this explains random weights", "truncated")
    words = words_of(saliency_axes(attribution(tokens_of("a"), origin=origin)))
    assert any("⚠  Warning: untrained head" in text and "⚠  Warning: truncated" in text for text in words)


@pytest.mark.parametrize(("count", "kind"), [(3, "vertical"), (30, "horizontal")])
def test_bars_lie_down_when_their_labels_would_collide(count, kind):
    axes = saliency_axes(attribution(tokens_of(text_of(count))))
    assert axes.containers[0].orientation == kind


def test_a_long_text_is_set_in_lines_with_its_bars_on_one_scale():
    tokens = tokens_of(text_of(100), special=False)
    scores = np.zeros(100)
    scores[[10, 20, 30]] = 4, -2, 1
    axes = saliency_axes(attribution(tokens, scores=scores))
    bars = [p for p in axes.patches if to_hex(p.get_facecolor()) in (LIGHT.supports, LIGHT.against)]
    heights = sorted(abs(bar.get_height()) for bar in bars if bar.get_height())
    np.testing.assert_allclose(np.array(heights) / heights[-1], [0.25, 0.5, 1])
    assert "+57.1 %" in "".join(words_of(axes))
    assert len([text for text in axes.texts if text.get_text() in text_of(100).split()]) == 100


def test_a_long_right_to_left_text_is_set_from_the_right():
    text = " ".join(["שלום"] * 60)
    axes = saliency_axes(attribution(tokens_of(text)))
    words = [text for text in axes.texts if text.get_text() == "שלום"]
    assert words[0].get_position()[0] > words[1].get_position()[0]


def test_text_is_never_read_as_a_formula():
    pieces = [HOSTILE[8], "$a$", "b_{c}"]
    axes = saliency_axes(Attribution.from_arrays(pieces, [1, 2, 3], labels=["$\\undefined$"]))
    texts = drawn_texts(axes.figure)
    assert set(pieces) <= {text.get_text() for text in texts}
    assert "$\\undefined$" in axes.get_title()


def test_all_zero_scores_are_said():
    axes = saliency_axes(Attribution.from_arrays(["a", "b"], [0.0, 0.0]))
    assert axes.get_ylabel() == "all scores are 0"
    assert bar_values(axes) == [0, 0]


def test_mistakes_are_explained():
    one = Attribution.from_arrays(["a"], [1.0])
    with pytest.raises(InputError) as caught:
        saliency_axes(one, target=1)
    assert str(caught.value) == (
        "There is no target 1: the attribution has 1. "
        "Pass an index from 0 to 0, or from -1 to -1 counting from the end."
    )
    with pytest.raises(InputError) as caught:
        saliency_axes(Attribution.from_arrays([], np.zeros((1, 0))))
    assert str(caught.value) == "The attribution has no tokens. Explain a text that is not empty."
    with pytest.raises(InputError) as caught:
        saliency_axes(one, level="page")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "Unknown level 'page'. Allowed: token, character, word, sentence. Pass level='token'."
    )
