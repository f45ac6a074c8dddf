import pytest

from model_understanding.show.figures import fonts


@pytest.fixture
def only_the_house_font(monkeypatch):
    """A machine with no font but the one that matplotlib brings."""
    monkeypatch.setattr(fonts, "_usable_families", lambda: (fonts.BASE_FAMILY,))
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
