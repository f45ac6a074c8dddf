"""How every page is written: one environment, one way in for every string, one style, one policy."""

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from model_understanding.show.page_colors import ROOT, palette_css
from model_understanding.show.text_direction import paragraph_direction
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
