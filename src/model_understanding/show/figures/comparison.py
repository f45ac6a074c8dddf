"""A comparison as a figure: the largest differences, all scores on one scale, and attention differences."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from model_understanding.comparison import AttentionComparison, AttributionComparison, Comparison
from model_understanding.errors import InputError
from model_understanding.show.figures.fonts import drawable, text_style
from model_understanding.show.figures.frame import (
    LABEL_SIZE,
    SMALL_SIZE,
    Header,
    Panel,
    house_style,
    make_header,
    text_width,
)
from model_understanding.show.figures.heatmap import Grid, heatmap_panel
from model_understanding.show.figures.report import draw_panels
from model_understanding.show.shared.colors import Palette, Theme, palette
from model_understanding.show.views.compared_attention import (
    compared_axes,
    difference_title,
    full_color,
    reaches,
    shown_maps,
)
from model_understanding.show.views.compared_scores import (
    WHOLE_ANSWER,
    ScoresView,
    attribution_methods,
    attribution_title,
    has_steps,
    measure_sentence,
    scores_view,
    target_name_of,
)
from model_understanding.show.views.compared_words import unit_labels
from model_understanding.show.views.comparison import ComparisonView, comparison_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_TARGETS = 40
_MAX_UNITS = 80  # words of which all scores are drawn; of more, only the largest differences
_WIDTH, _ROW = 3.6, 0.3  # inches of the largest differences, and of each
_HEADER_WIDTH = 6.6
_COLOR_NOTE = "blue: higher in the second report  ·  orange: lower"


def comparison_figure(
    comparison: Comparison, *, theme: Theme = "light", figure: Figure | None = None
) -> Figure:
    """Draw the largest differences of the scores, all scores, and the differences in attention.

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
    view = comparison_view(comparison)
    below = f"{' → '.join(answer.name for answer in view.answers)}  ·  {view.inputs}"
    with house_style():
        panels = [
            panel
            for scores, part in zip(view.scores, comparison.attributions, strict=False)
            for panel in _scores_panels(scores, part, view, comparison, colors)
        ]
        maps = shown_maps(comparison)
        main = [part for part in maps if part.first.is_attention] or maps
        panels += [_attention_panel(part, view, colors) for part in main[:1]]
        return draw_panels(panels, figure or Figure(), theme=theme, heading=(view.headline, below))


def _scores_panels(
    scores: ScoresView,
    part: AttributionComparison,
    view: ComparisonView,
    comparison: Comparison,
    colors: Palette,
) -> list[Panel]:
    panels = [_largest_panel(scores, view, colors)]
    words = part.words()
    if len(words.first.targets) > 1:
        rows = [scores_view(words, row, comparison) for row in range(len(words.first.targets))][:_MAX_TARGETS]
        labels = [target_name_of(words, row) for row in range(len(rows))]
        if has_steps(part) and part.signed and len(scores.units) == len(words.alignment.pairs):
            rows.insert(0, scores)
            labels.insert(0, WHOLE_ANSWER)
        values = np.array([[unit.change for unit in row.units] for row in rows])
        mask = np.array([[unit.change_text != "–" for unit in row.units] for row in rows])
        full = max(row.full for row in rows)
    else:
        values = np.array(
            [[getattr(unit, name) or 0.0 for unit in scores.units] for name in ("first", "second", "change")]
        )
        mask = np.array(
            [
                [unit.first is not None for unit in scores.units],
                [unit.second is not None for unit in scores.units],
                [unit.change_text != "–" for unit in scores.units],
            ]
        )
        labels, full = ["first", "second", "difference"], scores.full
    if len(scores.units) > _MAX_UNITS:
        return panels
    more = len(words.first.targets) - _MAX_TARGETS
    columns = np.flatnonzero(mask.any(axis=0))
    special, texts = words.alignment.special[columns], unit_labels(words.alignment)
    grid = Grid(
        values=np.where(mask, values, 0.0)[:, columns],
        mask=mask[:, columns],
        rows=tuple(map(drawable, labels)),
        columns=tuple(drawable(texts[column]) for column in columns),
        special_rows=np.zeros(len(labels), dtype=bool),
        special_columns=special,
        excluded=tuple(np.flatnonzero(special).tolist()),
        borders=(),
        color=colors.signed,
        signed=True,
        column_label="words of both texts",
        row_labels=("target", "") if len(words.first.targets) > 1 else ("",),
        scale="raw score" if part.measure == "score" else "share of |score|",
        masked_label="not in this text",
        excluded_label="special token, not on the scale",
        as_percent=part.measure != "score",
        reach=full,
    )
    details = [f"difference: {_COLOR_NOTE}", *([f"{more} more targets are not shown"] if more > 0 else [])]
    return [*panels, _panel(grid, "Scores of every word", details, (), colors)]


def _largest_panel(scores: ScoresView, view: ComparisonView, colors: Palette) -> Panel:
    """Plan the largest differences: both values of each word, and the difference between them."""
    part, units = scores.part, scores.largest
    labels = [drawable(unit.label) for unit in units]
    numbers = [f"{unit.first_text} → {unit.second_text}" for unit in units]
    left = max((text_width(label, LABEL_SIZE) for label in labels), default=0.0) + 0.15
    right = max((text_width(words, SMALL_SIZE) for words in numbers), default=0.0) + 1.05
    verdicts = [
        f"{name} {trust.symbol} {trust.verdict}"
        for name, trust in zip(("first", "second"), scores.trust, strict=True)
    ]
    details = [
        f"{attribution_title(part)}  ·  {attribution_methods(part)}",
        measure_sentence(part),
        f"{scores.agreement}  ·  faithfulness: {', '.join(verdicts)}",
    ]
    if units:
        details.append("ring: first, dot: second")
    header = make_header(
        title=scores.sentence,
        details=details,
        cautions=view.cautions,
        width=max(left + _WIDTH + right, _HEADER_WIDTH),
        indent=-left,
    )

    def draw(axes: "Axes") -> None:
        header.draw(axes, colors)
        axes.set_facecolor(colors.background)
        for side in ("top", "left", "right"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(colors.line)
        axes.set_xlim((-1.06 * scores.full if part.signed else -0.03 * scores.full), 1.06 * scores.full)
        axes.set_ylim(len(units) - 0.4, -0.6)
        axes.set_yticks([])
        if not units:
            axes.set_axis_off()
            return
        axes.axvline(0, color=colors.line, linewidth=1, zorder=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.tick_params(axis="x", colors=colors.muted, labelsize=SMALL_SIZE)
        if part.measure != "score":
            axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %".replace("-", "−"))
        for row, unit in enumerate(units):
            first, second = unit.first or 0.0, unit.second or 0.0
            color = colors.supports if unit.change >= 0 else colors.against
            axes.plot([first, second], [row, row], color=color, linewidth=5, solid_capstyle="butt", zorder=1)
            ring = {"markeredgecolor": colors.text, "markersize": 6, "linestyle": "none", "zorder": 2}
            if unit.first is not None:
                axes.plot(first, row, "o", markerfacecolor=colors.background, **ring)
            if unit.second is not None:
                axes.plot(second, row, "o", markerfacecolor=colors.text, **ring)
            place = axes.get_yaxis_transform()
            shown = ((-0.02, labels[row], "right", LABEL_SIZE, colors.text),)
            width = _WIDTH
            shown += (
                (1 + (right - 0.95) / width, numbers[row], "right", SMALL_SIZE, colors.muted),
                (1 + (right - 0.05) / width, unit.change_text, "right", LABEL_SIZE, colors.text),
            )
            for x, words, side, size, ink in shown:
                style = text_style(words)
                axes.text(
                    x, row, words, ha=side, va="center", fontsize=size, color=ink, transform=place, **style
                )

    height = max(len(units), 0.1) * _ROW
    margin = max(right, _HEADER_WIDTH - left - _WIDTH)
    return Panel(
        width=_WIDTH, height=height, left=left, right=margin, top=header.height, bottom=0.3, draw=draw
    )


def _attention_panel(part: AttentionComparison, view: ComparisonView, colors: Palette) -> Panel:
    rows, keys = compared_axes(part)
    cells = np.ix_(rows, keys)
    differences = part.mean_differences()[cells]
    row_labels, key_labels = unit_labels(part.rows), unit_labels(part.keys)
    grid = Grid(
        values=differences.astype(np.float64),
        mask=part.compared[cells],
        rows=tuple(drawable(row_labels[row]) for row in rows),
        columns=tuple(drawable(key_labels[key]) for key in keys),
        special_rows=part.rows.special[rows],
        special_columns=part.keys.special[keys],
        excluded=(),
        borders=(),
        color=colors.signed,
        signed=True,
        column_label="to (key)",
        row_labels=("generated token" if part.first.steps is not None else "from (query)", "from"),
        scale="difference in attention",
        masked_label="not in both texts, or masked",
        as_percent=part.has_shares,
        reach=full_color(differences, float(reaches(part)[-1, -1])),
    )
    details = [*([part.reason] if part.reason else []), _COLOR_NOTE]
    cautions = () if view.scores else view.cautions
    return _panel(grid, difference_title(part), details, cautions, colors)


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
