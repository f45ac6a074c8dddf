"""Views of results: figures (matplotlib), terminal (rich), pages and notebooks (HTML).

Nothing here imports torch or transformers or changes the user's matplotlib settings. Results save and show
themselves with the functions below (``results/rendering.py``).
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from model_understanding.comparison import Comparison
    from model_understanding.results import (
        AnswerMap,
        AttentionMap,
        Attribution,
        DatasetComparison,
        DatasetSummary,
        Ledger,
        ModelDiff,
        ModelDiffSummary,
        Report,
        TokenLinks,
    )
    from model_understanding.results.reports import Entry
    from model_understanding.show.views.summary import Result

    Drawable = (
        Report
        | Comparison
        | Attribution
        | AttentionMap
        | TokenLinks
        | Ledger
        | ModelDiff
        | ModelDiffSummary
        | AnswerMap
        | DatasetSummary
        | DatasetComparison
    )


def render(result: "Drawable", suffix: str) -> bytes:
    """Return a result as the content of a file.

    Args:
        result: A report, a comparison, an attribution, an attention map, links, a ledger, the diff of two
            models on one text or on many, an answer map, or the summary or comparison of data sets, which
            have no figures.
        suffix: ``.html``, ``.png``, ``.svg`` or ``.pdf``.
    """
    from model_understanding.results import (
        AttentionMap,
        Attribution,
        DatasetComparison,
        DatasetSummary,
        Report,
        TokenLinks,
    )

    if suffix == ".html" or isinstance(result, DatasetSummary | DatasetComparison):
        from model_understanding.show.page.document import html_page

        is_part = isinstance(result, Attribution | AttentionMap | TokenLinks)
        return html_page(Report.of(result) if is_part else result).encode("utf-8")
    from model_understanding.show.figures.files import figure_file

    return figure_file(result, suffix.removeprefix("."))


def render_reports(entries: "Sequence[Entry]") -> str:
    """Return the reports of many texts as one self-contained HTML page.

    Args:
        entries: The texts, each with its report or why it has none.
    """
    from model_understanding.show.page.collection import reports_page

    return reports_page(entries)


def plot(
    result: "Attribution | AttentionMap | Ledger | ModelDiff | AnswerMap",
    ax: "Axes | None",
    options: dict[str, Any],
) -> "Axes":
    """Draw an attribution, an attention map, a ledger, a diff of two models or an answer map."""
    from model_understanding.results import AnswerMap, AttentionMap, Ledger, ModelDiff
    from model_understanding.show.figures.answer_map import answer_map_axes
    from model_understanding.show.figures.ledger import ledger_axes
    from model_understanding.show.figures.model_diff import model_diff_axes
    from model_understanding.show.figures.options import PlotOptions
    from model_understanding.show.figures.report import attention_axes, saliency_axes

    names = PlotOptions.__slots__
    own = PlotOptions(**{name: value for name, value in options.items() if name in names})
    options = {name: value for name, value in options.items() if name not in names}
    match result:
        case Ledger():
            return ledger_axes(result, ax, options=own, **options)
        case ModelDiff():
            return model_diff_axes(result, ax, options=own, **options)
        case AnswerMap():
            return answer_map_axes(result, ax, options=own, **options)
        case AttentionMap():
            return attention_axes(result, ax, options=own, **options)
        case _:
            return saliency_axes(result, ax, options=own, **options)


def summary_lines(result: "Result") -> tuple[str, ...]:
    """Return a result in a few lines of plain text."""
    from model_understanding.show.views import summary

    return summary.summary_lines(result)


def notebook_bundle(
    result: "Result", include: Collection[str] | None = None, exclude: Collection[str] | None = None
) -> dict[str, Any]:
    """Return the representations of a result for a notebook, by MIME type."""
    from model_understanding.show import display

    return display.notebook_bundle(result, include, exclude)


def show(result: "Result") -> None:
    """Show a result in a notebook, a window or the terminal."""
    from model_understanding.show.display import show_result

    show_result(result)
