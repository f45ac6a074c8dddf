"""The browser of the tests that open pages, started once for all of them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import SWITCHES, Visit, missing


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome", "chrome")]
    executable = next(filter(None, found), None)
    if executable is None:
        missing("Chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=SWITCHES)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, tmp_path):
    visits = []

    def open_page(html: str, scheme: str = "light", **options: Any) -> Visit:
        path: Path = tmp_path / f"{len(visits)}.html"
        path.write_text(html, encoding="utf-8")
        visits.append(Visit(browser, path, scheme, **options))
        return visits[-1]

    yield open_page
    for opened in visits:
        opened.page.close()
