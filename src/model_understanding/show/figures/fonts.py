"""Text that matplotlib can draw: fonts with the glyphs, and readable names for missing glyphs.

Matplotlib supports outline fonts only, so a color emoji usually becomes its name (``:red heart:``).
Since 3.11, matplotlib orders right-to-left text and joins Arabic letters itself; for earlier versions,
letters are put in visual order here and stay unjoined.
"""

import unicodedata
from functools import lru_cache
from typing import Any

import regex
from matplotlib import font_manager, ft2font

BASE_FAMILY = "DejaVu Sans"  # ships with matplotlib
_GRAPHEME = regex.compile(r"\X")
_RIGHT_TO_LEFT = frozenset(("R", "AL"))
_ORDERS_TEXT_ITSELF = hasattr(ft2font, "__libraqm_version__")
_PREFERRED = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Yu Gothic",
    "Malgun Gothic", "WenQuanYi Micro Hei", "Source Han Sans SC", "Arial Unicode MS", "Noto Emoji", "Symbola",
    "Segoe UI Symbol", "Nirmala UI", "Noto Sans", "FreeSans",
)  # fmt: skip
# These have placeholder glyphs, or glyphs at nonstandard code points.
_UNUSABLE = ("Last Resort", "LastResort", "cm", "STIXSize", "STIXNonUnicode", "Adobe Blank", "DejaVu Math")
_MAX_FONTS = 400


def families(*texts: str) -> list[str]:
    """Return font families that together have the glyphs of some texts, if any installed font has them.

    Args:
        texts: The texts to draw.

    Returns:
        Family names for ``fontfamily=``, the base font first.
    """
    needed = [BASE_FAMILY]
    for character in sorted(set("".join(texts))):
        family = _family_with(character)
        if family is not None and family not in needed:
            needed.append(family)
    return needed


def drawable(text: str, length: int | None = None) -> str:
    r"""Return text that can be drawn completely: characters that no font has are replaced by names.

    Args:
        text: Any text without control characters.
        length: Maximum number of characters, including names; the rest is replaced by ``…``.

    Returns:
        The text in the order that this matplotlib needs; an emoji becomes ``:its name:``, another
        character becomes ``\u…``.
    """
    parts: list[str] = []
    for match in _GRAPHEME.finditer(text):
        cluster = match.group()
        if unicodedata.category(cluster[0]).startswith("M"):
            cluster = "◌" + cluster
        has_glyphs = all(_is_invisible(c) or _family_with(c) is not None for c in cluster)
        parts.append(cluster if has_glyphs else _name(cluster))
        if length is not None and parts[1:] and sum(map(len, parts)) > length + len(cluster):
            parts[-1] = "…"
            break
    return _in_visual_order("".join(parts))


def text_style(*texts: str) -> dict[str, Any]:
    """Return keywords for a matplotlib text: fonts with the glyphs, and no formula parsing."""
    return {"fontfamily": families(*texts), "parse_math": False}


@lru_cache(maxsize=8192)
def _family_with(character: str) -> str | None:
    """Return a family whose normal and bold faces have a character, or ``None``."""
    for family in _usable_families():
        if all(ord(character) in _glyphs(*face) for face in _faces(family)):
            return family
    return None


@lru_cache(maxsize=1)
def _usable_families() -> tuple[str, ...]:
    names = {entry.name for entry in font_manager.fontManager.ttflist if not entry.name.startswith(_UNUSABLE)}
    order = {name: rank for rank, name in enumerate((BASE_FAMILY, *_PREFERRED))}
    ranked = sorted(names, key=lambda name: (order.get(name, len(order)), "Sans" not in name, name))
    return tuple(ranked[:_MAX_FONTS])


@lru_cache(maxsize=_MAX_FONTS)
def _faces(family: str) -> tuple[tuple[str, int], ...]:
    """Return file and index of the upright faces closest to normal and to bold weight."""
    upright = [
        entry
        for entry in font_manager.fontManager.ttflist
        if entry.name == family and entry.style == "normal" and entry.stretch == "normal"
    ] or [entry for entry in font_manager.fontManager.ttflist if entry.name == family]
    nearest = [
        min(upright, key=lambda entry, w=weight: abs(_weight(entry.weight) - w)) for weight in (400, 700)
    ]
    return tuple(dict.fromkeys((entry.fname, getattr(entry, "index", 0)) for entry in nearest))


def _weight(weight: str | int) -> int:
    return font_manager.weight_dict.get(weight, 400) if isinstance(weight, str) else int(weight)


@lru_cache(maxsize=2 * _MAX_FONTS)
def _glyphs(file: str, index: int) -> frozenset[int]:
    face = font_manager.FontPath(file, index) if hasattr(font_manager, "FontPath") else file
    try:
        return frozenset(font_manager.get_font(face).get_charmap())
    except (OSError, RuntimeError):  # a font file that cannot be opened
        return frozenset()


def _is_invisible(character: str) -> bool:
    return character in "\u200c\u200d\ufe0e\ufe0f" and _family_with(character) is not None


def _name(cluster: str) -> str:
    codes = [ord(character) for character in cluster]
    if all(0x1F1E6 <= code <= 0x1F1FF for code in codes):
        return f":flag {''.join(chr(code - 0x1F1E6 + ord('A')) for code in codes)}:"
    if codes[0] == 0x1F3F4 and any(0xE0020 <= code < 0xE007F for code in codes):
        return f":flag {''.join(chr(code - 0xE0000) for code in codes if 0xE0020 <= code < 0xE007F)}:"
    if 0x2400 <= codes[0] <= 0x2421:  # a picture of a control character
        return f"\\x{codes[0] - 0x2400:02x}"
    if unicodedata.category(cluster[0]) != "So":
        return "".join(f"\\u{code:04x}" for code in codes)
    named = [c for c in cluster if unicodedata.category(c) not in ("Cf", "Mn", "Me", "Sk")]
    return ":" + "+".join(unicodedata.name(c, f"u+{ord(c):04x}").lower() for c in named) + ":"


def _in_visual_order(text: str) -> str:
    """Reverse each right-to-left run, for a matplotlib that draws in logical order."""
    if _ORDERS_TEXT_ITSELF or not any(unicodedata.bidirectional(c) in _RIGHT_TO_LEFT for c in text):
        return text
    return regex.sub(
        r"[\p{bc=R}\p{bc=AL}][\p{bc=R}\p{bc=AL}\p{M}\s\u200c\u200d]*",
        lambda run: "".join(reversed(_GRAPHEME.findall(run.group()))),
        text,
    )
