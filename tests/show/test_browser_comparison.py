"""A comparison's page in a real browser: linked, readable with and without scripts, nothing is loaded."""

import dataclasses

import numpy as np
import pytest
from browsing import NODES, colors_of, containing, eventually, keep_picture, matching
from compared_reports import attribution, classification, words
from sample_comparisons import found, hostile_pair, of_generations
from sample_results import with_heads

from model_understanding import compare
from model_understanding.show.page.document import html_page
from model_understanding.show.shared.colors import contrast, palette

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_without_scripts_both_themes_are_readable_and_drawn(visit, scheme):
    opened = visit(html_page(found()), scheme, java_script_enabled=False)
    page, picture = opened.page, opened.picture()
    assert opened.events == []
    assert tuple(picture[3, 3]) == tuple(int(palette(scheme).background[i : i + 2], 16) for i in (1, 3, 5))
    colors = colors_of(picture)
    held = palette(scheme)
    assert {held.signed(-1), held.supports, held.against, held.unsigned} <= colors
    entries = opened.colors_in_use()
    assert len(entries) > 60
    assert [entry for entry in entries if contrast(*entry[1:]) < 4.5] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1100
    marks = "(e) => getComputedStyle(e, '::before').content + getComputedStyle(e).borderBottomStyle"
    assert page.locator(".mu-aligned .mu-second-only").evaluate(marks) == '"+"solid'
    assert page.locator(".mu-aligned .mu-replaced").first.evaluate(marks) == '"~"dotted'


def test_hostile_text_makes_no_dialog_no_request_and_no_element(visit):
    opened = visit(html_page(hostile_pair()))
    assert opened.events == []
    assert opened.page.locator("script").count() == 2
    for selector in ("img", "b", "iframe", "object", "a", "[onerror]", "[onload]", "main style"):
        assert opened.page.locator(selector).count() == 0, selector
    assert "</script><script>alert(1)</script>" in opened.page.locator("main").inner_text()


def test_right_to_left_texts_stand_on_the_right_and_in_their_order(visit):
    sides = [words(text) for text in ("שלום עולם", "שלום לך עולם")]
    pair = compare(*(classification(side, attribution(side, np.ones(len(side)))) for side in sides))
    spans = (
        visit(html_page(pair), java_script_enabled=False)
        .page.locator(".mu-aligned")
        .nth(1)
        .locator(".mu-text span")
    )
    places = [spans.nth(place).bounding_box()["x"] for place in range(3)]
    assert places == sorted(places, reverse=True)
    assert places[0] > 550


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_pointed_at_in_one_text_is_shown_in_the_other(visit, scheme):
    opened = visit(html_page(found()), scheme)
    page = opened.page
    texts = page.locator(".two-texts .text")
    assert texts.count() == 2
    assert page.locator("[data-plain]").count() == 0
    faces = "(e) => getComputedStyle(e).backgroundColor"
    good, bad = (
        texts.nth(side).locator(".token", has_text=word) for side, word in enumerate(("good", "bad"))
    )
    eventually(lambda: good.evaluate(faces) == bad.evaluate(faces), True)  # one color for one difference
    good.hover()
    eventually(lambda: bad.get_attribute("class"), containing("hovered"))
    tip = page.locator(".tooltip")
    eventually(tip.inner_text, containing("good → bad", "first", "second", "difference", "−10"))
    good.click()
    eventually(lambda: bad.get_attribute("class"), containing("selected"))
    eventually(page.locator(".compared li.selected .bar-label").all_inner_texts, ["~bad"])
    page.keyboard.press("ArrowRight")
    film = texts.nth(1).locator(".token", has_text="film")
    eventually(lambda: film.get_attribute("class"), containing("selected"))
    page.get_by_role("button", name="Each report").click()
    opened.settle()  # on the way from one color to another they differ, too
    eventually(lambda: good.evaluate(faces) != bad.evaluate(faces), True)  # 5 and −5 on one scale
    page.get_by_role("button", name="By difference").click()
    eventually(page.locator(".compared li .bar-label").first.inner_text, "~bad")
    matrix = page.locator("canvas.matrix")
    eventually(lambda: matrix.get_attribute("aria-label"), matching("^Attention, second minus"))
    page.keyboard.press("Escape")
    eventually(page.locator(".token.selected").count, 0)
    keep_picture(opened, f"comparison-{scheme}")
    entries = opened.colors_in_use()
    assert len(entries) > 60
    assert [entry for entry in entries if contrast(*entry[1:]) < 4.5] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1100
    assert opened.events == []


def test_a_produced_token_chooses_its_target_and_keys_move_layer_and_head(visit):
    opened = visit(html_page(of_generations()))
    page = opened.page
    page.locator("label.picker", has_text="Attribution").locator("select").select_option(index=1)
    page.locator(".two-texts .text").nth(1).locator(".token", has_text="wisdom").click()
    target = page.locator("label.picker", has_text="Target").locator("select")
    eventually(target.locator("option:checked").inner_text, containing("wisdom"))
    title = page.locator("#differences-title")
    before = title.inner_text()
    page.keyboard.press("[")
    eventually(lambda: title.inner_text() != before, True)
    page.keyboard.press("h")
    eventually(title.inner_text, matching("head 0$"))
    assert opened.events == []


def test_two_texts_of_128_tokens_are_few_elements(visit):
    first = with_heads(128, causal=False, layers=2)
    scores = first.attributions[0].scores[:, ::-1]
    second = dataclasses.replace(
        first, attributions=(dataclasses.replace(first.attributions[0], scores=scores),)
    )
    html = html_page(compare(first, second))
    assert len(html) < 2e6
    opened = visit(html)
    opened.page.locator("canvas.matrix[aria-label]").wait_for()
    assert opened.page.evaluate(NODES) < 2000
    assert opened.events == []
