"""Why A and not B: another likely token is clicked, or chosen by keyboard, and the text follows."""

import pytest
from browsing import EVERYTHING, containing, eventually, keep_picture, matching
from sample_results import generation, with_contrasts

from model_understanding.show.page.document import html_page

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_alternative_shows_why_it_was_not_written_and_escape_returns(visit, scheme):
    report = with_contrasts(generation())
    opened = visit(html_page(report), scheme, view=EVERYTHING)
    page, press = opened.page, opened.page.keyboard.press
    title, bars = page.locator("#saliency-title"), page.locator(".bars text")
    page.locator(".written .piece").first.click()
    written = report.generation.continuation_tokens().labels()[0].strip()
    before = eventually(title.inner_text, f"Why “{written}”?")
    shares = bars.all_text_contents()
    page.locator(".alternative").click()
    eventually(title.inner_text, f"Why “{written}” and not “</script>other”?")
    legend = page.locator(".saliency .legend")
    eventually(legend.inner_text, containing(f"supports {written} over </script>other"))
    eventually(lambda: bars.all_text_contents() != shares, True)
    eventually(lambda: page.locator(".alternative").get_attribute("aria-pressed"), "true")
    eventually(page.locator(".saliency label.picker:visible", has_text="Map").count, 0)
    keep_picture(opened, f"why-not-{scheme}")
    # A source may be looked at meanwhile; the next step is contrasted too.
    page.locator(".text .token[data-token='2']").click()
    opened.settle()
    assert title.inner_text().startswith("Why “")
    press("Escape")
    eventually(title.inner_text, before)
    eventually(bars.all_text_contents, shares)
    # By keyboard alone.
    page.locator(".alternative").focus()
    press("Enter")
    eventually(title.inner_text, matching("^Why “"))
    focused = "document.querySelector('[data-view-of-report]').shadowRoot.activeElement.className"
    eventually(lambda: page.evaluate(focused), containing("alternative"))
    eventually(lambda: page.url, containing("attribution=2"))  # written a moment after the last change
    page.reload()
    eventually(title.inner_text, matching("^Why “"))  # the address holds the contrast
    page.get_by_role("button", name="Back to why").click()
    eventually(title.inner_text, before)
    assert opened.events == []


def test_a_page_without_contrasts_says_how_to_get_them(visit):
    opened = visit(html_page(generation()))
    page = opened.page
    page.locator(".written .piece").first.click()
    page.locator(".alternative").wait_for()
    title = page.locator("#saliency-title").inner_text()
    page.locator(".alternative").click()
    eventually(page.locator(".alternatives").inner_text, containing("--alternatives 1"))
    opened.settle()
    assert page.locator("#saliency-title").inner_text() == title
    assert opened.events == []
