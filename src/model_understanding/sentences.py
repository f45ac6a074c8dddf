"""Where sentences end: not at initials, abbreviations, the numbers of items in a list and wrapped lines."""

import regex

from model_understanding.line_breaks.lines import SENTENCE_END
from model_understanding.line_breaks.wrapped import unwrapped

# A run of closing marks is short: without a bound, each mark of a long one would be read from the first on.
_CLOSED = r"[\"'\p{Pe}\p{Pf}]{0,8}"
# What ends a sentence without a blank after it: 。 and the marks of Hindi, Urdu, Amharic, Burmese, Armenian …
_OWN_END, _OWN_CLOSER = rf"(?:(?![.!?]){SENTENCE_END})", r"(?:[\p{Pe}\p{Pf}]|[\"'](?=\s|$))"
_END = regex.compile(
    rf"(?<=[.!?…]{_CLOSED})\s+|(?<={_OWN_END}{_OWN_CLOSER}{{0,8}})(?!{_OWN_CLOSER}|{_OWN_END})\s*|\n+"
)
_BEFORE_SENTENCE = regex.compile(rf"{SENTENCE_END}|[…:\n]")
_AROUND = 16  # characters that tell an abbreviation
_LONGEST_MARK = 80  # characters of the mark of an item, with what surrounds it
# “J. W. Tukey”, “M.C.K. Tweedie”, “the U.S. Navy”; “Dr. Weber”, “e.g. this”.
_INITIALS = regex.compile(r"(?:^|[\s(\[“\"‘'])(?:\p{Lu}\.)*\p{Lu}\.$")
_ABBREVIATION = regex.compile(
    r"(?:^|[\s(\[“\"‘'])(?:Dr|Mr|Mrs|Ms|Mx|Prof|Rev|Gen|Capt|Lt|Sgt|St|Mt|Ft|vs|approx|e\.g|i\.e|cf|ca|al|Jr|Sr"
    r"|Inc|Ltd|Co|Corp|Fig|Figs|Eq|Sec|Vol|pp|Nr|bzw|Mme|d\.h|z\.B|u\.a)\.$"
)
# A letter after one of these is its name, not an initial: “It is in building A. Anna works there.”
_LETTERED = regex.compile(
    r"\b(?i:annex|appendix|block|building|case|category|chapter|class|column|drawer|exhibit|figure|floor|gate|grade"
    r"|group|hall|hepatitis|item|level|line|method|model|module|option|panel|part|phase|plan|platform|point|product"
    r"|room|row|section|series|sheet|site|step|study|system|table|team|test|tier|tower|track|trial|type|unit|variant"
    r"|version|vitamin|ward|wing|zone)\s+\p{Lu}\.$"
)
# Before a letter in lower case these end no sentence, and the first ones before a digit: “from 5 p.m. on”.
_OPEN = regex.compile(
    rf"(?:^|[\s\d(\[“\"‘'])(?:etc|usw|[aApP]\.\s?[mM]|Ph\.\s?D)\.{_CLOSED}$|(?P<ellipsis>\.\.\.|…){_CLOSED}$"
)
_NUMBER = regex.compile(r"(?:^|[\s(\[])(?:[Nn]o|[Nn]os|Ch|p)\.$")  # before a number only
_ITEM = regex.compile(r"^\W*(?:\d+|[A-Za-z])[.)]\s*$|^[-*•·]\s*$")
# Words in upper case here begin a sentence even after an abbreviation: “made in the U.S. The …”.
_BEGINS = regex.compile(
    r"[\"'“‘(\[]*(?:The|A|An|It|Its|He|His|She|Her|They|Their|We|You|This|That|These|Those|There|In|On|At|But"
    r"|And|So|Then|When|If|For|As|Der|Die|Das|Es|Er|Sie|Ein|Eine|Und|Im|Le|La|Les|Il|Elle|Un|Une|El|Los|Las)"
    r"\b(?!\.)"
)


def sentence_ends(text: str) -> list[int]:
    """Return where the sentences of a text end, before the next one begins.

    A line break ends one, unless it only wraps a line.

    Args:
        text: Any text.

    >>> sentence_ends("It is named for J. W. Tukey. He was born in the U.S. in 1915.")
    [29]
    """
    ends: list[int] = []
    text = unwrapped(text)
    for match in _END.finditer(text):
        begun = ends[-1] if ends else 0
        start, end = match.span()
        if end == begun:
            continue
        is_line, begins_line = "\n" in match.group(), begun == 0 or text[begun - 1] == "\n"
        # What ends a line within it, as the year of a reference, numbers no item.
        can_number = (begins_line or not is_line) and start - begun <= _LONGEST_MARK
        if can_number and is_item(text[begun:start].strip()):
            continue
        before = text[max(begun, start - _AROUND) : start]
        if is_line or not is_abbreviated(before, text[end : end + _AROUND]):
            ends.append(end)
    return ends


def is_abbreviated(before: str, after: str) -> bool:
    """Return whether a text ends with an abbreviation that what follows belongs to.

    Args:
        before: The text, which may end with a period.
        after: What follows.

    >>> is_abbreviated("named for R.", "W. Hamming"), is_abbreviated("in the U.S.", "The law")
    (True, False)
    """
    before, after = before[-_AROUND:].rstrip(), after[:_AROUND].lstrip()
    if _NUMBER.search(before):
        return after[:1].isdigit()
    found = _OPEN.search(before)
    if found and (after[:1].islower() or (after[:1].isdigit() and not found["ellipsis"])):
        return True
    if _LETTERED.search(before):
        return False
    if _INITIALS.search(before):
        return after[:1].isalpha() and not _BEGINS.match(after)
    return bool(_ABBREVIATION.search(before)) and not _BEGINS.match(after)


def begins_sentence(before: str) -> bool:
    """Return whether a text ends with the end of a sentence, a colon or a line, so that a sentence begins.

    Args:
        before: The text, without blanks and opening marks at its end.

    >>> begins_sentence("It rains."), begins_sentence("In")
    (True, False)
    """
    return not before or _BEFORE_SENTENCE.match(before[-1]) is not None


def is_item(text: str) -> bool:
    """Return whether a text is only the number or the mark of an item in a list.

    Args:
        text: The text.

    >>> is_item("1."), is_item("- "), is_item("So.")
    (True, True, False)
    """
    return _ITEM.match(text) is not None
