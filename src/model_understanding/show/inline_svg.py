"""Matplotlib's SVG made fit to stand inside a page: no ids, styles or rules that reach beyond it."""

import re
import xml.etree.ElementTree as ElementTree

from matplotlib.figure import Figure

from model_understanding.show.figure import figure_bytes

_PIXELS = 96  # CSS pixels that an inch of a figure takes
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def inline_svg(figure: Figure, *, prefix: str, label: str) -> str:
    """Return a figure as an ``<svg>`` element for HTML.

    Text is outlines, so nothing of the figure's words is in it but the label. Style attributes become
    presentation attributes, which a strict content security policy lets pass.

    Args:
        figure: The figure.
        prefix: What its ids begin with; another for every figure on a page.
        label: What the picture shows, for those who cannot see it.

    Returns:
        The element, with width and height in CSS pixels.
    """
    root = ElementTree.fromstring(figure_bytes(figure, "svg"))
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style", "title"):
                parent.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.text = element.tail = None
        attributes = dict(element.attrib)
        element.attrib.clear()
        for name, value in attributes.items():
            _set(element, _local(name), value, prefix)
    width, height = figure.get_size_inches()
    root.attrib.update(
        {
            "width": f"{width * _PIXELS:.0f}",
            "height": f"{height * _PIXELS:.0f}",
            "role": "img",
            "aria-label": label,
            "stroke-linejoin": "round",
            "stroke-linecap": "butt",
        }
    )
    return ElementTree.tostring(root, encoding="unicode")


def _set(element: ElementTree.Element, name: str, value: str, prefix: str) -> None:
    if name == "style":
        for declaration in filter(None, (part.strip() for part in value.split(";"))):
            key, _, setting = declaration.partition(":")
            _set(element, key.strip(), setting.strip(), prefix)
    elif name == "id":
        element.set("id", f"{prefix}-{value}")
    elif name == "href" and value.startswith("#"):
        element.set("href", f"#{prefix}-{value[1:]}")
    elif name not in ("version",):
        element.set(name, _REFERENCE.sub(lambda match: f"url(#{prefix}-{match.group(1)})", value))


def _local(name: str) -> str:
    return name.rpartition("}")[2]
