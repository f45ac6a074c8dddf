"""Show a result: in a notebook, a window or the terminal."""

import sys
from typing import TYPE_CHECKING, Any

from model_understanding.comparison import Comparison
from model_understanding.results import AttentionMap

if TYPE_CHECKING:
    from model_understanding.results import Report

MAX_FIGURE_TOKENS = 256  # a notebook stores no figure of longer reports


def in_notebook() -> bool:
    """Return whether the code runs in a notebook kernel, where a returned report displays itself."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None


def show_result(result: "Report | Comparison | AttentionMap") -> None:
    """Show a report or a comparison.

    In a notebook, the page is displayed; if pyplot uses a backend with windows, the figures are shown;
    otherwise, colored text is printed.

    Args:
        result: The report or the comparison.
    """
    if in_notebook():
        from IPython.display import display  # type: ignore[import-not-found]

        display(result)
    elif _has_windows():
        _show_window(result)
    elif isinstance(result, AttentionMap):
        from model_understanding.show.terminal.report import print_attention

        print_attention(result)
    elif isinstance(result, Comparison):
        from model_understanding.show.terminal.comparison import print_comparison

        print_comparison(result)
    else:
        from model_understanding.show.terminal.report import print_report

        print_report(result)


def notebook_bundle(result: "Report | Comparison | AttentionMap") -> dict[str, Any]:
    """Return the representations of a result for a notebook: the page, and a figure if HTML is not supported.

    Args:
        result: The report or the comparison.

    Returns:
        Contents by MIME type. The plain text is one line instead of the repr of the dataclass, which contains
        every number.
    """
    from model_understanding.show.page.document import html_fragment
    from model_understanding.show.shared.comparison_words import headlines
    from model_understanding.show.shared.words import report_headline

    if isinstance(result, Comparison):
        return {"text/plain": "  →  ".join(headlines(result)), "text/html": html_fragment(result)}
    if isinstance(result, AttentionMap):
        return _map_bundle(result)
    bundle: dict[str, Any] = {"text/plain": report_headline(result), "text/html": html_fragment(result)}
    source = result.prediction or result.generation
    is_short = source is not None and len(source.tokens) <= MAX_FIGURE_TOKENS
    if is_short and (result.attributions or result.attention):
        from model_understanding.show.figures.report import figure_bytes, report_figure

        bundle["image/png"] = figure_bytes(report_figure(result), "png")
    return bundle


def _map_bundle(attention: AttentionMap) -> dict[str, Any]:
    from model_understanding.show.figures.attention import attention_figure
    from model_understanding.show.figures.report import figure_bytes
    from model_understanding.show.page.attention_page import attention_fragment
    from model_understanding.show.shared.words import attention_title

    bundle: dict[str, Any] = {
        "text/plain": attention_title(attention),
        "text/html": attention_fragment(attention),
    }
    if max(len(attention.queries), len(attention.keys)) <= MAX_FIGURE_TOKENS:
        bundle["image/png"] = figure_bytes(attention_figure(attention), "png")
    return bundle


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


def _show_window(result: "Report | Comparison | AttentionMap") -> None:
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
            draw_panels(report_panels(result, theme="light"), pyplot.figure(), theme="light")
    pyplot.show()
