"""Every picture, of every length and theme: nothing overlaps, is cut off, faint, or lacks its glyphs."""

import matplotlib
import pytest
from drawn_pictures import drawing_of, drawn_texts, overlaps
from matplotlib import pyplot
from matplotlib.figure import Figure
from sample_results import (
    MANY_SCRIPTS,
    attention,
    attribution,
    classification,
    generation,
    hostile,
    text_of,
    tokens_of,
)

from model_understanding.show.figures.report import attention_axes, report_figure, saliency_axes

THEMES = ("light", "dark")
LENGTHS = (1, 3, 12, 40, 60, 200)
# What stands where is the same in both themes; colors are compared at these lengths.
IN_BOTH_THEMES = (12, 60)
EVERY_LENGTH = [
    pytest.param(
        count,
        theme,
        marks=[] if theme == "light" or count in IN_BOTH_THEMES else [pytest.mark.full],
        id=f"{count}-{theme}",
    )
    for count in LENGTHS
    for theme in THEMES
]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


def assert_is_clean(figure: Figure) -> None:
    drawing = drawing_of(figure)  # a missing glyph is a warning, and warnings are errors
    assert drawing.texts
    assert drawing.overlaps() == []
    assert drawing.outside() == []
    assert drawing.faint() == []


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(("count", "theme"), EVERY_LENGTH)
def test_saliency_is_clean_at_every_length(count, theme, signed):
    axes = saliency_axes(attribution(tokens_of(text_of(count)), signed=signed), theme=theme)
    assert_is_clean(axes.figure)


@pytest.mark.parametrize(("count", "theme"), EVERY_LENGTH)
def test_attention_is_clean_at_every_length(count, theme):
    tokens = tokens_of(text_of(count))
    axes = attention_axes(attention(tokens, causal=count % 2 == 0, sink=0), theme=theme)
    assert_is_clean(axes.figure)


def test_attention_over_600_tokens_thins_its_labels_and_says_so():
    axes = attention_axes(attention(tokens_of(text_of(600))))
    assert_is_clean(axes.figure)
    assert "every 3rd token is labeled" in axes.get_xlabel()
    assert len(axes.get_yticklabels()) == 201


@pytest.mark.parametrize(
    ("level", "theme"),
    [
        *((level, "light") for level in ("token", "character", "word", "sentence")),
        ("word", "dark"),
    ],
)
def test_emoji_hebrew_arabic_and_chinese_are_clean(level, theme):
    tokens = tokens_of(MANY_SCRIPTS, splits_emoji=True)
    assert_is_clean(saliency_axes(attribution(tokens), level=level, theme=theme).figure)
    assert_is_clean(attention_axes(attention(tokens), level=level, theme=theme).figure)


def test_a_glyph_that_no_font_holds_would_have_failed_these_tests():
    figure = Figure()
    figure.text(0.1, 0.5, "\U0001f469", fontfamily="DejaVu Sans")
    with pytest.raises(UserWarning, match="missing from font"):
        drawn_texts(figure)


REPORTS = {
    "cautions": lambda: classification(
        cautions=["untrained head: this explains random weights", "a second caution " * 12]
    ),
    "unsigned": lambda: classification(signed=False),
    "generation": generation,
    "long generation": lambda: generation(64, 36),
    "hostile": hostile,
}


@pytest.mark.parametrize(
    ("report", "theme"),
    [
        *((name, "light") for name in REPORTS),
        *(
            pytest.param(name, "dark", marks=[] if name in ("unsigned", "generation") else [pytest.mark.full])
            for name in REPORTS
        ),
    ],
)
def test_report_figures_are_clean(report, theme):
    assert_is_clean(report_figure(REPORTS[report](), theme=theme))


@pytest.mark.parametrize("count", [8, 40, 200])
@pytest.mark.parametrize("size", [(8, 4), (12, 5)])
def test_pictures_fit_axes_that_the_user_made(size, count):
    tokens = tokens_of(text_of(count))
    figure = Figure(figsize=size, layout="constrained")
    left, right = figure.subplots(1, 2)
    saliency_axes(attribution(tokens), ax=left)
    attention_axes(attention(tokens), ax=right)
    drawn_texts(figure)
    for axes in (left, right):
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            assert overlaps(labels) == []


def test_the_users_matplotlib_settings_and_figures_stay_as_they_are():
    matplotlib.rcParams["font.size"] = 23.0
    try:
        before = dict(matplotlib.rcParams)
        mine = pyplot.figure()
        report_figure(classification())
        report_figure(generation(), theme="dark")
        assert dict(matplotlib.rcParams) == before
        assert pyplot.get_fignums() == [mine.number]
        axes = saliency_axes(classification().attributions[0])
        assert pyplot.get_fignums() == [mine.number, axes.figure.number]
        assert {text.get_fontsize() for text in axes.get_xticklabels()} == {9.5}
        assert dict(matplotlib.rcParams) == before
    finally:
        matplotlib.rcParams["font.size"] = matplotlib.rcParamsDefault["font.size"]
