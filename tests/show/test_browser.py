"""The page in a real browser: hostile text stays text, nothing is loaded, both themes show."""

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from browsing import EVERYTHING, NODES, colors_of, containing, eventually, matching
from PIL import Image
from sample_results import classification, generation, hostile, tokens_of, with_heads

from model_understanding.show.page.document import html_fragment, html_page
from model_understanding.show.shared.colors import contrast, palette

pytestmark = pytest.mark.browser


def test_the_browser_would_have_told(visit):
    page = "<script>alert(1)</script><img src=https://example.invalid/x.png>"
    opened = visit(page)
    eventually(lambda: {"dialog", "request: https://example.invalid/x.png"} - {*opened.events}, set())


def test_hostile_text_makes_no_dialog_no_request_and_no_element(visit):
    opened = visit(html_page(hostile()))
    assert opened.events == []
    count = opened.page.locator
    for selector in ("img", "b", "iframe", "object", "a", "[onerror]", "[onload]", "main style"):
        assert count(selector).count() == 0, selector
    assert count("script").count() == 2
    assert count("style").count() == count("title").count() == count("main").count() == 1
    assert "</script><script>alert(1)</script>" in count("main").inner_text()
    opened.page.locator(".text .token").nth(3).hover()
    opened.page.keyboard.press("ArrowRight")
    eventually(opened.page.locator(".tooltip:visible").count, 1)
    assert opened.events == []


def test_three_fragments_on_a_page_share_it_with_others(visit):
    before = "<p id=before>before</p><script>window.known = Object.keys(window).length</script>"
    body = before + "".join(map(html_fragment, (hostile(), classification(), generation())))
    opened = visit(f"<!DOCTYPE html><html><body>{body}</body></html>")
    page = opened.page
    for place in range(3):  # each is drawn when it comes in sight
        page.locator(".model-understanding").nth(place).scroll_into_view_if_needed()
        page.locator(".model-understanding").nth(place).locator(".report").wait_for()
    eventually(page.locator("[data-mounted=yes] .report").count, 3)
    eventually(page.locator("[data-plain]").count, 0)
    assert opened.events == []
    assert page.locator("img, body b").count() == 0
    assert page.evaluate("Object.keys(window).length - window.known") <= 1, "known itself"
    # Nothing outside is touched: the paragraph has the browser's own look.
    style = "getComputedStyle(document.querySelector('#before'))"
    font, color = page.evaluate(f"[{style}.fontFamily, {style}.color]")
    assert "system-ui" not in font
    assert color == "rgb(0, 0, 0)"
    # A key acts on the one report that has the focus.
    page.locator(".text").nth(1).focus()
    page.keyboard.press("g")
    pressed = page.locator("[aria-label=Granularity] [aria-pressed=true]")
    eventually(pressed.all_inner_texts, ["Words", "Sentences", "Words"])
    page.wait_for_timeout(300)  # a whole page would have written its address by then
    assert page.evaluate("location.hash") == ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "report", [classification(), generation(64, 36)], ids=["classification", "generation"]
)
def test_both_themes_show_every_view(visit, report, scheme):
    opened = visit(html_page(report), scheme, view=EVERYTHING)
    assert opened.events == [], "the content security policy has nothing to complain about"
    picture = opened.picture()
    expected = tuple(int(palette(scheme).background[i : i + 2], 16) for i in (1, 3, 5))
    assert tuple(picture[3, 3]) == expected
    assert len(colors_of(picture)) > 200, "the picture is not blank"
    views = ["text", "top", "bars", "heatmap", "heads"] + ["written"] * (report.generation is not None)
    for view in views:
        assert opened.page.locator(f"[data-view={view}]:visible").count() == 1, view
    assert opened.page.locator("[data-plain]").count() == 0
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 1100
    assert "not measured" in opened.page.locator(".trust").inner_text() or report.evaluations


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_of_the_page_is_readable(visit, scheme):
    report = classification(cautions=["untrained head"])
    plainly = visit(html_page(report), scheme, java_script_enabled=False)
    found = [
        *visit(html_page(report), scheme, view=EVERYTHING).colors_in_use(),
        *visit(html_page(generation()), scheme, view=EVERYTHING).colors_in_use(),
        *plainly.colors_in_use(),
    ]
    assert len(found) > 200
    assert [entry for entry in found if contrast(*entry[1:]) < 4.5] == []


def test_a_fragment_follows_the_notebooks_theme(visit):
    fragment = html_fragment(classification())
    for attributes, scheme, other in (
        ('data-jp-theme-light="false"', "dark", "light"),
        ('data-jp-theme-light="true"', "light", "dark"),
        ('class="vscode-dark"', "dark", "light"),
        ('class="vscode-light"', "light", "dark"),
    ):
        opened = visit(f"<body {attributes}>{fragment}</body>", scheme=other)
        assert opened.page.locator("[data-view-of-report]").get_attribute("data-theme") == scheme
    opened.page.evaluate("document.body.className = 'vscode-dark'")
    view = opened.page.locator("[data-view-of-report]")
    eventually(lambda: view.get_attribute("data-theme"), "dark")


def test_a_page_works_with_scripts_off_and_on_a_narrow_screen(visit):
    opened = visit(html_page(generation()), java_script_enabled=False)
    opened.page.set_viewport_size({"width": 380, "height": 700})
    page = opened.page
    eventually(page.locator("h1:visible").count, 1)
    eventually(page.locator("h2:visible").count, 3)
    words = page.locator(".mu-words span[style*=background-color]")
    assert words.first.evaluate("(e) => getComputedStyle(e).backgroundColor").startswith("rgba(")
    page.locator("summary").first.click()
    eventually(page.locator("details[open] table:visible").count, 1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    assert opened.events == []


def test_a_script_that_fails_leaves_the_plain_page(visit):
    page = html_page(classification()).replace('{"schema":1', '{"schema":9')
    opened = visit(page)
    assert any("schema 9" in event for event in opened.events)
    assert opened.page.locator(".mu-words:visible").count() > 0


def test_right_to_left_text_stands_on_the_right_and_in_its_order(visit):
    html = html_page(classification(tokens_of("שלום עולם")))
    plainly = visit(html, java_script_enabled=False).page.locator(".mu-words span")
    drawn = visit(html).page.locator(".text .token")
    for words in (plainly, drawn):
        first, second = (words.nth(place).bounding_box() for place in (0, 1))
        assert first["x"] > second["x"]
    assert plainly.nth(1).bounding_box()["x"] > 550


def names_of(rows):
    """Return the labels of rows of the chart, which say their share after it."""
    return [row.get_attribute("aria-label").rsplit(" ", 2)[0] for row in rows.all()]


def test_one_selection_goes_through_every_view_and_the_address(visit):
    opened = visit(html_page(classification()), view=EVERYTHING)
    page = opened.page
    page.locator(".token", has_text="movie").click()
    selected = page.locator(".bars .bar-row[aria-selected=true]")
    eventually(lambda: names_of(selected), ["movie"])
    eventually(page.locator(".readout").inner_text, matching("^“movie”: score "))
    eventually(page.locator(".arcs h3").inner_text, "movie attends most to")
    eventually(page.locator(".sources .source").count, 7)  # the sink is left aside
    page.locator(".token", has_text="absolutely").click(modifiers=["Shift"])
    eventually(selected.count, 3)
    eventually(page.locator(".readout").inner_text, containing("3 tokens selected"))
    eventually(
        page.locator("[data-role=announcer]").text_content,
        containing("Selected absolutely.", "Attends most to (layer 5, mean of heads 0–2)"),
    )
    eventually(lambda: page.evaluate("location.hash"), containing("#anchor=2&focus=4"))
    page.reload()
    eventually(selected.count, 3)
    page.evaluate("location.hash = '#focus=99999&layer=-7&level=sentence&sinks=%3Cscript%3E'")
    eventually(page.locator("[aria-label=Granularity] [aria-pressed=true]").inner_text, "Sentences")
    assert opened.events == []


def test_everything_goes_by_keyboard(visit):
    opened = visit(html_page(classification()), view=EVERYTHING)
    page, press = opened.page, opened.page.keyboard.press
    selected = page.locator(".bars .bar-row[aria-selected=true]")
    granularity = page.locator("[aria-label=Granularity] [aria-pressed=true]")
    press("Escape")
    eventually(selected.count, 0)
    press("ArrowRight")
    press("ArrowRight")
    eventually(lambda: names_of(selected), ["The"])
    press("Shift+ArrowRight")
    eventually(lambda: names_of(selected), ["The", "movie"])
    title = page.locator("#attention-title")
    press("[")
    eventually(title.inner_text, "Attention: layer 4, mean of heads 0–2")
    press("h")
    eventually(title.inner_text, "Attention: layer 4, head 0")
    press("]")
    press("H")
    eventually(title.inner_text, "Attention: layer 5, mean of heads 0–2")
    for key, words in (("s", "each row rescaled to 100 %"), ("c", "maximum over all heads")):
        press(key)
        eventually(page.locator("[data-role=attention-status]").inner_text, containing(words))
    press("g")
    eventually(granularity.inner_text, "Words")
    press("/")
    page.keyboard.type("fant")
    eventually(page.locator(".search-box .note").inner_text, "1 match")
    eventually(lambda: names_of(selected), ["fantastic"])
    press("Escape")
    press("?")
    eventually(page.locator("dialog[open]").count, 1)
    page.locator("dialog input").uncheck()
    press("Escape")
    eventually(page.locator("dialog[open]").count, 0)
    press("g")
    opened.settle()
    assert granularity.inner_text() == "Words", "turned off"
    page.locator(".bars").focus()
    focused = "document.querySelector('[data-view-of-report]').shadowRoot.activeElement"
    eventually(lambda: page.evaluate(f"getComputedStyle({focused}).outlineStyle"), "solid")


def test_the_tokens_of_an_answer_lead_saliency_and_attention(visit):
    report = generation()
    opened = visit(html_page(report), view=EVERYTHING)
    page = opened.page
    labels = report.generation.continuation_tokens().labels()
    written, title = page.locator(".written .piece"), page.locator("#saliency-title")
    chosen = page.locator(".written .piece[aria-selected=true]")
    written.nth(2).click()
    eventually(title.inner_text, f"Why “{labels[2]}”?")
    eventually(chosen.count, 1)
    eventually(page.locator(".arcs h3").inner_text, f"Attention when writing “{labels[2]}”")
    probability = f"{100 * report.generation.probabilities[2]:.1f} %"
    eventually(page.locator(".alternatives").inner_text, containing(probability, "</script>other"))
    page.locator(".text .token[data-token='15']").click()
    eventually(title.inner_text, f"Why “{labels[5]}”?")
    page.locator(".text .token[data-token='17']").click(modifiers=["Shift"])
    eventually(page.locator(".facts").inner_text, containing("Sum over 3 targets"))
    eventually(chosen.count, 3)
    # Escape goes back to the whole answer, and so does a second click on the one token.
    for leave in (lambda: page.keyboard.press("Escape"), lambda: written.nth(4).click()):
        leave()
        eventually(title.inner_text, "Why this answer?")
        eventually(chosen.count, 0)
        written.nth(4).click()
        eventually(title.inner_text, f"Why “{labels[4]}”?")
    page.locator(".written").press("ArrowRight")
    eventually(title.inner_text, f"Why “{labels[5]}”?")
    page.keyboard.press("a")
    eventually(title.inner_text, containing("loss"))
    eventually(chosen.count, 0)
    assert opened.events == []


def test_what_is_on_screen_can_be_taken_out(visit, tmp_path):
    report = classification()
    opened = visit(html_page(report), view=EVERYTHING)
    page = opened.page

    def taken(view: str, item: str) -> bytes:
        page.locator(f"summary[aria-label='Export {view}']").click()
        with page.expect_download() as download:
            page.locator(".menu[open] button", has_text=item).click()
        return Path(download.value.path()).read_bytes()

    for view in ("saliency", "attention"):
        root = ElementTree.fromstring(taken(view, "SVG"))
        words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
        assert "absolutely" in words
        with Image.open(io.BytesIO(taken(view, "PNG"))) as picture:
            assert picture.size[0] == 2 * round(float(root.get("width")))
            assert len(colors_of(np.asarray(picture.convert("RGB")))) > 50
    rows = list(csv.DictReader(io.StringIO(taken("saliency", "CSV").decode())))
    assert [row["text"] for row in rows] == list(report.attributions[0].tokens.labels())
    assert [np.float32(row["score"]) for row in rows] == list(report.attributions[0].scores[0])
    numbers = json.loads(taken("attention", "JSON"))
    assert np.abs(np.array(numbers["weights"]) - report.attention[0].matrix(5)).max() < 0.005
    assert "quantized" in numbers["precision"]
    rows = list(csv.DictReader(io.StringIO(taken("attention", "CSV").decode())))
    assert len(rows) == 64
    assert "quantized" in rows[0]["precision"]
    page.locator("summary[aria-label='Export attention']").click()
    page.locator(".menu[open] button", has_text="Copy as Python").click()
    page.locator(".toast", has_text="Copied").wait_for()
    assert opened.events == []


def test_144_heads_are_few_elements_and_a_head_is_chosen_by_its_thumbnail(visit):
    report = with_heads(128, causal=False)
    opened = visit(html_page(report), view=EVERYTHING)
    page = opened.page
    page.locator(".heads-part .note", has_text="12 layers × 12 heads").wait_for()
    page.locator(".heads-part .note", has_text="columns are heads.").filter(has_not_text="Reading").wait_for()
    opened.settle()
    assert page.evaluate(NODES) < 2000
    page.evaluate(
        """() => {
          const { putImageData } = CanvasRenderingContext2D.prototype;
          window.painted = 0;
          CanvasRenderingContext2D.prototype.putImageData = function (...given) {
            window.painted++;
            return putImageData.apply(this, given);
          };
        }"""
    )
    for place in (page.locator(".token").nth(20), page.locator(".bars"), page.locator("[data-view=heatmap]")):
        place.hover()
    page.locator("canvas.heads").hover(position={"x": 100, "y": 100})
    opened.settle()
    assert page.evaluate("painted") == 0, "what is hovered paints no cells again"
    page.locator("canvas.heads").click(position={"x": 30 + 5, "y": 22 + 5})
    page.locator("#attention-title", has_text="layer 0, head 0").wait_for()
    eventually(lambda: page.evaluate("painted"), 1)
    opened.settle()
    assert page.evaluate("painted") == 1, "one matrix, no thumbnail"
    assert opened.events == []
