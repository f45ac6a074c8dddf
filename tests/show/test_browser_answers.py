"""The page of every kind of model: what it answers opens its map, by pointer and by keyboard."""

import pytest
from browsing import EVERYTHING, eventually, keep_picture
from sample_answers import ANSWERS, question_answering, ranking, similarity, tagging, translation

from model_understanding.show.page.document import html_page
from model_understanding.show.views.answers import answer_view
from model_understanding.show.views.reading import readings

pytestmark = pytest.mark.browser
KINDS = [kind for kind in ANSWERS if kind not in ("similarity", "encoder–decoder")]
SHOWN = """([title, pressed]) => {
  const root = document.querySelector("[data-view-of-report]").shadowRoot;
  return [root.querySelector(title).innerText, [...root.querySelectorAll(pressed)].map((e) => e.innerText)];
}"""


def shown(page) -> tuple[str, int]:
    """Return the question on screen, and how many answers are pressed."""
    title, pressed = page.evaluate(SHOWN, ["#saliency-title", ".answers [aria-pressed=true]"])
    return title, len(pressed)


@pytest.mark.parametrize("kind", KINDS)
def test_each_answer_opens_its_map(visit, kind):
    report = ANSWERS[kind]()
    found = readings(report)
    rows = [row for row in answer_view(report).rows if row.reading >= 0]
    opened = visit(html_page(report))
    page = opened.page
    assert shown(page) == (found[answer_view(report).opens].title, 1)
    buttons = page.locator(".answers button")
    assert buttons.count() == len(rows)
    for index, row in reversed(list(enumerate(rows))):
        buttons.nth(index).click()
        eventually(lambda: shown(page)[0], found[row.reading].title)
        assert page.locator(".why-words").inner_text() == "".join(found[row.reading].why)
        assert buttons.nth(index).get_attribute("aria-pressed") == "true"
    keep_picture(opened, f"answers-{kind}")
    assert opened.events == []


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_one_tab_stop_and_arrows_move_between_them(visit, kind):
    page = visit(html_page(ANSWERS[kind]())).page
    buttons = page.locator(".answers button")
    assert page.locator(".answers button[tabindex='0']").count() == 1
    buttons.first.focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    last = buttons.last
    eventually(lambda: last.get_attribute("aria-pressed"), "true")


def test_entities_are_marked_in_the_text_and_a_click_there_opens_their_map(visit):
    report = tagging()
    page = visit(html_page(report)).page
    labels = page.locator(".text .marked[data-label]").evaluate_all(
        "(all) => all.map((e) => e.dataset.label)"
    )
    assert labels == ["PER", "LOC", "ORG"]
    page.locator(".text .token", has_text="Acme").click()
    eventually(lambda: shown(page)[0], "Why ORG for “Acme Corp”?")
    eventually(page.locator(".text .shown[data-label]").all_inner_texts, ["Corp"])
    page.locator(".text .token", has_text="moved").click()
    eventually(lambda: shown(page)[0], "Why ORG for “Acme Corp”?")
    page.locator(".text").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    eventually(lambda: shown(page)[0], "Why PER for “Anna Schmidt”?")


def test_spans_of_the_context_open_their_maps_in_the_text(visit):
    page = visit(html_page(question_answering())).page
    page.locator(".text .token", has_text="mill").click()
    eventually(lambda: shown(page)[0], "Why this answer: “old mill”?")
    assert page.locator(".text .side").all_inner_texts() == ["question", "context"]
    rows = page.locator(".top-rows .bar-row").evaluate_all(
        "(all) => all.map((e) => e.ariaLabel.split(' ')[1])"
    )
    assert set(rows) <= {"question", "context"}


def test_documents_are_a_list_by_rank_and_each_opens_over_its_own_text(visit):
    page = visit(html_page(ranking())).page
    values = page.locator(".answers.listed .row .value").all_inner_texts()
    assert values == ["3", "1.67", "0.333", "−1"]
    page.locator(".answers button").nth(1).click()
    eventually(lambda: "Cairo" in page.locator(".text").inner_text(), True)
    assert page.locator(".text .side").all_inner_texts() == ["query", "document"]


def test_two_texts_show_the_links_of_a_word(visit):
    report = similarity()
    opened = visit(html_page(report))
    page = opened.page
    assert page.locator(".link-list li").first.inner_text().split("\n")[0] == "guitar ↔ guitar"
    lines = page.locator(".link-lines path")
    total = lines.count()
    assert total > 3
    page.locator("#link-first-5").click()  # guitar
    eventually(lambda: 0 < lines.count() < total, True)
    faces = page.locator("[data-view=links-second] .token").evaluate_all(
        "(all) => all.map((e) => e.dataset.face)"
    )
    strongest = page.locator("[data-view=links-second] .token").all_inner_texts().index("guitar")
    assert faces[strongest]
    page.keyboard.press("ArrowLeft")
    eventually(page.locator("[data-view=links-first] [aria-selected=true]").all_inner_texts, ["the"])
    page.keyboard.press("Escape")
    eventually(lines.count, total)
    assert page.locator(".links .base").inner_text().endswith("= cosine 0.483")
    keep_picture(opened, "links")
    assert opened.events == []


def test_source_and_output_are_apart_in_text_table_and_attention(visit):
    opened = visit(html_page(translation()), view=EVERYTHING)
    page = opened.page
    assert page.locator(".text .side").all_inner_texts() == ["source", "output"]
    assert page.locator(".output-border:visible").count() == 1
    page.locator(".written .piece").nth(2).click()
    eventually(lambda: shown(page)[0], "Why “Haus”?")
    page.locator("[data-view=heatmap]").wait_for()
    keep_picture(opened, "translation")
    assert opened.events == []
