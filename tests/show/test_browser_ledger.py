"""The page of a ledger in a real browser: cells are selected by pointer, keyboard and lists."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from browsing import containing, eventually, keep_picture
from sample_ledgers import LEDGERS, language_model, ledger
from sample_results import HOSTILE

from model_understanding.results import Ledger
from model_understanding.show.page.document import html_fragment, html_page
from model_understanding.show.views.ledger import ledger_view

pytestmark = pytest.mark.browser

READOUT = "[data-role=readout] strong"
BOX = "[data-view=ledger]"


def sentence(found: Ledger, key: str, row: int, span: "int | tuple[int, int]") -> str:
    """A cell in Python's words, as the page begins a line with it."""
    span = (span, span) if isinstance(span, int) else span
    part = ledger_view(found).map(key)
    assert part is not None
    return part.sentence(row, span)


@pytest.mark.parametrize("name", LEDGERS)
@pytest.mark.parametrize("size", [(1400, 900), (390, 844)])
def test_every_ledger_is_drawn_without_a_fault_or_a_request(visit, name, size):
    opened = visit(html_page(LEDGERS[name]()), viewport={"width": size[0], "height": size[1]})
    opened.open_everything()
    assert opened.events == []
    assert opened.page.locator("h1").inner_text()
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    keep_picture(opened, f"ledger-{name.replace(' ', '-')}-{size[0]}")


def test_a_page_opens_with_the_strongest_place(visit):
    found = ledger()
    page = visit(html_page(found)).page
    row, column = np.unravel_index(np.abs(found.residual).argmax(), found.residual.shape)
    assert page.locator(READOUT).inner_text() == sentence(found, "residual", row, int(column))
    assert page.locator(".ranked-line[aria-pressed=true]").count() == 1
    assert page.locator("h1").inner_text() == ledger_view(found).answer[0]


def test_the_keyboard_selects_a_cell_and_marks_its_token_and_place(visit):
    found = ledger()
    page = visit(html_page(found)).page
    column = found.tokens.pieces.index("wonderful")
    page.locator(BOX).focus()
    for key in ("Home", "PageDown", *["ArrowRight"] * column, "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    eventually(page.locator(READOUT).inner_text, sentence(found, "residual", 2, column))
    selected = page.locator(".compared-texts .selected")
    eventually(selected.all_inner_texts, ["wonderful", "terrible"])
    cells = page.locator(".score-cells").bounding_box()
    mark = page.locator(".mark.selected-column").bounding_box()
    count, rows = len(found.tokens), found.layers + 1
    assert mark["x"] + mark["width"] / 2 == pytest.approx(
        cells["x"] + (column + 0.5) * cells["width"] / count, abs=2
    )
    assert mark["y"] + mark["height"] / 2 == pytest.approx(
        cells["y"] + (rows - 2.5) * cells["height"] / rows, abs=2
    )
    page.keyboard.press("End")
    page.keyboard.press("PageUp")
    eventually(page.locator(READOUT).inner_text, sentence(found, "residual", found.layers, count - 1))
    page.keyboard.press("ArrowDown")
    eventually(lambda: page.evaluate("location.hash"), f"#row={found.layers - 1}&column={count - 1}")


def test_a_row_of_a_cut_sums_to_the_difference_and_another_row_does_not(visit):
    found = ledger()
    page = visit(html_page(found), view="row=2&column=1").page
    whole = page.locator("[data-role=readout] .note")
    assert whole.inner_text() == "All tokens, entering block 2: +4 of +4, completeness gap < 0.1 %."
    page.get_by_role("button", name="Attention", exact=True).click()
    eventually(page.locator(READOUT).inner_text, sentence(found, "attention", 2, 1))
    total = sum(float(str(value)) for value in found.attention[2])
    assert f"({100 * total / 4:.1f} %)".replace("-", "−") in whole.inner_text()


def test_the_pointer_shows_a_cell_and_a_click_selects_it(visit):
    found = ledger()
    page = visit(html_page(found)).page
    cells = page.locator(".score-cells")
    cells.scroll_into_view_if_needed()
    area = cells.bounding_box()
    count, rows = len(found.tokens), found.layers + 1
    x, y = area["x"] + 2.5 * area["width"] / count, area["y"] + (rows - 0.5) * area["height"] / rows
    page.mouse.move(x, y)
    eventually(page.locator(".tooltip").inner_text, containing("entering block 0, at “film”"))
    eventually(page.locator(".compared-texts .hovered").all_inner_texts, ["film", "film"])
    page.mouse.click(x, y)
    eventually(page.locator(READOUT).inner_text, sentence(found, "residual", 0, 2))


def test_a_token_of_a_text_selects_its_column(visit):
    found = ledger()
    page = visit(html_page(found), view="map=3").page
    page.locator(".compared-texts .token", has_text="truly").first.click()
    eventually(page.locator(READOUT).inner_text, containing("at “truly”"))
    eventually(page.locator("[aria-pressed=true]", has_text="Hidden states").count, 1)


def test_lists_select_places_and_heads(visit):
    found = ledger()
    page = visit(html_page(found)).page
    layer, head = np.unravel_index(np.abs(found.heads).argmax(), found.heads.shape)
    page.locator(".ranked-line", has_text=f"block {layer}, head {head}").click()
    eventually(page.locator(READOUT).inner_text, sentence(found, "heads", layer, int(head)))
    assert page.locator(".ranked-line:focus").count() == 1
    page.keyboard.press("m")
    eventually(page.locator("[aria-pressed=true]", has_text="Hidden states").count, 1)
    page.get_by_role("button", name="MLPs", exact=True).click()
    first = page.locator(".ranked").first
    eventually(first.locator("h2").inner_text, "Strongest MLP outputs")
    row, column = np.unravel_index(np.abs(found.mlp).argmax(), found.mlp.shape)
    first.locator(".ranked-line").first.click()
    eventually(page.locator(READOUT).inner_text, sentence(found, "mlp", row, int(column)))


def test_long_texts_are_folded_scrolled_to_what_differs_and_unfolded(visit):
    found = language_model(212)
    page = visit(html_page(found), viewport={"width": 1400, "height": 900}).page
    for text in page.locator(".compared-texts .text").all():
        outer, inner = text.bounding_box(), text.locator(".differs").bounding_box()
        assert outer["y"] - 1 <= inner["y"] <= outer["y"] + outer["height"]
    page.locator(BOX).focus()
    page.keyboard.press("Home")
    eventually(page.locator(READOUT).inner_text, containing("at 209 tokens: 0 of +4 (0.0 %)"))
    page.get_by_role("button", name="All tokens").click()
    page.keyboard.press("End")
    box = page.locator(BOX)
    box.focus()
    page.keyboard.press("End")
    eventually(page.locator(READOUT).inner_text, containing(f"at “{found.tokens.pieces[-1]}”"))
    mark, outer = page.locator(".mark.selected-column").bounding_box(), box.bounding_box()
    assert outer["x"] <= mark["x"] <= outer["x"] + outer["width"]
    assert box.evaluate("(e) => e.scrollLeft") > 0
    labels, corner = page.locator(".row-labels").bounding_box(), outer["x"]
    assert labels["x"] == pytest.approx(corner, abs=1), "the layers stay in view"


def test_many_layers_scroll_within_the_map_below_the_names_of_the_tokens(visit):
    page = visit(html_page(LEDGERS["deep and wide"]()), viewport={"width": 1400, "height": 900}).page
    box = page.locator(BOX)
    box.focus()
    page.keyboard.press("PageDown")
    eventually(lambda: box.evaluate("(e) => e.scrollTop > 100"), True)
    top, outer = page.locator(".column-labels").bounding_box(), box.bounding_box()
    assert top["y"] == pytest.approx(outer["y"], abs=1)
    assert outer["height"] <= 700


def test_the_code_is_copied_and_the_map_saved(visit):
    found = ledger()
    page = visit(html_page(found), accept_downloads=True).page
    page.locator("summary", has_text="Compute it again").click()
    assert "visualizer.compute_ledger(" in page.locator("pre").last.inner_text()
    page.locator("summary[aria-label='Export map']").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "part,layer,column,name,reference,value"
    assert len(lines) == 1 + found.residual.size + 2 * found.attention.size + found.heads.size
    page.locator("summary[aria-label='Export map']").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    cells = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))["cells"]
    first = next(cell for cell in cells if cell["part"] == "residual" and cell["layer"] == 2)
    assert first["value"] == pytest.approx(float(found.residual[2, 0]))


def test_hostile_text_is_text(visit):
    opened = visit(html_page(LEDGERS["hostile"]()))
    page = opened.page
    assert page.locator("script").count() == 2
    for selector in ("img", "iframe", "[onerror]", "main style"):
        assert page.locator(selector).count() == 0, selector
    assert HOSTILE[0] in page.locator("h1").inner_text()
    assert opened.events == []


def test_in_a_notebook_two_ledgers_keep_to_themselves(visit):
    found = ledger(), language_model()
    page = visit("".join(map(html_fragment, found))).page
    hosts = page.locator("[data-model-understanding=fragment]")
    hosts.nth(1).evaluate("(e) => e.scrollIntoView()")
    eventually(lambda: [host.get_attribute("data-mounted") for host in hosts.all()], ["yes", "yes"])
    hosts.nth(1).locator(BOX).focus()
    page.keyboard.press("Home")
    page.keyboard.press("PageDown")
    eventually(hosts.nth(1).locator(READOUT).inner_text, sentence(found[1], "residual", 0, 0))
    row, column = np.unravel_index(np.abs(found[0].residual).argmax(), found[0].residual.shape)
    assert hosts.nth(0).locator(READOUT).inner_text() == sentence(found[0], "residual", row, int(column))
    assert page.evaluate("location.hash") == ""


def test_without_scripts_the_strongest_places_are_a_table(visit):
    found = ledger()
    page = visit(html_page(found), java_script_enabled=False).page
    text = re.sub(r"\s+", " ", page.locator("main").inner_text())
    for part in ledger_view(found, 3).maps:
        for cell in part.ranked:
            assert f"{cell.place} {cell.value} {cell.share}" in text
    assert page.locator("[data-plain] table").count() == 4
    assert "How exact it is: completeness gap below 0.1 %." in text


def test_menus_stay_in_the_window_of_a_phone_and_break_no_word(visit):
    page = visit(html_page(LEDGERS["two layers"]()), viewport={"width": 390, "height": 844}).page
    for menu in page.locator("details.menu").all():
        menu.locator("summary").click()
        items = menu.locator(".menu-items")
        eventually(lambda items=items: items.bounding_box()["x"] >= 0, True)
        box = items.bounding_box()
        assert box["x"] + box["width"] <= 390
        lines = "(all) => all.map((e) => e.getBoundingClientRect().height)"
        heights = items.locator("button").evaluate_all(lines)
        assert max(heights) < 40  # one line each
        menu.locator("summary").click()
