import base64
import dataclasses
import hashlib
import re

import numpy as np
import pytest
from page_elements import Elements, plain, words_of
from sample_results import attribution, classification, generation, text_of, tokens_of

from model_understanding.results import Attribution, Evaluation, Report
from model_understanding.show.page.document import html_fragment, html_page, page_script
from model_understanding.show.shared.colors import tint
from model_understanding.show.views.sources import sources_view
from model_understanding.tokens import Tokens


def test_a_page_is_one_document_that_loads_nothing():
    page = html_page(classification())
    assert page.startswith("<!DOCTYPE html>")
    assert Elements(page).tags.count("script") == page.count("</script>") == 2
    assert not re.search(r"https?://", page.replace("http://www.w3.org/2000/svg", ""))
    assert not re.search(r'\b(src|srcset)="', plain(page))


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
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; "
        "style-src-attr 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def test_the_same_report_gives_the_same_page_and_save_writes_it(tmp_path):
    report = classification()
    assert html_page(report) == html_page(report)
    path = report.save(tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == html_page(report)


def test_a_classification_says_everything_in_order():
    words = words_of(html_page(classification(cautions=["untrained head"])))
    order = (
        "positive 99.8 %",
        "negative 0.2 %",
        "– not measured",
        "Warning: untrained head",
        "Why positive?",
        "[CLS] The movie was absolutely fantastic!",
        "supports positive",
        "opposes positive",
        "logit of positive · value −0.5 · input_x_gradient",
        "Where it attends",
        "How was this tested?",
        "How does the target change as tokens are removed in order?",
        "It is local",
        "attention is not causation",
        "torch 2.13.0",
    )
    places = [words.index(part) for part in order]
    assert places == sorted(places)


def test_words_carry_their_score_and_a_color_that_needs_no_style_sheet():
    tokens = tokens_of("good bad so")
    report = classification(tokens)
    result = attribution(tokens, scores=[4, 4, -2, 0, 0], valid=[[True, True, True, False, True]])
    page = html_page(Report(prediction=report.prediction, attributions=(result,)))
    blue, orange = tint(1.0, "supports"), tint(0.5, "against")
    style = "border-radius:3px"
    assert f'<span style="background-color:{blue};{style}" title="+40.0 % · score +4">good</span>' in page
    assert f'<span style="background-color:{orange};{style}" title="−20.0 % · score −2">bad</span>' in page
    text = page.split('<p class="mu-words"')[1].split("</p>")[0]
    assert re.sub("<[^>]*>", "", text.split(">", 1)[1]).split() == ["[CLS]", "good", "bad", "so", "[SEP]"]
    assert "no score" not in plain(page)


def test_every_unit_with_a_score_is_in_a_table():
    tokens = tokens_of("a 😀 b c d e f", splits_emoji=True)
    page = plain(html_page(classification(tokens)))
    table = page.split("All 9 scores")[1].split("</table>")[0]
    assert table.count("<tr") == 10
    assert table.count("<bdi>😀</bdi>") == 1


def test_scores_that_are_not_supported_are_pale_and_dashed():
    report = classification()
    evaluation = Evaluation(
        metric="verdict",
        value=0.1,
        curve=np.zeros((0, 2)),
        control=[],
        higher_is_better=True,
        verdict="not supported",
        method="input_x_gradient",
        target="logit of positive",
        summary="Removing its top words changes nothing.",
    )
    page = plain(html_page(dataclasses.replace(report, evaluations=(evaluation,))))
    assert "○ not supported</span> Removing its top words changes nothing." in page
    assert "border-bottom:1px dashed" in page
    assert tint(1.0, "supports", faded=True) in page
    assert tint(1.0, "supports") not in page


def test_a_generation_says_each_step_and_what_it_depends_on():
    report = generation()
    words = words_of(html_page(report))
    assert report.generation.prompt in words.split("12 tokens generated")[1]
    assert "The answer, token by token" in words
    assert "Why this answer?" in words
    row = words.split("depends most on (share) instead ")[1]
    probability = f"{100 * report.generation.probabilities[0]:.1f} %"
    sources = sources_view(report.attributions[1]).tops[0]
    first = f"it {probability} " + " · ".join(f"{top.label} {top.share_text}" for top in sources)
    assert row.replace("  ", " ").startswith(first)


def test_a_likely_token_of_blanks_or_breaks_is_seen():
    report = generation(1)
    steps = dataclasses.replace(report.generation, top_labels=(("\n", "  "),), top_ids=[[98, 99]])
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
    assert re.findall(r'<p class="mu-words" dir="(\w+)"', page) == ["ltr", "rtl"]


@pytest.mark.parametrize(
    ("report", "most"),
    [(classification(), 0.04e6), (generation(64, 36), 0.28e6)],
    ids=["sentence", "64 tokens of 100"],
)
def test_pages_stay_small_beside_their_script(report, most):
    assert len(html_page(report)) - len(page_script()) < most


def test_a_long_table_says_what_it_leaves_out():
    tokens = tokens_of(text_of(400))
    report = classification(tokens)
    page = html_page(Report(prediction=report.prediction, attributions=(attribution(tokens),)))
    assert "The largest 300 scores" in words_of(page)
    assert "and 102 more" in words_of(page)


def test_a_report_of_bare_arrays_has_a_page_too():
    result = Attribution.from_arrays(["a", "b"], [1.0, 2.0])
    prediction = classification(result.tokens).prediction
    page = html_page(Report(prediction=prediction, attributions=(result,)))
    assert "unknown" not in words_of(page)


def test_a_fragment_is_one_element_and_what_a_notebook_shows():
    fragment = html_fragment(classification()).strip()
    assert fragment.startswith('<div class="model-understanding" data-model-understanding="fragment" ')
    assert fragment.endswith("</div>")
    assert "html" not in Elements(fragment).tags
    bundle = classification()._repr_mimebundle_()
    assert bundle["text/html"].strip() == fragment
    assert bundle["text/plain"].startswith("positive 99.8 % · demo:sentiment")
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert set(classification(tokens_of(text_of(300)))._repr_mimebundle_()) == {"text/plain", "text/html"}
