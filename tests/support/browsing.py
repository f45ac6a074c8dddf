"""A page opened in a real browser, with what happened meanwhile.

A page answers an action in a later frame, and colors fade for a while after that. So tests never read once
after an action: they wait with ``eventually`` for what they expect, and with ``Visit.settle`` before they
state what must not have changed.
"""

import io
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
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
PATIENCE = 20.0  # seconds, for a machine that is busy with other work

# Every element that a reader sees, those in shadow roots too.
ALL = """
const all = (root) =>
  [...root.querySelectorAll("*")].flatMap((e) => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
"""
NODES = "() => { " + ALL + " return all(document).length; }"
# Whether every layer's attention is read and no color fades any more.
IS_STILL = (
    "() => { "
    + ALL
    + """
  const elements = all(document);
  const roots = [document, ...elements.map((e) => e.shadowRoot).filter(Boolean)];
  const isReading = elements.some((e) => e.matches(".note") && e.textContent.includes("Reading layer"));
  return !isReading && roots.every((root) => root.getAnimations().length === 0);
}"""
)
OPEN_EVERYTHING = (
    "() => { "
    + ALL
    + """
  const sections = all(document).filter((e) => e.matches("details:not(.menu)"));
  for (const section of sections) section.open = true;
}"""
)
# A view with every section open, by tokens: what a test of one of them starts from.
EVERYTHING = "level=token&open=about.attention.heads.layers.neurons.scores.trust"
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))"
# The colors of every element that holds words of its own, with what lies behind it.
COLORS_IN_USE = (
    """() => {
  """
    + ALL
    + """
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  // Translucent backgrounds lie over what is behind them, down to the white of the canvas.
  const ground = (e) => {
    if (!e) return [255, 255, 255];
    const [red, green, blue, alpha = 1] = channels(getComputedStyle(e).backgroundColor);
    if (alpha === 1) return [red, green, blue];
    const behind = ground(e.parentElement ?? e.getRootNode().host);
    return alpha ? [red, green, blue].map((c, i) => c * alpha + behind[i] * (1 - alpha)) : behind;
  };
  const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  const seen = (e) => e.checkVisibility() && !e.closest(".unseen") && e.namespaceURI.endsWith("xhtml");
  const found = all(document.body).filter((e) => own(e) && seen(e) && e.tagName !== "STYLE");
  const ink = (e) => channels(getComputedStyle(e).color).slice(0, 3);
  return found.map((e) => [e.textContent.slice(0, 40), ink(e), ground(e)]);
}"""
)
REPOSITORY = Path(__file__).parents[2]
PICTURES = REPOSITORY / "build" / "screenshots"  # kept by the continuous integration


def missing(what: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")


class Visit:
    """A page opened in the browser, settled, with what happened meanwhile."""

    def __init__(
        self, browser: Any, path: Path, scheme: str = "light", view: str = "", **options: Any
    ) -> None:
        self.happened: list[str] = []
        self.runs_scripts = options.get("java_script_enabled", True)
        options = {"viewport": {"width": 1100, "height": 900}, **options}
        self.page = browser.new_page(color_scheme=scheme, **options)
        self.page.on("dialog", lambda dialog: (self.happened.append("dialog"), dialog.dismiss()))
        self.page.on("console", lambda message: self.happened.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.happened.append(f"error: {error}"))
        self.page.on("request", lambda request: self._requested(request.url))
        self.page.goto(path.as_uri() + (f"#{view}" if view else ""))
        self.settle()

    def _requested(self, url: str) -> None:
        if not url.startswith(("file:///", "data:image/png", "blob:")):
            self.happened.append(f"request: {url}")

    @property
    def events(self) -> list[str]:
        """Dialogs, console messages, errors and requests, once the page has settled."""
        self.settle()
        return self.happened

    def settle(self) -> None:
        """Wait until attention is read, colors have faded and two frames are drawn."""
        if self.runs_scripts:
            self.page.wait_for_function(IS_STILL, timeout=1000 * PATIENCE)
            self.page.evaluate(TWO_FRAMES)
        self.page.evaluate("0")  # what the page sent before the answer has arrived

    def picture(self) -> np.ndarray:
        self.settle()
        with Image.open(io.BytesIO(self.page.screenshot(full_page=True))) as picture:
            return np.asarray(picture.convert("RGB"))

    def colors_in_use(self) -> list[tuple[str, str, str]]:
        """Return the words of every element that has some, with their color and what lies behind them."""
        self.settle()
        found = self.page.evaluate(COLORS_IN_USE)
        return [(words, _as_hex(color), _as_hex(ground)) for words, color, ground in found]

    def axe_violations(self, *rules: str) -> list[tuple[str, list[str]]]:
        """Return what axe finds, by all rules or some; the page must have been opened with ``bypass_csp``."""
        self.open_everything()
        axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
        self.page.add_script_tag(content=axe)
        options = {"runOnly": list(rules)} if rules else {}
        found = self.page.evaluate("async (options) => (await axe.run(options)).violations", options)
        return [(rule["id"], [node["html"][:200] for node in rule["nodes"]]) for rule in found]

    def open_everything(self) -> None:
        """Open all sections, and wait until what they hold is drawn."""
        self.settle()
        self.page.evaluate(OPEN_EVERYTHING)
        self.settle()


def eventually(read: Callable[[], Any], expected: object, seconds: float = PATIENCE) -> Any:
    """Read again and again until what is read equals what is expected; fail with what was read last."""
    deadline = time.monotonic() + seconds
    while (value := read()) != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    assert value == expected
    return value


@dataclass(frozen=True, eq=False)
class Words:
    """Equals every text that a rule accepts, for ``eventually``."""

    rule: str
    accepts: Callable[[str], bool]

    def __eq__(self, text: object) -> bool:
        return isinstance(text, str) and self.accepts(text)

    def __repr__(self) -> str:
        return f"<{self.rule}>"


def containing(*parts: str) -> Words:
    """Return what equals a text that has all of these parts."""
    return Words(f"text with {', '.join(map(repr, parts))}", lambda text: all(part in text for part in parts))


def matching(pattern: str) -> Words:
    """Return what equals a text in which a regular expression is found."""
    return Words(f"text that matches {pattern!r}", lambda text: re.search(pattern, text) is not None)


def wait_until_read(page: Any) -> None:
    """Wait until every layer's attention is decoded and drawn."""
    page.locator("canvas.heads[aria-label]").wait_for(state="attached")
    page.locator(".heads-part .note", has_text="Reading layer").wait_for(state="detached")


def keep_picture(opened: Visit, name: str) -> np.ndarray:
    """Keep a screenshot of the whole page, say where, and return it."""
    opened.settle()
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


def _as_hex(channels: list[float]) -> str:
    return "#" + "".join(f"{round(channel):02x}" for channel in channels)
