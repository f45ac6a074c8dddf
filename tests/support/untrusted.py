"""What is left of a result in a notebook that is not trusted: JupyterLab's sanitizer, as far as needed."""

import re
from html import escape
from html.parser import HTMLParser

# Of these elements nothing is kept; of other unknown ones, such as svg, only the text.
_DROPPED = {"script", "style", "textarea", "option", "noscript"}
_VOID = {"br", "hr", "img", "wbr", "input"}
_NAMES = (
    "a abbr article aside b bdi bdo blockquote button canvas caption code dd del details dfn div dl dt "
    "em figcaption figure font footer h1 h2 h3 h4 h5 h6 header i ins kbd label legend li mark meter nav ol p "
    "pre progress q s samp section small span strong sub summary sup table tbody td tfoot th thead time tr u "
    "ul var"
)
_TAGS = {*_VOID, *_NAMES.split()}
_ATTRIBUTES = {"class", "dir", "hidden", "id", "inert", "lang", "style", "title", "translate"}
_ATTRIBUTES_OF = {
    "img": {"alt", "height", "src", "width"},
    "td": {"align", "bgcolor", "colspan", "height", "rowspan", "scope", "valign", "width"},
    "th": {"align", "bgcolor", "colspan", "height", "rowspan", "scope", "valign", "width"},
    "table": {"align", "bgcolor", "border", "cellpadding", "cellspacing", "width"},
    "details": {"open"},
    "ol": {"start", "type"},
}
_PROPERTY = re.compile(
    r"background|background-color|border(-(top|right|bottom|left))?(-(color|style|width|radius))?|"
    r"border-(collapse|radius|spacing)|bottom|box-shadow|box-sizing|clear|color|cursor|direction|display|float|"
    r"font|font-(family|size|style|variant|weight)|(max-|min-)?(width|height)|left|letter-spacing|line-height|"
    r"list-style(-type)?|margin(-(top|right|bottom|left))?|opacity|outline|overflow(-x|-y|-wrap)?|"
    r"padding(-(top|right|bottom|left))?|position|right|table-layout|text-(align|decoration|indent|transform)|"
    r"top|unicode-bidi|vertical-align|visibility|white-space|width|word-break|word-wrap|z-index"
)
_UNKNOWN_VALUE = re.compile(r"var\(|calc\(|url\(|gradient\(|!|color-mix|currentcolor|inherit", re.IGNORECASE)


class _Sanitizer(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.dropping = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.dropping or tag in _DROPPED:
            self.dropping = self.dropping or tag
        elif tag in _TAGS:
            allowed = _ATTRIBUTES | _ATTRIBUTES_OF.get(tag, set())
            kept = ((name, _style(value or "") if name == "style" else value or "") for name, value in attrs)
            written = "".join(f' {name}="{escape(value)}"' for name, value in kept if name in allowed)
            self.parts.append(f"<{tag}{written}>")

    def handle_endtag(self, tag: str) -> None:
        if self.dropping:
            self.dropping = "" if tag == self.dropping else self.dropping
        elif tag in _TAGS - _VOID:
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self.dropping:
            self.parts.append(escape(data))


def _style(text: str) -> str:
    """Return the declarations that are allowed."""
    pairs = [part.partition(":")[::2] for part in text.split(";") if ":" in part]
    return ";".join(
        f"{name.strip()}:{value.strip()}"
        for name, value in pairs
        if _PROPERTY.fullmatch(name.strip()) and not _UNKNOWN_VALUE.search(value)
    )


def sanitized(html: str) -> str:
    """Return what JupyterLab shows of HTML in a notebook that is not trusted."""
    sanitizer = _Sanitizer()
    sanitizer.feed(html)
    sanitizer.close()
    return "".join(sanitizer.parts)
