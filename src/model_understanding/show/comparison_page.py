"""A comparison as HTML: one interactive page that needs no network, or a fragment for a notebook.

As a report's page, it says everything plainly too, for readers without scripts.
"""

from typing import Any

from markupsafe import Markup

from model_understanding.results import Comparison
from model_understanding.show.comparison_content import comparison_content
from model_understanding.show.page_templates import page_script, policy, rendered
from model_understanding.show.payload_comparison import comparison_json


def comparison_page(comparison: Comparison) -> str:
    """Return a comparison as one self-contained HTML document, the same each time.

    Args:
        comparison: The comparison.

    Returns:
        A document whose content security policy lets only its own script and style pass, and forbids
        every load.
    """
    return rendered(
        "comparison_page.html.jinja", {"policy": policy(page_script()), **_comparison_values(comparison)}
    )


def comparison_fragment(comparison: Comparison) -> str:
    """Return a comparison as HTML for a notebook's output.

    Args:
        comparison: The comparison.

    Returns:
        One element whose rules and names touch nothing outside it.
    """
    return rendered("comparison_fragment.html.jinja", _comparison_values(comparison))


def _comparison_values(comparison: Comparison) -> dict[str, Any]:
    return {
        "script": Markup(page_script()),
        "payload": Markup(comparison_json(comparison)),
        **comparison_content(comparison),
    }
