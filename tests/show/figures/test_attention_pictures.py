"""Grids and arcs: what they draw, and what they say they do not."""

import dataclasses

import numpy as np
import pytest
from drawn_pictures import drawn_texts
from matplotlib import pyplot
from matplotlib.colors import to_rgb
from sample_results import MANY_SCRIPTS, attention, generation, hostile_tokens, text_of, tokens_of

from model_understanding import InputError
from model_understanding.results import AttentionMap
from model_understanding.show.figures.attention_arcs import ARCS_PER_ROW
from model_understanding.show.figures.attention_grid import MAX_TILES
from model_understanding.show.figures.report import attention_axes, figure_bytes
from model_understanding.show.shared.colors import palette


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


def words_of(axes) -> list[str]:
    return [line for text in drawn_texts(axes.figure) for line in text.get_text().split("\n")]


def tiles_of(axes):
    """Return the pixels of each tile; the last image is the color scale."""
    return [np.asarray(image.get_array()) for image in axes.images[:-1]]


def shades(pixels, theme="light"):
    """Return how strong each pixel is on the ramp, by its nearest color."""
    ramp = np.array([to_rgb(palette(theme).attention(step / 255)) for step in range(256)])
    return np.abs(pixels[:, :, None] / 255 - ramp).sum(-1).argmin(-1) / 255


def heads(count: int, layers: int = 1, tokens: int = 6) -> AttentionMap:
    weights = np.random.default_rng(0).dirichlet(np.ones(tokens), size=(layers, count, tokens))
    return AttentionMap.from_arrays(weights, [f"t{i}" for i in range(tokens)])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_tile_is_the_matrix_of_its_layer_and_head(theme):
    found = heads(3, 2)
    axes = attention_axes(found, view="grid", theme=theme)
    tiles = tiles_of(axes)
    assert len(tiles) == 6
    top = found.weights.max()
    for place, (layer, head) in enumerate((layer, head) for layer in (0, 1) for head in range(3)):
        np.testing.assert_allclose(shades(tiles[place], theme), found.matrix(layer, head) / top, atol=0.01)
    words = words_of(axes)
    assert {"layer 0", "layer 1", "head 0", "head 1", "head 2", "Attention: 6 heatmaps"} <= set(words)
    assert any("same scale for all heatmaps" in word for word in words)


def test_a_grid_over_heads_names_each_tile():
    axes = attention_axes(heads(5, 2), view="grid", layer=1)
    assert len(tiles_of(axes)) == 5
    assert {f"layer 1, head {head}" for head in range(5)} <= set(words_of(axes))
    with pytest.raises(InputError, match="has no layer 7"):
        attention_axes(heads(5), view="grid", layer=7)


def test_sinks_and_masked_cells_of_a_tile_have_colors_of_their_own():
    sink = np.array([[0.9, 0.02, 0.02, 0.02, 0.02, 0.02]] * 6)
    mask = np.ones((6, 6), bool)
    mask[2, 3] = False
    weights = np.stack([np.where(mask, sink, 0), np.where(mask, 1 / 6, 0)])
    found = AttentionMap.from_arrays(weights, list("abcdef"), mask=mask)
    axes = attention_axes(found, view="grid")
    first, second = tiles_of(axes)
    colors = palette("light")
    as_bytes = lambda color: [round(255 * part) for part in to_rgb(color)]  # noqa: E731
    assert first[:, 0].tolist() == [as_bytes(colors.hatch)] * 6
    assert first[2, 3].tolist() == second[2, 3].tolist() == as_bytes(colors.masked)
    half = as_bytes(colors.attention(0.5))
    np.testing.assert_allclose(second[0, 0], half, atol=3, err_msg="the scale spans twice equal attention")
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert " ".join(legend[0].split("\n")) == (
        "attention sink in 1 of 2 heatmaps, excluded from the color scale; "
        "most often a (1 of 2, mean share 90.0 %)"
    )
    raw = tiles_of(attention_axes(found, view="grid", sinks="raw"))[0]
    assert raw[0, 0].tolist() == as_bytes(colors.attention(1.0))


def test_more_tiles_than_fit_are_thinned_out_and_named():
    axes = attention_axes(heads(20, 30, tokens=3), view="grid")
    drawn = len(tiles_of(axes))
    assert MAX_TILES / 2 < drawn <= MAX_TILES
    assert any(word.startswith(f"Showing {drawn} of 600 heatmaps: layers 0, 3,") for word in words_of(axes))


def test_long_texts_are_drawn_by_their_largest_cells():
    weights = np.zeros((1, 2, 300, 300))
    weights[0, 0, 299, 7] = 1
    axes = attention_axes(AttentionMap.from_arrays(weights, [f"t{i}" for i in range(300)]), view="grid")
    first, second = tiles_of(axes)
    assert first.shape == (75, 75, 3)
    assert np.argwhere(shades(first) > 0.9).tolist() == [[74, 1]]
    assert not (shades(second) > 0.1).any()
    assert "Each pixel is the maximum of 4 × 4 cells." in words_of(axes)


def test_arcs_are_the_largest_links_of_each_row():
    weights = np.array([[0.7, 0.2, 0.06, 0.04], [0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]])
    axes = attention_axes(
        AttentionMap.from_arrays(weights, list("abc"), list("wxyz")), view="arcs", sinks="raw"
    )
    (arcs,) = axes.collections
    ends = {
        (round(float(path.vertices[0][1]), 3), round(float(path.vertices[-1][1]), 3))
        for path in arcs.get_paths()
    }
    assert len(ends) == 3 * ARCS_PER_ROW
    widths = arcs.get_linewidths()
    assert list(widths) == sorted(widths), "the strongest lies on top"
    assert (max(widths), len(widths)) == (pytest.approx(4.2), 9)
    words = words_of(axes)
    assert {"a", "b", "c", "w", "x", "y", "z", "from (query)", "to (key)"} <= set(words)
    share = (0.96 + 0.9 + 0.75) / 3
    assert (
        f"Arcs: the 9 largest weights, at most 3 per query: {100 * share:.1f} % of the total. Thickest and "
        "darkest: 70.0 %." in words
    )


def test_a_sink_has_no_arcs_and_its_share_beside_it():
    found = attention(tokens_of(text_of(12)), sink=0)
    axes = attention_axes(found, view="arcs")
    words = words_of(axes)
    assert any(word.startswith("[CLS]  (attention sink: ") for word in words)
    assert any("(attention sinks excluded)" in word for word in words)
    ends = {round(float(path.vertices[-1][1]), 3) for path in axes.collections[0].get_paths()}
    assert round(0.5 * axes.get_ylim()[0] / len(found.keys), 3) not in ends


def test_arcs_of_a_long_text_say_what_they_leave_out():
    found = attention(tokens_of(text_of(150)), causal=True)
    words = " ".join(words_of(attention_axes(found, view="arcs")))
    assert "Showing the first 72 of 152 queries." in words
    assert "of 152 keys: those with the largest total weight." in words


@pytest.mark.parametrize("view", ["grid", "arcs"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_any_text_is_drawn(view, theme):
    for tokens in (hostile_tokens(), tokens_of(MANY_SCRIPTS, splits_emoji=True), tokens_of("a")):
        axes = attention_axes(attention(tokens), view=view, theme=theme)
        for kind in ("png", "svg", "pdf") if theme == "light" else ("png",):
            assert figure_bytes(axes.figure, kind)
    steps = generation().attention[0]
    words = words_of(attention_axes(steps, view=view, theme=theme))
    assert any("generated token" in word for word in words)


@pytest.mark.parametrize("view", ["grid", "arcs"])
def test_it_draws_into_axes_of_ones_own(view):
    _, ax = pyplot.subplots(figsize=(7, 5), layout="constrained")
    assert attention_axes(heads(4), ax, view=view) is ax
    ax.figure.canvas.draw()


def test_what_is_left_out_of_a_map_stands_on_every_picture():
    found = dataclasses.replace(heads(2), left_out=("3 of 90 queries were asked for.",))
    for view in ("map", "grid", "arcs"):
        assert "3 of 90 queries were asked for." in words_of(attention_axes(found, view=view))


def test_views_and_levels_that_there_are_not():
    with pytest.raises(InputError) as caught:
        attention_axes(heads(2), view="tree")
    assert str(caught.value) == "Unknown view 'tree'. Allowed: map, grid, arcs. Pass view='map'."
    with pytest.raises(InputError) as caught:
        attention_axes(heads(2), level="page")
    assert str(caught.value) == (
        "Unknown level 'page'. Allowed: token, character, word, sentence. Pass level='token'."
    )
