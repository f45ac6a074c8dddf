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
    scores, weights = (axes for axes in figure.axes if axes.get_xticklabels())
    (mesh,) = [c for c in scores.collections if c.get_array() is not None]
    assert mesh.get_clim() == (-10, 10)  # the difference of good → bad
    np.testing.assert_array_equal(
        mesh.get_array().reshape(3, 4).filled(np.nan),
        [[1, 5, 2, np.nan], [1, -5, 3, 1], [0, -10, 1, np.nan]],
    )
    assert [label.get_text() for label in scores.get_xticklabels()] == ["a", "good → bad", "film", "+now"]
    assert [label.get_text() for label in weights.get_yticklabels()][-1] == "+now"


def test_hostile_strings_are_drawn():
    report = made.report()
    assert comparison_figure(compare(report, report, names=("</script>", "\x1b"))).axes


def test_nothing_to_draw_is_said():
    tokens = words("a film")
    with pytest.raises(InputError, match="The comparison has no attribution and no attention map"):
        comparison_figure(compare(classification(tokens), classification(tokens)))
