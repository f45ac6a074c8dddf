"""The palette as CSS variables, for both themes, under the page's one class."""

from typing import Any

from model_understanding.show.shared.colors import PALETTES, Palette, text_on

ROOT = "model-understanding"
LEVELS = 8  # steps of color behind words
RAMP_STEPS = 24  # steps of the interactive page's ramps, which it interpolates
_NAMES = (
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
)


def palette_css() -> str:
    """Return the rules that set every color variable, by the reader's theme or the notebook's."""
    light, dark = (_variables(PALETTES[theme]) for theme in ("light", "dark"))
    root = f".{ROOT}"
    levels = "".join(
        f"{root} .mu-{kind}{step}{{background:var(--mu-{kind}{step});color:var(--mu-{kind}{step}-ink)}}\n"
        for kind in ("p", "n", "u")
        for step in range(1, LEVELS + 1)
    )
    return (
        f"{root}{{{light}}}\n"
        f"@media (prefers-color-scheme:dark){{{root}{{{dark}}}}}\n"
        f'[data-jp-theme-light="true"] {root},.vscode-light {root}{{{light}}}\n'
        f'[data-jp-theme-light="false"] {root},.vscode-dark {root}{{{dark}}}\n'
        f"{levels}"
    )


def level_class(score: float, reach: float, signed: bool) -> str:
    """Return the class that colors a word, empty for a score too small to color.

    Args:
        score: The score.
        reach: The largest absolute score.
        signed: Whether the sign has a meaning.
    """
    step = round(LEVELS * abs(score) / reach)
    kind = "u" if not signed else "p" if score > 0 else "n"
    return f"mu-{kind}{step}" if step else ""


def payload_palette() -> dict[str, Any]:
    """Return every color the interactive page draws with, for both themes."""
    return {theme: _ramps(colors) for theme, colors in PALETTES.items()}


def _ramps(colors: Palette) -> dict[str, Any]:
    steps = [step / RAMP_STEPS for step in range(RAMP_STEPS + 1)]
    names = (*_NAMES, "masked", "sink", "hatch")
    return {
        "names": [name.replace("_", "-") for name in names],
        "values": [getattr(colors, name) for name in names],
        "supports": [colors.signed(step) for step in steps],
        "against": [colors.signed(-step) for step in steps],
        "unsigned": [colors.magnitude(step) for step in steps],
        "attention": [colors.attention(step) for step in steps],
    }


def _variables(colors: Palette) -> str:
    values = {name.replace("_", "-"): getattr(colors, name) for name in _NAMES}
    for step in range(1, LEVELS + 1):
        strength = step / LEVELS
        faces = {
            "p": colors.signed(strength),
            "n": colors.signed(-strength),
            "u": colors.magnitude(strength),
        }
        for kind, face in faces.items():
            values[f"{kind}{step}"] = face
            values[f"{kind}{step}-ink"] = text_on(face)
    return f"color-scheme:{colors.name};" + "".join(f"--mu-{name}:{value};" for name, value in values.items())
