"""Every kind of page for every reader: axe, high contrast, print, narrow screens, keyboard, less motion."""

import re
from collections.abc import Callable
from functools import cache

import pytest
from sample_comparisons import found
from sample_lens import with_lens
from sample_results import classification, generation

from model_understanding.results.reports import Entry
from model_understanding.show.page.collection import reports_page
from model_understanding.show.page.document import html_page

pytestmark = pytest.mark.browser


def collection() -> str:
    reports = (classification(), classification(cautions=["untrained head"]))
    return reports_page(
        [Entry(source=f"text {index}", report=report) for index, report in enumerate(reports)]
    )


def without_scripts(html: str) -> str:
    """Return a page as a browser shows it that runs no scripts, so that axe can run in it."""
    return re.sub(r"<script\b.*?</script>", "", html, flags=re.DOTALL)


PAGES: dict[str, Callable[[], str]] = {
    "classifier": lambda: html_page(classification(cautions=["untrained head"])),
    "language model": lambda: html_page(with_lens()),
    "comparison": lambda: html_page(found()),
    "collection": collection,
    "classifier without scripts": lambda: without_scripts(html_page(classification())),
    "language model without scripts": lambda: without_scripts(html_page(generation())),
    "comparison without scripts": lambda: without_scripts(html_page(found())),
}


@pytest.fixture(scope="module")
def html_of() -> Callable[[str], str]:
    return cache(lambda kind: PAGES[kind]())


@pytest.mark.parametrize("kind", PAGES)
def test_axe_finds_nothing_in_either_theme(visit, html_of, kind):
    html = html_of(kind)
    assert visit(html, "light", bypass_csp=True).axe_violations() == []
    assert visit(html, "dark", bypass_csp=True).axe_violations("color-contrast") == []
