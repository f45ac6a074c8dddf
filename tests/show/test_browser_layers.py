"""The layers in a real browser: linked with the selection, by keyboard, in both themes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsing import AXE, containing, eventually
from sample_results import PIECES, generation

from model_understanding.results import LogitLens, Report
from model_understanding.show.page.document import html_page

pytestmark = pytest.mark.browser


def with_lens(layers: int = 6) -> Report:
    report = generation()
    source = report.generation
    assert source is not None
    positions = np.arange(source.prompt_length - 1, len(source.tokens) - 1)
    numbers = np.random.default_rng(1)
    plane = (layers, len(positions))
    following = source.tokens.ids[positions + 1]
    known = [int(entry) for entry in dict.fromkeys(following.tolist())]
    ids = [*range(10**6, 10**6 + 5), *known]
    lens = LogitLens(
        tokens=source.tokens,
        positions=positions,
        top_ids=numbers.integers(0, 5, (*plane, 3)) + 10**6,
        top_probabilities=-np.sort(-numbers.random((*plane, 3)) / 3),
        entropies=numbers.random(plane),
        divergences=np.where(np.arange(layers)[:, None] == layers - 1, 0, numbers.random(plane)),
        final_ranks=np.where(np.arange(layers)[:, None] == layers - 1, 1, 1234) * np.ones(plane, dtype=int),
        final_probabilities=numbers.random(plane),
        next_ids=following,
        next_ranks=np.ones(plane, dtype=int),
        next_probabilities=numbers.random(plane),
        ids=ids,
        labels=(*PIECES, *(f"token {entry}" for entry in known)),
    )
    return replace(report, lens=lens)


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
    page.locator(".scrub input").press("ArrowRight")
    eventually(heading, containing(f"token {lens.next_ids[1]}"))
    best = lens.top_labels(-1, 1)[0].strip()
    eventually(rows.first.locator("bdi").text_content, containing(best[:3]))
    # By keyboard, from the grid itself.
    card.locator(".lens-grid").focus()
    page.keyboard.press("ArrowDown")
    eventually(heading, containing(f"token {lens.next_ids[2]}"))
    # By pointer: a click on a column selects the token chosen there.
    box = card.locator("canvas").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.5 / len(lens.positions), box["y"] + 5)
    eventually(heading, containing(first))
    assert not opened.events


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.skipif(not AXE.exists(), reason="axe-core is missing")
def test_axe_finds_nothing_serious(visit, scheme):
    opened = visit(html_page(with_lens()), scheme, bypass_csp=True)
    opened.page.locator("canvas.heads[aria-label]").wait_for(state="attached")  # drawn when it is decoded
    assert opened.axe_violations() == []


def test_hostile_tokens_stay_text_and_come_out_as_numbers(visit):
    opened = visit(html_page(with_lens()), accept_downloads=True)
    card = opened.page.locator(".card.layers")
    assert "</script>" in card.text_content()
    for name in ("CSV", "JSON", "SVG"):
        card.locator("summary").click()
        with opened.page.expect_download() as download:
            card.get_by_role("button", name=name, exact=True).click()
        text = Path(download.value.path()).read_text(encoding="utf-8")
        assert "after block 4" in text
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
