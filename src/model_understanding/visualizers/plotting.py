"""Show a report, and draw attributions: what every visualizer does, that of a black box too."""

from typing import TYPE_CHECKING, Any

from model_understanding.checks import names_arguments
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

    @names_arguments
    def plot_saliency(
        self,
        attribution_or_text: Any,
        *,
        ax: "Axes | None" = None,
        target: int = 0,
        level: "Level" = "character",
        normalized: bool = True,
        theme: "Theme" = "light",
        title: str | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        cmap: Any = None,
        annot: Any = None,
        fmt: str | None = None,
        cbar: bool | None = None,
        figsize: tuple[float, float] | None = None,
    ) -> "Axes":
        """Draw an attribution as bars.

        Args:
            attribution_or_text: An attribution, or a text to explain first.
            ax: Axes to draw into; the plot stays inside their place, and of more bars than fit there it has
                the largest. A new figure if left out.
            target: Which of the attribution's targets to draw, by its index.
            level: What one bar stands for: ``token``, ``character`` (tokens that split one visible character
                are joined), ``word`` or ``sentence``.
            normalized: Whether to scale the scores so that their absolute values sum to 1.
            theme: ``light`` or ``dark``.
            title: The title; empty for none. By default it names what is drawn.
            vmin: Start of the score axis; shares are fractions, 0.2 for 20 %.
            vmax: End of the score axis; with the same limits several plots are on one scale.
            cmap: Colors of the scale: a name, a matplotlib colormap, or a list of colors.
            annot: Whether values are written at the bars, or the texts to write, one per bar.
            fmt: Format of the written values, for example ``.2f``.
            cbar: A bar chart has no color bar; only ``False`` is allowed.
            figsize: Width and height of the new figure in inches; by default it grows with the text.

        Returns:
            The axes.

        Raises:
            InputError: There is no such target, level, theme or argument; the text cannot be explained; or
                the axes share an axis with a plot that shows other tokens or another score on it.
        """
        from model_understanding.show.figures.options import PlotOptions
        from model_understanding.show.figures.report import saliency_axes

        options = PlotOptions(title=title, vmin=vmin, vmax=vmax, cmap=cmap, annot=annot, fmt=fmt, cbar=cbar)
        attribution = attribution_or_text
        if not isinstance(attribution, Attribution):
            attribution = self.compute_saliency(attribution_or_text)
        return saliency_axes(
            attribution,
            ax,
            target=target,
            level=level,
            normalized=normalized,
            theme=theme,
            figsize=figsize,
            options=options,
        )
