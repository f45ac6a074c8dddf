"""Figures of reports, and figures as bytes."""

import io
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.figure import Figure

from model_understanding.checks import one_of
from model_understanding.errors import InputError
from model_understanding.results import AttentionMap, Report
from model_understanding.show.figures.answer import answer_panel
from model_understanding.show.figures.attention import attention_axes as attention_axes
from model_understanding.show.figures.attention import attention_panel
from model_understanding.show.figures.colored_text import map_panel
from model_understanding.show.figures.fonts import drawable, text_style
from model_understanding.show.figures.frame import (
    DETAIL_SIZE,
    EDGE,
    TITLE_SIZE,
    Panel,
    add_panel_axes,
    house_style,
    wrapped,
)
from model_understanding.show.figures.links import links_panel
from model_understanding.show.figures.logit_lens import lens_axes as lens_axes
from model_understanding.show.figures.query_key import query_key_axes as query_key_axes
from model_understanding.show.figures.saliency import saliency_axes as saliency_axes
from model_understanding.show.figures.sources import sources_panel
from model_understanding.show.shared.colors import Theme, palette
from model_understanding.show.shared.units import default_level
from model_understanding.show.shared.words import cautions_of
from model_understanding.show.views.answers import answer_view
from model_understanding.show.views.links import links_view
from model_understanding.show.views.report import map_views
from model_understanding.tokens import Level

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMATS = ("png", "svg", "pdf")
RESOLUTION = 150  # dots per inch of a PNG, and of images within SVG and PDF
_GAP, _HEADING_GAP = 0.36, 0.24  # inches between panels, and below the heading
_MIN_WIDTH, _MAX_WIDTH = 9.0, 12.0  # inches of text
_MAX_KEYS = 64  # tokens of a text whose attention is drawn token by token
_CREATOR = "model-understanding"
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": _CREATOR},
    "svg": {"Creator": _CREATOR, "Date": None},
    "pdf": {"Creator": _CREATOR, "Producer": None, "CreationDate": None},
}


def report_figure(report: Report, *, theme: Theme = "light") -> Figure:
    """Draw a report in one figure: the answer and its verdict, the colored text, attention below.

    Args:
        report: The report.
        theme: ``light`` or ``dark``.

    Returns:
        A figure that is not registered with pyplot, so that it does not have to be closed.

    Raises:
        InputError: The report has nothing to draw, or the theme is unknown.
    """
    with house_style():
        return draw_panels(report_panels(report, theme=theme), Figure(), theme=theme)


def report_panels(report: Report, *, theme: Theme) -> list[Panel]:
    """Plan the plots of a report, in the order of every output.

    Args:
        report: The report.
        theme: ``light`` or ``dark``.

    Returns:
        The answer with the verdict, then for each attribution its colored text and, for several targets, the
        table of what each depends on; then the links of two texts and the main attention map. Empty if there
        is nothing to explain it.
    """
    colors = palette(theme)
    maps = map_views(report)
    attention = [
        attention_panel(one, None, None, _attention_level(one), colors, has_cautions=False)
        for one in report.main_attention
    ]
    sources = {
        index: sources_panel(shown.sources, colors)
        for index, shown in enumerate(maps)
        if shown.sources is not None
    }
    links = [] if report.links is None else [links_panel(links_view(report.links), colors)]
    if not maps and not attention and not links and report.answer is None:
        return []
    widest = max((panel.full_width for panel in (*attention, *links, *sources.values())), default=0.0)
    width = min(max(_MIN_WIDTH, widest), _MAX_WIDTH)
    trust = maps[0].reading.trust if maps else None
    panels = [answer_panel(answer_view(report), trust, cautions_of(report), colors, width)]
    for index, shown in enumerate(maps):
        panels.append(map_panel(shown, colors, width, has_trust=index > 0))
        panels += [sources[index]] if index in sources else []
    return [*panels, *links, *attention]


def _attention_level(attention: AttentionMap) -> Level:
    """Return the level at which a report's attention is readable: that of its text if it is long."""
    return "character" if len(attention.keys) <= _MAX_KEYS else default_level(attention.keys)


def draw_panels(
    panels: "Sequence[Panel]", figure: Figure, *, theme: Theme, heading: tuple[str, str] | None = None
) -> Figure:
    """Draw panels below each other into a figure, which is resized to fit them.

    Args:
        panels: The panels.
        figure: An empty figure.
        theme: ``light`` or ``dark``.
        heading: A line at the top of the figure, and a smaller line below it.

    Returns:
        The figure.

    Raises:
        InputError: There are no panels.
    """
    if not panels:
        raise InputError(
            "The report has no attribution and no attention map.", hint="Save it as .json or .html instead."
        )
    return draw_rows([[panel] for panel in panels], figure, theme=theme, heading=heading)


def draw_rows(
    rows: "Sequence[Sequence[Panel]]",
    figure: Figure,
    *,
    theme: Theme,
    heading: tuple[str, str] | None = None,
) -> Figure:
    """Draw rows of panels below each other into a figure, which is resized to fit them.

    Args:
        rows: The panels of each row, from left to right.
        figure: An empty figure.
        theme: ``light`` or ``dark``.
        heading: A line at the top of the figure, and a smaller line below it.

    Returns:
        The figure.
    """
    colors = palette(theme)
    widths = [sum(panel.full_width for panel in row) + _GAP * (len(row) - 1) for row in rows]
    tops = [max(panel.top for panel in row) for row in rows]
    heights = [
        row_top + max(panel.height + panel.bottom for panel in row)
        for row_top, row in zip(tops, rows, strict=True)
    ]
    width = max(widths) + 2 * EDGE
    lines = _heading_lines(heading, width - 2 * EDGE)
    top = EDGE + (sum(advance for *_, advance in lines) + _HEADING_GAP if lines else 0.0)
    height = top + sum(heights) + _GAP * (len(rows) - 1) + EDGE
    figure.set_size_inches(width, height)
    figure.set_facecolor(colors.background)
    down = EDGE
    for text, size, is_main, advance in lines:
        color = colors.text if is_main else colors.muted
        position = (EDGE / width, 1 - down / height)
        figure.text(*position, text, fontsize=size, color=color, va="top", **text_style(text))
        down += advance
    for row, row_top, row_height in zip(rows, tops, heights, strict=True):
        left = EDGE
        for panel in row:  # side by side, their axes begin at one height
            panel.draw(add_panel_axes(figure, panel, left, top + row_top - panel.top))
            left += panel.full_width + _GAP
        top += row_height + _GAP
    return figure


def _heading_lines(heading: tuple[str, str] | None, width: float) -> list[tuple[str, float, bool, float]]:
    """Return the lines of the heading: text, size in points, whether it is a main line, height in inches."""
    if heading is None:
        return []
    main = wrapped(drawable(heading[0]), width, TITLE_SIZE + 1)
    rest = wrapped(drawable(heading[1]), width, DETAIL_SIZE)
    return [(line, TITLE_SIZE + 1, True, 0.25) for line in main] + [
        (line, DETAIL_SIZE, False, 0.19) for line in rest
    ]


def figure_bytes(figure: Figure, format: str) -> bytes:
    """Return a figure as the content of a file; the bytes are reproducible, and the figure stays open.

    Args:
        figure: Any matplotlib figure.
        format: ``png`` (150 dots per inch), ``svg`` (text as outlines, so that no fonts are needed) or
            ``pdf``.

    Returns:
        The content of the file.

    Raises:
        InputError: The format is unknown.
    """
    one_of(format, "format", FORMATS)
    buffer = io.BytesIO()
    settings: dict[Any, Any] = {
        "svg.fonttype": "path",
        "svg.hashsalt": _CREATOR,
        "pdf.fonttype": 42,
        "path.simplify": True,
        "text.hinting": "none",  # text is as wide as it was measured
    }
    with matplotlib.rc_context(settings):
        figure.savefig(
            buffer,
            format=format,
            dpi=RESOLUTION,
            facecolor=figure.get_facecolor(),
            metadata=_METADATA[format],
        )
    return buffer.getvalue()
