"""The page of a data set in a real browser: sorted, searched, a word's rows, linked, nothing is loaded."""

from pathlib import Path

import pytest
from browsing import containing, eventually, keep_picture
from sample_summaries import HOSTILE, SUMMARIES, classified, compared_runs

from model_understanding.show.page.document import html_fragment, html_page

pytestmark = pytest.mark.browser

WORDS = "table.words button.word bdi"


@pytest.mark.parametrize("name", SUMMARIES)
@pytest.mark.parametrize("size", [(1400, 900), (390, 844)])
def test_every_state_is_drawn_without_a_fault_or_a_request(visit, name, size):
    opened = visit(html_page(SUMMARIES[name]()), viewport={"width": size[0], "height": size[1]})
    opened.open_everything()
    page = opened.page
    assert opened.events == []
    assert page.locator("h1").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    keep_picture(opened, f"dataset-{name.replace(' ', '-')}-{size[0]}")


def test_hostile_text_is_text(visit):
    page = visit(html_page(SUMMARIES["hard words"]())).page
    assert page.locator("script").count() == 2
    for selector in ("img", "iframe", "[onerror]", "main style"):
        assert page.locator(selector).count() == 0, selector
    assert HOSTILE in page.locator(".notes").inner_text()


def test_words_are_ordered_and_searched(visit):
    page = visit(html_page(classified())).page
    words = page.locator(WORDS)
    assert words.all_inner_texts()[:2] == ["wonderful", "great"]
    heading = page.get_by_role("button", name="word", exact=True)
    heading.click()
    eventually(lambda: words.all_inner_texts()[:2], ["bright", "clever"])
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    heading.click()
    eventually(lambda: words.all_inner_texts()[0], "wonderful")
    heading.click()
    eventually(lambda: words.all_inner_texts()[:2], ["wonderful", "great"])
    page.keyboard.press("/")
    page.keyboard.type("ERB")
    eventually(words.all_inner_texts, ["superb"])
    page.keyboard.press("Escape")
    eventually(words.count, 13)


def test_a_word_shows_its_rows_in_the_colors_of_their_scores(visit):
    opened = visit(html_page(classified()))
    page = opened.page
    rows = page.locator(".detail .data-row")
    eventually(rows.count, 3)
    page.locator(".detail").get_by_role("button", name="Show 2 more").click()
    eventually(rows.count, 5)
    page.locator(WORDS, has_text="lovely").click()
    eventually(page.locator(".detail-title bdi").first.inner_text, "lovely")
    sought = page.locator(".detail .token.sought")
    assert {word.strip(".,:;") for word in sought.all_inner_texts()} == {"lovely"}
    strengths = (
        page.locator(".detail .data-row")
        .first.locator(".token")
        .evaluate_all("(words) => words.map((e) => Math.abs(Number(e.dataset.strength)))")
    )
    assert max(strengths) == 1
    faces = page.locator(".detail .token[data-face]").evaluate_all("(all) => all.map((e) => e.dataset.face)")
    page.keyboard.press("t")
    page.keyboard.press("t")  # auto, light, dark
    eventually(
        lambda: (
            page.locator(".detail .token[data-face]").evaluate_all("(all) => all.map((e) => e.dataset.face)")
            != faces
        ),
        True,
    )
    page.locator("tr.selected button.word").focus()
    page.keyboard.press("ArrowDown")
    eventually(page.locator(".detail-title bdi").first.inner_text, "superb")
    assert page.locator("table.words button.word[tabindex='0']").count() == 1


def test_on_a_phone_the_rows_stand_below_their_word(visit):
    page = visit(html_page(classified()), viewport={"width": 390, "height": 844}).page
    assert page.locator(".detail .data-row").count() == 0
    great = page.locator(WORDS, has_text="great")
    great.click()
    eventually(page.locator("tr.selected + tr.inline-detail .data-row").count, 3)
    great.click()
    eventually(page.locator(".inline-detail").count, 0)


def test_a_word_can_be_linked(visit):
    html = html_page(classified())
    page = visit(html).page
    page.get_by_role("button", name="negative (300)").click()
    page.locator(WORDS, has_text="awful").click()
    eventually(lambda: page.evaluate("location.hash"), "#answer=1&word=awful")
    linked = visit(html, view="answer=1&word=boring&sort=count&order=up").page
    assert linked.locator("tr.selected bdi").inner_text() == "boring"
    assert linked.locator("th[aria-sort]").inner_text().startswith("count")


def test_a_row_s_command_is_copied(visit):
    page = visit(html_page(classified())).page
    first = page.locator(".detail .data-row").first
    first.locator("summary", has_text="Open as full report").click()
    words = "model-understanding explain --from path/to/explained --id 0 --out report.html"
    eventually(first.locator("code").inner_text, words)
    first.get_by_role("button", name="Copy the command").click()
    eventually(page.locator(".toast").inner_text, "Copied the command")


def test_causal_findings_stand_apart_from_words(visit):
    page = visit(html_page(classified())).page
    causal = page.locator("[data-section=shortcuts]")
    assert causal.locator("table.words").count() == 0
    first = causal.locator(".test").first
    text = first.inner_text()
    assert all(part in text for part in ("great", "62.0 %", "4.0 %", "124 of 200", "+58.0 points", "decides"))
    first.locator("summary").click()
    eventually(first.locator(".data-row").count, 3)
    assert causal.locator(".test").nth(1).locator(".status").inner_text().endswith("does not decide")
    page.locator(WORDS, has_text="great").click()
    eventually(
        page.locator("[data-section=words] .detail").inner_text,
        containing("it decides their answer by itself"),
    )


def test_a_cell_of_the_confusion_shows_its_rows(visit):
    page = visit(html_page(classified())).page
    page.get_by_role("button", name="negative answered positive: 47 rows").click()
    rows = page.locator("[data-section=confusion] .data-row")
    page.locator("[data-section=confusion]").get_by_role("button", name="Show 1 more").click()
    eventually(rows.count, 4)  # rows 7, 21, 35 and 49 are wrong
    assert all("wrong, label: negative" in text for text in rows.all_inner_texts())
    eventually(lambda: page.evaluate("location.hash"), "#cell=0-1")


def test_the_words_are_saved_as_a_table(visit):
    page = visit(html_page(classified()), accept_downloads=True).page
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the table as CSV").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("word,answer,effect,low,high")
    assert lines[1].startswith("wonderful,positive,0.82,0.728,0.912")
    assert len(lines) == 14


def test_two_runs_show_which_words_changed_and_which_answers(visit):
    opened = visit(html_page(compared_runs()), viewport={"width": 1400, "height": 900})
    page = opened.page
    assert page.locator("h1").inner_text() == "5.2 % of 600 answers changed; 4 words changed their role"
    assert page.locator("table.runs tbody tr").first.inner_text().split() == [
        "Rows",
        "602",
        "2",
        "failed",
        "602",
        "2",
        "failed",
    ]
    page.locator(WORDS, has_text="great").click()
    eventually(
        page.locator("[data-section=words] .detail").inner_text,
        containing("the first run", "the second run", "adjusted p"),
    )
    changed = page.locator("[data-section=changed] .data-row")
    assert changed.count() == 3
    assert "negative →" in changed.first.inner_text()
    assert opened.events == []
    keep_picture(opened, "datasets-compared")


def test_without_scripts_two_runs_have_their_rows_with_another_answer(visit):
    opened = visit(html_page(compared_runs()), java_script_enabled=False)
    text = opened.page.locator("main").inner_text()
    assert "12 are right only in the second run, and 17 were right only in the first run; 2 are" in text
    assert "A awful film with a clumsy ending" in text
    keep_picture(opened, "datasets-compared-plain")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_without_scripts_the_numbers_and_words_stay(visit, scheme):
    opened = visit(html_page(classified()), scheme, java_script_enabled=False)
    text = opened.page.locator("main").inner_text()
    assert all(
        part in text for part in ("90.2 % of 600 answers are right", "wonderful", "62.0 % (124 of 200)")
    )
    assert "Of a random sample of 120 rows" in text
    assert opened.events == []
    keep_picture(opened, f"dataset-plain-{scheme}")


def test_a_notebook_shows_the_same_page_in_its_output(visit):
    fragment = html_fragment(classified())
    page = visit(f"<!DOCTYPE html><title>notebook</title><main><h1>Notebook</h1>{fragment}</main>").page
    eventually(page.locator(WORDS).count, 13)
