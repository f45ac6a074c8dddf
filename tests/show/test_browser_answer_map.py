"""The page of an answer map in a real browser: statements and sources light each other."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from browsing import containing, eventually, keep_picture
from sample_answer_maps import ANSWER_MAPS, answer_map, large
from sample_results import HOSTILE

from model_understanding.show.page.document import html_fragment, html_page
from model_understanding.show.views.answer_map import headline
from model_understanding.show.views.sourced_answer import SourcedAnswer, likelihood_words, nats

pytestmark = pytest.mark.browser

VERDICT = "[data-role=verdict]"


def verdict(shown, statement: int) -> str:
    return "".join(text for text, _ in SourcedAnswer(shown).statements[statement].verdict)


def statement(page, index: int):
    return page.locator(f".statement[data-statement='{index}']")


def colored(page, selector: str) -> list[str]:
    return page.locator(f"{selector}[data-face]").all_inner_texts()


@pytest.mark.parametrize("name", ANSWER_MAPS)
@pytest.mark.parametrize("size", [(1400, 900), (390, 844)])
def test_every_answer_map_is_drawn_without_a_fault_or_a_request(visit, name, size):
    shown = ANSWER_MAPS[name]()
    opened = visit(html_page(shown), viewport={"width": size[0], "height": size[1]})
    opened.open_everything()
    assert opened.events == []
    assert opened.page.locator("h1").inner_text() == headline(shown)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    keep_picture(opened, f"answer-map-{name.replace(' ', '-')}-{size[0]}")


def test_what_rests_on_nothing_is_said_and_not_only_colored(visit):
    page = visit(html_page(answer_map())).page
    marks = page.locator(".marks").all_inner_texts()
    assert marks == ["[1]", "[2]", "∅ no source"]
    assert statement(page, 2).evaluate("(e) => getComputedStyle(e).textDecorationStyle") == "dashed"
    assert "not “is supported by”" in page.locator("header").inner_text()


def test_a_statement_lights_its_source_and_is_explained(visit):
    shown = answer_map()
    page = visit(html_page(shown)).page
    assert colored(page, ".sentence") == ["It was opened in 1931.", "It is 381 kilometers long."]
    statement(page, 1).hover()
    eventually(lambda: colored(page, ".sentence"), ["It is 381 kilometers long."])
    eventually(page.locator(".source-card.lit .source-name").all_inner_texts, ["river.txt"])
    page.mouse.move(2, 2)
    eventually(page.locator(".source-card.lit").count, 0)
    statement(page, 1).click()
    eventually(page.locator(VERDICT).inner_text, verdict(shown, 1))
    effect = shown.statements[1].sources[0].effect
    line = page.locator(".why-part .effects").inner_text()
    assert nats(effect) in line
    assert likelihood_words(effect) in line
    assert "It is 381 kilometers long." in line
    eventually(lambda: page.evaluate("location.hash"), "#statement=1")
    page.keyboard.press("Escape")
    eventually(page.locator(VERDICT).count, 0)


def test_a_source_lights_its_statements_and_colors_words_by_its_effect(visit):
    page = visit(html_page(answer_map())).page
    page.locator(".source-head", has_text="river.txt").hover()
    eventually(page.locator(".statement.lit").all_inner_texts, ["and the river is 381 kilometers long."])
    words = ["and", "the", "river", "is", "381", "kilometers", "long."]
    eventually(lambda: colored(page, ".said .token"), words)
    page.locator(".source-head", has_text="market.txt").hover()
    eventually(lambda: colored(page, ".said .token"), [])
    eventually(page.locator(".answer-part .legend").inner_text, containing("Without", "market.txt"))
    page.locator(".sentence", has_text="It was opened in 1931.").hover()
    eventually(lambda: colored(page, ".said .token"), ["The", "museum", "was", "opened", "in", "1931,"])


def test_the_keyboard_does_what_the_pointer_does(visit):
    shown = ANSWER_MAPS["all origins"]()
    page = visit(html_page(shown)).page
    page.keyboard.press("n")
    eventually(page.locator(VERDICT).inner_text, verdict(shown, 0))
    page.keyboard.press("u")
    eventually(page.locator(VERDICT).inner_text, verdict(shown, 2))
    page.keyboard.press("p")
    eventually(page.locator(VERDICT).inner_text, verdict(shown, 1))
    statement(page, 1).focus()
    page.keyboard.press("ArrowLeft")
    eventually(page.locator(".source-card.lit .source-name").all_inner_texts, ["museum.txt"])
    page.keyboard.press("Enter")
    eventually(page.locator(VERDICT).inner_text, verdict(shown, 0))
    assert page.locator(".statement[tabindex='0']").count() == 1
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    eventually(page.locator(".source-head[aria-pressed=true]").all_inner_texts, [containing("museum.txt")])
    page.keyboard.press("s")
    eventually(page.locator(".statement.lit").all_inner_texts, ["and the river is 381 kilometers long."])


def test_a_cell_opens_into_sentences_with_their_effects(visit):
    shown = answer_map()
    page = visit(html_page(shown)).page
    page.locator(".effect-cell").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    opened = page.locator("[data-view=opened]")
    eventually(opened.locator("h3").inner_text, "Sentences of [2] river.txt: effect on statement 2")
    part = shown.statements[1]
    rows = [shown.sentence_effects[row, part.first : part.last].sum() for row in shown.sentence_rows(1)]
    assert opened.locator("strong").all_inner_texts() == [nats(float(each)) for each in sorted(rows)[::-1]]
    eventually(lambda: page.evaluate("location.hash"), "#statement=1&source=1")
    assert page.locator(".effect-cell[aria-pressed=true]").inner_text() == nats(
        float(shown.statement_effects()[1, 1])
    )


def test_estimates_do_not_look_like_what_was_measured(visit):
    page = visit(html_page(ANSWER_MAPS["screened"]())).page
    eventually(page.locator(".sources-part .legend").inner_text, containing("estimated, not measured"))
    faces = dict(
        page.locator(".sentence[data-face]").evaluate_all(
            "(all) => all.map((e) => [e.textContent, getComputedStyle(e).backgroundImage.slice(0, 9)])"
        )
    )
    assert faces["Entry is free on Sundays."] == "repeating"
    assert faces["It was opened in 1931."] == "none"
    page.locator(".sentence", has_text="Entry is free").hover()
    estimate = float(ANSWER_MAPS["screened"]().screened_effects[:, 2].max())
    eventually(
        page.locator(".tooltip").inner_text, containing(f"estimated effect {nats(estimate)}", "an estimate")
    )
    card = page.locator(".source-card", has_text="market.txt")
    eventually(card.inner_text, containing("Only the whole source was removed"))
    page.locator(".effect-cell").first.click()
    opened = page.locator("[data-view=opened]")
    eventually(lambda: opened.locator("strong").all_inner_texts()[1:], [containing("≈ ")] * 2)
    assert "not removed by themselves" in opened.inner_text()


@pytest.mark.parametrize("name", ["town", "screened", "in groups", "right to left", "large"])
def test_the_table_is_exported_with_its_numbers(visit, name):
    shown = ANSWER_MAPS[name]()
    opened = visit(html_page(shown))
    page = opened.page

    def taken(choice: str) -> str:
        page.locator(".matrix-part .menu summary").click()
        with page.expect_download() as download:
            page.locator(".matrix-part .menu[open] button", has_text=choice).click()
        return Path(download.value.path()).read_text(encoding="utf-8")

    table = shown.to_dataframe()
    rows = list(csv.DictReader(io.StringIO(taken("CSV"))))
    assert [row["sentence"].strip() for row in rows] == table["sentence"].fillna("").tolist()
    for column in ("effect", "screened"):
        sizes = [float(row[column] or "nan") for row in rows]
        np.testing.assert_allclose(sizes, table[column].astype(float), atol=0.006)
    assert [row["attributed"] == "true" for row in rows] == table["attributed"].tolist()
    content = json.loads(taken("JSON"))
    assert content["answer"] == shown.answer
    assert [row["statement"] for row in content["rows"]] == (table["statement"] + 1).tolist()
    picture = ElementTree.fromstring(taken("SVG"))
    words = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    drawn = page.locator(".effect-cell").all_inner_texts()
    assert [word for word in words if word in set(drawn)] == drawn
    assert opened.events == []


def test_what_is_only_known_of_a_group_is_called_an_estimate_everywhere(visit):
    shown = ANSWER_MAPS["in groups"]()
    page = visit(html_page(shown)).page
    page.get_by_role("button", name="All 4 sources").click()
    page.locator(".effect-cell[data-statement='2'][data-source='3']").click()
    size = f"≈ {nats(float(shown.screened_source_effects[2, 3]))}"
    eventually(page.locator(".why-part .effects").inner_text, containing(size, "about", "an estimate"))
    page.mouse.move(2, 2)
    eventually(page.locator(".answer-part .legend").inner_text, containing("garden.md", "was not measured"))


def test_a_hundred_sources_are_folded_searched_and_listed(visit):
    shown = large()
    page = visit(html_page(shown), viewport={"width": 1400, "height": 900}).page
    assert page.locator(".sources-part > .source-card").count() == 5
    assert page.locator(".other-sources .source-card").count() == 95
    assert not page.locator(".other-sources .source-card").first.is_visible()
    first = page.locator(".source-card").first
    assert "… 19 sentences …" in first.inner_text()
    first.get_by_role("button", name="Show 19 more sentences").click()
    eventually(first.locator(".sentence").first.inner_text, "Chapter 0 has the line 0 on it.")
    page.keyboard.press("/")
    page.keyboard.type("Report 77 says 2")
    match = page.locator(".sentence.match")
    eventually(match.all_inner_texts, ["Report 77 says 2 of the matter."])
    assert match.is_visible()
    page.locator(".search").fill("line 39 on")
    eventually(page.locator(".search-box .note").inner_text, "5 matches")
    page.keyboard.press("Enter")
    eventually(match.all_inner_texts, ["Chapter 1 has the line 39 on it."])
    assert page.locator(".effects-table thead th").count() == 11
    page.get_by_role("button", name="All 100 sources").click()
    eventually(page.locator(".effects-table thead th").count, 101)


def test_on_a_phone_the_sources_stand_below_the_answer(visit):
    page = visit(html_page(answer_map()), viewport={"width": 390, "height": 844}).page
    answer, sources = (
        page.locator(".answer-part").bounding_box(),
        page.locator(".sources-part").bounding_box(),
    )
    assert sources["y"] > answer["y"] + answer["height"]
    statement(page, 0).click()
    eventually(page.locator(".why-part blockquote").inner_text, "It was opened in 1931.")


def test_texts_read_in_their_own_direction(visit):
    page = visit(html_page(ANSWER_MAPS["right to left"]())).page
    assert page.locator(".said").get_attribute("dir") == "rtl"
    assert set(page.locator(".source-text").evaluate_all("(all) => all.map((e) => e.dir)")) == {"rtl"}
    code = visit(html_page(ANSWER_MAPS["code"]())).page
    assert code.locator(".source-text").inner_text().split("\n")[1] == "return width * height"


def test_hostile_text_is_text(visit):
    opened = visit(html_page(ANSWER_MAPS["hostile"]()))
    opened.open_everything()
    page = opened.page
    assert page.locator("script").count() == 2
    for selector in ("img", "iframe", "[onerror]", "main style"):
        assert page.locator(selector).count() == 0, selector
    assert HOSTILE[0] in page.locator("header").inner_text()
    assert opened.events == []


def test_in_a_notebook_two_maps_keep_to_themselves(visit):
    maps = answer_map(), ANSWER_MAPS["all origins"]()
    page = visit("".join(map(html_fragment, maps))).page
    hosts = page.locator("[data-model-understanding=fragment]")
    hosts.nth(1).evaluate("(e) => e.scrollIntoView()")
    eventually(lambda: [host.get_attribute("data-mounted") for host in hosts.all()], ["yes", "yes"])
    hosts.nth(1).locator(".statement").nth(2).click()
    eventually(hosts.nth(1).locator(VERDICT).inner_text, verdict(maps[1], 2))
    assert hosts.nth(0).locator(VERDICT).count() == 0
    assert page.evaluate("location.hash") == ""


def test_without_scripts_the_statements_and_the_table_are_there(visit):
    shown = answer_map()
    page = visit(html_page(shown), java_script_enabled=False).page
    text = re.sub(r"\s+", " ", page.locator("main").inner_text())
    for index, each in enumerate(shown.statements):
        assert f"{index + 1}. {each.text} {verdict(shown, index)}" in text
    assert page.locator("[data-plain] table").count() == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["screened", "in groups", "right to left"])
def test_axe_finds_nothing_where_a_cell_is_selected_and_everything_is_open(visit, name, theme):
    opened = visit(html_page(ANSWER_MAPS[name]()), theme, bypass_csp=True)
    opened.open_everything()
    opened.page.locator(".effect-cell").first.click()
    eventually(opened.page.locator("[data-view=opened] h3").count, 1)
    assert opened.axe_violations() == []
