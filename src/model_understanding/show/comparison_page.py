"""A comparison as HTML without a script: one page that needs no network, or a fragment for a notebook."""

from model_understanding.results import Comparison
from model_understanding.show.comparison_content import comparison_content
from model_understanding.show.page_templates import policy, rendered


def comparison_page(comparison: Comparison) -> str:
    """Return a comparison as one self-contained HTML document, the same each time.

    Args:
        comparison: The comparison.

    Returns:
        A document whose content security policy lets no script run and forbids every load.
    """
    return rendered("comparison_page.html.jinja", {"policy": policy(), **comparison_content(comparison)})


def comparison_fragment(comparison: Comparison) -> str:
    """Return a comparison as HTML for a notebook's output.

    Args:
        comparison: The comparison.

    Returns:
        One element whose rules and names touch nothing outside it.
    """
    return rendered("comparison_fragment.html.jinja", comparison_content(comparison))
