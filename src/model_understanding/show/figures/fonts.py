"""Text that matplotlib can draw: fonts with the glyphs, and readable names for missing glyphs.

Matplotlib supports outline fonts only, so a color emoji usually becomes its name (``:red heart:``).
Since 3.11, matplotlib orders right-to-left text and joins Arabic letters itself; for earlier versions,
letters are put in visual order here and stay unjoined.
"""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib
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


def missing_fonts_note(texts: Iterable[str]) -> str:
    """Return one line that names the scripts that no font has, and the fonts to install; empty if none lacks.

    Args:
        texts: The texts to draw.
    """
    scripts = sorted({_script(c) for c in set("".join(texts)) if _lacks_font(c)})
    if not scripts:
        return ""
    names = " and ".join(filter(None, [", ".join(scripts[:-1]), scripts[-1]]))
    fonts = " and ".join(dict.fromkeys(f"Noto Sans {script}" for script in scripts))
    return f"No font for {names}, shown as \\u…: install {fonts} (model-understanding doctor says how)."


def uncached_font(characters: Iterable[str]) -> str | None:
    """Return an installed font file that is not in matplotlib's font cache and has what no cached font has.

    Args:
        characters: The characters.
    """
    missing = {ord(character) for character in characters if _cached_family(character) is None}
    return next((file for file in _uncached_files() if missing & _glyphs(file, 0)), None)


def font_cache() -> Path:
    """Return the file in which matplotlib keeps the list of installed fonts."""
    return Path(matplotlib.get_cachedir()) / f"fontlist-v{font_manager.FontManager.__version__}.json"


def _lacks_font(character: str) -> bool:
    """Return whether a letter has no glyph; emoji and control characters have names instead."""
    is_letter = unicodedata.category(character)[0] in "LMN"
    return is_letter and not character.isascii() and _family_with(character) is None


def _script(character: str) -> str:
    """Return the name of a character's script, as in the names of the Noto fonts."""
    name = unicodedata.name(character, "Symbols").split()[0].split("-")[0]
    return "CJK" if name in ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO") else name.title()


def text_style(*texts: str) -> dict[str, Any]:
    """Return keywords for a matplotlib text: fonts with the glyphs, and no formula parsing."""
    return {"fontfamily": families(*texts), "parse_math": False}


@lru_cache(maxsize=8192)
def _family_with(character: str) -> str | None:
    """Return a family whose normal and bold faces have a character, or ``None``."""
    family = _cached_family(character)
    if family is None and unicodedata.category(character)[0] in "LMN" and not character.isascii():
        file = uncached_font(character)
        if file is not None:  # installed after matplotlib listed the fonts
            font_manager.fontManager.addfont(file)
            _usable_families.cache_clear()
            _faces.cache_clear()
            return _cached_family(character)
    return family


def _cached_family(character: str) -> str | None:
    for family in _usable_families():
        if all(ord(character) in _glyphs(*face) for face in _faces(family)):
            return family
    return None


@lru_cache(maxsize=1)
def _uncached_files() -> tuple[str, ...]:
    """Return the installed font files that are not in matplotlib's list, regular faces first."""
    cached = {entry.fname for entry in font_manager.fontManager.ttflist}
    files = set(font_manager.findSystemFonts()) - cached
    return tuple(sorted(files, key=lambda file: ("Regular" not in file, "Sans" not in file, file)))


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
