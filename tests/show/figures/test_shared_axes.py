"""Axes of the caller's own figure: shared, or drawn into twice."""

import pytest
from matplotlib import pyplot
from sample_results import heads
from tiny_models import PROBE, visualizer_of

from model_understanding.show.figures.attention import attention_axes
from model_understanding.show.figures.logit_lens import lens_axes

SHARING = [{"sharey": True}, {"sharex": True}, {"sharex": "col", "sharey": "row"}, {"sharex": "all"}]


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


@pytest.mark.parametrize("share", SHARING)
@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (2, 2)])
def test_heads_are_drawn_side_by_side_on_shared_axes(share, shape):
    attention = heads(6, causal=False, layers=1, count=4)
    _, axes = pyplot.subplots(*shape, squeeze=False, **share)
    for index, ax in enumerate(axes.flat):
        assert attention_axes(attention, ax, layer=0, head=index) is ax
    rows, columns = attention.rows.labels(), attention.keys.labels()
    outer = axes[-1, 0]
    assert [label.get_text() for label in outer.get_yticklabels()] == [*map(str.strip, rows)]
    assert [label.get_text() for label in outer.get_xticklabels()] == [*map(str.strip, columns)]
    attention_axes(attention, axes[0, 0], layer=0, head=1)


@pytest.mark.parametrize("share", SHARING)
def test_two_lenses_share_axes(share):
    lens = visualizer_of("gpt2").compute_logit_lens(PROBE)
    _, axes = pyplot.subplots(1, 2, **share)
    assert [lens_axes(lens, ax) for ax in axes] == [*axes]
