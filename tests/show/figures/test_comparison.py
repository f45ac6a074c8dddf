import hard_results as made
import numpy as np
import pytest
from compared_reports import attention, attribution, classification, words

from model_understanding import InputError, compare
from model_understanding.show.figures.comparison import comparison_figure


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_scores_and_their_difference_on_one_scale_around_zero(theme):
    first, second = words("a good film"), words("a bad film now")
    found = compare(
        classification(first, attribution(first, [1, 5, 2]), attention=(attention(first),)),
        classification(second, attribution(second, [1, -5, 3, 1]), attention=(attention(second),)),
    )
    figure = comparison_figure(found, theme=theme)
    scores, weights = (axes for axes in figure.axes if axes.get_xticklabels() and axes.collections)
    (mesh,) = [c for c in scores.collections if c.get_array() is not None]
    assert mesh.get_clim() == (-10, 10)  # the difference of good → bad
    np.testing.assert_array_equal(
        mesh.get_array().reshape(3, 4).filled(np.nan),
        [[1, 5, 2, np.nan], [1, -5, 3, 1], [0, -10, 1, 1]],
    )
    labels = [label.get_text() for label in scores.get_xticklabels()]
    assert labels == ["a", "good → bad", "film", "now (added)"]
    assert [label.get_text() for label in weights.get_yticklabels()] == ["a", "good → bad", "film"]


def test_the_largest_differences_are_drawn_from_the_first_value_to_the_second():
    first, second = words("a good film"), words("a bad film now")
    found = compare(
        classification(first, attribution(first, [1, 5, 2])),
        classification(second, attribution(second, [1, -5, 3, 1])),
    )
    axes = comparison_figure(found).axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 5]
    assert [list(line.get_xdata()) for line in lines] == [[5, -5], [2, 3], [0, 1]]
    said = [text.get_text() for text in axes.texts]
    for expected in ("good → bad", "5 → −5", "−10", "film", "now (added)", "– → 1", "+1"):
        assert expected in said, expected


def test_differences_that_are_tiny_have_no_color_and_are_no_difference():
    tokens = words("a good film")
    scores = np.array([1, 5, 2])
    noisy = scores + 1e-6 * np.array([1, -1, 1])
    weights = attention(tokens).weights
    found = compare(
        classification(tokens, attribution(tokens, scores), attention=(attention(tokens),)),
        classification(
            tokens, attribution(tokens, noisy), attention=(attention(tokens, weights * (1 - 1e-6)),)
        ),
    )
    figure = comparison_figure(found)
    largest, scores_axes, weights_axes = (axes for axes in figure.axes if axes.get_label() != "<colorbar>")
    assert "No difference" in largest.get_title(loc="center") + "".join(t.get_text() for t in largest.texts)
    for axes, least in ((scores_axes, 5), (weights_axes, 0.1)):
        (mesh,) = [c for c in axes.collections if c.get_array() is not None]
        assert mesh.get_clim()[1] >= least


def test_cells_show_their_whole_numbers():
    tokens = words("a good film")
    sides = [
        classification(tokens, attribution(tokens, scores)) for scores in ([10.07, 0.5, 1], [20, -0.25, 1])
    ]
    axes = comparison_figure(compare(*sides)).axes[1]
    said = [text.get_text().replace("−", "-") for text in axes.texts]
    for expected in ("10.07", ".50", "-.25", "20.00"):
        assert expected in said, expected


def test_hostile_strings_are_drawn():
    report = made.report()
    assert comparison_figure(compare(report, report, names=("</script>", "\x1b"))).axes


def test_nothing_to_draw_is_said():
    tokens = words("a film")
    with pytest.raises(InputError, match="The comparison has no attribution and no attention map"):
        comparison_figure(compare(classification(tokens), classification(tokens)))
