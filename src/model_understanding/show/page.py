"""A report as HTML: one interactive page that needs no network, or a fragment for a notebook's output.

The page holds the report twice: plainly (highlighted text, pictures, tables) for readers without
scripts, and as the payload that its one script draws. Every string of the plain part goes through one
function on its way in (``_printable``, then Jinja's escaping): control characters and direction
overrides are made visible, markup becomes text. The payload is JSON in which nothing can end its element.
"""

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from model_understanding.results import Report
from model_understanding.show.page_colours import ROOT, palette_css
from model_understanding.show.page_content import report_content
from model_understanding.show.payload import payload_json
from model_understanding.tokens import visible_text


def report_page(report: Report) -> str:
    """Return a report as one self-contained HTML document, the same each time.

    Args:
        report: The report.

    Returns:
        A document whose content security policy lets only its own script and style pass, and forbids
        every load.
    """
    return _environment().get_template("page.html.jinja").render(policy=_policy(), **_names(report))


def report_fragment(report: Report) -> str:
    """Return a report as HTML for a notebook's output.

    Args:
        report: The report.

    Returns:
        One element whose rules and names touch nothing outside it, however many stand on a page. Its
        script draws the report, when it comes in sight, in a shadow root.
    """
    return _environment().get_template("fragment.html.jinja").render(**_names(report))


def _names(report: Report) -> dict[str, Any]:
    return {
        "root": ROOT,
        "css": Markup(_css()),
        "script": Markup(_script()),
        "payload": Markup(payload_json(report)),
        **report_content(report),
    }


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("model_understanding.show", "templates"),
        autoescape=True,
        finalize=_printable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _printable(value: Any) -> Any:
    """Make what a string hides visible; line breaks that follow their mark stay."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "\n".join(visible_text(line) if line.strip(" ") else line for line in value.split("\n"))


@lru_cache(maxsize=1)
def _css() -> str:
    return "\n" + palette_css() + _static("report.css")


@lru_cache(maxsize=1)
def _script() -> str:
    return _static("report.js").strip()


def _static(name: str) -> str:
    return files("model_understanding.show").joinpath("static", name).read_text(encoding="utf-8")


def _policy() -> str:
    script, style = (
        base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
        for text in (_script(), _css())
    )
    return (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
