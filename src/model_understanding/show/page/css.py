"""The palette as CSS variables, for both themes, under the page's one class."""

from model_understanding.show.shared.colors import COLOR_NAMES, PALETTES, Palette, text_on

ROOT = "model-understanding"
LEVELS = 8  # background colors of words per ramp


def palette_css() -> str:
    """Return the rules that set the color variables by the theme of the reader or the notebook."""
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


def level_class(score: float, peak: float, signed: bool) -> str:
    """Return the class that colors a word, empty for a score that is too small.

    Args:
        score: The score.
        peak: The largest absolute score.
        signed: Whether the sign has a meaning.
    """
    step = round(LEVELS * abs(score) / peak)
    kind = "u" if not signed else "p" if score > 0 else "n"
    return f"mu-{kind}{step}" if step else ""


def _variables(colors: Palette) -> str:
    values = {name.replace("_", "-"): getattr(colors, name) for name in COLOR_NAMES}
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
