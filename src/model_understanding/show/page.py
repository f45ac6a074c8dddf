"""A report as HTML: one interactive page that needs no network, or a fragment for a notebook's output.

The page holds the report twice: plainly (highlighted text, pictures, tables) for readers without
scripts, and as the payload that its one script draws. Every string of the plain part goes through one
function on its way in (``page_templates``, then Jinja's escaping): control characters and direction
overrides are made visible, markup becomes text. The payload is JSON in which nothing can end its element.
"""

from typing import Any

from markupsafe import Markup

from model_understanding.results import Report
from model_understanding.show.page_content import report_content
from model_understanding.show.page_size import SIZE_MARK, with_size
from model_understanding.show.page_templates import page_script, policy, rendered
from model_understanding.show.payload import payload_json


def report_page(report: Report) -> str:
    """Return a report as one self-contained HTML document, the same each time.

    Args:
        report: The report.

    Returns:
        A document whose content security policy lets only its own script and style pass, and forbids
        every load.
    """
    return with_size(rendered("page.html.jinja", {"policy": policy(page_script()), **_report_values(report)}))


def report_fragment(report: Report) -> str:
    """Return a report as HTML for a notebook's output.

    Args:
        report: The report.

    Returns:
        One element whose rules and names touch nothing outside it, however many stand on a page. Its
        script draws the report, when it comes in sight, in a shadow root.
    """
    return with_size(rendered("fragment.html.jinja", _report_values(report)))


def _report_values(report: Report) -> dict[str, Any]:
    return {
        "script": Markup(page_script()),
        "payload": Markup(payload_json(report)),
        "page_size": SIZE_MARK,
        **report_content(report),
    }
