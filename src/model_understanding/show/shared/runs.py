"""Text split into runs for highlighting, and its reading direction."""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from model_understanding.tokens import Tokens, visible_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A span of the source text, with control characters made visible; line breaks are kept, marked by ``↵``.

    Args:
        text: The text to show.
        unit: Index of its token; ``None`` between tokens.
        is_pill: Whether to set it apart from the text: a special token, or one without a span.
        source: Index of the source text; −1 for none.
        is_unknown: Whether the tokenizer does not know it: the text that the model never read is underlined.
    """

    text: str
    unit: int | None
    is_pill: bool
    source: int
    is_unknown: bool = False


def highlighted_runs(tokens: Tokens) -> list[Run]:
    """Split the source texts into runs, in reading order, without omitting anything.

    Args:
        tokens: The tokens, folded so that no two tokens split a character.

    Returns:
        The runs.
    """
    runs: list[Run] = []
    labels = tokens.labels()
    current, covered = -1, 0
    for unit, (segment, (start, end)) in enumerate(zip(tokens.segments, tokens.offsets, strict=True)):
        if segment >= 0 and segment != current:
            runs += _between(tokens, current, covered, None)
            current, covered = int(segment), 0
            if start == end:  # a special token opens the text
                runs.append(Run(text="", unit=None, is_pill=False, source=current))
        if segment < 0 or start == end:
            runs.append(Run(text=labels[unit], unit=unit, is_pill=True, source=-1))
            continue
        runs += _between(tokens, current, covered, int(start))
        text = tokens.texts[segment][max(int(start), covered) : int(end)]
        covered = max(int(end), covered)
        runs += [
            replace(run, is_unknown=run.unit is not None and bool(tokens.unknown[unit]))
            for run in _token_runs(text, unit, bool(tokens.special[unit]), current)
        ]
    runs += _between(tokens, current, covered, None)
    return runs


def _between(tokens: Tokens, source: int, start: int, end: int | None) -> Iterator[Run]:
    text = tokens.texts[source][start:end] if source >= 0 else ""
    if text:
        yield Run(text=_visible(text), unit=None, is_pill=False, source=source)


def _token_runs(text: str, unit: int, is_pill: bool, source: int) -> Iterator[Run]:
    """Split the blanks at its ends off a token; a token of blanks only is shown with visible blanks."""
    core = text.strip(" ")
    if not core:
        yield Run(text=visible_text(text) or "∅", unit=unit, is_pill=is_pill, source=source)
        return
    lead = len(text) - len(text.lstrip(" "))
    if lead:
        yield Run(text=text[:lead], unit=None, is_pill=False, source=source)
    yield Run(text=_visible(core), unit=unit, is_pill=is_pill, source=source)
    if len(core) + lead < len(text):
        yield Run(text=text[lead + len(core) :], unit=None, is_pill=False, source=source)


def _visible(text: str) -> str:
    if not text.strip(" "):
        return text
    return visible_text(text).replace("↵", "↵\n")


def blanks_before(tokens: Tokens) -> tuple[bool, ...]:
    """Return whether each token is preceded by a blank, or by the end of another text."""
    blanks = []
    for position, (segment, start) in enumerate(zip(tokens.segments, tokens.offsets[:, 0], strict=True)):
        if position == 0 or segment < 0 or segment != tokens.segments[position - 1]:
            blanks.append(True)
            continue
        end = int(tokens.offsets[position - 1, 1])
        around = tokens.texts[segment][max(end - 1, 0) : int(start) + 1]
        blanks.append(any(character.isspace() for character in around))
    return tuple(blanks)


def direction_of(texts: Iterable[str]) -> Literal["ltr", "rtl"]:
    """Return the direction of the first letter that has one, as ``dir="auto"`` does; default: left to right.

    A browser recomputes ``dir="auto"`` whenever the element gets another child, which for thousands of words
    takes most of the time that a page needs to open.

    Args:
        texts: The parts of a paragraph.

    >>> direction_of(["1. ", "שלום", " world"]), direction_of(["…"])
    ('rtl', 'ltr')
    """
    for text in texts:
        for character in text:
            strength = unicodedata.bidirectional(character)
            if strength in ("R", "AL"):
                return "rtl"
            if strength == "L":
                return "ltr"
    return "ltr"
