"""The page in a real browser: hostile text stays text, nothing is loaded, both themes show."""

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model_understanding.show.colours import contrast, palette
from model_understanding.show.page import report_fragment, report_page

from .sample_results import classification, generation, hostile, tokens_of

pytestmark = pytest.mark.browser
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
SWITCHES += ["--disable-component-update", "--disable-sync"]
# The colours of every element that holds words of its own, with what lies behind it.
COLOURS_IN_USE = """() => {
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)$|transparent/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  const all = [...document.querySelectorAll("body *")].filter((e) => own(e) && e.tagName !== "STYLE");
  return all.map((e) => [e.textContent.slice(0, 40), getComputedStyle(e).color, ground(e)]);
}"""


def missing(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome", "chrome")]
    executable = next(filter(None, found), None)
    if executable is None:
        missing("Chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=SWITCHES)
        yield opened
        opened.close()


class Visit:
    """A page opened in the browser, with what happened meanwhile."""

    def __init__(self, browser: Any, path: Path, scheme: str = "light", **options: Any) -> None:
        self.events: list[str] = []
        self.page = browser.new_page(color_scheme=scheme, viewport={"width": 1100, "height": 900}, **options)
        self.page.on("dialog", lambda dialog: (self.events.append("dialog"), dialog.dismiss()))
        self.page.on("console", lambda message: self.events.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.events.append(f"error: {error}"))
        self.page.on("request", lambda request: self._requested(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_timeout(200)

    def _requested(self, url: str) -> None:
        if not url.startswith(("file:///", "data:image/png")):
            self.events.append(f"request: {url}")

    def picture(self) -> np.ndarray:
        with Image.open(io.BytesIO(self.page.screenshot(full_page=True))) as picture:
            return np.asarray(picture.convert("RGB"))


@pytest.fixture
def visit(browser, tmp_path):
    visits = []

    def open_page(html: str, scheme: str = "light", **options: Any) -> Visit:
        path = tmp_path / f"{len(visits)}.html"
        path.write_text(html, encoding="utf-8")
        visits.append(Visit(browser, path, scheme, **options))
        return visits[-1]

    yield open_page
    for opened in visits:
        opened.page.close()


def test_the_browser_would_have_told(visit):
    page = "<script>alert(1)</script><img src=https://example.invalid/x.png>"
    events = visit(page).events
    assert "dialog" in events
    assert "request: https://example.invalid/x.png" in events


def test_hostile_text_makes_no_dialog_no_request_and_no_element(visit):
    opened = visit(report_page(hostile()))
    assert opened.events == []
    count = opened.page.locator
    for selector in (
        "script",
        "img",
        "body b",
        "iframe",
        "object",
        "a",
        "[onerror]",
        "[onload]",
        "main style",
    ):
        assert count(selector).count() == 0, selector
    assert count("style").count() == count("title").count() == count("main").count() == 1
    assert "</script><script>alert(1)</script>" in count("main").inner_text()


def test_fragments_on_a_bare_page_are_as_harmless(visit):
    body = "<p id=before>before</p>" + report_fragment(hostile()) + report_fragment(classification())
    opened = visit(f"<!DOCTYPE html><html><body>{body}</body></html>")
    assert opened.events == []
    assert opened.page.locator("script, img, body b").count() == 0
    # Nothing outside is touched: the paragraph has the browser's own look.
    style = "getComputedStyle(document.querySelector('#before'))"
    font, colour = opened.page.evaluate(f"[{style}.fontFamily, {style}.color]")
    assert "system-ui" not in font
    assert colour == "rgb(0, 0, 0)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("report", [classification(), generation()], ids=["classification", "generation"])
def test_both_themes_show_the_page_and_one_of_each_picture(visit, report, scheme):
    opened = visit(report_page(report), scheme)
    assert opened.events == [], "the content security policy has nothing to complain about"
    picture = opened.picture()
    expected = tuple(int(palette(scheme).background[i : i + 2], 16) for i in (1, 3, 5))
    assert tuple(picture[3, 3]) == expected
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 200, "the picture is not blank"
    pictures = len(report.attributions) + len(report.attention)
    assert opened.page.locator(".mu-figure svg:visible").count() == pictures
    assert opened.page.locator(f".mu-figure .mu-{scheme}:visible").count() == pictures
    box = opened.page.locator(".mu-figure svg:visible").first.bounding_box()
    assert box["width"] > 500
    assert box["height"] > 200
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 1100


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_of_the_page_is_readable(visit, scheme):
    report = classification(cautions=["untrained head"])
    found = [
        *visit(report_page(report), scheme).page.evaluate(COLOURS_IN_USE),
        *visit(report_page(generation()), scheme).page.evaluate(COLOURS_IN_USE),
    ]
    assert len(found) > 100
    faint = [entry for entry in found if contrast(as_hex(entry[1]), as_hex(entry[2])) < 4.5]
    assert faint == []


def as_hex(colour: str) -> str:
    numbers = colour.removeprefix("rgb(").removesuffix(")").split(",")
    return "#" + "".join(f"{int(number):02x}" for number in numbers)


def test_a_fragment_follows_the_notebooks_theme(visit):
    fragment = report_fragment(classification())
    for attribute, scheme, other in (("false", "dark", "light"), ("true", "light", "dark")):
        opened = visit(f'<body data-jp-theme-light="{attribute}">{fragment}</body>', scheme=other)
        assert opened.page.locator(f".mu-figure .mu-{scheme}:visible").count() == 2
        assert opened.page.locator(f".mu-figure .mu-{other}:visible").count() == 0


def test_a_page_works_with_scripts_off_and_on_a_narrow_screen(visit):
    opened = visit(report_page(generation()), java_script_enabled=False)
    opened.page.set_viewport_size({"width": 380, "height": 700})
    assert opened.page.locator("h2:visible").count() == 5
    opened.page.locator("summary").first.click()
    assert opened.page.locator("details[open] table:visible").count() == 1


def test_right_to_left_text_stands_on_the_right_and_in_its_order(visit):
    opened = visit(report_page(classification(tokens_of("שלום עולם"))))
    words = opened.page.locator(".mu-text:not(.mu-quote) span")
    first, second = (words.nth(place).bounding_box() for place in (0, 1))
    assert first["x"] > second["x"] > 550
