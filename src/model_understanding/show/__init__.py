"""Views of results: figures (matplotlib), terminal (rich), pages and notebooks (HTML).

Nothing here imports torch or transformers or changes the user's matplotlib settings. Reports and comparisons
save and show themselves with the functions below (``results/rendering.py``).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_understanding.comparison import Comparison
    from model_understanding.results import Report
    from model_understanding.results.reports import Entry


def render(result: "Report | Comparison", suffix: str) -> bytes:
    """Return a report or a comparison as the content of a file.

    Args:
        result: The report or the comparison.
        suffix: ``.html``, ``.png``, ``.svg`` or ``.pdf``.
    """
    from model_understanding.comparison import Comparison

    if suffix == ".html":
        from model_understanding.show.page.document import html_page

        return html_page(result).encode("utf-8")
    from model_understanding.show.figures.comparison import comparison_figure
    from model_understanding.show.figures.report import figure_bytes, report_figure

    figure = comparison_figure(result) if isinstance(result, Comparison) else report_figure(result)
    return figure_bytes(figure, suffix.removeprefix("."))


def render_reports(entries: "Sequence[Entry]") -> str:
    """Return the reports of many texts as one self-contained HTML page.

    Args:
        entries: The texts, each with its report or why it has none.
    """
    from model_understanding.show.page.collection import reports_page

    return reports_page(entries)


def notebook_bundle(result: "Report | Comparison") -> dict[str, Any]:
    """Return the representations of a report or a comparison for a notebook, by MIME type."""
    from model_understanding.show import display

    return display.notebook_bundle(result)


def show(result: "Report | Comparison") -> None:
    """Show a report or a comparison in a notebook, a window or the terminal."""
    from model_understanding.show.display import show_result

    show_result(result)
