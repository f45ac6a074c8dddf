"""A comparison as a figure: both scores and their difference on one scale, and attention differences."""

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
    agreement_text,
    attribution_methods,
    attribution_title,
    comparison_cautions,
    difference_title,
    headlines,
    measure_sentence,
    report_names,
    unit_labels,
)
from model_understanding.show.shared.words import target_label

_MAX_TARGETS = 40
_COLOR_NOTE = "blue: higher in the second report  ·  orange: lower"


def comparison_figure(
    comparison: Comparison, *, theme: Theme = "light", figure: Figure | None = None
) -> Figure:
    """Draw the scores of both reports with their differences, and the differences in attention.

    Args:
        comparison: The comparison.
        theme: ``light`` or ``dark``.
        figure: An empty figure to draw into; by default one that is not registered with pyplot.

    Returns:
        The figure.

    Raises:
        InputError: The comparison has nothing to draw, or the theme is unknown.
    """
    colors = palette(theme)
    if not comparison.attributions and not comparison.attention:
        raise InputError(
            "The comparison has no attribution and no attention map.", hint="Save it as .json instead."
        )
    heading = "  →  ".join(report_names(comparison)), "  →  ".join(headlines(comparison))
    cautions = comparison_cautions(comparison)
    with house_style():
        panels = [_scores_panel(part, cautions, colors) for part in comparison.attributions]
        panels += [_attention_panel(part, cautions, colors) for part in comparison.attention]
        return draw_panels(panels, figure or Figure(), theme=theme, heading=heading)


def _scores_panel(part: AttributionComparison, cautions: tuple[str, ...], colors: Palette) -> Panel:
    """Plan both scores of one target and their difference; for several targets, only the differences."""
    single = len(part.first.targets) == 1
    if single:
        values = np.stack([part.values(0)[0], part.values(1)[0], part.differences[0]])
        mask = np.stack([part.valid(0)[0], part.valid(1)[0], part.compared[0]])
        rows = ("first", "second", "difference")
    else:
        values, mask = part.differences[:_MAX_TARGETS], part.compared[:_MAX_TARGETS]
        rows = tuple(drawable(target_label(target)) for target in part.second.targets[:_MAX_TARGETS])
    more = len(part.first.targets) - _MAX_TARGETS
    color_note = (
        f"difference: {_COLOR_NOTE}; first and second: scores of each report" if single else _COLOR_NOTE
    )
    details = [attribution_methods(part), measure_sentence(part), color_note]
    details += [agreement_text(part)] if single else []
    details += [f"{more} more targets are not shown"] if more > 0 else []
    grid = _grid(
        values,
        mask,
        rows,
        part.alignment,
        colors,
        scale="raw score" if part.measure == "score" else "share of |score|",
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
        scale="difference in attention",
        masked_label="not in both texts, or masked",
        as_percent=True,
        special_rows=part.rows.special,
        row_labels=("generated token" if part.first.steps is not None else "from (query)", "from"),
    )
    details = [*([part.reason] if part.reason else []), _COLOR_NOTE]
    return _panel(grid, difference_title(part), details, cautions, colors)


def _grid(
    values: np.ndarray,
    mask: np.ndarray,
    rows: tuple[str, ...],
    alignment: Alignment,
    colors: Palette,
    *,
    scale: str,
    as_percent: bool,
    masked_label: str = "not in both texts",
    special_rows: np.ndarray | None = None,
    row_labels: tuple[str, ...] = ("",),
) -> Grid:
    return Grid(
        values=values.astype(np.float64),
        mask=mask.copy(),
        rows=rows,
        columns=_labels(alignment),
        special_rows=np.zeros(len(rows), dtype=bool) if special_rows is None else special_rows,
        special_columns=alignment.special,
        excluded=(),
        borders=(),
        color=colors.signed,
        signed=True,
        column_label="aligned tokens (− only in the first, + only in the second)",
        row_labels=row_labels,
        scale=scale,
        masked_label=masked_label,
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
