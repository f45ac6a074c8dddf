"""What a caller sets of a plot means what it means in seaborn.heatmap."""

import matplotlib
import numpy as np
import pytest
from drawn_pictures import drawn_texts
from loaded_demos import sentiment
from matplotlib import pyplot
from matplotlib.colors import to_hex
from sample_results import attention, attribution, tokens_of

from model_understanding import InputError
from model_understanding.show.figures.options import PlotOptions
from model_understanding.show.figures.report import attention_axes, saliency_axes


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


def map_of(**options):
    return attention_axes(attention(tokens_of("a b c", special=False)), options=PlotOptions(**options))


def test_plots_with_the_same_limits_are_on_one_linear_scale():
    skewed = attention(tokens_of(" ".join("abcdefghijklmnop"), special=False), sink=3)
    for found in (skewed, attention(tokens_of("a b c", special=False))):
        axes = attention_axes(found, sinks="raw", options=PlotOptions(vmin=0.1, vmax=0.6))
        norm = axes.collections[0].norm
        assert norm([0.1, 0.35, 0.6]).tolist() == pytest.approx([0, 0.5, 1])


def test_colors_are_those_of_the_callers_map():
    for cmap in ("viridis", matplotlib.colormaps["viridis"]):
        mesh = map_of(cmap=cmap, vmin=0, vmax=1).collections[0]
        colors = mesh.to_rgba(mesh.get_array()).reshape(-1, 4)
        expected = matplotlib.colormaps["viridis"](np.asarray(mesh.get_array()).ravel())
        np.testing.assert_allclose(colors, expected)
    listed = map_of(cmap=["#000000", "#ff0000"]).collections[0].get_cmap()
    assert [to_hex(listed(value)) for value in (0.0, 1.0)] == ["#000000", "#ff0000"]


def test_bars_take_colors_limits_and_no_values():
    scores = [0.6, -0.4]
    axes = saliency_axes(
        attribution(tokens_of("a b", special=False), scores=scores),
        options=PlotOptions(cmap="coolwarm", vmin=-1, vmax=1, annot=False, title=""),
    )
    assert axes.get_ylim() == (-1, 1)
    assert axes.get_title() == ""
    expected = [to_hex(matplotlib.colormaps["coolwarm"]((score + 1) / 2)) for score in scores]
    assert [to_hex(bar.get_facecolor()) for bar in axes.containers[0]] == expected
    assert not [text for text in drawn_texts(axes.figure) if text.get_text() == "60 %"]


def test_values_are_written_when_asked_in_the_callers_format_or_words():
    matrix = attention(tokens_of("a b c", special=False)).matrix()
    words = [text.get_text() for text in map_of(annot=True, fmt=".3f").texts]
    assert words[:9] == [f"{value:.3f}" for value in matrix.ravel()]
    assert "0.185" not in [text.get_text() for text in map_of(annot=False).texts]
    own = np.array(list("123456789")).reshape(3, 3)
    assert [text.get_text() for text in map_of(annot=own).texts][:9] == list("123456789")
    with pytest.raises(InputError, match=r"annot has the shape \(2,\), the plot 3 × 3 cells"):
        map_of(annot=["a", "b"])


def test_a_color_bar_can_be_left_out():
    assert map_of(cbar=False).collections[0].colorbar is None
    assert map_of().collections[0].colorbar is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vmin": 1, "vmax": 0}, "vmin=1 must be less than vmax=0. Exchange the two."),
        ({"vmax": "high"}, "vmax must be a finite number. Got 'high'. Leave vmax out."),
        ({"fmt": "%d"}, "fmt='%d' is no format of a number. Pass for example fmt='.2f'."),
        (
            {"cmap": "no such"},
            "Unknown cmap 'no such'. Allowed: a matplotlib colormap or its name, a seaborn palette, a list "
            "of colors. Pass for example cmap='viridis'.",
        ),
    ],
)
def test_mistakes_are_explained(options, message):
    with pytest.raises(InputError) as caught:
        PlotOptions(**options)
    assert str(caught.value) == message


def test_a_view_names_what_it_does_not_take():
    with pytest.raises(InputError) as caught:
        attention_axes(attention(tokens_of("a b")), view="arcs", options=PlotOptions(annot=True))
    assert str(caught.value) == (
        "view='arcs' has no annot. Allowed: title, vmin, vmax, cmap. Leave annot out."
    )


def test_unknown_arguments_are_refused_with_a_list_of_those_that_there_are():
    with pytest.raises(InputError) as caught:
        sentiment().plot_attention(attention(tokens_of("a b")), vmx=1)
    assert str(caught.value) == (
        "plot_attention has no argument 'vmx'. Allowed: ax, kind, view, layer, head, level, sinks, theme, "
        "title, vmin, vmax, cmap, annot, fmt, cbar, figsize. Pass vmax=…."
    )
    axes = sentiment().plot_saliency(attribution(tokens_of("a b")), title="mine", vmax=1, figsize=(6, 4))
    assert axes.get_title() == "mine"
