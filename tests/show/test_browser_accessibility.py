"""Every kind of page for every reader: axe, high contrast, print, narrow screens, keyboard, less motion."""

import re
from collections.abc import Callable
from functools import cache, partial

import pytest
from browsing import ALL, eventually, keep_picture
from sample_answer_maps import ANSWER_MAPS
from sample_answers import ANSWERS
from sample_comparisons import found
from sample_ledgers import LEDGERS
from sample_lens import with_lens
from sample_results import classification, generation, heads
from sample_summaries import SUMMARIES, compared_runs

from model_understanding.results.reports import Entry
from model_understanding.show.page.collection import reports_page
from model_understanding.show.page.document import html_page

pytestmark = pytest.mark.browser


def collection() -> str:
    reports = (classification(), classification(cautions=["untrained head"]))
    return reports_page(
        [Entry(source=f"text {index}", report=report) for index, report in enumerate(reports)]
    )


def without_scripts(html: str) -> str:
    """Return a page as a browser shows it that runs no scripts, so that axe can run in it."""
    return re.sub(r"<script\b.*?</script>", "", html, flags=re.DOTALL)


def page_of(kind: str) -> str:
    return html_page(ANSWERS[kind]())


PAGES: dict[str, Callable[[], str]] = {
    "classifier": lambda: html_page(classification(cautions=["untrained head"])),
    "language model": lambda: html_page(with_lens()),
    "comparison": lambda: html_page(found()),
    "collection": collection,
    "attention": lambda: heads(12, causal=True, layers=2, count=3).to_html(),
    "classifier without scripts": lambda: without_scripts(html_page(classification())),
    "language model without scripts": lambda: without_scripts(html_page(generation())),
    "comparison without scripts": lambda: without_scripts(html_page(found())),
    **{name: partial(page_of, name) for name in ANSWERS},
    "data set": lambda: html_page(SUMMARIES["classifier"]()),
    "data set of hard words": lambda: html_page(SUMMARIES["hard words"]()),
    "data sets": lambda: html_page(compared_runs()),
    "data set without scripts": lambda: without_scripts(html_page(SUMMARIES["classifier"]())),
    "data sets without scripts": lambda: without_scripts(html_page(compared_runs())),
    "ledger": lambda: html_page(LEDGERS["classifier"]()),
    "long ledger": lambda: html_page(LEDGERS["long"]()),
    "ledger without scripts": lambda: without_scripts(html_page(LEDGERS["classifier"]())),
    "answer map": lambda: html_page(ANSWER_MAPS["all origins"]()),
    "large answer map": lambda: html_page(ANSWER_MAPS["large"]()),
    "answer map with estimates": lambda: html_page(ANSWER_MAPS["screened"]()),
    "answer map without scripts": lambda: without_scripts(html_page(ANSWER_MAPS["all origins"]())),
    "tagger without scripts": lambda: without_scripts(html_page(ANSWERS["tagger"]())),
    "similarity without scripts": lambda: without_scripts(html_page(ANSWERS["similarity"]())),
}


DATA_SETS = ("data set", "data set of hard words", "data sets")


@pytest.fixture(scope="module")
def html_of() -> Callable[[str], str]:
    return cache(lambda kind: PAGES[kind]())


@pytest.mark.parametrize("kind", PAGES)
def test_axe_finds_nothing_in_either_theme(visit, html_of, kind):
    html = html_of(kind)
    assert visit(html, "light", bypass_csp=True).axe_violations() == []
    assert visit(html, "dark", bypass_csp=True).axe_violations("color-contrast") == []


@pytest.mark.parametrize(
    "kind",
    ["classifier", "language model", "comparison", "ledger", "answer map", *ANSWERS, *DATA_SETS],
)
def test_nothing_is_wider_than_a_screen_of_320_pixels(visit, html_of, kind):
    opened = visit(html_of(kind))
    opened.page.set_viewport_size({"width": 320, "height": 640})
    opened.open_everything()
    eventually(lambda: opened.page.evaluate("document.documentElement.scrollWidth"), 320)


def test_a_row_of_buttons_is_one_tab_stop_and_arrows_move_in_it(visit, html_of):
    opened = visit(html_of("classifier"))
    page = opened.page
    opened.open_everything()
    page.locator(".text .token").nth(2).click()
    group = page.locator("[aria-label='Attention sinks']")
    assert group.locator("button[tabindex='0']").all_inner_texts() == ["Muted"]
    group.locator("button[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    eventually(group.locator("button:focus").all_inner_texts, ["Renormalized"])
    page.keyboard.press("Enter")
    eventually(group.locator("[aria-pressed=true]").all_inner_texts, ["Renormalized"])
    assert group.locator("button[tabindex='0']").count() == 1
    eventually(page.locator(".sources button[tabindex='0']").count, 1)
    assert page.locator(".sources button").count() > 3


def test_where_colors_are_forced_words_and_bars_keep_their_strength(visit, html_of):
    opened = visit(html_of("classifier"), "dark", forced_colors="active")
    opened.settle()
    thickness = opened.page.locator(".text .token").evaluate_all(
        "(words) => words.map((e) => parseFloat(getComputedStyle(e).textDecorationThickness) || 0)"
    )
    scores = opened.page.locator(".text .token").evaluate_all(
        "(words) => words.map((e) => Number(e.style.getPropertyValue('--strength')))"
    )
    assert max(scores) == 1
    assert thickness == pytest.approx([6 * score for score in scores], abs=0.51)
    keep_picture(opened, "forced-colors")


def test_without_scripts_forced_colors_keep_the_words_faces(visit, html_of):
    page = visit(html_of("classifier"), "dark", forced_colors="active", java_script_enabled=False).page
    faces = page.locator(".mu-words span[style*=background]").evaluate_all(
        "(words) => words.map((e) => getComputedStyle(e).backgroundColor)"
    )
    assert len(set(faces)) > 2


def test_paper_gets_light_colors_from_the_dark_theme(visit, html_of):
    opened = visit(html_of("classifier"), "dark")
    page = opened.page
    theme = page.locator("[data-view-of-report]")
    assert theme.get_attribute("data-theme") == "dark"
    page.emulate_media(media="print")
    eventually(lambda: theme.get_attribute("data-theme"), "light")
    word = page.locator(".text .token[style*=background]").first
    eventually(lambda: word.evaluate("(e) => getComputedStyle(e).printColorAdjust"), "exact")
    eventually(page.locator(".drawer[open]").count, page.locator(".drawer").count())
    page.locator("[data-view=heatmap]").wait_for()
    rows = page.locator(".bars .bar-row")
    eventually(rows.count, int(rows.first.get_attribute("aria-setsize")))
    assert page.locator(".menu:visible").count() == 0
    page.emulate_media(media="screen")
    eventually(lambda: theme.get_attribute("data-theme"), "dark")
    eventually(page.locator(".drawer[open]").count, 0)


def test_the_first_tab_stop_leads_to_the_text(visit, html_of):
    page = visit(html_of("classifier")).page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    eventually(page.locator(".text:focus").count, 1)


def test_nothing_moves_for_readers_who_want_less_motion(visit, html_of):
    page = visit(html_of("classifier"), reduced_motion="reduce").page
    moving = (
        "all(document).map((e) => getComputedStyle(e).transitionDuration).filter((time) => !/^0s/.test(time))"
    )
    durations = page.evaluate(f"() => {{ {ALL} return {moving}; }}")
    assert durations == []
