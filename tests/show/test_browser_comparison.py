"""A comparison's page in a real browser: linked, readable with and without scripts, nothing is loaded."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from browsing import NODES, containing, eventually, keep_picture, matching
from compared_reports import attention, attribution, classification, words
from sample_comparisons import found, hostile_pair, of_generations
from sample_results import with_heads

from model_understanding import compare
from model_understanding.show.page.document import html_page
from model_understanding.show.shared.colors import contrast, palette

pytestmark = pytest.mark.browser

FACE = "(e) => getComputedStyle(e).backgroundColor"
BELOW = "(e) => e.getBoundingClientRect().bottom"
NOTHING = "rgba(0, 0, 0, 0)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_without_scripts_both_themes_are_readable_and_drawn(visit, scheme):
    opened = visit(html_page(found()), scheme, java_script_enabled=False)
    page, picture = opened.page, opened.picture()
    assert opened.events == []
    assert tuple(picture[3, 3]) == tuple(int(palette(scheme).background[i : i + 2], 16) for i in (1, 3, 5))
    good, bad = (
        page.locator(".mu-aligned").nth(side).locator("span", has_text=word)
        for side, word in enumerate(("good", "bad"))
    )
    assert good.last.evaluate(FACE) == bad.last.evaluate(FACE) != NOTHING
    assert page.evaluate("document.documentElement.scrollWidth") <= 1100


def test_hostile_text_makes_no_dialog_no_request_and_no_element(visit):
    opened = visit(html_page(hostile_pair()))
    assert opened.events == []
    assert opened.page.locator("script").count() == 2
    for selector in ("img", "b", "iframe", "object", "a", "[onerror]", "[onload]", "main style"):
        assert opened.page.locator(selector).count() == 0, selector
    assert "</script><script>alert(1)</script>" in opened.page.locator("main").inner_text()


def test_right_to_left_texts_stand_on_the_right_and_in_their_order(visit):
    sides = [words(text) for text in ("שלום עולם", "שלום לך עולם")]
    pair = compare(*(classification(side, attribution(side, np.arange(len(side)))) for side in sides))
    page = visit(html_page(pair)).page
    spans = page.locator(".two-texts .text").nth(1).locator(".token")
    places = [spans.nth(place).bounding_box()["x"] for place in range(3)]
    assert places == sorted(places, reverse=True)
    assert places[0] > 350


@pytest.mark.parametrize("size", [(1400, 900), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_first_screen_has_the_answers_why_both_texts_and_the_largest_differences(visit, size, scheme):
    text = "The plot is thin, but the acting is good and the ending is wonderful, so I liked it a lot."
    scores = np.linspace(-1, 1, len(text.split()))
    sides = [
        classification(tokens := words(of_side), attribution(tokens, values), positive=share)
        for of_side, values, share in (
            (text, scores, 0.97),
            (text.replace("good", "bad"), np.where(np.arange(len(scores)) == 8, -2, scores), 0.12),
        )
    ]
    opened = visit(html_page(compare(*sides)), scheme)
    page = opened.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    answers = page.locator("h1.change").inner_text().split()
    assert answers == ["positive", "97.0", "%", "→", "becomes", "negative", "88.0", "%"]
    assert page.locator(".why-words strong").all_inner_texts() == ["good", "bad"]
    for element in (page.locator(".two-texts .text").nth(1), page.locator(".top-changes .changes")):
        assert element.evaluate(BELOW) < size[1]
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.locator(".drawer[open]").count() == 0
    keep_picture(opened, f"comparison-{size[0]}-{scheme}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_pointed_at_in_one_text_is_shown_in_the_other(visit, scheme):
    opened = visit(html_page(found()), scheme)
    page = opened.page
    texts = page.locator(".two-texts .text")
    assert texts.count() == 2
    assert page.locator("[data-plain]").count() == 0
    good, bad = (
        texts.nth(side).locator(".token", has_text=word) for side, word in enumerate(("good", "bad"))
    )
    eventually(lambda: good.evaluate(FACE) == bad.evaluate(FACE), True)  # one color for one difference
    good.hover()
    eventually(lambda: bad.get_attribute("class"), containing("hovered"))
    tip = page.locator(".tooltip")
    eventually(tip.inner_text, containing("good → bad", "first", "second", "difference", "−10", "50.0 %"))
    good.click()
    eventually(lambda: bad.get_attribute("class"), containing("selected"))
    eventually(page.locator(".top-changes li.selected .bar-label").all_inner_texts, ["good → bad"])
    page.keyboard.press("ArrowRight")
    film = texts.nth(1).locator(".token", has_text="film")
    eventually(lambda: film.get_attribute("class"), containing("selected"))
    page.get_by_role("button", name="Each report").click()
    opened.settle()  # on the way from one color to another they differ, too
    eventually(lambda: good.evaluate(FACE) != bad.evaluate(FACE), True)  # 5 and −5 on one scale
    page.keyboard.press("Escape")
    eventually(page.locator(".token.selected").count, 0)
    for title in ("Every word", "Where attention differs", "Outputs", "Provenance"):
        page.locator(".drawer summary", has_text=title).click()
    matrix = page.locator(".matrix-and-cells canvas.matrix")
    eventually(lambda: matrix.get_attribute("aria-label"), matching("^Attention, second minus"))
    opened.settle()
    entries = opened.colors_in_use()
    assert len(entries) > 60
    assert [entry for entry in entries if contrast(*entry[1:]) < 4.5] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1100
    assert opened.events == []


def test_differences_of_a_millionth_have_no_color(visit):
    tokens, scores = words("a good thin film"), np.array([1, 5, -4, 2])
    noisy = scores + 1e-6 * np.array([1, -1, 1, -1])
    pair = compare(*(classification(tokens, attribution(tokens, values)) for values in (scores, noisy)))
    page = visit(html_page(pair)).page
    faces = page.locator(".two-texts .token").evaluate_all("(all) => all.map((e) => e.style.background)")
    assert set(faces) == {""}
    assert page.locator(".why-words").inner_text().startswith("No difference")
    assert page.locator(".top-changes li").count() == 0


def test_the_largest_change_is_a_click_away_from_the_cell_that_shows_it(visit):
    first = with_heads(12, causal=True, layers=2)
    (shown,) = first.attention
    changed = shown.weights.copy()
    changed[1, 3, 5, :6] = [0, 0, 1, 0, 0, 0]
    second = dataclasses.replace(first, attention=(dataclasses.replace(shown, weights=changed),))
    comparison = compare(first, second)
    page = visit(html_page(comparison)).page
    line = page.locator(".largest")
    number = re.search(r"\(([^ ]*) points\)", line.inner_text())[1]
    assert number.strip("+−") == f"{100 * comparison.change:.1f}"
    line.get_by_role("button", name="Show").click()
    title = page.locator(".attention-drawer h3").nth(1)
    eventually(title.inner_text, matching("layer .*, head 3$"))
    cells = page.locator(".cells li strong")
    eventually(lambda: float(cells.first.inner_text().split()[0].replace("−", "-").lstrip("+-")) > 0, True)
    shown_value = float(cells.first.inner_text().split()[0].replace("−", "-"))
    assert abs(abs(shown_value) - 100 * comparison.change) < 1  # rounded for display, which the page says


def test_a_head_of_the_overview_shows_its_matrix(visit):
    first = with_heads(12, causal=True, layers=2)
    (shown,) = first.attention
    second = dataclasses.replace(
        first, attention=(dataclasses.replace(shown, weights=shown.weights[:, ::-1]),)
    )
    page = visit(html_page(compare(first, second))).page
    page.locator(".drawer summary", has_text="Where attention differs").click()
    overview = page.locator("canvas.heads")
    overview.wait_for()
    title = page.locator(".attention-drawer h3").nth(1)
    eventually(title.inner_text, matching("mean over layers, mean over heads$"))
    overview.click(position={"x": 64 + 22 * 4.5, "y": 20 + 22 * 1.5})
    eventually(title.inner_text, matching("layer .*, head 4$"))
    page.keyboard.press("[")
    page.keyboard.press("h")
    eventually(title.inner_text, matching("head 5$"))


def test_a_produced_token_chooses_its_target(visit):
    opened = visit(html_page(of_generations()))
    page = opened.page
    page.locator("label.picker", has_text="Attribution").locator("select").select_option(index=1)
    page.locator(".two-texts .text").nth(1).locator(".token", has_text="wisdom").click()
    target = page.locator("label.picker", has_text="Target").locator("select")
    eventually(target.locator("option:checked").inner_text, containing("wisdom"))
    assert opened.events == []


def test_search_finds_words_of_both_texts_and_help_opens(visit):
    page = visit(html_page(found())).page
    page.keyboard.press("/")
    page.keyboard.type("in")
    eventually(page.locator(".search-box .note").inner_text, "1 match")
    eventually(page.locator(".token.match").all_inner_texts, ["indeed"])
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    eventually(page.locator("dialog.help").is_visible, True)


def test_a_view_is_kept_in_the_address(visit):
    opened = visit(html_page(found()))
    page = opened.page
    page.get_by_role("button", name="Each report").click()
    page.locator(".drawer summary", has_text="Outputs").click()
    eventually(lambda: page.evaluate("location.hash"), containing("shown=scores", "open=outputs"))
    page.evaluate("location.hash = '#shown=difference&focus=1'")
    eventually(page.locator(".token.selected").first.inner_text, "good")


@pytest.mark.parametrize("format", ["CSV", "SVG"])
def test_the_differences_are_exported(visit, format):
    page = visit(html_page(found()), accept_downloads=True).page
    page.get_by_label("Export comparison").first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name=format, exact=True).click()
    content = Path(download.value.path()).read_text(encoding="utf-8")
    assert "good" in content
    assert "bad" in content
    if format == "CSV":
        assert "replaced,good,bad,5,-5,-10" in content
    else:
        assert "positive 90.0 % → positive 65.0 %" in content
        assert "−10" in content


def test_two_texts_of_128_tokens_are_few_elements(visit):
    first = with_heads(128, causal=False, layers=2)
    scores = first.attributions[0].scores[:, ::-1]
    second = dataclasses.replace(
        first, attributions=(dataclasses.replace(first.attributions[0], scores=scores),)
    )
    html = html_page(compare(first, second))
    assert len(html) < 2e6
    opened = visit(html)
    opened.page.locator(".changes li").first.wait_for()
    assert opened.page.evaluate(NODES) < 2000
    assert opened.events == []


def test_weights_that_are_no_shares_are_numbers(visit):
    tokens = words("a good film")
    maps = [
        attention(tokens, scale * attention(tokens).weights, map="value_weighted") for scale in (1.0, 6.29)
    ]
    pair = compare(*(classification(tokens, attention=(one,)) for one in maps))
    page = visit(html_page(pair)).page
    page.locator(".drawer summary", has_text="Where attention differs").click()
    cells = page.locator(".cells li")
    eventually(cells.first.inner_text, containing("+5.29"))
    assert "%" not in "".join(cells.all_inner_texts())
