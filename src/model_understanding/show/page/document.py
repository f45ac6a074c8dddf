"""The HTML document of a report or a comparison."""

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from model_understanding.comparison import Comparison
from model_understanding.results import Report
from model_understanding.show.page.comparison_content import comparison_content
from model_understanding.show.page.css import ROOT, palette_css
from model_understanding.show.page.report_content import report_content
from model_understanding.show.payload.comparison import comparison_json
from model_understanding.show.payload.report import payload_json
from model_understanding.show.shared.runs import paragraph_direction
from model_understanding.tokens import visible_text


def rendered(template: str, names: dict[str, Any]) -> str:
    """Return a template filled with names, and with the page's class and style.

    Args:
        template: Its file's name.
        names: What it shows; every string that is not markup of ours is made visible and escaped.
    """
    return _environment().get_template(template).render(root=ROOT, css=Markup(_css()), **names)


def policy(script: str) -> str:
    """Return a content security policy that lets our style and one script pass, and forbids every load."""
    return (
        f"default-src 'none'; script-src {_hashed(script)}; style-src {_hashed(_css())}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@lru_cache(maxsize=1)
def page_script() -> str:
    """Return the one script that draws a page."""
    return static_text("report.js").strip()


def static_text(name: str) -> str:
    """Return a file of ``static/``."""
    return files("model_understanding.show").joinpath("static", name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("model_understanding.show", "templates"),
        autoescape=True,
        finalize=_printable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["direction"] = paragraph_direction
    return environment


def _printable(value: Any) -> Any:
    """Make what a string hides visible; line breaks that follow their mark stay."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "\n".join(visible_text(line) if line.strip(" ") else line for line in value.split("\n"))


@lru_cache(maxsize=1)
def _css() -> str:
    return "\n" + palette_css() + static_text("report.css")


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


# No page holds a null character: it is none that HTML allows, and every string's are made visible.
SIZE_MARK = Markup("\0")


def with_size(html: str) -> str:
    """Return a page with its size in UTF-8 in place of every mark, the size's own digits included.

    Args:
        html: The page, with ``SIZE_MARK`` wherever its size is to stand.

    >>> with_size(f"<p>{SIZE_MARK}</p>")
    '<p>15 bytes</p>'
    """
    parts = html.split(SIZE_MARK)
    rest = sum(len(part.encode("utf-8")) for part in parts)
    words, said = "", rest
    while True:  # ends: a larger size never has fewer digits
        size = rest + (len(parts) - 1) * len(words)
        if words and size == said:
            return words.join(parts)
        words, said = size_words(size), size


def size_words(size: int) -> str:
    """Return a number of bytes in words.

    >>> size_words(1_234_567)
    '1.23 MB (1,234,567 bytes)'
    >>> size_words(999)
    '999 bytes'
    """
    exact = f"{size:,} bytes"
    if size < 1_000:
        return exact
    return f"{size / 1e3:.0f} kB ({exact})" if size < 1_000_000 else f"{size / 1e6:.2f} MB ({exact})"


def html_page(result: Report | Comparison) -> str:
    """Return a report or a comparison as one self-contained HTML document, the same each time.

    Args:
        result: The report or the comparison.

    Returns:
        A document whose content security policy lets only its own script and style pass, and forbids
        every load.
    """
    kind, values = _values(result)
    return with_size(rendered(f"{kind}page.html.jinja", {"policy": policy(page_script()), **values}))


def html_fragment(result: Report | Comparison) -> str:
    """Return a report or a comparison as HTML for a notebook's output.

    Args:
        result: The report or the comparison.

    Returns:
        One element whose rules and names touch nothing outside it, however many stand on a page. Its
        script draws the result, when it comes in sight, in a shadow root.
    """
    kind, values = _values(result)
    return with_size(rendered(f"{kind}fragment.html.jinja", values))


def _values(result: Report | Comparison) -> tuple[str, dict[str, Any]]:
    """Return how the names of a result's templates begin, and what they are filled with."""
    if isinstance(result, Comparison):
        kind, payload, content = "comparison_", comparison_json(result), comparison_content(result)
    else:
        kind, payload, content = "", payload_json(result), report_content(result)
    parts = {"script": Markup(page_script()), "payload": Markup(payload), "page_size": SIZE_MARK}
    return kind, {**parts, **content}
