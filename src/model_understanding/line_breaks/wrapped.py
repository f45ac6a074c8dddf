"""Which line breaks of a text only wrap a line that became too long.

Hard wrapping leaves a trace: every line of a paragraph is filled, that is, the first word of the next line
would not have fit, at one width for all of its lines. Lines that stand by themselves, as titles, verses or
rows, do not; where only a few lines could tell, the next line must also go on in lower case.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

import regex

from model_understanding.line_breaks.lines import Line, text_of_wrapped
from model_understanding.line_breaks.paragraphs import NARROWEST, Paragraph, paragraphs_of

_WIDEST = 200  # columns of wrapped text
_LONG = 20  # columns of a word that would fit into few lines, so that lines before it tell little
_TELLING = 4  # lines that are filled to one width, which is no chance
_RAGGED = 0.08  # of the width, where lines are filled by the widths of letters
_NEAR = 3  # columns by which widths of paragraphs of one text differ where they were edited
_MOST_WIDTHS = 8  # of one text, as of several documents in a prompt
_PROSE, _WORDS, _SAMPLE = 0.8, 4, 2000  # share of letters and blanks, words in a line, characters
_LETTERS = regex.compile(r"[\p{L}\p{M}\s]+")
_PLAIN = regex.compile(r"[\p{L}\p{M}\p{N}\s.,]+")
_CODE = re.compile(r"``?[^`]+``?|\]\([^)\s]*\)")  # in a sentence, and the targets of links
_LOWER = regex.compile(r"\p{Ll}")
_BEGINNING = regex.compile(r"\p{Ll}[.!?] \p{Lu}")
_BREAK = re.compile(r"(?<=\S)[ \t\r]*\n[ \t]*(?=\S)")
_PUNCTUATION = frozenset("、。，．！？：；（）「」『』《》…—")
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")


def wrapped_breaks(text: str) -> frozenset[int]:
    r"""Return the places of the line breaks that only wrap a line.

    Args:
        text: Any text.

    >>> wrapped_breaks("The old bridge over the river was built by an\nengineer, who was 31 years old.")
    frozenset({45})
    """
    if "\n" not in text:
        return frozenset()
    paragraphs = [each for each in paragraphs_of(text) if _is_prose(each)]
    own = [_own_width(each) for each in paragraphs]
    widths = _common_widths([(each, width) for each, width in zip(paragraphs, own, strict=True) if width])
    found: list[int] = []
    for paragraph, width in zip(paragraphs, own, strict=True):
        if width:
            found += _wrapped(paragraph.lines, width, is_certain=True)
        elif width := _shared_width(paragraph, widths):
            found += _wrapped(paragraph.lines, width, is_certain=False)
    return frozenset(found)


def unwrapped(text: str) -> str:
    """Return a text of the same length with blanks for the line breaks that only wrap a line.

    Args:
        text: Any text.
    """
    borders = [-1, *sorted(wrapped_breaks(text)), len(text)]
    return " ".join(text[before + 1 : after] for before, after in pairwise(borders))


def joined_lines(text: str, start: int, end: int, breaks: Collection[int]) -> str:
    """Return a part of a text with its wrapped lines joined: by a blank, except in scripts without blanks.

    The marks of a quotation or a comment before the joined lines are left out.

    Args:
        text: The text.
        start: Where the part begins.
        end: Where it ends.
        breaks: The places of the text's line breaks that only wrap a line.
    """
    before = text.rfind("\n", 0, start)
    is_joined = before in breaks and not text[before + 1 : start].strip()
    parts, begun = [], min(max(start, _beginning(text, before)), end) if is_joined else start
    for match in _BREAK.finditer(text, begun, end):
        place = match.start() + match[0].index("\n")
        if place in breaks and match.start() > begun:
            last = text[match.start() - 1]
            parts.append(text[begun : match.start()])
            begun = min(_beginning(text, place), end)
            if not all(_UNSPACED.match(each) or each in _PUNCTUATION for each in (last, text[begun])):
                parts.append(" ")
    return "".join([*parts, text[begun:end]])


def _beginning(text: str, place: int) -> int:
    """Return where the text of the line after a wrapped one's line break begins."""
    end = text.find("\n", place + 1)
    line = text[place + 1 : len(text) if end < 0 else end]
    return place + 1 + len(line) - len(text_of_wrapped(line))


class _Width(NamedTuple):
    """A width that lines are filled to, and by how much they miss it where letters differ in width."""

    columns: int
    slack: int

    def is_full(self, line: Line, after: Line) -> bool:
        """Return whether the next line's first word did not fit."""
        return line.width + after.first >= self.columns - self.slack

    def has_room(self, line: Line) -> bool:
        """Return whether a line is not too long; a single word may be."""
        return line.width <= self.columns + self.slack or line.is_word


@dataclass(slots=True)
class _Evidence:
    """How many lines of a paragraph agree with a width: filled to it, ended before it, or neither.

    ``goes_on`` and ``begins`` count the filled ones that do not end a sentence by whether the next line goes
    on with it or begins in upper case; ``lower`` those that it goes on with in lower case.
    """

    filled: int = 0
    ended: int = 0
    against: int = 0
    goes_on: int = 0
    begins: int = 0
    lower: int = 0


def _evidence(lines: Sequence[Line], width: _Width) -> _Evidence:
    found = _Evidence(against=not width.has_room(lines[-1]))
    for line, after in pairwise(lines):
        goes_on = line.goes_on or after.begins == "lower"
        if not width.has_room(line):
            # What is written before a text, as its number in a prompt, lengthens its first line.
            found.against += line is not lines[0] or not goes_on
        elif width.is_full(line, after):
            found.filled += after.first <= _LONG
            found.goes_on += not line.ends_sentence and goes_on
            found.lower += not line.ends_sentence and after.begins == "lower"
            found.begins += not line.ends_sentence and not goes_on and after.begins == "upper"
        elif line.ends_sentence or (after.begins == "upper" and not line.goes_on):
            found.ended += 1
        else:
            found.against += 1
    return found


def _own_width(paragraph: Paragraph) -> _Width | None:
    """Return the width that a paragraph is wrapped at by itself; none if that is not certain."""
    lines = paragraph.lines
    if max(line.width for line in lines) < NARROWEST:
        return None
    exact = _most_common_width(pairwise(lines), is_ragged=False, least=lines[-1].width)
    if exact is not None and _is_wrapped(paragraph, _evidence(lines, exact)):
        return exact
    ragged = _most_common_width(pairwise(lines), is_ragged=True, least=lines[-1].width)
    if ragged is not None and _is_wrapped_raggedly(paragraph, _evidence(lines, ragged)):
        return ragged
    return exact if _is_sentence(lines) else None


def _is_wrapped(paragraph: Paragraph, found: _Evidence) -> bool:
    """Return whether the lines of a paragraph tell by themselves that they are wrapped at a width."""
    is_exact = not found.ended and not found.against
    if is_exact and found.filled >= _TELLING and not found.goes_on and not found.begins:
        return _has_no_case(paragraph.lines)
    if is_exact and found.filled >= 2 * _TELLING and found.goes_on >= found.begins:
        return True
    if _begins_sentence(paragraph.lines) and found.filled >= _TELLING:
        if is_exact:
            return found.lower > 0 and 2 * found.goes_on >= found.begins
        if _is_mostly_filled(found) and found.goes_on > found.begins:
            return True
    return is_exact and _goes_on(paragraph, found)


def _is_wrapped_raggedly(paragraph: Paragraph, found: _Evidence) -> bool:
    """Return whether the lines of a paragraph tell that they are wrapped by the widths of letters."""
    is_telling = found.filled >= _TELLING and _is_mostly_filled(found)
    if is_telling and _begins_sentence(paragraph.lines):
        return found.goes_on > 2 * found.begins
    is_exact = not found.ended and not found.against
    if is_exact and found.filled >= 2 * _TELLING and not found.goes_on and not found.begins:
        return _has_no_case(paragraph.lines)
    return is_exact and _goes_on(paragraph, found)


def _is_sentence(lines: Sequence[Line]) -> bool:
    """Return whether lines of any length go on in lower case, from upper case to the end of a sentence."""
    cut = [(line, after) for line, after in pairwise(lines) if not line.ends_sentence]
    is_long = all(line.width >= NARROWEST for line, _ in cut)
    goes_on = len(cut) > 1 and all(after.begins == "lower" for _, after in cut)
    return is_long and goes_on and lines[0].begins == "upper" and lines[-1].ends_sentence


def _begins_sentence(lines: Sequence[Line]) -> bool:
    """Return whether sentences begin in upper case: the first one, or one within a line."""
    return lines[0].begins != "lower" or any(_BEGINNING.search(line.text) for line in lines)


def _is_mostly_filled(found: _Evidence) -> bool:
    return found.against <= found.filled // 8 and found.ended <= found.filled


def _goes_on(paragraph: Paragraph, found: _Evidence) -> bool:
    """Return whether few lines are one sentence, which begins in upper case and goes on in lower case.

    Of a list of similar titles a few could be filled by chance, but none goes on so.
    """
    if not found.goes_on or found.goes_on < 2 * found.begins:
        return False
    is_whole = paragraph.lines[-1].ends_sentence or found.goes_on > 2
    return paragraph.hangs or (is_whole and _begins_sentence(paragraph.lines))


def _has_no_case(lines: Sequence[Line]) -> bool:
    """Return whether a paragraph is in upper case, or in a script without cases."""
    text = "".join(line.text for line in lines)[:_SAMPLE]
    letters = sum(map(len, _LETTERS.findall(text)))
    return letters >= _PROSE * len(text) and len(_LOWER.findall(text)) < 0.1 * len(text)


def _most_common_width(
    pairs: Iterable[tuple[Line, Line]], *, is_ragged: bool, least: int = 0
) -> _Width | None:
    """Return the width that most lines are filled to.

    Args:
        pairs: Lines, each with the next one.
        is_ragged: Whether lines miss the width where letters differ in width.
        least: A width which there is room for, where several are as common.
    """
    changes = [0] * (_WIDEST + 2)
    share = _RAGGED if is_ragged else 0
    for line, after in pairs:
        first = round(line.width / (1 + share))
        if first <= _WIDEST:
            changes[first] += 2
            changes[min(round((line.width + after.first) / (1 - share)), _WIDEST) + 1] -= 2
    changes[min(least, _WIDEST)] += 1
    counts = list(accumulate(changes[: _WIDEST + 1]))
    width = max(range(NARROWEST, _WIDEST + 1), key=counts.__getitem__)
    return _Width(width, round(share * width)) if counts[width] > 1 else None


def _common_widths(paragraphs: Sequence[tuple[Paragraph, _Width]]) -> list[_Width]:
    """Return the widths that paragraphs of a text are wrapped at."""
    found: list[_Width] = []
    for is_ragged in (False, True):
        pairs = [
            pair
            for paragraph, width in paragraphs
            if (width.slack > 0) == is_ragged
            for pair in pairwise(paragraph.lines)
            if width.has_room(pair[0]) and width.is_full(*pair)
        ]
        while len(pairs) > 1 and len(found) < _MOST_WIDTHS:
            width = _most_common_width(pairs, is_ragged=is_ragged)
            if width is None:
                break
            rest = [pair for pair in pairs if not (width.has_room(pair[0]) and width.is_full(*pair))]
            if len(pairs) - len(rest) < 2:
                break
            found.append(width)
            pairs = rest
    return found


def _shared_width(paragraph: Paragraph, widths: Sequence[_Width]) -> _Width | None:
    """Return that of the widths of a text which a paragraph is wrapped at; none if there is none."""
    lines = paragraph.lines
    begins_sentence = _begins_sentence(lines)
    is_whole = begins_sentence and lines[-1].ends_sentence
    own = _most_common_width(pairwise(lines), is_ragged=False, least=lines[-1].width)
    is_near = own is not None and any(abs(own.columns - each.columns) <= _NEAR for each in widths)
    # Few lines that begin in lower case can be code, or a list.
    best, most = None, 0 if begins_sentence or paragraph.hangs else _TELLING - 2
    for width in (*widths, own) if own is not None and is_near else widths:
        found = _evidence(lines, width)
        is_mostly = found.filled >= 2 * (found.against + found.ended)
        # A title can be filled to one of the widths by chance.
        if found.filled > most and is_mostly and (is_whole or found.goes_on > found.begins):
            best, most = width, found.filled
    return best


def _wrapped(lines: Sequence[Line], width: _Width, *, is_certain: bool) -> list[int]:
    """Return the line breaks of a paragraph before words that did not fit.

    Edited paragraphs have shorter lines, too: where wrapping is certain, these go on in lower case.
    """
    return [
        line.end
        for line, after in pairwise(lines)
        if width.is_full(line, after)
        or (
            is_certain
            and not line.ends_sentence
            and after.begins == "lower"
            and 2 * line.width > width.columns
        )
    ]


def _is_prose(paragraph: Paragraph) -> bool:
    """Return whether a paragraph has words that differ, and not numbers, code or rows that begin alike."""
    text = "\n".join(line.text for line in paragraph.lines[: _SAMPLE // NARROWEST])[:_SAMPLE]
    text = _CODE.sub("code", text)
    if sum(map(len, _PLAIN.findall(text))) < _PROSE * len(text):
        return False
    lines = text.count("\n") + 1
    begins = Counter(line.text[: line.first] for line in paragraph.lines)
    if (most := begins.most_common(1)[0][1]) > 2 and 2 * most > len(paragraph.lines):
        return False
    return len(text.split()) >= _WORDS * (lines - 1) + 1 or len(_UNSPACED.findall(text)) > 0.5 * len(text)
