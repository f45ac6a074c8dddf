"""The page of a comparison: what it says, and that what is text stays text."""

import base64
import dataclasses
import hashlib
import io
import re
import xml.etree.ElementTree as ElementTree

import compared_reports as reports
import numpy as np
import pytest
import sample_results
from compared_reports import attribution, classification, cut, step_attribution, words
from page_elements import HTML, Elements, hidden, plain, words_of
from PIL import Image
from sample_comparisons import found, hostile_pair
from sample_results import HOSTILE, tokens_of

from model_understanding import compare
from model_understanding.comparison import Comparison
from model_understanding.results import Provenance
from model_understanding.show.page.document import html_fragment, html_page
from model_understanding.show.page.svg import difference_matrix
from model_understanding.tokens import visible_text


def rows_of(page: str, title: str) -> list[list[str]]:
    """Return the cells of the first table after a heading."""
    page = plain(page)
    table = re.search(r"<tbody>(.*?)</tbody>", page[page.index(title) :], re.DOTALL).group(1)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in table.split("</tr>")[:-1]]
    return [[re.sub(r"<[^>]*>|\s+$", "", cell).strip() for cell in row] for row in cells]


def bars_of(page: str, title: str) -> list[list[tuple[float, float]]]:
    """Return where each bar of a table begins and how wide it is."""
    page = plain(page)
    table = re.search(r"<tbody>(.*?)</tbody>", page[page.index(title) :], re.DOTALL).group(1)
    bars = re.compile(r'<rect x="([\d.]+)" y="1" width="([\d.]+)"')
    return [[(float(x), float(w)) for x, w in bars.findall(row)] for row in table.split("</tr>")[:-1]]


def pixels_of(picture: str) -> np.ndarray:
    (image,) = ElementTree.fromstring(picture).iter("image")
    with Image.open(io.BytesIO(base64.b64decode(image.get("href").partition(",")[2]))) as opened:
        return np.asarray(opened).astype(int)


def test_both_answers_every_token_and_what_is_compared_are_said():
    page = html_page(found(provenance=Provenance(model="n", task="sequence-classification")))
    said = words_of(page)
    for expected in (
        "a.json → b.json",
        "modelmn",
        "targetlogit of positivelogit of positive",
        "outputpositive 90.0 %positive 65.0 %",
        "Largest change of a share, probability or weight: 0.9",
        "Other differences Different models: m; n.",
        "Raw scores are compared",
        "rank correlation 0.87 · different top token",
        "All 5 aligned tokens as a table",
        "lower in the second: −10",
        "+10: higher in the second",
        "Difference in attention: layer 5, head 0",
        "How to read this page",
    ):
        assert expected in said, expected
    assert rows_of(page, "Saliency:") == [
        ["0", "a", "1", "", "1", "", "0", ""],
        ["1", "good → bad", "5", "", "−5", "", "−10", ""],
        ["2", "film", "2", "", "2", "", "0", ""],
        ["3", "+indeed", "–", "", "0.5", "", "–", ""],
        ["4", "here", "2", "", "4", "", "+2", ""],
    ]
    assert rows_of(page, ">Outputs<") == [
        ["negative", "10.0 %", "", "35.0 %", "", "+25.0", ""],
        ["positive", "90.0 %", "", "65.0 %", "", "−25.0", ""],
    ]


def test_bars_of_scores_and_differences_are_on_one_scale_around_zero():
    assert bars_of(html_page(found()), "Saliency:")[1] == [(100, 50), (50, 50), (0, 100)]


def test_both_texts_carry_the_difference_and_what_one_lacks_is_marked():
    page = html_page(found())
    assert '<span class="mu-n8 mu-replaced" title="first 5 · second −5 · difference −10">good</span>' in page
    assert '<span class="mu-n8 mu-replaced" title="first 5 · second −5 · difference −10">bad</span>' in page
    assert page.count('<span class="mu-p2" title="first 2 · second 4 · difference +2">here</span>') == 2
    assert '<span class="mu-second-only" title="second 0.5 · only in the second text">indeed</span>' in page
    swapped = compare(*[words_report(text) for text in ("a very good film", "a good film")])
    assert "mu-first-only" in html_page(swapped)


def words_report(text: str):
    tokens = words(text)
    return classification(tokens, attribution(tokens, np.ones(len(tokens))))


def test_special_tokens_are_pills_without_a_color_and_a_token_without_a_score_is_struck():
    tokens = words("a film", special=True)
    held = np.array([[True, False, True, True]])
    sides = [
        classification(tokens, attribution(tokens, scores, valid=held)) for scores in ([0] * 4, [9, 0, 1, 0])
    ]
    page = html_page(compare(*sides))
    assert '<bdi class="mu-pill" title="first 0 · second 9 · difference +9">[CLS]</bdi>' in page
    assert '<span class="mu-unscored" title="no score">a</span>' in page


def test_the_steps_of_generations_are_a_matrix_and_a_table():
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
    rows = rows_of(page, "All 2 common targets")
    assert [row[0] for row in rows] == ["very → deep", "blue"]
    assert [" ".join(row[2].split()) for row in rows] == ["the +33.3 is −33.3", "none"]
    assert ">Texts<" in page
    assert 'class="mu-replaced">deep</span>' in page


def test_a_difference_is_blue_above_zero_orange_below_and_gray_where_there_is_none():
    values, compared = np.array([[0.0, 2.0, -1.0, 0.0]]), np.array([[True, True, True, False]])
    picture = difference_matrix(values, compared, ("r",), tuple("abcd"), "t")
    nothing, higher, lower, missing = pixels_of(picture)[0]
    assert nothing[3] == 0
    assert (higher[3], lower[3]) == (255, 128)
    assert higher[2] > higher[0]
    assert lower[0] > lower[2]
    assert missing.tolist() == [128, 128, 128, 70]


def test_a_large_matrix_keeps_the_largest_difference_of_each_block_with_its_sign():
    values = np.zeros((600, 600))
    values[599, 0], values[599, 1], values[0, 599] = 1, -3, 2
    pixels = pixels_of(difference_matrix(values, values == values, ("",), ("",), "t"))
    assert pixels.shape[:2] == (200, 200)
    assert pixels[199, 0, 3] == 255
    assert pixels[199, 0, 0] > pixels[199, 0, 2]
    assert pixels[0, 199, 2] > pixels[0, 199, 0]


def test_right_to_left_words_are_isolated_and_two_of_them_keep_their_order():
    first, second = words("שלום עולם"), words("לילה עולם")
    page = html_page(compare(*(classification(side, attribution(side, [1, 2])) for side in (first, second))))
    assert "<bdi>שלום</bdi> → <bdi>לילה</bdi>" in page
    assert '<p class="mu-text" dir="auto"><span class="mu-replaced"' in page


def test_another_tokenizer_and_blanks_leave_the_text_whole():
    text = "unbelievably good\n\tfilm"
    first, second = words(text), cut(text, "un", "believ", "ably", "good", "film")
    page = html_page(
        compare(
            classification(first, attribution(first, [3, 1, 0])),
            classification(second, attribution(second, [1, 1, 1.5, 1, 0])),
        )
    )
    shown = [
        re.sub("<[^>]*>", "", part) for part in re.findall(r'<p class="mu-text".*?</p>', page, re.DOTALL)
    ]
    assert shown == ["unbelievably good↵\n⇥film"] * 2


@pytest.mark.parametrize("render", [html_page, html_fragment])
def test_hostile_strings_end_as_text(render):
    page = render(hostile_pair())
    elements = Elements(page)
    assert set(elements.tags) <= HTML
    assert elements.tags.count("script") == 2
    assert {name for name, _ in elements.attributes} <= {
        *(
            "class",
            "dir",
            "title",
            "lang",
            "charset",
            "http-equiv",
            "content",
            "name",
            "scope",
            "role",
            "open",
        ),
        *("viewbox", "preserveaspectratio", "width", "height", "x", "y", "aria-hidden", "aria-label"),
        *("href", "image-rendering", "text-anchor", "transform", "data-plain", "data-model-understanding"),
        *("data-view-of-report", "data-page-size", "hidden", "type"),
    }
    links = [value for name, value in elements.attributes if name == "href"]
    assert links
    assert all(value.startswith("data:image/png;base64,") for value in links)
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
    assert "<html" not in comparison._repr_html_()
    again = Comparison.from_json(comparison.to_json())
    assert again.to_html() == comparison.to_html()


def test_answers_alone_are_a_page():
    tokens = words("a film")
    page = html_page(compare(classification(tokens), classification(tokens, positive=0.5)))
    assert "−40.0" in page
    assert ">Texts<" in page


def test_the_same_report_has_no_difference():
    report = sample_results.classification()
    page = html_page(compare(report, report))
    assert "no differences between common tokens" in words_of(page)
    assert "<p>no differences</p>" in page
    assert not re.search(r'class="mu-[pn]\d"', page)


@pytest.mark.parametrize("count", [1400, 1600])  # with what hovering says, and without
def test_long_texts_stay_below_two_megabytes(count):
    text = " ".join(f"word{place}" for place in range(count))
    tokens = [tokens_of(side) for side in (text, text.replace("word77 ", "other "))]
    page = html_page(compare(*(classification(side, sample_results.attribution(side)) for side in tokens)))
    noise = np.random.default_rng(0).normal(size=(1000, 1000))
    picture = difference_matrix(noise, noise != 0, ("",), ("",), "t")
    assert len(page.encode()) + len(picture) < 2e6
    assert "The largest 300 aligned tokens as a table" in page
    places = [int(row[0]) for row in rows_of(page, "Saliency:")]
    assert places == sorted(places)
