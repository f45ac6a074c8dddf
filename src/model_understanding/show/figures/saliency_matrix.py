"""Saliency of several targets, for example of each generated token: one row per target."""

import numpy as np

from model_understanding.results import Attribution, Target
from model_understanding.results.attention_sinks import find_sinks, sink_shares
from model_understanding.show.figures.fonts import drawable
from model_understanding.show.figures.frame import Header, Panel, make_header
from model_understanding.show.figures.heatmap import Grid, axis_labels, heatmap_panel, text_borders
from model_understanding.show.shared.colors import Palette
from model_understanding.show.shared.words import (
    LABEL_LENGTH,
    are_steps,
    cautions_of,
    gap_text,
    method_name,
    share_list,
    target_label,
    targets_name,
)
from model_understanding.tokens import Level


def saliency_matrix_panel(
    attribution: Attribution, level: Level, colors: Palette, *, titled: bool = True
) -> Panel:
    """Plan a heatmap with one row per target and one column per token, each row normalized.

    Args:
        attribution: The attribution, of two or more targets.
        level: What a column stands for.
        colors: The theme's colors.
        titled: Whether the plot has a title; else the page around it shows the title.

    Returns:
        The panel.
    """
    folded = attribution.folded(level).normalized()
    shares = folded.scores.astype(np.float64)
    special = np.flatnonzero(folded.tokens.special)
    sinks = tuple(sink for sink in find_sinks(np.abs(shares), folded.valid) if sink in special)
    sink_values = sink_shares(np.abs(shares), folded.valid, sinks)
    columns = axis_labels(folded.tokens)
    by_step = are_steps(folded.targets)
    grid = Grid(
        values=shares,
        mask=folded.valid,
        rows=tuple(("→ " if by_step else "") + _row_label(target) for target in folded.targets),
        columns=columns,
        special_rows=np.zeros(len(shares), dtype=bool),
        special_columns=folded.tokens.special,
        excluded=sinks,
        borders=text_borders(folded.tokens),
        color=colors.signed if folded.signed else colors.magnitude,
        signed=folded.signed,
        column_label="context token",
        row_labels=("generated token", "target") if by_step else ("target",),
        scale=f"share of the row's {'|score|' if folded.signed else 'score'}",
        masked_label="no score: the target does not depend on it",
        as_percent=True,
        excluded_label=(
            f"special token{'' if len(sinks) == 1 else 's'} {share_list(columns, sinks, sink_values)}, "
            "excluded from the color scale"
        ),
    )

    def header(width: float, indent: float) -> Header:
        sums = "absolute values of each row sum to 100 %"
        facts = [method_name(attribution), gap_text(attribution), sums]
        sides = ["blue: raises the target value  ·  orange: lowers it"] if folded.signed else []
        return make_header(
            title=f"Token saliency: {targets_name(folded.targets)}" if titled else "",
            details=["  ·  ".join(filter(None, facts)) if titled else sums, *sides],
            cautions=cautions_of(attribution),
            handles=grid.handles(colors),
            width=width,
            indent=indent,
        )

    return heatmap_panel(grid, colors, header)


def _row_label(target: Target) -> str:
    return drawable(target_label(target, LABEL_LENGTH - 4), LABEL_LENGTH)
