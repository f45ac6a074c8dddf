"""Show a result: in a notebook, a window or the terminal."""

import sys
from typing import TYPE_CHECKING, Any

from model_understanding.comparison import Comparison

if TYPE_CHECKING:
    from model_understanding.results import Report

MOST_PICTURED = 256  # tokens; a notebook keeps no picture of a longer report


def in_notebook() -> bool:
    """Return whether the code runs in a notebook's kernel, where a returned report shows itself."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None


def show_result(result: "Report | Comparison") -> None:
    """Show a report or a comparison where the user is looking.

    In a notebook the page is displayed; where pyplot has opened a backend with windows, the figures are
    shown; elsewhere the colored text is printed.

    Args:
        result: The report or the comparison.
    """
    if in_notebook():
        from IPython.display import display  # type: ignore[import-not-found]

        display(result)
    elif _has_windows():
        _show_window(result)
    elif isinstance(result, Comparison):
        from model_understanding.show.terminal.comparison import print_comparison

        print_comparison(result)
    else:
        from model_understanding.show.terminal.report import print_report

        print_report(result)


def notebook_bundle(result: "Report | Comparison") -> dict[str, Any]:
    """Return what a notebook keeps of a result: the page, and a picture for what shows no HTML.

    Args:
        result: The report or the comparison.

    Returns:
        Contents by MIME type. The plain text is one line, in place of what a dataclass prints, which would
        hold every number.
    """
    from model_understanding.show.page.document import html_fragment
    from model_understanding.show.shared.comparison_words import answers
    from model_understanding.show.shared.words import answer_words

    if isinstance(result, Comparison):
        return {"text/plain": "  →  ".join(answers(result)), "text/html": html_fragment(result)}
    bundle: dict[str, Any] = {"text/plain": answer_words(result), "text/html": html_fragment(result)}
    source = result.prediction or result.generation
    is_short = source is not None and len(source.tokens) <= MOST_PICTURED
    if is_short and (result.attributions or result.attention):
        from model_understanding.show.figures.report import figure_bytes, report_figure

        bundle["image/png"] = figure_bytes(report_figure(result), "png")
    return bundle


def _has_windows() -> bool:
    """Return whether the user already works with pyplot and a backend that opens windows."""
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return False
    import matplotlib
    from matplotlib.backends.registry import BackendFilter, backend_registry

    backend = matplotlib.rcParams._get_backend_or_none()  # type: ignore[attr-defined]
    interactive = backend_registry.list_builtin(BackendFilter.INTERACTIVE)
    return backend is not None and backend.lower() in interactive


def _show_window(result: "Report | Comparison") -> None:
    from matplotlib import pyplot

    from model_understanding.show.figures.comparison import comparison_figure
    from model_understanding.show.figures.frame import house_style
    from model_understanding.show.figures.report import draw_panels, report_panels

    with house_style():
        if isinstance(result, Comparison):
            comparison_figure(result, figure=pyplot.figure())
        else:
            draw_panels(report_panels(result, theme="light"), pyplot.figure(), theme="light")
    pyplot.show()
