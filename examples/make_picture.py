"""Takes the screenshot of a report in the README: ``python examples/make_picture.py`` (needs Chromium)."""

import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent
SIZE = {"width": 1100, "height": 1460}
STEP, COLORS = 9, 256
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


def main() -> None:
    """Open the contrast of a step with its most likely alternative, and save a screenshot in few colors."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=SWITCHES)
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto((FOLDER / "smollm2.html").as_uri())
        slider = page.locator("input[type=range]")
        for _ in range(STEP):
            slider.press("ArrowRight")
        page.locator(".top .alternative").first.click()
        slider.blur()
        page.locator("canvas.heads[aria-label]").wait_for(state="attached")
        page.wait_for_timeout(500)
        picture = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    picture.convert("RGB").quantize(COLORS).save(FOLDER / "report.png", optimize=True)


if __name__ == "__main__":
    main()
