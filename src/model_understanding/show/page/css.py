"""The palette as CSS variables, for both themes, under the page's one class."""

from model_understanding.show.shared.colors import COLOR_NAMES, PALETTES, Palette

ROOT = "model-understanding"


def palette_css() -> str:
    """Return the rules that set the color variables by the theme of the reader or the notebook."""
    light, dark = (_variables(PALETTES[theme]) for theme in ("light", "dark"))
    root = f".{ROOT}"
    return (
        f"{root}{{{light}}}\n"
        f"@media (prefers-color-scheme:dark){{{root}{{{dark}}}}}\n"
        f'[data-jp-theme-light="true"] {root},.vscode-light {root}{{{light}}}\n'
        f'[data-jp-theme-light="false"] {root},.vscode-dark {root}{{{dark}}}\n'
        f"@media print{{{root}{{{light}}}}}\n"
    )


def _variables(colors: Palette) -> str:
    values = {name.replace("_", "-"): getattr(colors, name) for name in COLOR_NAMES}
    return f"color-scheme:{colors.name};" + "".join(f"--mu-{name}:{value};" for name, value in values.items())
