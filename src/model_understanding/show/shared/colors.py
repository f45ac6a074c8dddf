"""The palette of figures, terminal and page.

Ramps are computed in OKLCH with lightness in equal steps, so that equal differences look equal. Signed scores
run from orange through neutral to blue, which can be distinguished with all common color-vision deficiencies;
unsigned scores are purple, attention is teal to blue. Ramps run from light to dark in the light theme, and
from dark to light in the dark theme.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from model_understanding.checks import one_of

Theme = Literal["light", "dark"]
STEPS = 256
COLOR_NAMES = (
    "background",
    "surface",
    "text",
    "muted",
    "line",
    "special",
    "caution",
    "caution_text",
    "supports",
    "against",
    "unsigned",
    "supported",
    "weak",
    "unsupported",
)
"""The colors of the page's style sheet, as fields of a palette."""
_BLUE, _ORANGE, _PURPLE = 255.0, 55.0, 305.0  # hues in degrees
_GREEN, _AMBER, _RED = 155.0, 75.0, 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """The colors of one theme, as ``#rrggbb``.

    Args:
        name: ``light`` or ``dark``.
        background: Background of everything.
        surface: Background of panels, tables and chips.
        text: Text.
        muted: Secondary text and labels of special tokens; readable on background and surface.
        line: Axes, grid and borders.
        special: Bars of special tokens.
        masked: Masked cells of an attention matrix.
        sink: Columns that are excluded from the color scale, and tokens without a score.
        hatch: Stripes on these.
        caution: Background of a warning.
        caution_text: Text of a warning.
        supports: Positive scores.
        against: Negative scores.
        unsigned: Unsigned scores.
        supported: Text of the verdict ``supported``.
        weak: Text of the verdict ``weak``.
        unsupported: Text of the verdict ``not supported``.
        zero_lightness: Lightness (0 to 1) at the start of the ramps.
        full_lightness: Lightness at the end of the ramps.
    """

    name: Theme
    background: str
    surface: str
    text: str
    muted: str
    line: str
    special: str
    masked: str
    sink: str
    hatch: str
    caution: str
    caution_text: str
    supports: str
    against: str
    unsigned: str
    supported: str
    weak: str
    unsupported: str
    zero_lightness: float
    full_lightness: float

    def signed(self, value: float) -> str:
        """Return the color of a signed value between −1 (opposes) and 1 (supports)."""
        strength = min(abs(value), 1.0)
        return self._ramp(strength, _BLUE if value >= 0 else _ORANGE, 0.15, 0.62)

    def magnitude(self, value: float) -> str:
        """Return the color of an unsigned score between 0 and 1."""
        return self._ramp(min(max(value, 0.0), 1.0), _PURPLE, 0.17, 0.72)

    def attention(self, value: float) -> str:
        """Return the color of an attention weight between 0 and 1."""
        strength = min(max(value, 0.0), 1.0)
        return self._ramp(strength, 195 + 75 * strength, 0.12, 1.0, tint=0.008)

    def _ramp(self, strength: float, hue: float, chroma: float, reach: float, tint: float = 0.0) -> str:
        span = (self.full_lightness - self.zero_lightness) * reach
        return oklch(self.zero_lightness + span * strength, tint + chroma * strength**0.75, hue)


_TINTS = {"supports": _BLUE, "against": _ORANGE, "unsigned": _PURPLE, "attention": 225.0}
_LEAST_TINT, _FULL_TINT, _FADED = 0.1, 0.55, 0.35  # opacity


def tint(strength: float, kind: str, *, faded: bool = False) -> str:
    """Return a translucent color as ``rgba(…)``: a background for text of any theme's color.

    It needs no style sheet, so it stays where a notebook, a mail program or GitHub removes one. Black or
    white text has a contrast of at least 4.5 on it.

    Args:
        strength: 0 to 1.
        kind: ``supports``, ``against``, ``unsigned`` or ``attention``.
        faded: Whether the scores are not supported.
    """
    color = oklch(0.66, 0.16, _TINTS[kind])
    opacity = _LEAST_TINT + (_FULL_TINT - _LEAST_TINT) * min(max(strength, 0.0), 1.0)
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity * (_FADED if faded else 1):.2f})"


@lru_cache(maxsize=4096)
def oklch(lightness: float, chroma: float, hue: float) -> str:
    """Return an OKLCH color as ``#rrggbb``, with its chroma reduced to the sRGB gamut.

    Args:
        lightness: 0 (black) to 1 (white).
        chroma: 0 (gray) to about 0.3.
        hue: Degrees.

    Returns:
        The color.

    >>> oklch(1.0, 0.0, 0.0)
    '#ffffff'
    """
    while True:
        a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
        long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
        medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
        short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
        linear = (
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        )
        if chroma <= 0 or all(-1e-4 <= channel <= 1 + 1e-4 for channel in linear):
            return "#" + "".join(f"{round(255 * _companded(channel)):02x}" for channel in linear)
        chroma = max(chroma - 0.004, 0.0)


def luminance(color: str) -> float:
    """Return the WCAG relative luminance of ``#rrggbb``, 0 to 1."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """Return the WCAG contrast ratio of two colors, 1 to 21.

    >>> contrast("#000000", "#ffffff")
    21.0
    """
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def text_on(background: str) -> str:
    """Return black or white, whichever has more contrast; on any color the contrast is at least 4.58."""
    return max("#000000", "#ffffff", key=lambda color: contrast(color, background))


def palette(theme: str) -> Palette:
    """Return the colors of a theme.

    Args:
        theme: ``light`` or ``dark``.

    Returns:
        The palette.

    Raises:
        InputError: The theme is unknown.
    """
    return PALETTES[one_of(theme, "theme", PALETTES)]


def _companded(channel: float) -> float:
    channel = min(max(channel, 0.0), 1.0)
    return 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055


PALETTES: dict[str, Palette] = {
    "light": Palette(
        name="light",
        background="#ffffff",
        surface="#f5f6f8",
        text="#1a1d23",
        muted="#586069",
        line="#d5d9df",
        special="#a3aab4",
        masked="#dcdfe4",
        sink="#f1f1ee",
        hatch="#b9b8b0",
        caution="#fff0c2",
        caution_text="#5c3d00",
        supports=oklch(0.52, 0.14, _BLUE),
        against=oklch(0.63, 0.15, _ORANGE),
        unsigned=oklch(0.50, 0.16, _PURPLE),
        supported=oklch(0.47, 0.10, _GREEN),
        weak=oklch(0.50, 0.10, _AMBER),
        unsupported=oklch(0.50, 0.17, _RED),
        zero_lightness=0.975,
        full_lightness=0.32,
    ),
    "dark": Palette(
        name="dark",
        background="#14171c",
        surface="#1d2127",
        text="#e8eaee",
        muted="#a2abb7",
        line="#3a414b",
        special="#6b7480",
        masked="#2c323a",
        sink="#24272a",
        hatch="#575c62",
        caution="#4a3500",
        caution_text="#ffe3a3",
        supports=oklch(0.70, 0.13, _BLUE),
        against=oklch(0.74, 0.14, _ORANGE),
        unsigned=oklch(0.72, 0.14, _PURPLE),
        supported=oklch(0.80, 0.12, _GREEN),
        weak=oklch(0.83, 0.11, _AMBER),
        unsupported=oklch(0.75, 0.14, _RED),
        zero_lightness=0.235,
        full_lightness=0.93,
    ),
}
