"""A page opened in a real browser, with what happened meanwhile."""

import io
import os
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from PIL import Image

SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Every element that a reader sees, those in shadow roots too.
ALL = """
const all = (root) =>
  [...root.querySelectorAll("*")].flatMap((e) => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
"""
NODES = "() => { " + ALL + " return all(document).length; }"
PICTURES = Path(__file__).parents[2] / "build" / "screenshots"  # kept by the continuous integration


def missing(what: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")


class Visit:
    """A page opened in the browser, with what happened meanwhile."""

    def __init__(self, browser: Any, path: Path, scheme: str = "light", **options: Any) -> None:
        self.events: list[str] = []
        self.page = browser.new_page(color_scheme=scheme, viewport={"width": 1100, "height": 900}, **options)
        self.page.on("dialog", lambda dialog: (self.events.append("dialog"), dialog.dismiss()))
        self.page.on("console", lambda message: self.events.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.events.append(f"error: {error}"))
        self.page.on("request", lambda request: self._requested(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_timeout(200)

    def _requested(self, url: str) -> None:
        if not url.startswith(("file:///", "data:image/png", "blob:")):
            self.events.append(f"request: {url}")

    def picture(self) -> np.ndarray:
        with Image.open(io.BytesIO(self.page.screenshot(full_page=True))) as picture:
            return np.asarray(picture.convert("RGB"))


def wait_until_read(page: Any) -> None:
    """Wait until every layer's attention is decoded and drawn."""
    page.locator("canvas.heads[aria-label]").wait_for(state="attached")
    page.locator(".heads-part .note", has_text="Reading layer").wait_for(state="detached")


def keep_picture(opened: Visit, name: str) -> np.ndarray:
    """Keep a screenshot of the whole page, say where, and return it."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.png"
    opened.page.screenshot(path=path, full_page=True)
    print(f"screenshot: {path}")
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def colors_of(picture: np.ndarray) -> set[str]:
    """Return every color of a picture, as ``#rrggbb``."""
    numbers = picture.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
    return {f"#{number:06x}" for number in np.unique(numbers).tolist()}
