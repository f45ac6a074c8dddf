"""Takes the screenshots of pages in the README: ``python examples/make_picture.py`` (needs Chromium)."""

import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parent
SIZE = {"width": 1100, "height": 900}
STEP, COLORS = 9, 256
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


def main() -> None:
    """Save the contrast of a step with another token, the sources of an answer, a data set's summary."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=SWITCHES)
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto((FOLDER / "smollm2.html").as_uri())
        page.locator("[data-view=written] [role=option]").nth(STEP).click()
        page.locator("button.alternative").first.click()
        _save(page, "report.png")
        page.goto((FOLDER / "sources.html").as_uri() + "#statement=0")
        _save(page, "sources.png")
        page.goto((FOLDER / "summary.html").as_uri())
        _save(page, "summary.png")
        browser.close()


def _save(page: Page, name: str) -> None:
    page.wait_for_timeout(500)
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").quantize(COLORS).save(FOLDER / name, optimize=True)


if __name__ == "__main__":
    main()
