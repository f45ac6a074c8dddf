"""One line of a text: its width, how it begins and ends, and whether it stands by itself."""

from dataclasses import dataclass
from typing import Literal

import regex

Case = Literal["lower", "upper", ""]

SENTENCE_END = r"(?:(?![․．၊])\p{STerm})"
"""What ends a sentence in any script; three of these marks are within sentences and numbers, too."""

_LONGEST = 1000  # characters of a line that can be a wrapped one

# What stands without blanks, and what takes two columns.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\u3000-\u303f\uff00-\uff60"
_WIDE = regex.compile(rf"[{_UNSPACED}\p{{Hangul}}]")
_CLOSERS = r"[\p{Pe}\p{Pf}、。，．！？：；·ー々]"
# What cannot be broken: a word between blanks; without blanks, a character with the punctuation at it.
_WORD = regex.compile(rf"[\p{{Ps}}\p{{Pi}}]*[{_UNSPACED}]{_CLOSERS}*|[^\s{_UNSPACED}]+{_CLOSERS}*|\S")
# The mark of a quotation or a comment.
_PREFIX = regex.compile(
    r"[ \t]*(?:(?:>[ \t]?)+(?!>)|//[/!]?[ \t]|#(?=[ \t]|$)|%+[ \t]|;+[ \t]|--[ \t])?[ \t]*"
)
_STARRED = regex.compile(r"[ \t]*\*(?!/)[ \t]*")
_MARK = regex.compile(
    r"(?:[-*+•·‣▪◦–—☐☑✓]|\(?(?:\d{1,3}|[a-z]|[ivxlc]{1,5}|[A-Z])[.)]|\[[\^\w]{1,12}\]:?)(?=\s)[ \t]*"
)
# A field, a speaker or a setting; a date or a time; a directive or a definition of a parameter.
_OPENS = regex.compile(
    r"[*_\"“'`]*\p{Lu}[\p{L}\p{N}./'’_-]*(?: [\p{L}\p{N}./'’_&-]+){0,2}[*_\"”'`]*:[*_]*(?:\s|$)"
    r"|[\p{L}\p{N}_][\p{L}\p{N}_.-]*(?: \([^)]*\)| ?=|:)\s|\w{1,3}："
    r"|\[?\d{1,4}[-:/.]\d{1,2}[-:/.\d]|[@\\]\w+|:\w+(?: [^:`]+)?:\s|\.\. "
)
# No letters, a row, a heading, input of a shell, a tag, a picture, a decorator.
_STANDS = regex.compile(
    r"[^\p{L}\p{N}]*$|\||#{2,6}\s|>>>|\.\.\. |\$ |<!|<.*>$|</?[a-z][\w-]*$|\[?!\[.*\)$"
    r"|@[\w.]+(?:\(.*\))?$"
)
_COLUMNS = regex.compile(r"\S {5,}\S|\S {3,}\S.* {3,}\S")
_ENDS_CODE = regex.compile(r"[{}]$|\w\([^()]*\)[:;]$")
_ENDS_SENTENCE = regex.compile(rf"(?:{SENTENCE_END}|[…:;：；])[\p{{Pe}}\p{{Pf}}\"'*_`]*(?:</?[\w|]+>)?$")
_OPENING = regex.compile(
    r"(?:<[\w|]+>)?[\p{Ps}\p{Pi}\"'*_<&]*(?:(?P<lower>\p{Ll})|(?P<upper>\p{Lu})(?![\p{Lu}\p{N}]))"
)
# Words that no title, verse or item ends with.
_GOES_ON = frozenset(
    word
    for words in (
        "a an the and or of in to for with by on at as is are was were be that which from its their than if",
        "der die das den dem ein eine einer und oder von mit für zu im am auf als dass",
        "le la les un une de du des et ou que qui dans pour el los las una y en con por para il di e che per",
    )
    for word in words.split()
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a text by its parts.

    Args:
        end: Where its line break is.
        text: What it says, without the marks before it.
        width: Its width in columns.
        first: The width of its first word.
        is_word: Whether it is only one word.
        begins: The case of its first letter; none if there is none, or in a word of upper case.
        ends_sentence: Whether it ends as a sentence does.
        goes_on: Whether it ends with a word that cannot end a sentence.
        prefix: The mark of a quotation or a comment before it.
        indent: The column at which it begins.
        mark: The width of the mark of an item.
        opens: Whether it begins as a field, a speaker, a setting or a date.
    """

    end: int
    text: str
    width: int
    first: int
    is_word: bool
    begins: Case
    ends_sentence: bool
    goes_on: bool
    prefix: str
    indent: int
    mark: int
    opens: bool

    @property
    def breaks(self) -> bool:
        """Whether it ends with a mark of Markdown for a line break."""
        return self.text.endswith(("  ", "\\"))


def read_line(text: str, end: int, *, is_starred: bool) -> Line | None:
    """Return a line by its parts; none for one that stands by itself.

    Args:
        text: The line.
        end: Where its line break is.
        is_starred: Whether it is in a comment with a star before each line.
    """
    if len(text) > _LONGEST:
        return None
    shown = text.rstrip("\r").expandtabs()
    begin, prefix = _beginning(shown, is_starred=is_starred)
    found = _MARK.match(shown, begin) if _may_be_mark(shown[begin : begin + 8]) else None
    mark = found.end() - begin if found else 0
    said = shown[begin + mark :]
    trimmed = said.rstrip()
    if not trimmed or _stands(trimmed) or (prefix and _stands(shown.strip())):
        return None
    width, first, length = len(shown.rstrip()), trimmed.find(" "), 0
    if text.isascii():
        first = length = len(trimmed) if first < 0 else first
    elif word := _WORD.match(trimmed):
        width += len(_WIDE.findall(shown))
        length = len(word[0])
        first = length + len(_WIDE.findall(word[0]))
    return Line(
        end=end,
        text=said,
        width=width,
        first=first,
        is_word=length == len(trimmed),
        begins=_case(said),
        ends_sentence=not trimmed[-1].isalnum() and _ENDS_SENTENCE.search(trimmed[-24:]) is not None,
        goes_on=_goes_on(trimmed),
        prefix=prefix,
        indent=begin,
        mark=mark,
        opens=_may_open(said) and _OPENS.match(said) is not None,
    )


def _beginning(shown: str, *, is_starred: bool) -> tuple[int, str]:
    """Return where a line's own text begins, and the mark of a quotation or a comment before it."""
    begin = len(shown) - len(shown.lstrip())
    if shown[begin : begin + 1].isalnum():
        return begin, ""
    found = (_STARRED if is_starred else _PREFIX).match(shown)
    begin = found.end() if found else begin
    return begin, "".join(shown[:begin].split())


def text_of_wrapped(line: str) -> str:
    """Return what a line that goes on with another one says, without the mark of its quotation or comment.

    Args:
        line: The line; no item begins with it, so that a star before it is a comment's.
    """
    return line[_beginning(line, is_starred=line.lstrip().startswith(("* ", "*\t")))[0] :]


def _may_be_mark(beginning: str) -> bool:
    return not beginning[:1].isalpha() or "." in beginning or ")" in beginning


def _may_open(said: str) -> bool:
    return not said[0].isalpha() or ":" in said or "=" in said or "：" in said


def _stands(text: str) -> bool:
    """Return whether a line is a row, a heading, code, or anything else that is no prose."""
    if not text[0].isalnum() and _STANDS.match(text):
        return True
    if "   " in text and _COLUMNS.search(text):
        return True
    return text[-1] in "{}:;" and _ENDS_CODE.search(text) is not None


def _case(said: str) -> Case:
    if said[0].islower():
        return "lower"
    found = _OPENING.match(said)
    return "" if found is None else "lower" if found["lower"] else "upper"


def _goes_on(trimmed: str) -> bool:
    """Return whether a line ends with a word that another one follows, or with a divided word."""
    if trimmed[-1].isalpha():
        return trimmed[trimmed.rfind(" ") + 1 :] in _GOES_ON
    return trimmed[-1] in "-\u2010" and trimmed[-2:-1].isalpha()
