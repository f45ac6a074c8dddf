"""One hostile report through every renderer: what is text stays text."""

import io
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
from drawn_pictures import drawn_texts
from page_elements import HTML, STYLE, Elements, hidden
from rich.console import Console
from sample_results import HOSTILE, hostile

from model_understanding.results import Report
from model_understanding.show.figures.report import figure_bytes, report_figure
from model_understanding.show.page.document import html_fragment, html_page
from model_understanding.show.terminal.report import print_report
from model_understanding.tokens import visible_text

SVG = {"svg", "defs", "g", "path", "use", "clipPath", "rect", "image", "pattern", "metadata", "style"}
SVG |= {"RDF", "Work", "type", "creator", "Agent", "title", "date", "format", "filter", "feComposite"}


@pytest.fixture(scope="module")
def report() -> Report:
    return hostile()


@pytest.fixture(scope="module", params=[html_page, html_fragment])
def page(request, report) -> str:
    return request.param(report)


def test_a_page_has_no_element_and_no_attribute_of_theirs(page):
    elements = Elements(page)
    assert set(elements.tags) <= HTML
    assert not [name for name, _ in elements.attributes if name.startswith("on")]
    assert not [name for name, _ in elements.attributes if name in ("src", "srcdoc", "action", "xmlns")]
    links = [value for name, value in elements.attributes if name in ("href", "xlink:href")]
    assert all(value.startswith(("#", "data:image/png;base64,")) for value in links)


def test_styles_of_elements_are_colors_and_lengths_of_ours(page):
    styles = [value for name, value in Elements(page).attributes if name == "style"]
    assert styles
    assert [style for style in styles if not STYLE.fullmatch(style)] == []
    for text in ("background-color:url(//x)", "color:red;}", "width:expression(1)", "color:red<"):
        assert not STYLE.fullmatch(text)


def test_a_page_says_every_hostile_string_as_text(page):
    words = "".join(Elements(page).words)
    for text in HOSTILE:
        assert visible_text(text) in words
    assert not hidden(page)
    assert page.count("</script") == 2


def test_a_page_has_the_elements_of_the_same_report_with_harmless_strings(report):
    names: dict[str, int] = {}

    def plain(value: object) -> object:
        if isinstance(value, dict):
            fixed = ("type", "texts", "quantity", "reduce", "problem")
            return {plain(k) if k in HOSTILE else k: v if k in fixed else plain(v) for k, v in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        if isinstance(value, str) and any(text in value for text in HOSTILE):
            return f"harmless {names.setdefault(value, len(names))}"
        return value

    harmless = Report.from_json(json.dumps(plain(report.to_dict())))
    assert outline(html_page(harmless)) == outline(html_page(report))


def outline(page: str) -> list[str]:
    """Return the elements outside the pictures, in order."""
    without_pictures = re.sub(r"<figure.*?</figure>", "<figure>", page, flags=re.DOTALL)
    return [tag for tag in Elements(without_pictures).tags if tag != "title"]


def test_styles_stay_within_the_one_class(page):
    css = re.findall(
        r"<style>(.*?)</style>", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL), re.DOTALL
    )
    assert len(css) == 1
    assert "url(" not in css[0]
    assert "@import" not in css[0]
    without_media = re.sub(r"@media[^{]*\{(.*?\})\s*\}", r"\1", css[0], flags=re.DOTALL)
    for rule in re.findall(r"([^{}]+)\{[^{}]*\}", without_media):
        for selector in rule.split(","):
            assert ".model-understanding" in selector, selector


def test_a_page_has_no_ids_that_could_meet_across_fragments(page):
    assert not [value for name, value in Elements(page).attributes if name == "id"]


@pytest.fixture(scope="module")
def figure(report):
    return report_figure(report)


def test_svg_has_no_element_of_theirs(figure):
    picture = figure_bytes(figure, "svg")
    assert len(picture) > 10_000
    root = ElementTree.fromstring(picture)
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= SVG
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]


def test_pictures_draw_them_as_text(figure):
    words = [text.get_text() for text in drawn_texts(figure)]
    assert not hidden("".join(words))
    assert "$x^2_{\\frac$" in words
    assert any("<script>" in word for word in words)


@pytest.mark.parametrize("kind", ["png", "pdf"])
def test_pictures_of_pixels_and_pages_are_drawn(figure, kind):
    assert len(figure_bytes(figure, kind)) > 10_000


@pytest.mark.parametrize("colors", [None, "truecolor"])
def test_the_terminal_gets_no_control_character_of_theirs(report, colors):
    file = io.StringIO()
    print_report(
        report, Console(file=file, force_terminal=colors is not None, color_system=colors, width=120)
    )
    ours = re.compile(r"\x1b\[[0-9;]*m")
    said = ours.sub("", file.getvalue())
    assert not hidden(said)
    assert "[bold red]markup[/bold red]" in said
    assert "␛[31mred␛]0;title␇" in said
    assert "\\u202egnp.exe" in said


def test_what_would_have_hidden_is_seen_by_these_tests():
    assert hidden("a\u202eb\x1b") == {"\u202e", "\x1b"}
    assert "script" in Elements("<p><script>x</script>").tags
