"""What a reader meets first: the answer, its verdict, why, the colored text and the strongest words."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import EVERYTHING, Visit, containing, eventually, keep_picture
from sample_answers import ANSWERS
from sample_results import attribution, classification, generation, text_of, tokens_of

from model_understanding.results import Attribution, Evaluation, Report, Target
from model_understanding.show.page.document import html_fragment, html_page

pytestmark = pytest.mark.browser
# Width, height, and where the text starts at most.
SCREENS = {"desktop": (1400, 900, 260), "phone": (390, 844, 320)}
BOX = """(selector) => {
  const root = document.querySelector("[data-view-of-report]").shadowRoot;
  const { top, bottom, height } = root.querySelector(selector).getBoundingClientRect();
  return { top, bottom, height, whole: root.querySelector(selector).scrollHeight };
}"""


def answered(count: int, prompt_count: int = 20) -> Report:
    """Return a generation whose steps have signed scores, as the default method gives them."""
    report = generation(count, prompt_count)
    loss, steps = report.attributions
    signed = attribution(steps.tokens, targets=steps.targets, valid=steps.valid)
    return replace(report, attributions=(signed, loss))


def judged(found: Attribution, verdict: str, target: str = "") -> Evaluation:
    return Evaluation(
        metric="verdict",
        value=2.0,
        curve=np.zeros((0, 2)),
        control=np.zeros(0),
        higher_is_better=True,
        verdict=verdict,
        reasons=("A reason.",),
        method=found.method,
        target=target or found.targets[0].description(),
        summary="Removing its top words lowers the score by 3.6; random words, by 0.5.",
    )


def classified(text: str, verdict: str = "supported") -> Report:
    """Return a report with maps of two classes, of which the first was measured."""
    tokens = tokens_of(text)
    report = classification(tokens, cautions=["The head is untrained.", "A second warning.", "A third."])
    targets = [
        Target(task="sequence-classification", indices=(index,), labels=(label,))
        for index, label in ((1, "positive"), (0, "negative"))
    ]
    found = attribution(tokens, targets=targets)
    return replace(report, attributions=(found,), evaluations=(judged(found, verdict),))


def sentences(count: int) -> str:
    words = text_of(count).split()
    return " ".join(f"{' '.join(words[start : start + 10])}." for start in range(0, count, 10))


REPORTS = {
    "5 tokens": lambda: classified("A fine and warm film"),
    "30 tokens": lambda: classified(sentences(27)),
    "200 tokens": lambda: classified(sentences(180)),
    "16 steps": lambda: answered(16),
    "64 steps": lambda: answered(64, 30),
}


@cache
def page_of(name: str) -> str:
    return html_page(REPORTS[name]())


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("name", REPORTS)
def test_the_first_screen_answers_why(visit, name, screen):
    width, height, highest = SCREENS[screen]
    opened = visit(page_of(name), viewport={"width": width, "height": height})
    page = opened.page
    text, top, chip = (page.evaluate(BOX, selector) for selector in (".text", ".top-rows", ".chip"))
    assert chip["bottom"] < text["top"] <= highest
    assert top["height"] > 5 * 24
    assert top["bottom"] <= height
    assert text["bottom"] <= height
    assert text["height"] >= 0.6 * text["whole"]
    assert page.locator(".top-rows .bar-row").count() == 5
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("details.drawer[open]").count() == 0
    keep_picture(opened, f"first-{name}-{screen}")
    assert opened.events == []


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("kind", ANSWERS)
def test_the_first_screen_of_every_kind_of_model_answers_why(visit, kind, screen):
    width, height, _ = SCREENS[screen]
    opened = visit(html_page(ANSWERS[kind]()), viewport={"width": width, "height": height})
    page = opened.page
    text, top, chip, title = (
        page.evaluate(BOX, selector) for selector in (".text", ".top-rows", ".chip", "#saliency-title")
    )
    assert chip["bottom"] < title["bottom"] < text["top"]
    assert text["bottom"] <= height
    assert top["bottom"] <= height
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    keep_picture(opened, f"first-{kind}-{screen}")
    assert opened.events == []


@pytest.mark.parametrize("width", [320, 640, 900, 1920])
def test_no_width_overflows(visit, width):
    for name in ("30 tokens", "64 steps"):
        opened = visit(page_of(name), view=EVERYTHING, viewport={"width": width, "height": 800})
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_words_are_shown_first_and_sentences_of_a_long_text(visit):
    for name, level in (("30 tokens", "Words"), ("200 tokens", "Sentences")):
        page = visit(page_of(name)).page
        assert page.locator("[aria-label=Granularity] [aria-pressed=true]").inner_text() == level


def test_the_first_warning_is_one_line_and_the_others_wait_behind_it(visit):
    page = visit(page_of("30 tokens")).page
    warnings = page.locator("details.caution")
    assert warnings.inner_text().split("\n")[:2] == ["Warning: The head is untrained.", "2 more warnings"]
    assert page.evaluate(BOX, "details.caution")["height"] < 36
    warnings.locator("summary").click()
    eventually(page.locator("details.caution > p:visible").count, 2)


def test_the_verdict_is_that_of_the_map_on_screen(visit):
    page = visit(page_of("30 tokens")).page
    chip, words = page.locator(".chip"), page.locator(".trust-words")
    assert chip.inner_text() == "● supported"
    assert words.inner_text() == "Removing its top words lowers the score by 3.6; random words, by 0.5."
    target = page.locator("label.picker", has_text="Target").locator("select")
    target.select_option(label="2. negative")
    eventually(chip.inner_text, "– not measured")
    eventually(page.locator("#saliency-title").inner_text, "Why negative?")
    target.select_option(label="1. positive")
    eventually(chip.inner_text, "● supported")


def test_the_verdict_of_an_answer_is_not_that_of_its_tokens(visit):
    report = answered(12)
    found = report.attributions[0]
    whole = judged(found, "weak", found.summed().targets[0].description())
    page = visit(html_page(replace(report, evaluations=(whole,)))).page
    chip = page.locator(".chip")
    assert chip.inner_text() == "◐ weak"
    page.locator(".written .piece").nth(3).click()
    eventually(chip.inner_text, "– not measured")
    page.keyboard.press("Escape")
    eventually(chip.inner_text, "◐ weak")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_map_that_is_not_supported_is_striped_here_and_in_exports(visit, scheme):
    stripes = []
    for verdict in ("not supported", "supported"):
        opened = visit(html_page(classified(sentences(27), verdict)), scheme)
        page = opened.page
        faces = page.locator(".text .token").evaluate_all(
            "(all) => all.map((word) => getComputedStyle(word).backgroundImage)"
        )
        assert any("repeating-linear-gradient" in face for face in faces) == (verdict == "not supported")
        page.locator("summary[aria-label='Export saliency']").click()
        with page.expect_download() as download:
            page.locator(".menu[open] button", has_text="SVG").click()
        drawn = Path(download.value.path()).read_text(encoding="utf-8")
        stripes.append(drawn.count('stroke-width="1.5"'))
        assert verdict in drawn
        keep_picture(opened, f"verdict-{verdict}-{scheme}")
    assert stripes[0] > 10
    assert stripes[1] == 0


def test_no_row_is_without_a_score(visit):
    page = visit(html_page(answered(12)), view=EVERYTHING).page
    page.locator(".written .piece").nth(2).click()
    eventually(page.locator("#saliency-title").inner_text, containing("Why “"))
    rows = page.locator(".bars .bar-row").evaluate_all("(all) => all.map((row) => row.dataset.token)")
    assert rows
    assert max(map(int, rows)) < 21 + 2, "only what stands before the third generated token"


def test_the_table_shows_every_step_and_a_click_explains_it(visit):
    report = answered(64, 30)
    opened = visit(html_page(report), viewport={"width": 390, "height": 844})
    page = opened.page
    cells = page.locator(".score-cells")
    page.locator(".sources-box").evaluate("(box) => box.scrollIntoView({ block: 'center' })")
    heights = page.locator(".row-labels, .score-cells").evaluate_all(
        "(all) => all.map((e) => e.clientHeight)"
    )
    assert heights == [94 * 21, 94 * 21]
    assert cells.evaluate("(canvas) => getComputedStyle(canvas).padding") == "0px"
    assert cells.evaluate("(canvas) => [canvas.width, canvas.height]") == [64, 1 + 30 + 63]
    found = report.attributions[0]
    shares = np.abs(found.scores) / np.abs(np.where(found.valid, found.scores, 0)).sum(axis=1, keepdims=True)
    box = cells.bounding_box()
    page.mouse.move(box["x"] + 2 * 21 + 10, box["y"] + 21 + 10)
    share = f"{100 * shares[2, 1]:.1f} %"  # the first word of the prompt follows a special token
    eventually(page.locator(".tooltip").inner_text, containing(share))
    page.mouse.click(box["x"] + 2 * 21 + 10, box["y"] + 21 + 10)
    chosen = page.locator(".written .piece[aria-selected=true]")
    eventually(lambda: chosen.get_attribute("data-token"), str(31 + 2))
    assert opened.events == []


def test_choosing_a_head_opens_its_map(visit):
    page = visit(html_page(classified(sentences(27)))).page
    drawer = page.locator("[data-drawer=attention]")
    page.keyboard.press("h")
    eventually(lambda: drawer.get_attribute("open"), "")
    eventually(page.locator("#attention-title").inner_text, "Attention: layer 5, head 0")
    drawer.locator("summary").first.click()
    eventually(lambda: drawer.get_attribute("open"), None)
    page.locator("[data-drawer=heads] summary").click()
    page.locator("canvas.heads").wait_for()
    page.locator("canvas.heads").click(position={"x": 50, "y": 40})
    eventually(lambda: drawer.get_attribute("open"), "")
    eventually(page.locator("#attention-title").inner_text, "Attention: layer 4, head 0")
    seen = page.locator("[data-view=heatmap]").evaluate("(e) => e.getBoundingClientRect().top < innerHeight")
    assert seen


def saved(page: Any) -> str:
    page.locator("summary[aria-label^=Menu]").first.click()
    with page.expect_download() as download:
        page.locator(".menu[open] button", has_text="Save this view").click()
    return Path(download.value.path()).read_text(encoding="utf-8")


@pytest.mark.parametrize("made", [html_page, html_fragment])
def test_a_saved_view_is_a_page_that_opens_in_it(visit, made):
    report = classified("The movie </script> was <b>warm</b> & fantastic")
    opened = visit(made(report))
    page = opened.page
    page.locator("[aria-label=Granularity] button", has_text="Tokens").click()
    page.locator(".text .token", has_text="warm").click()
    page.locator("[data-drawer=scores] summary").click()
    copy = saved(page)
    again: Visit = visit(copy, viewport={"width": 1100, "height": 900})
    eventually(again.page.locator("[aria-label=Granularity] [aria-pressed=true]").inner_text, "Tokens")
    eventually(again.page.locator(".text .selected").all_inner_texts, ["warm"])
    eventually(again.page.locator("details.drawer[open] h2").all_inner_texts, ["All scores"])
    eventually(lambda: again.page.evaluate("location.hash"), "")
    assert saved(again.page).count("data-opens") == copy.count("data-opens")
    assert again.page.locator("script").count() == 2
    assert opened.events == again.events == []
    plain = visit(copy, java_script_enabled=False)
    assert "warm" in plain.page.locator("main").inner_text()
