"""What visualizers draw: results they are handed, or those of a text that they explain first."""

from typing import TYPE_CHECKING, Any

from model_understanding.results import AttentionMap, Attribution, LogitLens, QueryKey, Report
from model_understanding.show.display import in_notebook

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def shown(report: Report, show: bool | None) -> Report:
    """Return a report, shown before where that is wanted.

    Args:
        report: The report.
        show: Whether to show it; left out, a notebook shows the value returned and everything else is told
            now.
    """
    if show or (show is None and not in_notebook()):
        report.show()
    return report


class DrawsSaliency:
    """Draws attributions."""

    def compute_saliency(self, *text: Any, **options: Any) -> Any:
        """Explain a text."""
        raise NotImplementedError

    def plot_saliency(self, attribution_or_text: Any, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw an attribution as bars; by default normalized, so that absolute values sum to 1.

        Args:
            attribution_or_text: An attribution, or a text to explain first.
            ax: Where to draw; a new figure where left out.
            **options: Passed to ``show.figure.saliency_axes``: ``target``, ``level``, ``normalized``,
                ``theme``.

        Returns:
            The axes.
        """
        from model_understanding.show.figures.report import saliency_axes

        given = attribution_or_text
        return saliency_axes(
            given if isinstance(given, Attribution) else self.compute_saliency(given), ax, **options
        )


class DrawsReadings(DrawsSaliency):
    """Draws attributions, and what is read inside a model."""

    def compute_attention(self, *text: Any, **options: Any) -> Any:
        """Return where the model looks in a text."""
        raise NotImplementedError

    def compute_logit_lens(self, *text: Any, **options: Any) -> Any:
        """Return what each layer would answer to a text."""
        raise NotImplementedError

    def plot_attention(self, map_or_text: Any, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw an attention map: a heatmap, a grid over layers and heads, or arcs between tokens.

        Args:
            map_or_text: A map, or a text to compute it for first.
            ax: Where to draw; a new figure where left out.
            **options: Passed to ``show.figure.attention_axes``: ``view`` (``map``, ``grid`` or ``arcs``),
                ``layer``, ``head``, ``level``, ``sinks``, ``theme``.

        Returns:
            The axes.
        """
        from model_understanding.show.figures.report import attention_axes

        given = map_or_text
        return attention_axes(
            given if isinstance(given, AttentionMap) else self.compute_attention(given), ax, **options
        )

    def plot_logit_lens(self, lens_or_text: Any, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw what each layer would answer: layers × positions, colored by probability.

        Args:
            lens_or_text: A lens, or a text to compute it for first.
            ax: Where to draw; a new figure where left out.
            **options: Passed to ``show.figure.lens_axes``: ``theme``.

        Returns:
            The axes.
        """
        from model_understanding.show.figures.report import lens_axes

        given = lens_or_text
        return lens_axes(
            given if isinstance(given, LogitLens) else self.compute_logit_lens(given), ax, **options
        )

    def plot_query_key(self, found: QueryKey, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw which dimensions of a head make a query look at its keys: keys × dimensions.

        Args:
            found: What ``compute_query_key`` returned.
            ax: Where to draw; a new figure where left out.
            **options: Passed to ``show.figure.query_key_axes``: ``theme``.

        Returns:
            The axes.
        """
        from model_understanding.show.figures.report import query_key_axes

        return query_key_axes(found, ax, **options)
