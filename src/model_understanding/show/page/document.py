"""The HTML document of a report, a comparison, a ledger, an answer map, or the summary of a data set."""

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from model_understanding.comparison import Comparison
from model_understanding.results import (
    AnswerMap,
    DatasetComparison,
    DatasetSummary,
    Ledger,
    ModelDiff,
    ModelDiffSummary,
    Report,
)
from model_understanding.show.page.answer_map_content import answer_map_content
from model_understanding.show.page.comparison_content import comparison_content
from model_understanding.show.page.css import ROOT, palette_css
from model_understanding.show.page.dataset_content import compared_datasets_content, dataset_content
from model_understanding.show.page.ledger_content import ledger_content
from model_understanding.show.page.model_diff_content import model_diff_content, model_diff_summary_content
from model_understanding.show.page.report_content import report_content
from model_understanding.show.payload.answer_map import answer_map_json
from model_understanding.show.payload.comparison import comparison_json
from model_understanding.show.payload.dataset_summary import compared_datasets_json, dataset_json
from model_understanding.show.payload.ledger import ledger_json
from model_understanding.show.payload.model_diff import model_diff_json
from model_understanding.show.payload.report import payload_json
from model_understanding.tokens import visible_text


def rendered(template: str, values: dict[str, Any]) -> str:
    """Return a rendered template, with the class and the style sheet of the page.

    Args:
        template: File name of the template.
        values: Values of the template; strings are escaped, and their hidden characters made visible.
    """
    return _environment().get_template(template).render(root=ROOT, css=Markup(_css()), **values)


def policy(script: str = "") -> str:
    """Return a content security policy that allows our script if there is one, our styles, and no requests.

    Scripts and style sheets are allowed by their hash alone; of styles, also those of elements, which the
    templates write and which can load nothing under this policy.
    """
    scripts = _hashed(script) if script else "'none'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src {_hashed(_css())}; "
        "style-src-attr 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )


@lru_cache
def page_script(name: str = "report") -> str:
    """Return a script of the pages.

    Args:
        name: ``report``, ``dataset``, ``ledger`` (also of diffs of models), or ``sources`` of an answer.
    """
    return static_text(f"{name}.js").strip()


def static_text(name: str) -> str:
    """Return a file of ``static/``."""
    return files("model_understanding.show").joinpath("static", name).read_text(encoding="utf-8")


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
    """Make hidden characters of a string visible; line breaks are kept."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "\n".join(visible_text(line) if line.strip(" ") else line for line in value.split("\n"))


@lru_cache(maxsize=1)
def _css() -> str:
    return "\n" + palette_css() + static_text("report.css")


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


# No page contains a null character: HTML does not allow it, and in strings it is made visible.
SIZE_MARK = Markup("\0")


def with_size(html: str) -> str:
    """Return a page with its size in UTF-8 in place of every mark; the size includes these texts.

    Args:
        html: The page, with ``SIZE_MARK`` wherever its size is to be inserted.

    >>> with_size(f"<p>{SIZE_MARK}</p>")
    '<p>15 bytes</p>'
    """
    parts = html.split(SIZE_MARK)
    rest = sum(len(part.encode("utf-8")) for part in parts)
    text, text_size = "", rest
    while True:  # terminates: a larger size never has fewer digits
        size = rest + (len(parts) - 1) * len(text)
        if text and size == text_size:
            return text.join(parts)
        text, text_size = exact_size(size), size


def exact_size(size: int) -> str:
    """Return a number of bytes with a unit, and exactly.

    >>> exact_size(1_234_567)
    '1.23 MB (1,234,567 bytes)'
    >>> exact_size(999)
    '999 bytes'
    """
    exact = f"{size:,} bytes"
    if size < 1_000:
        return exact
    return f"{size / 1e3:.0f} kB ({exact})" if size < 1_000_000 else f"{size / 1e6:.2f} MB ({exact})"


Shown = Report | Comparison | Ledger | ModelDiff | AnswerMap | DatasetSummary | DatasetComparison


def html_page(result: Shown | ModelDiffSummary) -> str:
    """Return a result as a self-contained HTML document; the document is reproducible.

    Args:
        result: A report, a comparison, a ledger, the diff of two models on one text or many, an answer map,
            or the summary or comparison of data sets.

    Returns:
        A document whose content security policy allows only its own script and style sheet, and no network
        requests.
    """
    if isinstance(result, ModelDiffSummary):  # one table, which needs no script
        values = {"content": "model_diff_summary.html.jinja", **model_diff_summary_content(result)}
        return with_size(
            rendered("plain_page.html.jinja", {"page_size": SIZE_MARK, "policy": policy(), **values})
        )
    values = _values(result)
    return with_size(rendered("page.html.jinja", {"policy": policy(values["script"]), **values}))


def html_fragment(result: Shown, attention_bytes: int | None = None) -> str:
    """Return a result as HTML for a notebook's output.

    Args:
        result: What ``html_page`` takes.
        attention_bytes: Most bytes of a report's attention; by default as many as a page has.

    Returns:
        One element whose styles affect nothing outside it. Its script draws the result in a shadow root when
        it becomes visible.
    """
    return with_size(rendered("fragment.html.jinja", _values(result, attention_bytes)))


def plain_fragment(result: Report | ModelDiffSummary) -> str:
    """Return a result as HTML for a notebook's output, without a script: text, tables and bars.

    Args:
        result: A report, or the differences between two models over many texts.
    """
    if isinstance(result, ModelDiffSummary):
        values = {"content": "model_diff_summary.html.jinja", **model_diff_summary_content(result)}
    else:
        values = {"content": "report.html.jinja", **report_content(result)}
    values = {"page_size": SIZE_MARK, **values}
    return with_size(rendered("plain_fragment.html.jinja", values))


def report_fragment(report: Report) -> Markup:
    """Return a report as HTML inside a page that has the script and the style sheet already.

    Args:
        report: The report.
    """
    return Markup(rendered("embedded.html.jinja", _values(report)))


def _values(result: Shown, attention_bytes: int | None = None) -> dict[str, Any]:
    """Return the values of the templates of a result."""
    script = "report"
    match result:
        case Comparison():
            template, payload, content = "comparison", comparison_json(result), comparison_content(result)
        case Ledger():
            template, payload, content = "ledger", ledger_json(result), ledger_content(result)
            script = "ledger"
        case ModelDiff():
            template, payload, content = "model_diff", model_diff_json(result), model_diff_content(result)
            script = "ledger"
        case AnswerMap():
            template, payload = "answer_map", answer_map_json(result)
            content, script = answer_map_content(result), "sources"
        case DatasetSummary():
            template, payload, content = "dataset", dataset_json(result), dataset_content(result)
            script = "dataset"
        case DatasetComparison():
            template, payload = "compared_datasets", compared_datasets_json(result)
            content, script = compared_datasets_content(result), "dataset"
        case _:
            template, payload = "report", payload_json(result, attention_bytes)
            content = report_content(result)
    return {
        "content": f"{template}.html.jinja",
        "script": Markup(page_script(script)),
        "payload": Markup(payload),
        "page_size": SIZE_MARK,
        **content,
    }
