"""The answer of a report, with the verdict on its main map: what stands at the top of a figure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.patches import FancyBboxPatch, Rectangle

from model_understanding.show.figures.fonts import drawable, missing_fonts_note, text_style
from model_understanding.show.figures.frame import (
    DETAIL_SIZE,
    LABEL_SIZE,
    POINTS,
    Panel,
    fitted,
    text_width,
    title_weight,
)
from model_understanding.show.figures.typesetting import Block, Piece, typeset
from model_understanding.show.shared.colors import Palette
from model_understanding.show.shared.words import warning_text
from model_understanding.show.views.answer import AnswerRow, AnswerView
from model_understanding.show.views.trust import Trust

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL, _WRITTEN = 17.0, 13.0  # points of a label, and of what a language model wrote
_PROMPT_LINES, _WRITTEN_LINES, _MARKED_LINES = 3, 8, 14
_ROWS, _ROW_HEIGHT, _ROW_BAR = 8, 0.2, 2.0  # rows of an answer, inches of a row and of the longest bar
_GAP = 0.07  # inches between parts
_OTHERS = 4
_CHIP_HEIGHT = 0.235  # inches


def answer_panel(
    answer: AnswerView, trust: Trust | None, cautions: Sequence[str], colors: Palette, width: float
) -> Panel:
    """Plan what the model was given and answered, the verdict on the explanation, and the warnings.

    Args:
        answer: The answer.
        trust: The verdict on the main map; ``None`` if there is none.
        cautions: Cautions of the report.
        colors: The theme's colors.
        width: Width in inches.

    Returns:
        The panel.
    """
    prompt = typeset(
        _given(answer, colors), width, LABEL_SIZE, most=_MARKED_LINES if answer.marked else _PROMPT_LINES
    )
    size = _WRITTEN if answer.is_text else _LABEL
    large = [Piece(text=answer.title, color=colors.text, weight="bold")]
    if answer.value:
        large.append(Piece(text=f"  {answer.value}", color=colors.text))
    title = typeset(large, width, size, most=_WRITTEN_LINES)
    missing = missing_fonts_note((*answer.texts, answer.title))
    lines = "\n".join(filter(None, (_facts(answer), missing)))
    facts = typeset([Piece(text=lines, color=colors.muted)], width, DETAIL_SIZE, most=3)
    listed = answer.rows[:_ROWS] if answer.has_table else ()
    parts: list[Block] = [part for part in (prompt, title, facts) if part.placed]
    rows_top = sum(part.height + _GAP for part in parts)
    chip = trust_block(trust, colors, width) if trust is not None else None
    warned = warning_block(cautions, colors, width)
    height = rows_top + len(listed) * _ROW_HEIGHT + (_GAP if listed else 0.0)
    chip_top = height + 0.03
    height = chip_top + chip_height(chip) + 0.04 if chip is not None else height
    warnings_top = height + 0.04
    height = warnings_top + warned.height + 0.14 if warned.placed else height

    def draw(axes: "Axes") -> None:
        set_inches(axes, width, height)
        top = 0.0
        for part in parts:
            part.draw(axes, 0.0, top)
            top += part.height + _GAP
        _draw_rows(axes, answer, listed, rows_top, colors, width)
        if trust is not None and chip is not None:
            draw_trust(axes, trust, chip, chip_top, colors)
        draw_warnings(axes, warned, warnings_top, colors, width)

    return Panel(width=width, height=height, left=0.0, right=0.0, top=0.0, bottom=0.0, draw=draw)


def _given(answer: AnswerView, colors: Palette) -> list[Piece]:
    """Return what the model was given, with the marks of the answer."""
    if not answer.marked:
        given = " / ".join(text if answer.is_text else f"“{text}”" for text in answer.texts)
        return [Piece(text=given, color=colors.muted)]
    pieces = []
    for index, part in enumerate(answer.marked):
        if index:
            pieces.append(Piece(text="\n", color=colors.muted))
        if part.side:
            pieces.append(Piece(text=f"{part.side}:  ", color=colors.muted))
        for text, mark in part.parts:
            if mark < 0:
                pieces.append(Piece(text=text, color=colors.muted))
                continue
            pieces.append(Piece(text=text, color=colors.text, weight="bold", underline=colors.unsigned))
            pieces.append(Piece(text=f" {answer.marks[mark].label}", color=colors.unsigned))
    return pieces


def _draw_rows(
    axes: "Axes", answer: AnswerView, rows: Sequence[AnswerRow], top: float, colors: Palette, width: float
) -> None:
    """Draw what is answered: label, bar and value in a line each."""
    names = [drawable(" · ".join(filter(None, (row.group, row.label, row.tag)))) for row in rows]
    widest = max((text_width(name, LABEL_SIZE, "bold") for name in names), default=0.0)
    room = min(widest, width - _ROW_BAR - 1.6)
    for line, (row, name) in enumerate(zip(rows, names, strict=True)):
        middle = top + (line + 0.5) * _ROW_HEIGHT
        label = fitted(name, room, LABEL_SIZE)
        style = {"va": "center_baseline", "ha": "left", "fontsize": LABEL_SIZE}
        weight = title_weight(label) if row.predicted else "normal"
        axes.text(0.0, middle, label, color=colors.text, fontweight=weight, **style, **text_style(label))
        length = 0.0 if row.share is None else _ROW_BAR * min(row.share, 1.0)
        box = (room + 0.15, middle - 0.055), length, 0.11
        axes.add_patch(Rectangle(*box, facecolor=colors.muted, linewidth=0))
        axes.text(room + 0.2 + length, middle, row.value, color=colors.muted, **style)


def set_inches(axes: "Axes", width: float, height: float) -> None:
    """Let the coordinates of axes be inches, downwards, and hide their frame."""
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")


def _facts(answer: AnswerView) -> str:
    if answer.has_table:
        more = len(answer.rows) + answer.omitted - _ROWS
        rest = f"and {more} more" if more > 0 else ""
        return "  ·  ".join(filter(None, (answer.facts, rest, answer.model)))
    others = "   ".join(f"{other.label} {other.value}" for other in answer.others(_OTHERS))
    hidden = len(answer.others(len(answer.rows))) + answer.omitted - _OTHERS
    more = f"   and {hidden} more" if hidden > 0 else ""
    return "  ·  ".join(filter(None, (f"{others}{more}", answer.facts, answer.model)))


def trust_block(trust: Trust, colors: Palette, width: float) -> Block:
    """Return the sentence beside the chip of a verdict."""
    room = width - _chip_width(trust) - 0.12
    return typeset([Piece(text=trust.words, color=colors.text)], room, LABEL_SIZE)


def chip_height(words: Block) -> float:
    """Return the height of a chip with its sentence in inches."""
    return max(_CHIP_HEIGHT, words.height + 0.03 if words.placed else 0.0)


def _chip_width(trust: Trust) -> float:
    return text_width(_chip_text(trust), LABEL_SIZE, "bold") + 0.24


def _chip_text(trust: Trust) -> str:
    return f"{trust.symbol} {trust.verdict}"


def verdict_color(trust: Trust, colors: Palette) -> str:
    """Return the color of a verdict."""
    named = {"supported": colors.supported, "weak": colors.weak, "not supported": colors.unsupported}
    return named.get(trust.verdict, colors.muted)


def draw_trust(axes: "Axes", trust: Trust, words: Block, top: float, colors: Palette) -> None:
    """Draw the chip of a verdict with its sentence.

    Args:
        axes: Axes whose coordinates are inches, downwards.
        trust: The verdict.
        words: Its sentence, in lines.
        top: Upper edge.
        colors: The theme's colors.
    """
    color, width = verdict_color(trust, colors), _chip_width(trust)
    inset = 0.05
    box = FancyBboxPatch(
        (inset, top + inset),
        width - 2 * inset,
        _CHIP_HEIGHT - 2 * inset,
        boxstyle=f"round,pad={inset - 0.01},rounding_size=0.1",
        facecolor=colors.surface,
        edgecolor=color,
        linewidth=1.0,
    )
    axes.add_patch(box)
    axes.text(
        width / 2,
        top + _CHIP_HEIGHT / 2,
        _chip_text(trust),
        ha="center",
        va="center_baseline",
        fontsize=LABEL_SIZE,
        color=color,
        fontweight=title_weight(_chip_text(trust)),
        **text_style(_chip_text(trust)),
    )
    words.draw(axes, width + 0.12, top + (_CHIP_HEIGHT - words.height / max(words.lines, 1)) / 2)


def warning_block(cautions: Sequence[str], colors: Palette, width: float) -> Block:
    """Return warnings in lines, one paragraph each."""
    text = "\n".join(drawable(f"⚠ {warning_text(caution)}") for caution in cautions)
    return typeset([Piece(text=text, color=colors.caution_text, weight="bold")], width - 0.24, DETAIL_SIZE)


def draw_warnings(axes: "Axes", block: Block, top: float, colors: Palette, width: float) -> None:
    """Draw warnings in a box.

    Args:
        axes: Axes whose coordinates are inches, downwards.
        block: The warnings, in lines.
        top: Upper edge of the box.
        colors: The theme's colors.
        width: Width of the box.
    """
    if not block.placed:
        return
    pad = 3.5 / POINTS
    box = FancyBboxPatch(
        (pad, top + pad),
        width - 2 * pad,
        block.height + 0.1 - 2 * pad,
        boxstyle=f"round,pad={pad},rounding_size=0.06",
        facecolor=colors.caution,
        edgecolor="none",
    )
    axes.add_patch(box)
    block.draw(axes, 0.12, top + 0.05)
