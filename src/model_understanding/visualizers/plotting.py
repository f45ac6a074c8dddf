"""Show a report, and draw attributions: what every visualizer does, that of a black box too."""

from typing import TYPE_CHECKING, Any

from model_understanding.results import Attribution, Report
from model_understanding.show.display import in_notebook

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from model_understanding.show.shared.colors import Theme
    from model_understanding.tokens import Level


def show_if_wanted(report: Report, show: bool | None) -> Report:
    """Show a report if the caller wants it, and return it.

    Args:
        report: The report.
        show: Whether to show it now. If left out, a notebook displays the returned value by itself;
            elsewhere the report is shown now.
    """
    if show or (show is None and not in_notebook()):
        report.show()
    return report


class PlotsSaliency:
    """Draws attributions."""

    def compute_saliency(self, *text: Any, **options: Any) -> Any:
        """Explain a text."""
        raise NotImplementedError

    def plot_saliency(
        self,
        attribution_or_text: Any,
        *,
        ax: "Axes | None" = None,
        target: int = 0,
        level: "Level" = "character",
        normalized: bool = True,
        theme: "Theme" = "light",
    ) -> "Axes":
        """Draw an attribution as bars.

        Args:
            attribution_or_text: An attribution, or a text to explain first.
            ax: Axes to draw into; a new figure if left out.
            target: Which of the attribution's targets to draw, by its index.
            level: What one bar stands for: ``token``, ``character`` (tokens that split one visible character
                are joined), ``word`` or ``sentence``.
            normalized: Whether to scale the scores so that their absolute values sum to 1.
            theme: ``light`` or ``dark``.

        Returns:
            The axes.

        Raises:
            InputError: There is no such target, level or theme, or the text cannot be explained.
        """
        from model_understanding.show.figures.report import saliency_axes

        attribution = attribution_or_text
        if not isinstance(attribution, Attribution):
            attribution = self.compute_saliency(attribution_or_text)
        return saliency_axes(attribution, ax, target=target, level=level, normalized=normalized, theme=theme)
