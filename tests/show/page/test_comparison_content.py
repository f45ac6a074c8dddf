"""The page of a comparison without scripts: what it says, and that what is text stays text."""

import base64
import dataclasses
import hashlib
import re

import compared_reports as reports
import numpy as np
import pytest
import sample_results
from compared_reports import attribution, classification, cut, step_attribution, words
from page_elements import Elements, hidden, plain, words_of
from sample_comparisons import found, hostile_pair
from sample_results import HOSTILE, tokens_of

from model_understanding import compare
from model_understanding.comparison import Comparison
from model_understanding.results import Provenance
from model_understanding.show.page.document import html_fragment, html_page
from model_understanding.tokens import visible_text


def rows_of(page: str, title: str) -> list[list[str]]:
    """Return the cells of the first table after some words, without their bars."""
    page = plain(page)
    table = re.search(r"<tbody>(.*?)</tbody>", page[page.index(title) :], re.DOTALL).group(1)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in table.split("</tr>")[:-1]]
    return [[" ".join(re.sub(r"<[^>]*>", "", cell).split()) for cell in row] for row in cells]


def texts_of(page: str) -> list[str]:
    """Return the markup of the two texts."""
    return re.findall(r'<div class="mu-aligned".*?</div>', plain(page), re.DOTALL)


def test_the_answers_why_they_differ_and_the_numbers_stand_in_this_order():
    page = html_page(found(provenance=Provenance(model="n", task="sequence-classification")))
    said = words_of(page)
    place = 0
    for expected in (
        "a.json → b.json",
        "positive 90.0 % → positive 65.0 %",
        "1 word replaced, 1 added · two models",
        "The probability of positive drops from 90.0 % to 65.0 %, mostly because good became bad.",
        "a.json – not measured",
        "b.json – not measured",
        "largest differences",
        "Raw scores are compared",
        "rank correlation 0.87 · different top word",
        "All 5 words",
        "Largest single change: share of “good → bad” in the scores: from 50.0 % to −40.0 % (−90.0 points)",
        "Difference in attention: layer 5, head 0",
        "Outputs",
        "Different models: m; n.",
    ):
        assert expected in said[place:], expected
        place = said.index(expected, place)
    assert rows_of(page, "largest differences") == [
        ["good → bad", "5", "−5", "−10", ""],
        ["here", "2", "4", "+2", ""],
        ["indeed (added)", "–", "0.5", "+0.5", ""],
    ]
    assert rows_of(page, "All 5 words") == [
        ["a", "1", "1", "0"],
        ["good → bad", "5", "−5", "−10"],
        ["film", "2", "2", "0"],
        ["indeed (added)", "–", "0.5", "+0.5"],
        ["here", "2", "4", "+2"],
    ]
    assert rows_of(page, ">Outputs<") == [
        ["negative", "10.0 %", "35.0 %", "+25.0", ""],
        ["positive", "90.0 %", "65.0 %", "−25.0", ""],
    ]


def test_both_texts_carry_the_difference_and_what_one_lacks_is_marked():
    first, second = texts_of(html_page(found()))
    style = re.search(r'<span style="([^"]*)" title="5 → −5: −10">good</span>', first).group(1)
    assert "background-color:" in style
    assert "border-bottom:2px dotted" in style
    assert f'<span style="{style}" title="5 → −5: −10">bad</span>' in second
    assert re.search(r'border-bottom:2px solid" title="– → 0.5: \+0.5">indeed', second)
    swapped = compare(*[words_report(text) for text in ("a very good film", "a good film")])
    assert "text-decoration:line-through" in texts_of(html_page(swapped))[0]


def words_report(text: str):
    tokens = words(text)
    return classification(tokens, attribution(tokens, np.ones(len(tokens))))


def test_special_tokens_have_no_color_and_do_not_set_the_scale():
    tokens = words("a film", special=True)
    sides = [classification(tokens, attribution(tokens, scores)) for scores in ([0, 1, 0, 0], [90, 2, 0, 0])]
    page = html_page(compare(*sides))
    first, _ = texts_of(page)
    assert re.search(r'<bdi style="opacity[^"]*" title="0 → 90: \+90">\[CLS\]', first)
    assert rows_of(page, "largest differences") == [["a", "1", "2", "+1", ""]]


def test_the_steps_of_generations_are_a_table():
    first, second = (
        reports.generation("the sky is", "very blue"),
        reports.generation("the sky is", "deep blue"),
    )
    sides = [
        dataclasses.replace(side, attributions=(step_attribution(side, np.array(scores, float)),))
        for side, scores in (
            (first, [[1, 2, 3, 0, 0], [1, 1, 1, 5, 0]]),
            (second, [[3, 2, 1, 0, 0], [1, 1, 1, 5, 0]]),
        )
    ]
    page = html_page(compare(*sides))
    assert "“very blue” → “deep blue”" in words_of(page)
    rows = rows_of(page, "Each target")
    assert [row[0] for row in rows] == ["very → deep", "blue"]
    assert [row[2] for row in rows] == ["the +33.3 · is −33.3", "none"]


def test_right_to_left_words_are_isolated_and_keep_their_order():
    first, second = words("שלום עולם"), words("לילה עולם")
    page = html_page(compare(*(classification(side, attribution(side, [1, 2])) for side in (first, second))))
    assert "<bdi>שלום → לילה</bdi>" in page
    assert 'dir="rtl"' in texts_of(page)[0]


def test_another_tokenizer_and_blanks_leave_the_text_whole():
    text = "unbelievably good\n\tfilm"
    first, second = words(text), cut(text, "un", "believ", "ably", "good", "film")
    page = html_page(
        compare(
            classification(first, attribution(first, [3, 1, 0])),
            classification(second, attribution(second, [1, 1, 1.5, 1, 0])),
        )
    )
    shown = [re.sub("<[^>]*>", "", re.search(r"<p.*?</p>", part, re.DOTALL)[0]) for part in texts_of(page)]
    assert [part.strip("\n") for part in shown] == ["unbelievably good↵\n⇥film"] * 2


@pytest.mark.parametrize("render", [html_page, html_fragment])
def test_hostile_strings_end_as_text(render):
    page = render(hostile_pair())
    elements = Elements(page)
    assert elements.tags.count("script") == 2
    assert not {"img", "iframe", "a", "b", "object"} & set(elements.tags)
    assert not [name for name, _ in elements.attributes if name.startswith("on") or name in ("href", "src")]
    said = "".join(elements.words)
    for text in HOSTILE:
        assert visible_text(text) in said
    assert not hidden(page)
    assert page.count("</script") == 2


def test_the_page_is_one_document_that_runs_our_script_alone_and_loads_nothing():
    page = html_page(found())
    assert page == html_page(found())
    assert page.startswith("<!DOCTYPE html>")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1).replace("&#39;", "'")
    script, style = (
        base64.b64encode(
            hashlib.sha256(re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL).group(1).encode()).digest()
        ).decode()
        for tag in ("script", "style")
    )
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; "
        "style-src-attr 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def test_save_writes_the_page_and_a_notebook_gets_the_fragment(tmp_path):
    comparison = found()
    path = comparison.save(tmp_path / "diff.html")
    assert path.read_text(encoding="utf-8") == comparison.to_html() == html_page(comparison)
    assert comparison._repr_html_() == html_fragment(comparison)
    again = Comparison.from_json(comparison.to_json())
    assert again.to_html() == comparison.to_html()


def test_answers_alone_are_a_page():
    tokens = words("a film")
    page = html_page(compare(classification(tokens), classification(tokens, positive=0.5)))
    assert "−40.0" in page
    assert len(texts_of(page)) == 2


def test_the_same_report_has_no_difference():
    report = sample_results.classification()
    page = html_page(compare(report, report))
    said = words_of(page)
    assert "No difference: every word has the same score in both reports." in said
    assert "Largest single change" not in said
    assert "largest differences" not in said
    assert not any("background-color" in part for part in texts_of(page))


@pytest.mark.parametrize("count", [1400, 1600])  # with what hovering says, and without
def test_long_texts_stay_below_two_megabytes(count):
    text = " ".join(f"word{place}" for place in range(count))
    tokens = [tokens_of(side) for side in (text, text.replace("word77 ", "other "))]
    page = html_page(compare(*(classification(side, sample_results.attribution(side)) for side in tokens)))
    assert len(page.encode()) < 2e6
    assert "The largest 300 words" in page
    assert len(rows_of(page, "The largest 300 words")) == 300
