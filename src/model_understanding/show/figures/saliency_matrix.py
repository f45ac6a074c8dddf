"""Saliency of many targets at once, as why each token was generated: one row for each target."""

from typing import TYPE_CHECKING

import numpy as np

from model_understanding.results import Attribution
from model_understanding.results.attention_sinks import find_sinks, sink_shares
from model_understanding.show.figures.fonts import drawable
from model_understanding.show.figures.frame import Header, Panel, make_header
from model_understanding.show.figures.heatmap import Grid, axis_labels, heatmap_panel, text_borders
from model_understanding.show.shared.colors import Palette
from model_understanding.show.shared.words import (
    LABEL_LENGTH,
    cautions,
    is_generation,
    method_name,
    named_shares,
    shown,
    targets_name,
)
from model_understanding.tokens import Level

if TYPE_CHECKING:
    from model_understanding.results import Target


def saliency_matrix_panel(
    attribution: Attribution, level: Level, colors: Palette, *, titled: bool = True
) -> Panel:
    """Plan a heatmap with one row for each target and one column for each token, each row normalized.

    Args:
        attribution: The attribution, of two targets or more.
        level: What a column stands for.
        colors: The theme's colors.
        titled: Whether the picture carries its title, or the page around it does.

    Returns:
        The panel.
    """
    folded = attribution.folded(level).normalized()
    shares = folded.scores.astype(np.float64)
    special = np.flatnonzero(folded.tokens.special)
    sinks = tuple(sink for sink in find_sinks(np.abs(shares), folded.valid) if sink in special)
    taken = sink_shares(np.abs(shares), folded.valid, sinks)
    columns = axis_labels(folded.tokens)
    by_step = is_generation(folded.targets)
    grid = Grid(
        values=shares,
        mask=folded.valid,
        rows=tuple(("→ " if by_step else "") + target_label(target) for target in folded.targets),
        columns=columns,
        special_rows=np.zeros(len(shares), dtype=bool),
        special_columns=folded.tokens.special,
        sinks=sinks,
        borders=text_borders(folded.tokens),
        color=colors.signed if folded.signed else colors.magnitude,
        signed=folded.signed,
        across="because of (context)",
        down=("token produced", "target") if by_step else ("target",),
        scale=f"% of the row's {'|score|' if folded.signed else 'score'}",
        masked_words="no score: the target does not depend on it",
        as_percent=True,
        sink_words=f"special, off the color scale: {named_shares(columns, sinks, taken)}",
    )

    def header(width: float, indent: float) -> Header:
        sums = "the absolute values of each row sum to 100 %"
        sides = ["blue: raises it  ·  orange: lowers it"] if folded.signed else []
        return make_header(
            title=f"Token saliency: {targets_name(folded.targets)}" if titled else "",
            details=[*([f"{method_name(attribution)}  ·  {sums}"] if titled else [sums]), *sides],
            cautions=cautions(attribution),
            handles=grid.handles(colors),
            width=width,
            indent=indent,
        )

    return heatmap_panel(grid, colors, header)


def target_label(target: "Target") -> str:
    """Return a short drawable label of a target: its token, class or name."""
    words = target.name or ", ".join(target.labels) or target.description()
    return drawable(shown(words.strip(" ") or words, LABEL_LENGTH - 4), LABEL_LENGTH)
