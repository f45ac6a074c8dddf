"""A comparison's page in a real browser: readable in both themes, and nothing runs or is loaded."""

import numpy as np
import pytest

from model_understanding import compare
from model_understanding.show.colours import contrast, palette
from model_understanding.show.comparison_page import comparison_page
from results.reports import attribution, classification, words

from .test_browser import AXE, COLOURS_IN_USE, as_hex
from .test_comparison_page import found, hostile_pair

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_are_readable_and_drawn(visit, scheme):
    opened = visit(comparison_page(found()), scheme, bypass_csp=AXE.exists())
    page, picture = opened.page, opened.picture()
    assert opened.events == []
    assert tuple(picture[3, 3]) == tuple(int(palette(scheme).background[i : i + 2], 16) for i in (1, 3, 5))
    colours = {f"#{r:02x}{g:02x}{b:02x}" for r, g, b in np.unique(picture.reshape(-1, 3), axis=0)}
    held = palette(scheme)
    assert {held.signed(-1), held.supports, held.against, held.unsigned} <= colours
    entries = page.evaluate(COLOURS_IN_USE)
    assert len(entries) > 60
    assert [entry for entry in entries if contrast(as_hex(entry[1]), as_hex(entry[2])) < 4.5] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1100
    marks = "(e) => getComputedStyle(e, '::before').content + getComputedStyle(e).borderBottomStyle"
    assert page.locator(".mu-aligned .mu-second-only").evaluate(marks) == '"+"solid'
    assert page.locator(".mu-aligned .mu-replaced").first.evaluate(marks) == '"~"dotted'
    if AXE.exists():
        page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
        violations = page.evaluate("async () => (await axe.run()).violations")
        assert [one["id"] for one in violations if one["impact"] in ("serious", "critical")] == []


def test_hostile_text_makes_no_dialog_no_request_and_no_element(visit):
    opened = visit(comparison_page(hostile_pair()))
    assert opened.events == []
    for selector in ("script", "img", "b", "iframe", "object", "a", "[onerror]", "[onload]", "main style"):
        assert opened.page.locator(selector).count() == 0, selector
    assert "</script><script>alert(1)</script>" in opened.page.locator("main").inner_text()


def test_right_to_left_texts_stand_on_the_right_and_in_their_order(visit):
    sides = [words(text) for text in ("שלום עולם", "שלום לך עולם")]
    pair = compare(*(classification(side, attribution(side, np.ones(len(side)))) for side in sides))
    spans = visit(comparison_page(pair)).page.locator(".mu-aligned").nth(1).locator(".mu-text span")
    places = [spans.nth(place).bounding_box()["x"] for place in range(3)]
    assert places == sorted(places, reverse=True)
    assert places[0] > 550
