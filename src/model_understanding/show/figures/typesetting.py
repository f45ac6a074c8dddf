"""Lines of text in which each piece has its own color, weight and background."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import regex
from matplotlib.patches import Rectangle

from model_understanding.show.figures.fonts import drawable, text_style
from model_understanding.show.figures.frame import POINTS, fitted, text_width, title_weight
from model_understanding.show.shared.runs import direction_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEADING = 1.42  # height of a line in font sizes
_PARTS = regex.compile(r"\n|[^\S\n]+|[^\s]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of text with its style.

    Args:
        text: The text, without control characters except line breaks.
        color: Its color.
        weight: ``bold`` where the font has it, else ``normal``.
        face: Color behind it; ``None`` for none.
        hatch: Color of stripes behind it; ``None`` for none.
        underline: Color of a line below it; ``None`` for none.
    """

    text: str
    color: str
    weight: str = "normal"
    face: str | None = None
    hatch: str | None = None
    underline: str | None = None


@dataclass(frozen=True, slots=True)
class _Placed:
    piece: Piece
    line: int
    left: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Pieces of text broken into lines.

    Args:
        placed: The pieces with their lines and positions.
        lines: Number of lines.
        size: Font size in points.
    """

    placed: tuple[_Placed, ...]
    lines: int
    size: float

    @property
    def height(self) -> float:
        """Height in inches."""
        return self.lines * LEADING * self.size / POINTS

    def draw(self, axes: "Axes", left: float, top: float) -> None:
        """Draw the lines into axes whose coordinates are inches, downwards.

        Args:
            axes: The axes.
            left: Left edge of the lines.
            top: Upper edge of the first line.
        """
        step = LEADING * self.size / POINTS
        for entry in self.placed:
            piece, x, y = entry.piece, left + entry.left, top + entry.line * step
            box = (x, y + 0.06 * step), entry.width, 0.88 * step
            if piece.face is not None:
                axes.add_patch(Rectangle(*box, facecolor=piece.face, linewidth=0, zorder=1))
            if piece.hatch is not None:
                stripes = {"facecolor": "none", "edgecolor": piece.hatch, "hatch": "////", "linewidth": 0}
                axes.add_patch(Rectangle(*box, zorder=1.1, **stripes))  # pyright: ignore[reportArgumentType]
            if piece.underline is not None:
                low = y + 0.9 * step
                axes.plot([x, x + entry.width], [low, low], color=piece.underline, linewidth=0.9, zorder=1.2)
            if piece.text.strip():
                axes.text(
                    x,
                    y + 0.73 * step,
                    piece.text.rstrip(),
                    ha="left",
                    va="baseline",
                    fontsize=self.size,
                    color=piece.color,
                    fontweight=piece.weight,
                    zorder=2,
                    **text_style(piece.text),
                )


def typeset(
    pieces: Iterable[Piece],
    width: float,
    size: float,
    *,
    most: int | None = None,
    direction: str | None = None,
) -> Block:
    """Break pieces of text into lines at blanks, and order right-to-left text.

    Args:
        pieces: The pieces, in reading order.
        width: Length of a line in inches.
        size: Font size in points.
        most: Maximum number of lines; the last one ends in ``…`` if there are more.
        direction: ``ltr`` or ``rtl``; by default that of the first letter.

    Returns:
        The lines.
    """
    lines: list[list[_Placed]] = [[]]
    left = 0.0
    words = [word for piece in pieces for word in _words(piece, size, width)]
    is_cut = False
    for word in words:
        length = _length(word, size)
        is_break, is_blank = word.text == "\n", not word.text.strip()
        if is_break or (left + length > width and not is_blank):
            if most is not None and len(lines) == most:
                is_cut = True
                break
            lines.append([])
            left = 0.0
        if is_break or (is_blank and not left):
            continue
        lines[-1].append(_Placed(word, len(lines) - 1, left, length))
        left += length
    if is_cut:
        _end_in_dots(lines[-1], width, size)
    base = direction or direction_of(word.text for word in words)
    placed = [entry for line in lines for entry in _joined(_in_visual_order(line, base, width))]
    return Block(placed=tuple(placed), lines=len(lines), size=size)


def _words(piece: Piece, size: float, width: float) -> Iterable[Piece]:
    """Split a piece into words, blanks and line breaks; words longer than a line are divided."""
    for part in _PARTS.findall(piece.text):
        if part == "\n" or not part.strip():
            yield replace(piece, text=part)
            continue
        rest = drawable(part)
        weight = title_weight(rest) if piece.weight == "bold" else "normal"
        while rest:
            keep = len(rest)
            while keep > 1 and text_width(rest[:keep], size, weight) > width:
                keep = max(1, min(keep - 1, int(keep * width / text_width(rest[:keep], size, weight))))
            yield replace(piece, text=rest[:keep], weight=weight)
            rest = rest[keep:]


def _length(word: Piece, size: float) -> float:
    """Return the width of a word or of blanks, with a little room for hinting."""
    if not word.text.strip():
        return min(len(word.text), 4) * 0.32 * size / POINTS
    return 1.015 * text_width(word.text, size, word.weight)


def _end_in_dots(line: list[_Placed], width: float, size: float) -> None:
    """Let a line end in ``…``."""
    dots = text_width("…", size)
    while len(line) > 1 and line[-1].left + line[-1].width + dots > width:
        line.pop()
    if line:
        last = line[-1]
        text = fitted(f"{last.piece.text.rstrip()}…", width - last.left, size)
        line[-1] = replace(last, piece=replace(last.piece, text=text), width=min(last.width + dots, width))


def _in_visual_order(line: Sequence[_Placed], base: str, width: float) -> list[_Placed]:
    """Return a line with each run of the other direction reversed, from the right if the text is."""
    directions: list[str | None] = [_direction(entry.piece.text) for entry in line]
    if base == "ltr" and "rtl" not in directions:
        return list(line)
    for index, direction in enumerate(directions):
        if direction is None:
            before = next((d for d in reversed(directions[:index]) if d), base)
            after = next((d for d in directions[index:] if d), base)
            directions[index] = before if before == after else base
    ordered: list[_Placed] = []
    run: list[_Placed] = []
    for entry, direction in [*zip(line, directions, strict=True), (None, base)]:
        if entry is not None and direction != base:
            run.append(entry)
            continue
        ordered += reversed(run)
        run = []
        if entry is not None:
            ordered.append(entry)
    if base == "rtl":
        ordered.reverse()
    left = width - sum(entry.width for entry in ordered) if base == "rtl" else 0.0
    found = []
    for entry in ordered:
        found.append(replace(entry, left=left))
        left += entry.width
    return found


def _joined(line: Sequence[_Placed]) -> list[_Placed]:
    """Join neighbors of one style without a background, which are drawn better as one text."""
    joined: list[_Placed] = []
    for entry in line:
        last = joined[-1] if joined else None
        is_same = (
            last is not None
            and replace(last.piece, text=entry.piece.text) == entry.piece
            and _direction(last.piece.text) != "rtl"
        )
        is_alone = entry.piece.face is not None or _direction(entry.piece.text) == "rtl"
        if last is None or not is_same or is_alone or not last.piece.text.strip():
            joined.append(entry)
            continue
        text = last.piece.text + entry.piece.text
        joined[-1] = replace(last, piece=replace(last.piece, text=text), width=last.width + entry.width)
    return joined


def _direction(text: str) -> str | None:
    """Return the direction of the first letter, ``None`` if there is none."""
    return direction_of((text,)) if any(character.isalpha() for character in text) else None
