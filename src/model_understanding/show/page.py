"""A report as HTML: one page that needs no network, or a fragment for a notebook's output.

There is no script. Every string goes through one function on its way into the page (``_printable``,
then Jinja's escaping): control characters and direction overrides are made visible, markup becomes text.
"""

import base64
import hashlib
import secrets
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from model_understanding.results import Report
from model_understanding.show.colours import Theme
from model_understanding.show.figure import draw_panels, report_panels
from model_understanding.show.inline_svg import inline_svg
from model_understanding.show.page_colours import ROOT, palette_css
from model_understanding.show.page_content import report_content
from model_understanding.show.panel import house_style
from model_understanding.tokens import visible_text

_THEMES: tuple[Theme, ...] = ("light", "dark")
_SHRINKABLE = 11.0  # inches; a wider picture is scrolled, not shrunk to fit


def report_page(report: Report) -> str:
    """Return a report as one self-contained HTML document, the same each time.

    Args:
        report: The report.

    Returns:
        A document whose content security policy forbids scripts and every load.
    """
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(css=Markup(_css()), policy=_policy(), **_names(report, "mu"))
    )


def report_fragment(report: Report) -> str:
    """Return a report as HTML for a notebook's output.

    Args:
        report: The report.

    Returns:
        One element whose rules and ids touch nothing outside it, however many stand on a page.
    """
    return (
        _environment()
        .get_template("fragment.html.jinja")
        .render(css=Markup(_css()), **_names(report, f"mu-{secrets.token_hex(4)}"))
    )


def _names(report: Report, prefix: str) -> dict[str, Any]:
    content = report_content(report)
    parts = (*content["attributions"], *content["attention"])
    with house_style():
        for theme in _THEMES:
            panels = report_panels(report, theme=theme, titled=False)
            for place, (part, panel) in enumerate(zip(parts, panels, strict=True)):
                figure = draw_panels([panel], Figure(), theme=theme)
                svg = inline_svg(figure, prefix=f"{prefix}-{place}-{theme}", label=_printable(part["title"]))
                part.setdefault("picture", []).append((theme, Markup(svg)))
                part["is_wide"] = panel.full_width > _SHRINKABLE
    return {"root": ROOT, **content}


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
    rules = files("model_understanding.show").joinpath("static", "report.css").read_text(encoding="utf-8")
    return "\n" + palette_css() + rules


def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(_css().encode("utf-8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
