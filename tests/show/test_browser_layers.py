"""The layers in a real browser: linked with the selection, by keyboard, in both themes."""

import json
from functools import partial
from pathlib import Path

import pytest
from browsing import EVERYTHING, containing, eventually
from sample_lens import with_lens
from sample_results import generation

from model_understanding.show.page.document import html_page

pytestmark = pytest.mark.browser


@pytest.fixture
def visit(visit):
    """Open pages with every section open."""
    return partial(visit, view=EVERYTHING)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_layers_are_drawn_and_follow_the_selection(visit, scheme):
    report = with_lens()
    opened = visit(html_page(report), scheme)
    page, lens = opened.page, report.lens
    assert lens is not None
    card = page.locator(".card.layers")
    rows = card.locator("tbody tr")
    assert rows.count() == 6
    assert rows.first.locator("th").text_content() == "after block 4"
    assert rows.last.locator("th").text_content() == "embeddings"
    first = f"token {lens.next_ids[0]}"
    heading = card.locator("h3").text_content
    eventually(heading, containing(first))
    # Any step that is chosen elsewhere is the position shown here.
    page.locator(".written").press("ArrowRight")
    page.locator(".written").press("ArrowRight")
    eventually(heading, containing(f"token {lens.next_ids[1]}"))
    best = lens.top_labels(-1, 1)[0].strip()
    eventually(rows.first.locator("bdi").text_content, containing(best[:3]))
    # By keyboard, from the grid itself.
    card.locator(".lens-grid").focus()
    page.keyboard.press("ArrowDown")
    eventually(heading, containing(f"token {lens.next_ids[2]}"))
    # By pointer: a click on a column selects the token chosen there.
    box = card.locator(".lens-cells canvas").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.5 / len(lens.positions), box["y"] + 5)
    eventually(heading, containing(first))
    assert not opened.events


def test_hostile_tokens_stay_text_and_come_out_as_numbers(visit):
    opened = visit(html_page(with_lens()), accept_downloads=True)
    card = opened.page.locator(".card.layers")
    assert "</script>" in card.text_content()
    for name in ("CSV", "JSON", "SVG"):
        card.locator("summary").click()
        with opened.page.expect_download() as download:
            card.get_by_role("button", name=name, exact=True).click()
        text = Path(download.value.path()).read_text(encoding="utf-8")
        assert "block 4" in text
        assert "\x1b" not in text
        if name == "JSON":
            assert len(json.loads(text)["readings"]) == 6 * len(with_lens().lens.positions)
        if name == "SVG":
            assert "<script" not in text.replace("&lt;", "")
    assert not opened.events


def test_a_page_without_a_lens_has_no_layers(visit):
    opened = visit(html_page(generation()))
    assert opened.page.locator(".card.layers").count() == 0
    assert not opened.events
