import pytest
from drawn_pictures import drawn_texts
from matplotlib import pyplot
from sample_results import attention, attribution, classification, tokens_of

from model_understanding.show.figures import fonts
from model_understanding.show.figures.report import attention_axes, report_figure, saliency_axes


@pytest.fixture
def only_the_house_font(monkeypatch):
    """A machine with no font but the one that matplotlib brings."""
    monkeypatch.setattr(fonts, "_usable_families", lambda: (fonts.BASE_FAMILY,))
    monkeypatch.setattr(fonts, "_uncached_files", tuple)
    fonts._family_with.cache_clear()
    yield
    fonts._family_with.cache_clear()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain $x^2$ and שלום", "plain $x^2$ and שלום"),
        ("中", "\\u4e2d"),
        ("👩‍👩‍👧", ":woman+woman+girl:"),
        ("a␛[31m", "a\\x1b[31m"),
        ("👍🏽", ":thumbs up sign:"),
        ("🇩🇪", ":flag DE:"),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", ":flag gbeng:"),
        ("\u0301", "◌\u0301"),
    ],
)
def test_what_has_no_glyph_gets_a_name(only_the_house_font, text, expected):
    assert fonts.drawable(text) == expected


def test_a_system_font_is_used_where_it_holds_the_glyph():
    found = fonts.families("a中")
    assert found[0] == fonts.BASE_FAMILY
    if len(found) == 1:
        pytest.skip("no Chinese font on this machine")
    assert fonts.drawable("中") == "中"


def test_right_to_left_runs_are_reversed_for_a_matplotlib_that_does_not(monkeypatch):
    monkeypatch.setattr(fonts, "_ORDERS_TEXT_ITSELF", False)
    assert fonts.drawable("logit of אבג") == "logit of גבא"
    assert fonts.drawable("בָּא") == "אבָּ", "marks stay on their letter"
    assert fonts.drawable("abc 123") == "abc 123"


def test_fonts_that_claim_every_character_are_left_aside():
    assert not [name for name in fonts._usable_families() if "Last" in name]


def test_a_label_with_names_is_cut_between_them(only_the_house_font):
    assert fonts.drawable("中文字", 10) == "\\u4e2d…"
    assert fonts.drawable("plain", 10) == "plain"


def test_one_line_names_the_scripts_without_a_font_and_what_to_install(only_the_house_font):
    note = fonts.missing_fonts_note(["電影 film", "かな", "नमस्ते", "😀 plain"])
    assert note == (
        "No font for CJK and Devanagari, shown as \\u…: install Noto Sans CJK and Noto Sans Devanagari "
        "(model-understanding doctor says how)."
    )
    assert fonts.missing_fonts_note(["plain 😀 שלום"]) == ""


def test_every_plot_has_that_line_once(only_the_house_font):
    tokens = tokens_of("電影 film")
    figures = [
        saliency_axes(attribution(tokens)).figure,
        attention_axes(attention(tokens)).figure,
        attention_axes(attention(tokens), view="arcs").figure,
    ]
    for figure in figures:
        words = " ".join(" ".join(text.get_text().split()) for text in drawn_texts(figure))
        assert words.count("No font for CJK") == 1
    words = " ".join(text.get_text() for text in drawn_texts(report_figure(classification(tokens))))
    assert "No font for CJK" in words
    pyplot.close("all")


def test_a_font_that_is_installed_but_not_in_the_cache_is_found_and_used(monkeypatch):
    manager = fonts.font_manager.fontManager
    base = [entry for entry in manager.ttflist if entry.name == fonts.BASE_FAMILY]
    files = [entry.fname for entry in base if entry.style == "normal"]
    monkeypatch.setattr(fonts.font_manager, "findSystemFonts", lambda: files)
    monkeypatch.setattr(manager, "ttflist", [])
    caches = (fonts._family_with, fonts._usable_families, fonts._faces, fonts._uncached_files)
    for cache in caches:
        cache.cache_clear()
    try:
        assert fonts.uncached_font("а") in files
        assert fonts.drawable("фильм") == "фильм"
        assert {entry.name for entry in manager.ttflist} == {fonts.BASE_FAMILY}
    finally:
        for cache in caches:
            cache.cache_clear()
