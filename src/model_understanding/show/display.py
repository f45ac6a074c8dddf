"""Where a report is shown: in the notebook, in a window, or as text in the terminal."""

import sys
from typing import TYPE_CHECKING, Any

from model_understanding.show.notebook import in_notebook

if TYPE_CHECKING:
    from model_understanding.results import Report


def display_report(report: "Report") -> None:
    """Show a report where the user is looking.

    In a notebook the page is displayed; where pyplot has opened a backend with windows, the figures are
    shown; elsewhere the colored text is printed.

    Args:
        report: The report.
    """
    if in_notebook():
        from IPython.display import display  # type: ignore[import-not-found]

        display(report)
    elif _has_windows():
        _show_window(report)
    else:
        from model_understanding.show.terminal import print_report

        print_report(report)


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


def _show_window(report: "Report") -> None:
    from matplotlib import pyplot

    from model_understanding.show.figure import draw_panels, report_panels
    from model_understanding.show.panel import house_style

    with house_style():
        draw_panels(report_panels(report, theme="light"), pyplot.figure(), theme="light")
    pyplot.show()
