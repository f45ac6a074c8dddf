"""Attention in a real browser: a window over a long text, words and sentences, heads by their scores."""

import dataclasses
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import EVERYTHING, NODES, containing, eventually, matching
from sample_results import classification, heads, text_of, tokens_of

from model_understanding.results import AttentionMap, HeadScores, Report
from model_understanding.show.page.document import exact_size, html_page
from model_understanding.tokens import Level

pytestmark = pytest.mark.browser


@pytest.fixture
def visit(visit):
    """Open pages with every section open."""
    return partial(visit, view=EVERYTHING)


LENGTH = 240


def pooled(given: AttentionMap, size: int) -> AttentionMap:
    """Return a map with neighbors joined as ``keep='pooled:N'`` joins them."""
    groups = [range(start, min(start + size, LENGTH)) for start in range(0, LENGTH, size)]
    joined = given.joined(groups, groups)
    blocks = given.queries.blocks(size)
    return dataclasses.replace(
        joined, queries=blocks, keys=blocks, keep=f"pooled:{size}", left_out=("Pooled.",), sinks=None
    )


def long_report() -> Report:
    """Return what the size policy keeps of a long text: means, the last layer's heads, an overview."""
    whole = heads(LENGTH, causal=False, layers=2, count=3)
    means = dataclasses.replace(
        whole, weights=whole.weights.mean(axis=1, keepdims=True), heads="mean", sinks=None
    )
    last = dataclasses.replace(whole, weights=whole.weights[1:], layers=(1,), sinks=None)
    report = classification(whole.queries)
    return dataclasses.replace(report, attention=(means, last, pooled(whole, 8)))


def exported(page: Any) -> dict[str, Any]:
    page.locator("summary[aria-label='Export attention']").click()
    with page.expect_download() as download:
        page.locator(".menu[open] button", has_text="JSON").click()
    return json.loads(Path(download.value.path()).read_bytes())


def choose(page: Any, label: str, words: str) -> None:
    picker = f":is(.attention, .heads-part) label.picker:has(> span:text-is('{label}')) select"
    page.locator(picker).select_option(label=words)


def attention_is(page: Any, words: str) -> None:
    page.locator("#attention-title", has_text=re.compile(f"^Attention: {words}$")).wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_window_moves_over_a_long_text_and_shows_single_weights(visit, scheme):
    report = long_report()
    html = html_page(report)
    opened = visit(html, scheme)
    page = opened.page
    minimap, where = page.locator("[data-view=minimap]"), page.locator(".minimap [role=status]")
    remark = page.locator(".attention")
    minimap.focus()
    page.keyboard.press("Home")
    eventually(where.inner_text, containing("rows 1–32 of 240, columns 1–32 of 240"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+ArrowRight")
    eventually(where.inner_text, containing("rows 17–48 of 240, columns 2–33 of 240"))
    page.keyboard.press("+")
    eventually(where.inner_text, containing("rows 9–56 of 240, columns 1–48 of 240"))
    box = minimap.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] - 1, steps=3)
    page.mouse.up()
    eventually(where.inner_text, containing("rows 193–240 of 240"))  # dragged into the corner
    # The selection takes the window with it, and stands in the pooled map too.
    page.locator(".token[data-token='100']").click()
    eventually(where.inner_text, containing("rows 77–124 of 240, columns 77–124 of 240"))
    colors = """(over) => {
      const base = over.parentElement.querySelector("canvas");
      const data = base.getContext("2d").getImageData(0, 0, base.width, base.height).data;
      return new Set(new Uint32Array(data.buffer)).size;
    }"""
    eventually(lambda: minimap.evaluate(colors) > 30, True)  # the overview is not blank
    choose(page, "Map", "raw: all layers, 3 heads, overview in blocks of 8 tokens")
    choose(page, "Head", "head 1")
    attention_is(page, "layer 1, head 1")
    words = "The window shows individual weights; in the overview, each cell covers up to 8 × 8"
    eventually(remark.inner_text, containing(words))
    numbers = exported(page)
    assert np.abs(np.array(numbers["weights"]) - report.attention[1].matrix(1, 1)).max() < 0.01
    choose(page, "Layer", "layer 0")
    attention_is(page, "layer 0, head 1")
    eventually(
        remark.inner_text,
        containing(
            "This page has no individual weights for this matrix, only for 2 layers, mean over all heads; "
            "layer 1, 3 heads."
        ),
    )
    eventually(
        page.locator(".arcs h3").inner_text, "96–103 attends most to"
    )  # the stretch of the selected token
    numbers = exported(page)
    assert numbers["from"][12] == "96–103"
    assert np.abs(np.array(numbers["weights"]) - report.attention[2].matrix(0, 1)).max() < 0.01
    page.locator(".arcs .source").first.click()
    eventually(page.locator(".bar-row[aria-selected=true]").count, 1)  # a stretch selects its first token
    page.keyboard.press("z")
    eventually(minimap.is_hidden, True)
    assert exact_size(len(html.encode())) in page.locator("[data-role=page-size]").inner_text()
    assert "individual weights are in this page for layers 0–1, mean over all heads" in (
        page.locator(".about").inner_text()
    )
    assert opened.events == []


def test_a_long_text_shows_all_heads_that_the_page_has_and_brings_the_chosen_one_into_view(visit):
    page = visit(html_page(long_report())).page
    said = page.locator(".heads-part > .note").first.inner_text
    eventually(
        said, containing("Map: raw: all layers, 3 heads, overview in blocks of 8", "2 layers × 3 heads")
    )
    thumbnails = page.locator("[data-view=heads]")
    thumbnails.scroll_into_view_if_needed()
    box = thumbnails.bounding_box()
    page.mouse.click(box["x"] + 50, box["y"] + 40)
    attention_is(page, "layer 0, head 0")
    seen = """() => {
      const map = document.querySelector("[data-view-of-report]").shadowRoot.querySelector(".heatmap canvas");
      const { top, bottom } = map.getBoundingClientRect();
      return top < innerHeight - 100 && bottom > 100;
    }"""
    eventually(lambda: page.evaluate(seen), True)


def test_without_a_selection_the_keys_with_most_attention_are_listed(visit):
    whole = heads(12, causal=True, layers=1, count=2)
    report = dataclasses.replace(classification(whole.queries), attention=(whole,))
    page = visit(html_page(report), view="open=attention&level=token&sinks=raw&head=1").page
    shares = whole.matrix(0, 1).mean(axis=0)
    first = page.locator(".sources .source .unseen").first
    eventually(page.locator(".arcs h3").inner_text, "On average, most attention goes to")
    eventually(first.text_content, containing(f"{whole.keys.labels()[int(shares.argmax())]}: "))
    percent = float(str(first.text_content()).split(": ")[1].removesuffix(" %"))
    assert percent == pytest.approx(100 * shares.max(), abs=0.5)


def test_a_map_without_heads_says_so_and_what_to_do(visit):
    whole = heads(12, causal=False, layers=3, count=2)
    means = dataclasses.replace(whole, weights=whole.weights.mean(1, keepdims=True), heads="mean", sinks=None)
    page = visit(html_page(dataclasses.replace(classification(whole.queries), attention=(means,)))).page
    said = page.locator(".heads-part > .note").first.inner_text
    eventually(said, containing("3 layers, mean over all heads", "not in this page; compute_attention(text"))


def test_attention_that_is_nearly_equal_is_not_drawn_as_a_pattern(visit):
    whole = heads(30, causal=False, layers=2, count=2)
    noise = np.random.default_rng(0).uniform(0.95, 1.05, whole.weights.shape)
    flat = noise / noise.sum(-1, keepdims=True)
    flat[1, 1] = np.eye(30)
    even = dataclasses.replace(whole, weights=flat.astype(np.float32), sinks=None)
    page = visit(html_page(dataclasses.replace(classification(whole.queries), attention=(even,)))).page
    words = page.locator(".evenness")
    choose(page, "Head", "head 0")
    eventually(words.inner_text, containing("Nearly uniform"))
    spread = """(over) => {
      const base = over.parentElement.querySelector("canvas");
      const [x, y] = [base.width >> 1, base.height >> 1];
      const { data } = base.getContext("2d").getImageData(x, y, 200, 200);
      const reds = data.filter((_, index) => index % 4 === 0);
      return Math.max(...reds) - Math.min(...reds);
    }"""
    heatmap = page.locator("[data-view=heatmap]")
    eventually(lambda: heatmap.evaluate(spread) < 60, True)
    choose(page, "Head", "head 1")
    eventually(words.is_hidden, True)
    eventually(lambda: heatmap.evaluate(spread) > 150, True)


def test_words_and_sentences_hold_for_attention_too(visit):
    tokens = tokens_of("It was good, really good. I'd see it again! Wouldn't you, Ann?")
    report = classification(tokens)
    opened = visit(html_page(report))
    page = opened.page
    page.locator(".token", has_text="see").click()
    levels: tuple[Level, ...] = ("word", "sentence")
    for level in levels:
        page.keyboard.press("g")
        page.locator(".attention .note", has_text=f"Grouped by {level}: keys are summed").wait_for()
        folded = report.attention[0].folded(level)
        numbers = exported(page)
        assert numbers["from"] == list(folded.rows.labels())
        assert np.abs(np.array(numbers["weights"]) - folded.matrix(5)).max() < 0.02
    eventually(page.locator(".arcs h3").inner_text, "I'd see it again! attends most to")
    group = page.locator("[aria-label='Attention granularity']")
    eventually(group.locator("[aria-pressed=true]").inner_text, "Sentences")
    group.locator("button", has_text="Tokens").click()
    eventually(page.locator("[aria-label=Granularity] [aria-pressed=true]").inner_text, "Tokens")
    assert opened.events == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_heads_are_ranked_by_the_scores_of_the_report(visit, scheme):
    found = heads(24, causal=False, layers=4, count=6)
    scores = np.random.default_rng(3).uniform(size=(2, 4, 6)).astype(np.float32)
    report = dataclasses.replace(
        classification(found.queries),
        attention=(found,),
        heads=HeadScores(
            tokens=found.queries,
            names=("previous_token", "sink"),
            scores=scores,
            meanings=("weight on the token before", "weight on sinks"),
            signed=(False, False),
        ),
    )
    opened = visit(html_page(report), scheme)
    page = opened.page
    page.locator(".heads-part .note", has_text="4 layers × 6 heads").wait_for()
    choose(page, "Sort by", "sink")
    choose(page, "Show", "top 8")
    eventually(
        page.locator(".heads-part").inner_text, containing("Sorted by sink: weight on sinks", "Top 8 of 24.")
    )
    thumbnails = page.locator("[data-view=heads]")
    thumbnails.focus()
    assert report.heads is not None
    ranking = report.heads.ranking("sink")
    said = page.locator("[data-role=head-scores]")
    for place in (0, 1):
        page.keyboard.press("ArrowRight")
        best = ranking[place]
        attention_is(page, f"layer {best.layer}, head {best.head}")
        eventually(said.inner_text, matching(f"^Layer {best.layer}, head {best.head}: previous token "))
        eventually(said.inner_text, containing(f"(rank {place + 1} of 24)"))
    page.keyboard.press("End")
    attention_is(page, f"layer {ranking[7].layer}, head {ranking[7].head}")
    eventually(lambda: page.evaluate("location.hash"), containing("ranking=2&topHeads=8"))
    eventually(lambda: thumbnails.get_attribute("aria-label"), containing("8 heads, sorted by sink"))
    assert opened.events == []


@pytest.mark.full
def test_4096_tokens_open_and_scroll(visit):
    """As such a report is: the last layer's mean, its largest weights, and 144 heads pooled."""
    tokens = tokens_of(text_of(4096))
    count = len(tokens)
    weights = np.random.default_rng(0).standard_normal((count, count), dtype=np.float32)
    weights[:, 0] += 6
    weights = np.tril(np.exp(weights))
    mask = np.tril(np.ones((count, count), dtype=bool))
    main = AttentionMap(
        queries=tokens,
        keys=tokens,
        weights=(weights / weights.sum(axis=1, keepdims=True))[None, None],
        mask=mask,
        layers=(11,),
        heads="mean",
    )
    overview = heads(65, causal=True)
    blocks = tokens.blocks(64)
    overview = dataclasses.replace(
        overview, queries=blocks, keys=blocks, keep="pooled:64", left_out=("Pooled.",)
    )
    html = html_page(dataclasses.replace(classification(tokens), attention=(main, overview)))
    assert len(html.encode()) < 6e6
    opened = visit(html)
    page = opened.page
    page.locator("#attention-title", has_text="layer 11").wait_for()
    assert page.evaluate(NODES) < 9_000, "two for each token of the text, and little else"
    page.locator(".bars").evaluate("(bars) => bars.scrollTo(0, bars.scrollHeight)")
    page.locator(".bar-row", has_text="[SEP]").wait_for()
    page.locator(".text").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    selected = page.locator(".bar-row[aria-selected=true] .bar-label")
    eventually(selected.all_inner_texts, [text_of(4096).split()[-1]])
    where = page.locator(".minimap [role=status]")
    page.locator(".minimap [role=status]", has_text="rows 4,067–4,098 of 4,098").wait_for()
    page.locator("[data-view=minimap]").focus()
    page.keyboard.press("Home")
    eventually(where.inner_text, containing("rows 1–32 of 4,098, columns 1–32 of 4,098"))
    choose(page, "Map", "raw: all layers, 12 heads, overview in blocks of 64 tokens")
    attention_is(page, "layer 11, mean over all heads")
    eventually(page.locator(".attention").inner_text, containing("The window shows individual weights"))
    page.mouse.wheel(0, 2000)
    eventually(lambda: page.evaluate("scrollY > 0"), True)
    assert opened.events == []


def test_head_scores_without_maps_are_a_table(visit):
    values = np.array([[[0.1, 0.9], [0.4, 0.2]], [[-3.0, 0.5], [1.0, 2.0]]], dtype=np.float32)
    scores = HeadScores(
        tokens=tokens_of("a b"),
        names=("previous_token", "induction"),
        scores=values,
        meanings=("weight on the token before", "weight on what came after"),
        signed=(False, True),
    )
    page = visit(html_page(Report.of(scores))).page
    assert page.locator("h1").inner_text() == "Head scores: previous token, induction"
    table = page.locator(".head-table table")
    eventually(table.locator("thead th").all_inner_texts, ["rank", "previous token", "induction"])
    first = table.locator("tbody tr").first.locator("td").all_inner_texts()
    assert first == ["0·1: 0.9", "0·0: −3"]  # a score with a sign ranks by its size
