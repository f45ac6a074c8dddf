"""Documents that are parts of one prompt, found by what separates them: tags, headings, blank lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TAG = re.compile(
    r"<(doc|document|source|passage|chunk|context|article|result)\b([^<>]*)>(.*?)</\1\s*>",
    re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(
    r"""(?:title|name|source|file|id|index)\s*=\s*["']?([^"'>\s][^"'>]*)""", re.IGNORECASE
)
_HEADING = re.compile(
    r"^[ \t#*>-]*(?P<name>(?P<kind>document|doc|source|passage|context|chunk|article|reference|result|text)"
    r"[ \t]*[\[(#]*[ \t]*(?P<number>\d+|[A-Z])\b[\])]*)(?P<rest>[^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBER = re.compile(r"^[ \t]*(?P<name>\[(?P<number>\d+)\])(?P<rest>[^\n]*)", re.MULTILINE)
_QUESTION = re.compile(
    r"^[ \t#*]*(?:question|query|user(?: question)?|task|instructions?|answer|q)\b[ \t*]*:",
    re.IGNORECASE | re.MULTILINE,
)
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")
_FEWEST_WORDS = 4  # of a paragraph that can be a document


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a text that is a document.

    Args:
        name: Its name.
        start: Its first character.
        end: The character after its last one.
    """

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Split:
    """The documents in one text.

    Args:
        layout: What separates them, in words.
        parts: The documents.
    """

    layout: str
    parts: tuple[Part, ...]


def split_by_markers(text: str, *, blank_lines: bool = True) -> Split | None:
    r"""Return the documents in a text: between tags, under headings, after numbers or in paragraphs.

    The first kind that the text has counts.

    Args:
        text: The text of a prompt or of a message.
        blank_lines: Whether paragraphs count where nothing else separates documents. Those that begin with
            “Question:” or the like do not, or, where none does, the last one.

    >>> split_by_markers("Document 1: Roses are red.\nDocument 2: Skies are blue.\n\nQuestion: What is red?")
    Split(layout='sections headed “Document 1” …',
          parts=(Part(name='Document 1', start=12, end=26), Part(name='Document 2', start=39, end=54)))
    """
    tags = tuple(_between_tags(text))
    if tags:
        tag = next(_TAG.finditer(text)).group(1)
        return Split(f"parts between <{tag}> tags", tags)
    for pattern, words in (
        (_HEADING, "sections headed “{}” …"),
        (_NUMBER, "sections that begin with “{}” …"),
    ):
        sections = tuple(_sections(text, pattern))
        if sections:
            return Split(words.format(sections[0].name), sections)
    paragraphs = tuple(_paragraphs(text)) if blank_lines else ()
    return Split("paragraphs between blank lines, without the question", paragraphs) if paragraphs else None


def _between_tags(text: str) -> Iterator[Part]:
    for number, match in enumerate(_TAG.finditer(text), start=1):
        named = _ATTRIBUTE.search(match.group(2))
        start, end = _trimmed(text, *match.span(3))
        if end > start:
            name = named.group(1).strip() if named else str(number)
            yield Part(f"{match.group(1).lower()} {name}" if name.isdigit() else name, start, end)


def _sections(text: str, pattern: re.Pattern[str]) -> Iterator[Part]:
    """Yield what follows each marker up to the next one; the last ends where a question begins."""
    markers = _counted(list(pattern.finditer(text)))
    for place, marker in enumerate(markers):
        if place + 1 < len(markers):
            end = markers[place + 1].start()
        else:
            asked = _QUESTION.search(text, 0, markers[0].start()) is not None
            end = _end_of_last(text, marker.end(), asked=asked)
        start = marker.start("rest")
        start += len(text[start:end]) - len(text[start:end].lstrip(" \t:.)-–—*\n\r"))
        start, end = _trimmed(text, start, end)
        if end > start:
            yield Part(" ".join(marker.group("name").split()), start, end)


def _counted(markers: list[re.Match[str]]) -> list[re.Match[str]]:
    """Return the markers that count on from one: a text may mention “document 2”, or cite [1], later on."""
    found: list[re.Match[str]] = []
    for marker in markers:
        number = marker.group("number").upper()
        if not found:
            if number in ("0", "1", "A"):
                found.append(marker)
        elif number == _next(found[-1].group("number").upper()):
            found.append(marker)
    return found if len(found) > 1 or (found and found[0].re is _HEADING) else []


def _next(number: str) -> str:
    return str(int(number) + 1) if number.isdigit() else chr(ord(number) + 1)


def _end_of_last(text: str, start: int, *, asked: bool) -> int:
    """Return where the last document ends: before the question, if that was not asked before them all."""
    question = _QUESTION.search(text, start)
    if question or asked:
        return question.start() if question else len(text)
    breaks = [match.start() for match in _BLANK_LINES.finditer(text, start) if text[match.end() :].strip()]
    return breaks[-1] if breaks else len(text)


def _paragraphs(text: str) -> Iterator[Part]:
    end = len(text.rstrip())
    breaks = list(_BLANK_LINES.finditer(text[:end]))
    starts = [0, *(match.end() for match in breaks)]
    ends = [*(match.start() for match in breaks), end]
    paragraphs = [_trimmed(text, *span) for span in zip(starts, ends, strict=True)]
    questions = [span for span in paragraphs if _QUESTION.match(text, span[0])] or paragraphs[-1:]
    documents = [
        (start, stop)
        for start, stop in paragraphs
        if (start, stop) not in questions
        and len(text[start:stop].split()) >= _FEWEST_WORDS
        and text[stop - 1] != ":"
    ]
    for number, (start, stop) in enumerate(documents, start=1):
        yield Part(f"paragraph {number}", start, stop)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a span without the blanks at its ends."""
    part = text[start:end]
    if not part.strip():
        return start, start
    return start + len(part) - len(part.lstrip()), end - (len(part) - len(part.rstrip()))
