"""A comparison as a figure: scores of both and their difference on one scale, attention differences."""

import numpy as np
from matplotlib.figure import Figure

from model_understanding.comparison import Alignment, AttentionComparison, AttributionComparison, Comparison
from model_understanding.errors import InputError
from model_understanding.show.figures.fonts import drawable
from model_understanding.show.figures.frame import Header, Panel, house_style, make_header
from model_understanding.show.figures.heatmap import Grid, heatmap_panel
from model_understanding.show.figures.report import draw_panels
from model_understanding.show.shared.colors import Palette, Theme, palette
from model_understanding.show.shared.comparison_words import (
    agreement_words,
    answers,
    attention_words,
    attribution_methods,
    attribution_title,
    measure_words,
    names,
    stamps,
    target_label,
    unit_labels,
)

_MOST_TARGETS = 40
_COLORED = "blue: the second is higher  ·  orange: it is lower"


def comparison_figure(
    comparison: Comparison, *, theme: Theme = "light", figure: Figure | None = None
) -> Figure:
    """Draw the scores of both reports with their differences, and the differences of attention.

    Args:
        comparison: The comparison.
        theme: ``light`` or ``dark``.
        figure: An empty figure to draw into; left out, one that pyplot does not know, so that nothing has
            to be closed.

    Returns:
        The figure.

    Raises:
        InputError: The comparison holds no picture, or there is no such theme.
    """
    colors = palette(theme)
    if not comparison.attributions and not comparison.attention:
        raise InputError(
            "The comparison holds no attribution and no attention map.", hint="Save it as .json instead."
        )
    heading = "  →  ".join(names(comparison)), "  →  ".join(answers(comparison))
    cautions = stamps(comparison)
    with house_style():
        panels = [_scores_panel(part, cautions, colors) for part in comparison.attributions]
        panels += [_attention_panel(part, cautions, colors) for part in comparison.attention]
        return draw_panels(panels, figure or Figure(), theme=theme, heading=heading)


def _scores_panel(part: AttributionComparison, cautions: tuple[str, ...], colors: Palette) -> Panel:
    """Plan one target's scores in both and their difference; of several targets the differences."""
    single = len(part.first.targets) == 1
    if single:
        values = np.stack([part.values(0)[0], part.values(1)[0], part.differences[0]])
        mask = np.stack([part.valid(0)[0], part.valid(1)[0], part.compared[0]])
        rows = ("first", "second", "difference")
    else:
        values, mask = part.differences[:_MOST_TARGETS], part.compared[:_MOST_TARGETS]
        rows = tuple(drawable(target_label(target)) for target in part.second.targets[:_MOST_TARGETS])
    more = len(part.first.targets) - _MOST_TARGETS
    colored = f"difference: {_COLORED}  ·  above it, each report's own scores" if single else _COLORED
    details = [attribution_methods(part), measure_words(part), colored]
    details += [agreement_words(part)] if single else []
    details += [f"{more} more targets are left out here"] if more > 0 else []
    grid = _grid(
        values,
        mask,
        rows,
        part.alignment,
        colors,
        scale="raw score" if part.measure == "score" else "% of all |score|",
        as_percent=part.measure != "score",
    )
    return _panel(grid, attribution_title(part), details, cautions, colors)


def _attention_panel(part: AttentionComparison, cautions: tuple[str, ...], colors: Palette) -> Panel:
    grid = _grid(
        part.mean_differences(),
        part.compared,
        _labels(part.rows),
        part.keys,
        colors,
        scale="difference of weights in %",
        as_percent=True,
        special_rows=part.rows.special,
        down=("token produced" if part.first.steps is not None else "from (query)", "from"),
    )
    details = [*([part.reason] if part.reason else []), _COLORED]
    return _panel(grid, f"Difference of {attention_words(part).lower()}", details, cautions, colors)


def _grid(
    values: np.ndarray,
    mask: np.ndarray,
    rows: tuple[str, ...],
    alignment: Alignment,
    colors: Palette,
    *,
    scale: str,
    as_percent: bool,
    special_rows: np.ndarray | None = None,
    down: tuple[str, ...] = ("",),
) -> Grid:
    return Grid(
        values=values.astype(np.float64),
        mask=mask.copy(),
        rows=rows,
        columns=_labels(alignment),
        special_rows=np.zeros(len(rows), dtype=bool) if special_rows is None else special_rows,
        special_columns=alignment.special,
        sinks=(),
        borders=(),
        color=colors.signed,
        signed=True,
        across="aligned tokens (− only in the first, + only in the second)",
        down=down,
        scale=scale,
        masked_words="not in both, or not to be looked at",
        as_percent=as_percent,
    )


def _labels(alignment: Alignment) -> tuple[str, ...]:
    return tuple(drawable(label) for label in unit_labels(alignment))


def _panel(grid: Grid, title: str, details: list[str], cautions: tuple[str, ...], colors: Palette) -> Panel:
    def header(width: float, indent: float) -> Header:
        return make_header(
            title=title,
            details=details,
            cautions=cautions,
            handles=grid.handles(colors),
            width=width,
            indent=indent,
        )

    return heatmap_panel(grid, colors, header)
