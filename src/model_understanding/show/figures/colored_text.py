"""One saliency map as colored text with its sentence and its strongest words beside it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from matplotlib.patches import Rectangle

from model_understanding.show.figures.answer import (
    chip_height,
    draw_trust,
    set_inches,
    trust_block,
)
from model_understanding.show.figures.fonts import drawable, text_style
from model_understanding.show.figures.frame import (
    DETAIL_SIZE,
    LABEL_SIZE,
    SMALL_SIZE,
    TITLE_SIZE,
    Panel,
    fitted,
    text_width,
)
from model_understanding.show.figures.typesetting import Block, Piece, typeset
from model_understanding.show.shared.colors import Palette, text_on
from model_understanding.show.shared.runs import direction_of
from model_understanding.show.views.report import MapView
from model_understanding.show.views.saliency import SaliencyView, Unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TEXT_SIZE = 10.5  # points
_COLUMN, _COLUMN_GAP = 3.1, 0.35  # inches of the strongest words, and left of them
_MAX_LABEL, _BAR, _ROW = 1.25, 1.1, 0.22  # inches of a label, of the longest bar, of a row
_MAX_LABEL_OF_PAIR, _BAR_OF_PAIR = 1.75, 0.6  # where the label also says which text it is in
_MAX_LINES = 60
FADED = 0.35  # part of its strength that a color keeps if the scores are not supported
_FADED_NOTE = "The test does not support these scores; they are drawn pale and striped."


def map_panel(shown: MapView, colors: Palette, width: float, *, has_trust: bool) -> Panel:
    """Plan one map of a report: the sentence, the colored text, and the strongest words.

    Args:
        shown: The map.
        colors: The theme's colors.
        width: Width in inches.
        has_trust: Whether the verdict stands here; that of the main map stands beside the answer.

    Returns:
        The panel.
    """
    view, reading = shown.saliency, shown.reading
    pieces = [Piece(text=f"{reading.title}  ", color=colors.text, weight="bold")]
    for index, text in enumerate(reading.why):
        pieces.append(Piece(text=text, color=colors.text, weight="bold" if index % 2 else "normal"))
    sentence = typeset(pieces, width, TITLE_SIZE)
    if shown.is_brief:
        return _sentence_panel(sentence, width)
    trust = trust_block(reading.trust, colors, width) if has_trust else None
    direction = direction_of(
        run.text for paragraph in view.paragraphs for run in paragraph.runs if not run.is_pill
    )
    text = typeset(
        _text_pieces(view, colors),
        width - _COLUMN - _COLUMN_GAP,
        _TEXT_SIZE,
        most=_MAX_LINES,
        direction=direction,
    )
    below = typeset(_legend(view, colors), width, DETAIL_SIZE)
    faded = [_FADED_NOTE] if view.faded else []
    facts = "  ·  ".join(filter(None, (view.title, view.value, view.gap, view.method)))
    notes = typeset(
        [Piece(text="\n".join((facts, *view.notes, *faded)), color=colors.muted)], width, DETAIL_SIZE
    )
    top = sentence.height + 0.06
    trust_top = top
    if trust is not None:
        top += chip_height(trust) + 0.06
    body = max(text.height, (len(view.top()) + 1) * _ROW)
    legend_top = top + body + 0.1
    notes_top = legend_top + below.height + 0.03
    height = notes_top + notes.height

    def draw(axes: "Axes") -> None:
        set_inches(axes, width, height)
        sentence.draw(axes, 0.0, 0.0)
        if trust is not None:
            draw_trust(axes, reading.trust, trust, trust_top, colors)
        text.draw(axes, 0.0, top)
        _draw_strongest(axes, view, width - _COLUMN, top, colors)
        below.draw(axes, 0.0, legend_top)
        notes.draw(axes, 0.0, notes_top)

    return Panel(width=width, height=height, left=0.0, right=0.0, top=0.0, bottom=0.0, draw=draw)


def _sentence_panel(sentence: Block, width: float) -> Panel:
    """Plan the sentence of a map that is not drawn."""

    def draw(axes: "Axes") -> None:
        set_inches(axes, width, sentence.height)
        sentence.draw(axes, 0.0, 0.0)

    return Panel(width=width, height=sentence.height, left=0.0, right=0.0, top=0.0, bottom=0.0, draw=draw)


def _text_pieces(view: SaliencyView, colors: Palette) -> Iterator[Piece]:
    for index, paragraph in enumerate(view.paragraphs):
        if index:
            yield Piece(text="\n", color=colors.text)
        if paragraph.side:
            yield Piece(text=f"{paragraph.side}:  ", color=colors.muted)
        for position, run in enumerate(paragraph.runs):
            unit = None if run.unit is None else view.units[run.unit]
            underline = colors.against if run.is_unknown else None
            if run.is_pill:
                # Special tokens without a place in the text are set apart from it.
                lead, end = (" " if position else "", " ") if run.source < 0 else ("", "")
                yield Piece(text=f"{lead}{run.text}{end}", color=colors.muted, underline=underline)
            elif unit is None or not unit.colored:
                weight = "bold" if unit is not None and unit.target else "normal"
                yield Piece(text=run.text, color=colors.text, weight=weight, underline=underline)
            else:
                face = _face(unit, view, colors)
                yield Piece(
                    text=run.text,
                    color=text_on(face),
                    face=face,
                    hatch=colors.hatch if view.faded else None,
                    underline=underline,
                )


def _face(unit: Unit, view: SaliencyView, colors: Palette) -> str:
    strength = unit.strength * (FADED if view.faded else 1.0)
    return colors.signed(strength) if view.signed else colors.magnitude(strength)


def _legend(view: SaliencyView, colors: Palette) -> list[Piece]:
    strength = FADED if view.faded else 1.0
    hatch = colors.hatch if view.faded else None
    if not view.signed:
        steps = [colors.magnitude(strength * step / 5) for step in range(6)]
        swatches = [Piece(text="   ", color=step, face=step, hatch=hatch) for step in steps]
        return [Piece(text="score, low to high: ", color=colors.muted), *swatches]
    pieces = []
    for side, meaning in zip((1.0, -1.0), view.signs, strict=True):
        if not any(unit.colored and side * unit.score > 0 for unit in view.units):
            continue
        face = colors.signed(side * strength)
        mark = "+" if side > 0 else "−"
        pieces.append(Piece(text=f" {mark} {meaning} ", color=text_on(face), face=face, hatch=hatch))
        pieces.append(Piece(text="   ", color=colors.text))
    return pieces


def _label_of(unit: Unit) -> str:
    """Return the label of a unit as wide as there is room, with its text of two."""
    side = f" ({unit.side})" if unit.side else ""
    room = (_MAX_LABEL_OF_PAIR if side else _MAX_LABEL) - text_width(side, LABEL_SIZE)
    return fitted(drawable(unit.label.strip(" ") or unit.label), room, LABEL_SIZE) + side


def _draw_strongest(axes: "Axes", view: SaliencyView, left: float, top: float, colors: Palette) -> None:
    """Draw the units with the largest scores: label, bar and share."""
    units = view.top()
    if not units:
        return
    is_pair = any(unit.side for unit in units)
    room, longest = (_MAX_LABEL_OF_PAIR, _BAR_OF_PAIR) if is_pair else (_MAX_LABEL, _BAR)
    heading = f"strongest {view.unit_name}: share of all scores"
    small = {"fontsize": SMALL_SIZE, "color": colors.muted, "va": "center_baseline", "ha": "left"}
    axes.text(left, top + _ROW / 2, heading, **small)  # pyright: ignore[reportArgumentType]
    peak = max(abs(unit.strength) for unit in units) or 1.0
    for row, unit in enumerate(units, 1):
        middle = top + (row + 0.5) * _ROW
        label = _label_of(unit)
        axes.text(
            left,
            middle,
            label,
            ha="left",
            va="center_baseline",
            fontsize=LABEL_SIZE,
            color=colors.text,
            **text_style(label),
        )
        start, length = left + room + 0.1, longest * abs(unit.strength) / peak
        kind = "unsigned" if not view.signed else "supports" if unit.score >= 0 else "against"
        color = getattr(colors, kind)
        face = {"facecolor": color, "linewidth": 0}
        if view.faded:
            face = {"facecolor": "none", "edgecolor": color, "hatch": "////", "linewidth": 0.8}
        axes.add_patch(Rectangle((start, middle - 0.065), length, 0.13, **face))
        axes.text(
            start + length + 0.06,
            middle,
            unit.share_text,
            ha="left",
            va="center_baseline",
            fontsize=SMALL_SIZE,
            color=colors.muted,
        )
