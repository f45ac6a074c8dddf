"""Axes of the user: every plot stays in their place, and shared axes never show another plot's labels."""

import pickle

import numpy as np
import pytest
from drawn_pictures import drawing_of
from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from sample_results import HOSTILE, attention, attribution, heads, text_of, tokens_of

from model_understanding import Attribution, InputError
from model_understanding.show.figures.options import PlotOptions
from model_understanding.show.figures.report import attention_axes, saliency_axes

PLOTS = {
    "saliency": lambda tokens, ax: saliency_axes(attribution(tokens), ax),
    "map": lambda tokens, ax: attention_axes(attention(tokens, sink=0), ax),
    "grid": lambda tokens, ax: attention_axes(attention(tokens), ax, view="grid"),
    "arcs": lambda tokens, ax: attention_axes(attention(tokens, causal=True), ax, view="arcs"),
}


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


def places_of(figure, axes):
    """Return where the user put each of some axes, in pixels."""
    return [ax.get_position(original=True).transformed(ax.figure.transSubfigure) for ax in axes]


def assert_inside(figure, axes, places) -> None:
    renderer = figure.canvas.get_renderer()
    for ax, place in zip(axes, places, strict=True):
        drawn = ax.get_tightbbox(renderer)
        assert drawn.x0 >= place.x0 - 2, ax.get_title()
        assert drawn.y0 >= place.y0 - 2, ax.get_title()
        assert drawn.x1 <= place.x1 + 2, ax.get_title()
        assert drawn.y1 <= place.y1 + 2, ax.get_title()


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
@pytest.mark.parametrize("count", [3, 60])
@pytest.mark.parametrize("plot", PLOTS)
def test_a_plot_stays_in_the_place_of_its_axes(plot, count, layout):
    figure = Figure(figsize=(8, 5), layout=layout)
    axes = figure.subplots(1, 2).tolist()
    for ax in axes:
        PLOTS[plot](tokens_of(text_of(count)), ax)
    drawing = drawing_of(figure)
    assert drawing.outside() == []
    assert_inside(figure, axes, places_of(figure, axes))


@pytest.mark.parametrize("plot", PLOTS)
def test_a_plot_stays_in_small_places_and_subfigures(plot):
    figure = Figure(figsize=(7, 6))
    left, right = figure.subfigures(1, 2)
    axes = [*left.subplots(3, 1), right.add_subplot(2, 2, 4), right.add_axes((0.1, 0.6, 0.5, 0.3))]
    hostile = tokens_of(" ".join(HOSTILE))
    for ax in axes:
        PLOTS[plot](hostile, ax)
    drawing_of(figure)
    assert_inside(figure, axes, places_of(figure, axes))


def test_an_inset_and_a_figure_that_is_resized_later_keep_their_plot_inside():
    figure = Figure(figsize=(6, 4))
    outer = figure.subplots()
    inset = outer.inset_axes((0.4, 0.3, 0.55, 0.65))
    saliency_axes(attribution(tokens_of("a good film")), inset)
    figure.set_size_inches(9, 7)
    drawing_of(figure)
    drawn = inset.get_tightbbox(figure.canvas.get_renderer())
    place = outer.bbox
    assert place.x0 + 0.4 * place.width - 2 <= drawn.x0 <= drawn.x1 <= place.x0 + 0.95 * place.width + 2
    assert place.y0 + 0.3 * place.height - 2 <= drawn.y0 <= drawn.y1 <= place.y0 + 0.95 * place.height + 2


def test_a_long_saliency_in_small_axes_shows_the_largest_scores_and_says_so():
    scores = np.linspace(0.1, 1, 200)
    scores[[7, 90]] = 5, -4
    tokens = tokens_of(text_of(200), special=False)
    figure = Figure(figsize=(3, 2.5))
    axes = saliency_axes(attribution(tokens, scores=scores), figure.subplots())
    labels = [label.get_text() for label in axes.get_yticklabels()]
    words = text_of(200).split()
    assert labels[:3] == [words[7], words[90], words[199]]
    values = [bar.get_width() for bar in axes.containers[0]]
    np.testing.assert_allclose(values[:2], np.array([5, -4]) / np.abs(scores).sum(), rtol=1e-6)
    assert f"{len(labels)} largest of 200" in drawing_of(figure).words()


def labels_of(ax):
    """Return the tokens of a plot, wherever they stand, with their scores."""
    (bars,) = ax.containers
    is_vertical = bars.orientation == "vertical"
    labels = ax.get_xticklabels() if is_vertical else ax.get_yticklabels()
    scores = [bar.get_height() if is_vertical else bar.get_width() for bar in bars]
    return dict(zip([label.get_text() for label in labels], scores, strict=True))


@pytest.mark.parametrize("share", [{"sharey": True}, {"sharex": True}, {"sharex": True, "sharey": True}])
@pytest.mark.parametrize("shape", [(1, 2), (2, 1)])
@pytest.mark.parametrize("texts", [("good bad", "so what"), ("a b c", text_of(60)), (text_of(30), "a b")])
def test_shared_axes_show_each_text_its_own_words_or_are_refused(texts, shape, share):
    figure, axes = pyplot.subplots(*shape, figsize=(8, 6), **share)
    found = [attribution(tokens_of(text, special=False)) for text in texts]
    saliency_axes(found[0], axes[0])
    if len(share) == 2:
        with pytest.raises(InputError, match=r"share their . axis with a plot of the tokens"):
            saliency_axes(found[1], axes[1])
        return
    saliency_axes(found[1], axes[1])
    for ax, result in zip(axes, found, strict=True):
        shares = dict(zip(result.tokens.labels(), result.normalized().scores[0], strict=True))
        drawn = labels_of(ax)
        assert drawn
        for label, value in drawn.items():
            if result.tokens.labels().count(label) == 1:
                assert value == pytest.approx(shares[label])
    drawing_of(figure)
    assert axes[0].get_ylim() == axes[1].get_ylim() or "sharey" not in share


def test_shared_axes_show_all_bars_on_their_common_scale():
    _, axes = pyplot.subplots(1, 2, sharey=True)
    for ax, scores in zip(axes, ([1.0, -1.0], [8.0, 1.0]), strict=True):
        saliency_axes(attribution(tokens_of("a b", special=False), scores=scores), ax)
    low, high = axes[0].get_ylim()
    assert low < -0.5
    assert high > 8 / 9


def test_maps_of_two_texts_on_shared_axes_are_refused_by_name():
    _, axes = pyplot.subplots(1, 2, sharey=True)
    attention_axes(attention(tokens_of("a good film")), axes[0])
    with pytest.raises(InputError) as caught:
        attention_axes(attention(tokens_of("so dull a text")), axes[1])
    assert str(caught.value) == (
        "These axes share their y axis with a plot of the tokens [CLS], a, good, film, …; this plot has the "
        "tokens [CLS], so, dull, a, … there. Create the axes without sharex and sharey; vmin and vmax put "
        "plots on one scale."
    )


def test_axes_that_share_with_data_of_the_user_are_refused_where_labels_would_be_replaced():
    _, axes = pyplot.subplots(1, 2, sharey=True)
    axes[0].plot([1, 2, 3])
    with pytest.raises(InputError, match="share their y axis with axes that hold other data"):
        attention_axes(attention(tokens_of("a b")), axes[1])


def test_drawing_again_replaces_the_plot():
    _, ax = pyplot.subplots()
    attention_axes(heads(6, causal=False), ax)
    saliency_axes(attribution(tokens_of("x y z", special=False)), ax)
    saliency_axes(attribution(tokens_of("good bad", special=False), scores=[3, -1]), ax)
    assert labels_of(ax) == {"good": pytest.approx(0.75), "bad": pytest.approx(-0.25)}
    assert not ax.collections
    assert not ax.child_axes


def test_a_dark_plot_in_a_light_figure_has_its_own_background():
    figure, axes = pyplot.subplots(1, 2)
    saliency_axes(attribution(tokens_of("a b")), axes[0], theme="dark")
    assert drawing_of(figure).faint() == []
    assert to_hex(figure.get_facecolor()) == "#ffffff"


def test_what_cannot_be_drawn_into_is_named():
    tokens = tokens_of("a b")
    figure, axes = pyplot.subplots(1, 2)
    with pytest.raises(InputError) as caught:
        saliency_axes(attribution(tokens), axes)
    assert str(caught.value) == "ax holds 2 axes. Pass one of them, for example ax=axes[0]."
    with pytest.raises(InputError, match="got 'polar'"):
        saliency_axes(attribution(tokens), figure.add_subplot(projection="polar"))
    with pytest.raises(InputError, match="figsize"):
        saliency_axes(attribution(tokens), axes[0], figsize=(3, 4))
    with pytest.raises(InputError, match="width and a height in inches"):
        saliency_axes(attribution(tokens), figsize=5)  # type: ignore[arg-type]


def test_a_new_figure_has_the_size_asked_for():
    axes = attention_axes(
        attention(tokens_of(text_of(30))), figsize=(5, 4), options=PlotOptions(title="mine")
    )
    assert axes.figure.get_size_inches().tolist() == [5, 4]
    assert axes.get_title() == "mine"
    assert drawing_of(axes.figure).outside() == []


def test_axes_that_the_user_clears_have_their_place_back():
    figure, ax = pyplot.subplots()
    place = ax.get_position().bounds
    saliency_axes(attribution(tokens_of("a b")), ax)
    assert ax.get_position().bounds != place
    ax.cla()
    ax.plot([1, 2])
    drawing_of(figure)
    assert ax.get_position().bounds == pytest.approx(place)


def test_a_figure_with_plots_can_be_pickled():
    figure, axes = pyplot.subplots(1, 2)
    saliency_axes(attribution(tokens_of("a b")), axes[0])
    attention_axes(attention(tokens_of("a b")), axes[1])
    restored = pickle.loads(pickle.dumps(figure))
    assert drawing_of(restored).words() == drawing_of(figure).words()


@pytest.mark.parametrize(("columns", "width"), [(2, 9), (3, 9), (4, 10), (3, 5)])
def test_values_in_narrow_axes_cover_no_word(columns, width):
    figure, grid = pyplot.subplots(2, columns, figsize=(width, 5), squeeze=False)
    found = Attribution.from_arrays(
        ["thin", "wonderful", "plot", "but", "acting"], [-3.0, 2.5, -1.5, 1.0, -0.4]
    )
    for ax in grid.flat:
        saliency_axes(found, ax)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    for ax in grid.flat:
        words = [label.get_window_extent(renderer) for label in ax.get_yticklabels() if label.get_text()]
        values = [text.get_window_extent(renderer) for text in ax.texts if text.get_text().endswith("%")]
        assert len(values) == (len(words) if columns == 2 else 0)  # where there is room
        assert not any(value.overlaps(word) for value in values for word in words)
