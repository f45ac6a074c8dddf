"""Reports of real and tiny models in a browser, each in both themes, with a screenshot kept of each."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from browsing import EVERYTHING, NODES, Visit, colors_of, keep_picture, wait_until_read
from loaded_demos import sentiment, smollm2
from sample_results import text_of
from tiny_models import visualizer_of
from tiny_tokenizers import SENTENCES

from model_understanding import Report
from model_understanding.show.page.document import html_page

pytestmark = pytest.mark.browser
REPOSITORY = Path(__file__).parents[2]
EXAMPLES = sorted((REPOSITORY / "examples").glob("*.html"))
RIGHT_TO_LEFT = "הסרט הזה היה נהדר 😀👨‍👩‍👧 </script><b>מאוד</b> ואני אהבתי אותו! 12:30 OK"
MOST_NODES = 2000


@cache
def of_the_classifier() -> Report:
    text = "The movie was absolutely fantastic, although the ending felt rushed."
    return sentiment().analyze(text, evaluate=True, show=False)


@cache
def of_smollm2() -> Report:
    return smollm2().analyze("The capital of France is", max_new_tokens=6, method="saliency", show=False)


@cache
def of_512_tokens() -> Report:
    return sentiment().analyze(text_of(398), method="saliency", evaluate=False, show=False)


@cache
def right_to_left() -> Report:
    return sentiment().analyze(RIGHT_TO_LEFT, show=False)


@cache
def of_64_steps() -> Report:
    """Return why a tiny model would go on as it is told to: the first 64 tokens that are words."""
    visualizer = visualizer_of("llama")
    whole = " " + " ".join(SENTENCES)
    starts = visualizer.tokenizer(whole, return_offsets_mapping=True, add_special_tokens=False)
    end = starts["offset_mapping"][63][1]
    return visualizer.analyze("A king once", whole[:end], method="input_x_gradient", show=False)


@cache
def page_of(report: Callable[[], Report]) -> str:
    """Return the page of a report, made once for both themes."""
    return html_page(report())


REPORTS = {
    "classifier": (of_the_classifier, 2e6),
    "512-tokens": (of_512_tokens, 8e6),
    "right-to-left": (right_to_left, 2e6),
    "64-steps": (of_64_steps, 2e6),
}
CASES = [pytest.param(*case, id=name) for name, case in REPORTS.items()]
CASES.append(pytest.param(of_smollm2, 2e6, id="smollm2", marks=pytest.mark.real))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("report", "most_bytes"), CASES)
def test_a_report_is_whole_within_its_budgets_in_both_themes(visit, request, report, most_bytes, scheme):
    html = page_of(report)
    assert len(html.encode("utf-8")) < most_bytes
    opened = visit(html, scheme, view=EVERYTHING)
    page = opened.page
    wait_until_read(page)
    picture = keep_picture(opened, f"report-{request.node.callspec.id}")
    assert opened.events == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1100
    assert page.evaluate(NODES) < MOST_NODES
    assert len(colors_of(picture)) > 200


def test_the_texts_are_as_long_as_they_are_called():
    assert len(of_512_tokens().prediction.tokens) == 512
    assert len(of_64_steps().generation.probabilities) == 64


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_right_to_left_markup_stays_text_in_its_order(visit, scheme):
    page = visit(page_of(right_to_left), scheme).page
    text = page.locator(".text")
    assert "".join(text.all_text_contents()).count("</script><b>") == 1
    assert page.locator(".text b").count() == 0
    first, last = (text.locator(".token", has_text=word).bounding_box() for word in ("הסרט", "אותו"))
    assert first["x"] > last["x"] or first["y"] < last["y"]
    family = text.locator(".token", has_text="👨‍👩‍👧")
    assert family.count() == 1, "what is one sign for a reader is one element"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_the_saved_examples_open(browser, path, scheme):
    assert path.stat().st_size < 2e6
    opened = Visit(browser, path, scheme)
    keep_picture(opened, f"example-{path.stem}-{scheme}")
    events, nodes = opened.events, opened.page.evaluate(NODES)
    opened.page.close()
    assert events == []
    assert nodes < MOST_NODES
