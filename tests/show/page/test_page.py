import base64
import dataclasses
import hashlib
import re

import pytest
from page_elements import plain, words_of
from sample_results import attention, attribution, classification, generation, text_of, tokens_of

from model_understanding.results import Attribution, Report
from model_understanding.show.page.document import html_fragment, html_page, page_script
from model_understanding.tokens import Tokens


def test_a_page_is_one_document_that_loads_nothing():
    page = html_page(classification())
    assert page.startswith("<!DOCTYPE html>")
    assert page.count("<script>") == 1
    assert page.count('<script type="application/json">') == 1
    assert page.count("<script") == page.count("</script>") == 2
    assert not re.search(r"https?://", page.replace("http://www.w3.org/2000/svg", ""))
    assert not re.search(r'\b(src|srcset|style)="', plain(page))


def test_the_policy_lets_only_our_script_and_style_pass():
    page = html_page(classification())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1).replace("&#39;", "'")
    script, style = (
        base64.b64encode(
            hashlib.sha256(re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL).group(1).encode()).digest()
        ).decode()
        for tag in ("script", "style")
    )
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def test_the_same_report_gives_the_same_page_and_save_writes_it(tmp_path):
    report = classification()
    assert html_page(report) == html_page(report)
    path = report.save(tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == html_page(report)


def test_a_classification_says_everything():
    words = words_of(html_page(classification(cautions=["untrained head"])))
    for expected in (
        "positive 99.8 %",
        "Warning: untrained head",
        "The movie was absolutely fantastic!",
        "Saliency: logit of positive",
        "value −0.5 · input_x_gradient",
        "supports positive",
        "opposes positive",
        "attention is not causation",
        "It is local",
        "deletion",
        "torch 2.13.0",
    ):
        assert expected in words


def test_words_carry_their_score_their_color_and_special_tokens_are_pills():
    tokens = tokens_of("good bad so")
    report = classification(tokens)
    result = attribution(tokens, scores=[4, 4, -2, 0, 0], valid=[[True, True, True, False, True]])
    page = html_page(Report(prediction=report.prediction, attributions=(result,)))
    assert '<span class="mu-p8" title="40.0 % · score 4">good</span>' in page
    assert '<span class="mu-n4" title="−20.0 % · score −2">bad</span>' in page
    assert '<span class="mu-unscored" title="no score: cannot contribute">so</span>' in page
    assert '<bdi class="mu-pill" title="40.0 % · score 4">[CLS]</bdi>' in page


def test_the_numbers_are_a_table_of_every_unit():
    tokens = tokens_of("a 😀 b", splits_emoji=True)
    page = html_page(classification(tokens))
    assert "All 5 scores as a table" in page
    table = plain(page).split("All 5 scores as a table")[1].split("</table>")[0]
    assert table.count("<tr") == 6
    assert table.count("<bdi>😀</bdi>") == 1


def test_without_scripts_there_is_a_picture_of_each_part_in_the_page_s_own_colors():
    page = plain(html_page(classification()))
    assert page.count('<figure class="mu-figure"><svg') == 2
    assert 'class="mu-fill-supports"' in page
    assert 'href="data:image/png;base64,' in page


def test_a_generation_says_each_step():
    report = generation()
    words = words_of(html_page(report))
    probability = f"{100 * report.generation.probabilities[0]:.1f} %"
    assert f"it {probability}" in words.replace("  ", " ")
    assert "Probability of each generated token" in words
    assert "Top tokens of each of the 12 targets" in words
    assert "12 tokens generated" in words


def test_a_likely_token_of_blanks_or_breaks_is_seen():
    report = generation(1)
    steps = dataclasses.replace(report.generation, top_labels=(("\n", "  "),))
    words = words_of(html_page(dataclasses.replace(report, generation=steps)))
    assert re.search(r"↵ \d", words)
    assert re.search(r"␣␣ \d", words)


def test_a_given_continuation_and_one_that_ended_are_said():
    report = generation(1)
    given = dataclasses.replace(report.generation, given=True, ended=True)
    page = html_page(dataclasses.replace(report, generation=given))
    assert "1 token given, ended by the model" in page


def test_pairs_are_two_paragraphs_and_direction_follows_the_text():
    tokens = Tokens.from_spans(
        texts=("one", "שתיים"),
        pieces=["one", "שתיים"],
        ids=[1, 2],
        segments=[0, 1],
        offsets=[(0, 3), (0, 5)],
        special=[False, False],
    )
    page = html_page(classification(tokens))
    assert re.findall(r'<p class="mu-text" dir="(\w+)">', page) == ["ltr", "rtl"]
    assert len(re.findall(r'<p class="mu-text mu-quote" dir="auto">', page)) == 2


@pytest.mark.parametrize(
    ("report", "most"),
    [(classification(), 0.035e6), (generation(64, 36), 0.28e6)],
    ids=["sentence", "64 tokens of 100"],
)
def test_pages_stay_small_beside_their_script(report, most):
    assert len(html_page(report)) - len(page_script()) < most


def test_a_map_of_200_tokens_is_an_image_within_the_picture():
    tokens = tokens_of(text_of(200))
    report = Report(prediction=classification(tokens).prediction, attention=(attention(tokens),))
    page = html_page(report)
    assert 'href="data:image/png;base64,' in page
    assert len(page) < 0.6e6


def test_a_long_table_says_what_it_leaves_out():
    tokens = tokens_of(text_of(400))
    report = classification(tokens)
    page = html_page(Report(prediction=report.prediction, attributions=(attribution(tokens),)))
    assert "The largest 300 scores as a table, 102 more not shown" in words_of(page)


def test_a_report_of_bare_arrays_has_a_page_too():
    result = Attribution.from_arrays(["a", "b"], [1.0, 2.0])
    prediction = classification(result.tokens).prediction
    page = html_page(Report(prediction=prediction, attributions=(result,)))
    assert "unknown" not in words_of(page)


def test_a_fragment_is_one_element_and_what_a_notebook_shows():
    fragment = html_fragment(classification()).strip()
    assert fragment.startswith('<div class="model-understanding" data-model-understanding="fragment" ')
    assert fragment.endswith("</div>")
    assert "<html" not in fragment
    bundle = classification()._repr_mimebundle_()
    assert bundle["text/html"].strip() == fragment
    assert bundle["text/plain"].startswith("positive 99.8 % · demo:sentiment")
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert set(classification(tokens_of(text_of(300)))._repr_mimebundle_()) == {"text/plain", "text/html"}
