"""Views of results: figures (matplotlib), terminal (rich), pages and notebooks (HTML).

Nothing here imports torch or transformers or changes the user's matplotlib settings. Reports and comparisons
save and show themselves with the functions below (``results/rendering.py``).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_understanding.comparison import Comparison
    from model_understanding.results import AttentionMap, Report
    from model_understanding.results.reports import Entry


def render(result: "Report | Comparison | AttentionMap", suffix: str) -> bytes:
    """Return a result as the content of a file.

    Args:
        result: A report, a comparison or an attention map.
        suffix: ``.html``, ``.png``, ``.svg`` or ``.pdf``.
    """
    from model_understanding.comparison import Comparison
    from model_understanding.results import AttentionMap

    if isinstance(result, AttentionMap):
        return _rendered_map(result, suffix)
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


def _rendered_map(attention: "AttentionMap", suffix: str) -> bytes:
    if suffix == ".html":
        from model_understanding.show.page.attention_page import attention_page

        return attention_page(attention).encode("utf-8")
    from model_understanding.show.figures.attention import attention_figure
    from model_understanding.show.figures.report import figure_bytes

    return figure_bytes(attention_figure(attention), suffix.removeprefix("."))


def notebook_bundle(result: "Report | Comparison | AttentionMap") -> dict[str, Any]:
    """Return the representations of a result for a notebook, by MIME type."""
    from model_understanding.show import display

    return display.notebook_bundle(result)


def show(result: "Report | Comparison | AttentionMap") -> None:
    """Show a result in a notebook, a window or the terminal."""
    from model_understanding.show.display import show_result

    show_result(result)
