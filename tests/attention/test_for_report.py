"""What a report keeps of a model's attention: by the length of the text, within a bound."""

from dataclasses import dataclass

import pytest
from loaded_demos import sentiment

from model_understanding import GenerativeModelVisualizer
from model_understanding.attention.for_report import MOST_CELLS, Extent, attention_of_report
from model_understanding.errors import InputError, UnsupportedModelError


@dataclass(frozen=True)
class Asked:
    """A map that was asked for, in place of one."""

    what: tuple[int | str, int | str, str, str]
    left_out: tuple[str, ...] = ()


def answered(extent, maps=None, refused=()):
    """Return the maps that are asked of a model."""

    def attend(layer, head, name, keep):
        if name in refused:
            raise UnsupportedModelError("refused", hint="none")
        return Asked((layer, head, name, keep))

    return attention_of_report(attend, lambda: extent, maps)  # pyright: ignore[reportArgumentType]


def asked(extent, maps=None, refused=()):
    """Return what is asked for of a model, as layer, head, map and keep."""
    return tuple(one.what for one in answered(extent, maps, refused))  # pyright: ignore[reportAttributeAccessIssue]


def test_all_heads_of_a_short_text_are_kept():
    assert asked(Extent(layers=12, heads=12, rows=128, keys=128)) == (
        (-1, "mean", "raw", "rows"),
        ("all", "all", "raw", "rows"),
        ("all", "mean", "rollout", "rows"),
        ("all", "mean", "value_weighted", "rows"),
    )


def test_of_a_longer_text_means_one_layer_and_an_overview():
    extent = Extent(layers=12, heads=12, rows=512, keys=512)
    found = asked(extent, refused=("value_weighted",))
    assert found == (
        (-1, "mean", "raw", "rows"),
        ("all", "mean", "raw", "rows"),
        (-1, "all", "raw", "rows"),
        ("all", "all", "raw", "pooled:8"),
        ("all", "mean", "rollout", "rows"),
    )


def test_nothing_but_the_main_map_is_ever_larger_than_the_bound():
    for extent in (
        Extent(layers=12, heads=12, rows=1024, keys=1024),
        Extent(layers=80, heads=64, rows=4096, keys=4096),
        Extent(layers=48, heads=25, rows=32, keys=700),
    ):
        for layer, head, _, keep in asked(extent)[1:]:
            size = int(keep.partition("pooled:")[2] or 1)
            planes = (extent.layers if layer == "all" else 1) * (extent.heads if head == "all" else 1)
            assert planes * -(-extent.rows // size) * -(-extent.keys // size) <= MOST_CELLS
    assert len(asked(extent)) > 1


def test_a_long_text_says_once_which_maps_are_omitted():
    long = Extent(layers=12, heads=12, rows=513, keys=513)
    words = [one.left_out for one in answered(long)]
    assert words[:-1] == [()] * (len(words) - 1)
    assert words[-1] == (
        "The maps rollout and value_weighted are omitted for texts longer than 512 tokens; "
        "analyze(..., attention=['raw', 'rollout', 'value_weighted']) computes them.",
    )
    assert {one.left_out for one in answered(long, maps=("raw",))} == {()}
    assert {one.left_out for one in answered(Extent(layers=2, heads=2, rows=9, keys=9))} == {()}


def test_a_map_that_cannot_be_read_is_said_to_be_missing():
    extent = Extent(layers=2, heads=2, rows=4, keys=4)
    assert asked(extent, maps=()) == ((-1, "mean", "raw", "rows"),)
    (main,) = answered(extent, maps=("rollout",), refused=("rollout",))
    assert main.left_out == ("The map rollout is omitted: refused",)
    *_, last = answered(extent, refused=("rollout",))
    assert last.left_out == ("The map rollout is omitted: refused",)
    with pytest.raises(UnsupportedModelError):
        asked(extent, refused=("raw",))
    with pytest.raises(InputError):
        sentiment().analyze("Good.", attention=("rolout",), show=False)


def test_layers_with_different_numbers_of_heads_are_kept_as_means():
    extent = Extent(layers=2, heads=4, rows=4, keys=4, is_regular=False)
    maps = answered(extent, refused=("rollout", "value_weighted"))
    assert [one.what for one in maps] == [
        (-1, "mean", "raw", "rows"),
        ("all", "mean", "raw", "rows"),
        (-1, "all", "raw", "rows"),
    ]
    assert any("different numbers of heads" in sentence for sentence in maps[-1].left_out)


def test_a_report_holds_every_head_and_the_switch_has_maps():
    report = sentiment().analyze("A wonderful film.", show=False)
    shapes = [(one.map, one.weights.shape[:2]) for one in report.attention]
    assert shapes == [("raw", (1, 1)), ("raw", (6, 12)), ("rollout", (6, 1)), ("value_weighted", (6, 1))]
    main, heads = report.attention[:2]
    assert abs(heads.matrix(layer=5) - main.matrix()).max() < 1e-6
    assert report.main_attention == (main,)


def test_a_generation_holds_the_rows_of_its_steps():
    from tiny_models import visualizer_of

    visualizer = visualizer_of("llama")
    assert isinstance(visualizer, GenerativeModelVisualizer)
    report = visualizer.analyze("a good film", " a bad film", show=False)
    assert {len(one.queries) for one in report.attention} == {3}
    assert all(one.steps is not None for one in report.attention)
