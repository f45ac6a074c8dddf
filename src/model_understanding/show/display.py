"""Show a result: in a notebook, a window or the terminal."""

import sys
from collections.abc import Callable, Collection
from typing import Any
from weakref import WeakKeyDictionary

from model_understanding.comparison import Comparison, LikelihoodComparison
from model_understanding.results import (
    AnswerMap,
    AttentionMap,
    Attribution,
    Choices,
    DatasetComparison,
    DatasetSummary,
    Generation,
    Ledger,
    LogitLens,
    MaskFilling,
    ModelDiff,
    ModelDiffSummary,
    PseudoLikelihood,
    QueryKey,
    Report,
    SpanAnswer,
    Tagging,
    TokenLinks,
)
from model_understanding.show.views.summary import Result, summary_lines

MAX_FIGURE_TOKENS = 64  # a notebook stores no figure of longer texts: it would take seconds to draw
NOTEBOOK_BYTES = 1_000_000
"""Bytes of attention in a notebook's output; notebooks drop messages of more than 3 MB."""
_FIGURES: "WeakKeyDictionary[Any, bytes]" = WeakKeyDictionary()  # results are immutable


def in_notebook() -> bool:
    """Return whether the code runs in a notebook kernel, where a returned report displays itself."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None


def show_result(result: Result) -> None:
    """Show a result.

    In a notebook, the page is displayed; if pyplot uses a backend with windows, the figures are shown;
    otherwise, text is printed.

    Args:
        result: The result.
    """
    if in_notebook():
        from IPython.display import display  # type: ignore[import-not-found]

        display(result)
    elif isinstance(result, Report | Comparison | Attribution | AttentionMap) and _has_windows():
        _show_window(result)
    else:
        _print(result)


def _print(result: Result) -> None:
    if isinstance(result, AttentionMap):
        from model_understanding.show.terminal.report import print_attention

        print_attention(result)
    elif isinstance(result, Attribution):
        from model_understanding.show.terminal.report import print_attribution

        print_attribution(result)
    elif isinstance(result, Comparison):
        from model_understanding.show.terminal.comparison import print_comparison

        print_comparison(result)
    elif isinstance(result, Report):
        from model_understanding.show.terminal.report import print_report

        print_report(result)
    elif isinstance(result, Tagging | SpanAnswer | MaskFilling | Choices | TokenLinks):
        from model_understanding.show.terminal.report import print_report

        print_report(Report.of(result))
    elif isinstance(result, PseudoLikelihood):
        from model_understanding.show.terminal.likelihood import print_likelihood

        print_likelihood(result)
    elif isinstance(result, Ledger):
        from model_understanding.show.terminal.ledger import print_ledger

        print_ledger(result)
    elif isinstance(result, ModelDiff):
        from model_understanding.show.terminal.model_diff import print_model_diff

        print_model_diff(result)
    elif isinstance(result, AnswerMap):
        from model_understanding.show.terminal.answer_map import print_answer_map

        print_answer_map(result)
    elif isinstance(result, ModelDiffSummary):
        from model_understanding.show.terminal.model_diff import print_model_diff_summary

        print_model_diff_summary(result)
    elif isinstance(result, LikelihoodComparison):
        from model_understanding.show.terminal.likelihood import print_likelihoods

        print_likelihoods(result)
    else:
        print("\n".join(summary_lines(result)))


def notebook_bundle(
    result: Result, include: Collection[str] | None = None, exclude: Collection[str] | None = None
) -> dict[str, Any]:
    """Return the representations of a result for a notebook: text, the page, and a figure.

    Args:
        result: The result.
        include: MIME types to return; all if omitted.
        exclude: MIME types that are not wanted.

    Returns:
        Contents by MIME type; only what is asked for is made. A short result has a figure for frontends that
        show no HTML.
    """
    makers: dict[str, Callable[[], Any]] = {
        "text/plain": lambda: "\n".join(summary_lines(result)),
        "text/html": lambda: _html(result),
    }
    if _has_figure(result):
        makers["image/png"] = lambda: _figure_bytes(result)
    return {
        kind: make()
        for kind, make in makers.items()
        if (include is None or kind in include) and (exclude is None or kind not in exclude)
    }


def _html(result: Result) -> str:
    from model_understanding.show.page.document import html_fragment, plain_fragment

    if isinstance(result, ModelDiffSummary):
        return plain_fragment(result)
    if isinstance(
        result, Generation | Tagging | SpanAnswer | MaskFilling | Choices
    ):  # all of it is in a table, without a script
        return plain_fragment(Report.of(result))
    is_part = isinstance(result, Attribution | AttentionMap | LogitLens | QueryKey | TokenLinks)
    if is_part and not _is_empty(result):
        result = Report.of(result)
    if isinstance(
        result, Report | Comparison | Ledger | ModelDiff | AnswerMap | DatasetSummary | DatasetComparison
    ):
        return html_fragment(result, NOTEBOOK_BYTES)
    from model_understanding.show.page.cards import card_fragment

    return card_fragment(result)


def _is_empty(result: Result) -> bool:
    """Return whether a result has no text, or nothing that could be shown over it."""
    if isinstance(result, Attribution):
        return not result.targets or not len(result.tokens)
    return isinstance(result, AttentionMap) and not result.weights.size


def _has_figure(result: Result) -> bool:
    if isinstance(result, Report):
        is_drawn = bool(result.attributions or result.attention or result.links or result.answer)
        return is_drawn and len(result.tokens) <= MAX_FIGURE_TOKENS
    if isinstance(result, AttentionMap):
        length = max(len(result.queries), len(result.keys))
    elif isinstance(result, Attribution):
        length = len(result.tokens)
    elif isinstance(result, ModelDiffSummary):
        return bool(result.modules)
    elif isinstance(result, ModelDiff):
        return any(change.value for change in result.modules) and len(result.tokens) <= MAX_FIGURE_TOKENS
    elif isinstance(result, AnswerMap):
        return bool(result.statements) and len(result.log_probs) <= MAX_FIGURE_TOKENS
    elif isinstance(result, Ledger):
        return bool(result.residual.any()) and len(result.tokens) <= MAX_FIGURE_TOKENS
    else:
        return False
    return not _is_empty(result) and length <= MAX_FIGURE_TOKENS


def _figure_bytes(result: Any) -> bytes:
    if isinstance(result, ModelDiffSummary):  # equal to others of the same numbers, so no key
        from model_understanding.show.figures.files import figure_file

        return figure_file(result, "png")
    if result not in _FIGURES:
        from model_understanding.show.figures.files import figure_file

        _FIGURES[result] = figure_file(result, "png")
    return _FIGURES[result]


def _has_windows() -> bool:
    """Return whether the user has imported pyplot with a backend that opens windows."""
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return False
    import matplotlib
    from matplotlib.backends.registry import BackendFilter, backend_registry

    backend = matplotlib.rcParams._get_backend_or_none()  # type: ignore[attr-defined]
    interactive = backend_registry.list_builtin(BackendFilter.INTERACTIVE)
    return backend is not None and backend.lower() in interactive


def _show_window(result: Report | Comparison | Attribution | AttentionMap) -> None:
    from matplotlib import pyplot

    from model_understanding.show.figures.attention import attention_axes
    from model_understanding.show.figures.comparison import comparison_figure
    from model_understanding.show.figures.frame import house_style
    from model_understanding.show.figures.report import draw_panels, report_panels

    with house_style():
        if isinstance(result, Comparison):
            comparison_figure(result, figure=pyplot.figure())
        elif isinstance(result, AttentionMap):
            attention_axes(result)
        else:
            report = result if isinstance(result, Report) else Report.of(result)
            draw_panels(report_panels(report, theme="light"), pyplot.figure(), theme="light")
    pyplot.show()
