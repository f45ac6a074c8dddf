"""Neighboring lines of a text that can be one paragraph, by how they begin and are indented."""

from collections.abc import Iterator
from dataclasses import dataclass

import regex

from model_understanding.line_breaks.lines import Line, read_line

NARROWEST = 44
"""Columns of the narrowest wrapped text; subtitles have up to 42."""

_SALUTATION = 30  # columns of the longest one
_FENCE = regex.compile(r"[ \t>]*(`{3,}|~{3,})([^`]*)$")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Neighboring lines that can be wrapped ones of the same paragraph.

    Args:
        lines: The lines, at least two.
        hangs: Whether the first one begins an item, and the others are indented as its text is.
    """

    lines: tuple[Line, ...]
    hangs: bool


def paragraphs_of(text: str) -> Iterator[Paragraph]:
    """Yield the paragraphs of a text that have several lines.

    Paragraphs end at blank lines, where the indentation or the mark of a quotation or a comment changes, and
    before items, headings, rules, rows of tables, tags, and fields after fields or sentences. Lines of code
    between fences are in none.

    Args:
        text: Any text.
    """
    for block in _blocks(text):
        if len(block) > 1 and max(2 * len(line) for _, line in block) >= NARROWEST:
            yield from _in_block(block)


def _blocks(text: str) -> Iterator[list[tuple[int, str]]]:
    """Yield the lines between blank ones and fences, each with the place of its line break."""
    block: list[tuple[int, str]] = []
    fence, end = "", -1
    for line in text.split("\n"):
        end += len(line) + 1
        mark = _FENCE.match(line) if "```" in line or "~~~" in line else None
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not mark[2].strip():
            fence = ""
        elif not fence and line and not line.isspace():
            block.append((end, line))
            continue
        if block:
            yield block
            block = []
    if block:
        yield block


def _in_block(block: list[tuple[int, str]]) -> Iterator[Paragraph]:
    is_starred = block[0][1].lstrip().startswith("/*")
    lines: list[Line] = []
    for end, text in block:
        line = read_line(text, end, is_starred=is_starred)
        if lines and (line is None or not _continues(lines, line)):
            if len(lines) > 1:
                yield _paragraph(lines)
            lines = []
        if line is not None:
            lines.append(line)
    if len(lines) > 1:
        yield _paragraph(lines)


def _paragraph(lines: list[Line]) -> Paragraph:
    return Paragraph(tuple(lines), hangs=bool(lines[0].mark) and lines[1].indent > lines[0].indent)


def _continues(lines: list[Line], line: Line) -> bool:
    """Return whether a line can belong to the paragraph of the lines before it."""
    first, last = lines[0], lines[-1]
    begins = line.mark or (line.opens and (first.opens or last.ends_sentence))
    if begins or line.prefix != first.prefix or last.breaks:
        return False
    if len(lines) > 1 and line.indent != last.indent:
        return False
    has_room = last.width + line.first < (line.width if len(lines) == 1 else min(line.width, NARROWEST))
    # A heading, a salutation, or the term that an indented text explains is no line of the paragraph.
    salutes = len(lines) == 1 and last.width <= _SALUTATION and last.text.rstrip().endswith(",")
    return not has_room or (line.begins == "lower" and line.indent <= last.indent and not salutes)
