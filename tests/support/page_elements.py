"""What stands in a page: its elements, attributes and words, and what a reader would not see."""

import re
import unicodedata
from html.parser import HTMLParser

HTML = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "section", "aside", "footer"),
    *("h1", "h2", "p", "span", "bdi", "i", "strong", "ul", "li", "dl", "dt", "dd", "div", "figure"),
    *("details", "summary", "table", "thead", "tbody", "tr", "th", "td"),
    *("svg", "rect", "image", "text", "script"),
}
# A style that a template writes: properties with colors, lengths and words, nothing that loads or escapes.
STYLE = re.compile(
    r"(?:(?:margin|padding|border|font|text|white-space|line-height|overflow-x|opacity|color|background-color"
    r"|width|min-width|height)[a-z-]*:(?:rgba\([\d.,]+\)|#[0-9a-f]{6}|-?[\d.]+(?:px|em|%)?|[a-z-]+)"
    r"(?: (?:#[0-9a-f]{6}|-?[\d.]+(?:px|em|%)?|[a-z-]+))*;?)+"
)
HIDING = ("Cc", "Cf", "Zl", "Zp", "Cs")


class Elements(HTMLParser):
    """The elements, attributes and words of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data):
        if self.tags and self.tags[-1] not in ("style", "script"):
            self.words.append(data)


def hidden(text: str) -> set[str]:
    """Return the characters of a text that control or hide."""
    return {c for c in text if unicodedata.category(c) in HIDING and c not in "\n\u200c\u200d"}


def plain(html: str) -> str:
    """Return what a page shows without scripts."""
    return re.sub(r"<(style|script)\b.*?</\1>", "", html, flags=re.DOTALL)


def words_of(html: str) -> str:
    """Return the words that a page shows without scripts, one blank between them."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", plain(html)))
